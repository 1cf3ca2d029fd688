# make        the environment .venv, with the command .venv/bin/genet5
# make demo   the whole path on two bacterial genomes that come with a dependency: no network needed, five minutes
# make test   the tests but for the slow ones; those that need a program which is not there are listed with the reason
# make test-all   the slow ones too: kills in every rule, two machines with and without Slurm, compiled networks
# All make .venv on first use. PIP_FLAGS goes to pip, as for CPU builds of torch:
#   make demo PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
PIP_FLAGS ?=
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
INSTALLED := $(VENV)/.installed
DECLARED := requirements.lock pyproject.toml setup.py
# The programs that these start (python in the rules, shfmt in snakefmt) come from the same place.
export PATH := $(BIN):$(PATH)

# Sets $$as: what comes before a command of the superuser.
superuser = if [ "$$(id -u)" -eq 0 ]; then as=; else as="sudo -n"; fi
# Installs packages of Debian or Ubuntu where it may: as root, or by a sudo that asks for no password.
apt = { $(superuser); command -v apt-get > /dev/null && $$as true 2> /dev/null && $$as apt-get update && \
	$$as env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $(1); }
# Debian starts the services of a package (sshd, munge) as soon as it is installed, unless this file forbids it. The tests
# start their own, and the machine shall listen to nobody because of them.
SBIN := /usr/sbin
POLICY := $(SBIN)/policy-rc.d
no_services = $(superuser); if [ ! -e $(POLICY) ] && $$as true 2> /dev/null; then \
	trap '$$as rm -f $(POLICY)' EXIT INT TERM; \
	printf '\043!/bin/sh\nexit 101\n' | $$as tee $(POLICY) > /dev/null && $$as chmod 755 $(POLICY); fi

.PHONY: install demo test test-all check tools clean-demo
.DEFAULT_GOAL := install

install: $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/snakemake --profile profiles/demo all
	@$(BIN)/genet5 score-table --scores data/score/demo/sft/*.json data/score/demo/grpo/*.json
	@echo "report: data/report/demo/index.html"

# A file's tests stay together: they share what they made. One thread each, since every core has a file. The longest files
# begin (tests/conftest.py), so that no core waits for one at the end.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests -n auto --dist loadfile --no-loadscope-reorder
test: $(INSTALLED) tools
	$(PYTEST) -m "not slow"

test-all: $(INSTALLED) tools
	$(PYTEST)

# The style checks alone.
check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint

# Programs of the operating system that some tests need, and their packages. BUSCO is also needed for species that name a
# lineage; the last five make two nodes out of one machine.
TOOLS := gt:genometools busco:busco hmmsearch:hmmer augustus:augustus spaln:spaln \
	squeue:slurm-wlm munge:munge sshd:openssh-server ssh:openssh-client ip:iproute2
tools:
	@missing=; for pair in $(TOOLS); do \
		command -v $${pair%:*} > /dev/null || [ -x $(SBIN)/$${pair%:*} ] || missing="$$missing $${pair#*:}"; \
	done; \
	[ -z "$$missing" ] || { $(no_services); $(call apt,$$missing); } || \
		echo "note: tests that need a missing program are left out; to install them: sudo apt-get install$$missing" >&2

# The stamp is a copy of what is installed: an edit installs again, a fresh checkout's file times do not.
$(INSTALLED): $(DECLARED)
	@if ! cat $(DECLARED) | cmp --silent - $(INSTALLED); then \
		command -v $(PYTHON) > /dev/null || { echo "error: $(PYTHON) not found; set PYTHON=..." >&2; exit 1; }; \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
			{ echo "error: $(PYTHON) is older than 3.11; set PYTHON=..." >&2; exit 1; }; \
		test -x $(BIN)/python || $(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || $(call apt,python3-venv) || \
			{ echo "error: $(PYTHON) has no venv; sudo apt-get install python3-venv" >&2; exit 1; }; \
		{ test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); } && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -r requirements.lock && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .; \
	fi
	@cat $(DECLARED) > $(INSTALLED)

clean-demo:
	rm -rf data/baked/demo data/model/demo data/annotation/demo data/score/demo data/busco/demo data/report/demo
