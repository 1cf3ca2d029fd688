# make demo   the whole path on two bacterial genomes that come with a dependency: offline after the install, eleven minutes
# make test   every test
# Both make .venv on first use. PIP_FLAGS goes to pip, for instance to take CPU builds of torch:
#   make demo PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
PIP_FLAGS ?=
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
INSTALLED := $(VENV)/.requirements.lock
# The programs that these start (python in the rules, shfmt in snakefmt) come from the same place.
export PATH := $(BIN):$(PATH)

.PHONY: demo test check tools clean-demo
.DEFAULT_GOAL := demo

demo: $(INSTALLED)
	$(BIN)/snakemake --profile profiles/demo all
	@$(BIN)/python scripts/score_table.py --scores data/score/demo/sft/*.json data/score/demo/grpo/*.json
	@echo "report: data/report/demo/index.html"

# A file's tests stay together: they share what they made. One thread each, since every core has a file.
test: $(INSTALLED) tools
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests -n auto --dist loadfile

# The style checks alone.
check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint

# Programs of the operating system that the tests need. BUSCO is also needed for species that name a lineage.
tools:
	@for tool in gt busco hmmsearch; do \
		command -v $$tool > /dev/null || missing="$$missing $$tool"; \
	done; \
	if [ -n "$$missing" ]; then \
		echo "error: not installed:$$missing; on Debian or Ubuntu: sudo apt-get install genometools busco hmmer" >&2; \
		exit 1; \
	fi

# The stamp is a copy of the lock file: an edit of the lock installs again, a fresh checkout's file times do not.
$(INSTALLED): requirements.lock
	@if ! cmp --silent requirements.lock $(INSTALLED); then \
		command -v $(PYTHON) > /dev/null || { echo "error: $(PYTHON) not found; set PYTHON=..." >&2; exit 1; }; \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
			{ echo "error: $(PYTHON) is older than 3.11; set PYTHON=..." >&2; exit 1; }; \
		{ test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); } && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -r requirements.lock; \
	fi
	@cp requirements.lock $(INSTALLED)

clean-demo:
	rm -rf data/baked/demo data/model/demo data/annotation/demo data/score/demo data/busco/demo data/report/demo
