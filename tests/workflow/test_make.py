"""`make test` installs the programs that it may install, and goes on without the others."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

MAKE = shutil.which("make")
pytestmark = pytest.mark.skipif(MAKE is None, reason="needs the program make: apt-get install make")
NOTE = "note: tests that need a missing program are left out; to install them: sudo apt-get install"
PROGRAMS = ("gt", "busco", "hmmsearch", "augustus", "spaln", "squeue", "munge", "sshd", "ssh", "ip")
INSTALLED = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends"


@pytest.fixture
def tools(repository: Path, tmp_path: Path) -> Callable[..., tuple[str, list[str]]]:
    """Runs ``make tools`` with stand-ins for programs: what it says, and the calls of apt-get and sudo."""
    programs = tmp_path / "programs"
    programs.mkdir()
    sbin = tmp_path / "sbin"
    sbin.mkdir()
    calls = tmp_path / "calls"
    for name in ("tee", "chmod", "rm", "cat"):
        (programs / name).symlink_to(shutil.which(name))

    def run(**bodies: str) -> tuple[str, list[str]]:
        for name, body in bodies.items():
            program = programs / name.replace("_", "-")
            program.write_text(f"#!/bin/sh\n{body}\n")
            program.chmod(0o755)
        environment = {"PATH": str(programs), "CALLS": str(calls), "POLICY": str(sbin / "policy-rc.d")}
        command = [MAKE, "--no-print-directory", "-f", repository / "Makefile", f"SBIN={sbin}", "tools"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert not list(sbin.iterdir())
        return done.stdout + done.stderr, calls.read_text().splitlines() if calls.exists() else []

    return run


APT = 'echo "apt-get $*" >> "$CALLS"'
ENV = f'echo "env $*" >> "$CALLS"; exec {shutil.which("env")} "$@"'
SUDO = 'echo "sudo $*" >> "$CALLS"; shift; exec "$@"'


def test_root_installs_what_is_missing(tools):
    said, calls = tools(id="echo 0", apt_get=APT, env=ENV, busco="", squeue="", munge="")
    missing = "genometools hmmer augustus spaln openssh-server openssh-client iproute2"
    assert calls == [
        "apt-get update",
        f"env {INSTALLED} {missing}",
        f"apt-get install --yes --no-install-recommends {missing}",
    ]
    assert NOTE not in said


def test_no_service_starts_while_packages_are_installed(tools):
    """The file that forbids it is there meanwhile, and gone afterwards (the fixture looks)."""
    _, calls = tools(id="echo 0", env=ENV, apt_get='"$POLICY"; echo "$1 $?" >> "$CALLS"')
    assert calls[0] == "update 101" and calls[-1] == "install 101"


def test_sudo_without_a_password_installs(tools):
    present = {name: "" for name in PROGRAMS if name != "busco"}
    said, calls = tools(id="echo 1000", apt_get=APT, env=ENV, sudo=SUDO, true=":", **present)
    assert "sudo -n apt-get update" in calls and f"sudo -n env {INSTALLED} busco" in calls
    assert NOTE not in said


@pytest.mark.parametrize(
    "programs",
    [
        {"id": "echo 1000", "apt_get": APT, "sudo": "exit 1"},
        {"id": "echo 1000", "apt_get": APT},
        {"id": "echo 0"},
        {"id": "echo 0", "apt_get": "exit 100", "env": ENV},
    ],
    ids=["password", "no sudo", "no apt-get", "no network"],
)
def test_what_may_not_be_installed_is_named(tools, programs):
    said, calls = tools(**programs)
    assert (
        f"{NOTE} genometools busco hmmer augustus spaln slurm-wlm munge openssh-server openssh-client iproute2" in said
    )
    assert not [call for call in calls if call.startswith("apt-get install")]


def test_nothing_is_done_where_all_are_there(tools):
    assert tools(id="echo 0", apt_get=APT, **dict.fromkeys(PROGRAMS, "")) == ("", [])


def test_the_stamp_names_all_that_is_installed_from(repository):
    text = (repository / "Makefile").read_text()
    assert "DECLARED := requirements.lock pyproject.toml setup.py\n" in text
    assert "--no-build-isolation --no-index -e ." in text  # needs no network
    assert os.access(repository / ".ci/run", os.X_OK)
