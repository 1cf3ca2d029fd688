"""Two machines on one: network namespaces with an sshd each and a cable between them (spark1, spark2).

The scripts that make them are shared/slurm-two-nodes beside the checkout. They start Slurm, too, which a test may leave
alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import toy_bacterium
import yaml

NODES = ("spark1", "spark2")
#: The cable, and the other network of both nodes.
CABLE, LAN = "enp1s0f1np1", "lan0"
#: Program -> its package in Debian and Ubuntu.
PROGRAMS = {
    "slurmctld": "slurm-wlm",
    "munged": "munge",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ip": "iproute2",
    "nsenter": "util-linux",
}


def missing(scripts: Path) -> str:
    """Why two nodes cannot be made here; empty if they can."""
    if not (scripts / "up.sh").is_file():
        return f"needs the scripts that make two nodes, not found at {scripts}"
    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    packages = {package for program, package in PROGRAMS.items() if shutil.which(program, path=path) is None}
    if packages:
        return f"needs programs: apt-get install {' '.join(sorted(packages))}"
    made = subprocess.run(["unshare", "--net", "--uts", "--mount", "--pid", "--fork", "true"], capture_output=True)
    return "" if made.returncode == 0 else "needs the right to make network namespaces (unshare)"


class TwoNodes:
    """Two nodes that are up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def command(self, node: str, *words: object) -> list[str]:
        """A command as if it was typed on a node. Ctrl-C works, although pytest may have been started without it."""
        return [str(self.folder / "on"), node, "env", "--default-signal=INT", *map(str, words)]

    def output(self, node: str, *words: object) -> str:
        return subprocess.run(self.command(node, *words), check=True, capture_output=True, text=True).stdout

    def sent(self, network: str) -> int:
        """Bytes that spark1 has sent over a network so far."""
        return int(self.output(NODES[0], "cat", f"/sys/class/net/{network}/statistics/tx_bytes"))

    def running(self, words: str) -> list[str]:
        """``node: command`` of all processes on both nodes whose command has these words."""
        found = []
        for node in NODES:
            lines = self.output(node, "ps", "-eo", "args").splitlines()
            found += [f"{node}: {line}" for line in lines if words in line]
        return found


def two_nodes(repository: Path, folder: Path) -> Iterator[TwoNodes]:
    """The nodes, up with ssh; skips the test by name where they cannot be made. For ``yield from`` in a fixture."""
    scripts = repository.parent / "shared" / "slurm-two-nodes"
    if reason := missing(scripts):
        pytest.skip(reason)
    # Its name is part of the names of sockets, which are short.
    up = subprocess.run(["bash", scripts / "up.sh", folder, "--ssh", "yes"], capture_output=True, text=True)
    assert up.returncode == 0, up.stderr
    try:
        yield TwoNodes(folder)
    finally:
        down = subprocess.run(["bash", scripts / "down.sh", folder, "--purge"], capture_output=True, text=True)
        assert down.returncode == 0, down.stderr


def toy_run_in(workspace: Any, folder: Path, device: str, epochs: int) -> Path:
    """The configuration of a run of the toy bacterium in a workspace, baked and ready for train_sft on two nodes."""
    run = toy_bacterium.write_run(folder / "run")
    shutil.copytree(run.folder / "data", workspace.folder / "data")
    sheet = workspace.sheet(
        f"{toy_bacterium.SPECIES} bacteria 11 train {toy_bacterium.VALIDATION} {toy_bacterium.TEST} genome.fa prodigal"
    )
    training = {"epochs": epochs, "token_budget": 4000, "precision": "fp32", "log_every": 1}
    training |= {"max_batch_size": 4, "windows_per_step": 8}
    return workspace.overlay(yaml.safe_dump({"run": "toy", "device": device, "species_sheet": sheet, "sft": training}))
