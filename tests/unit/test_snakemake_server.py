"""The process that answers dry runs does what ``python -m snakemake`` does in the same folder and environment."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from snakemake_server import SnakemakeServer

RULES = """
import os
print(os.getcwd(), os.environ.get("NOTE"), config.get("word"))
import own_module
print(own_module.NAME)
if config.get("word") == "wrong":
    import sys
    sys.exit("error: one line")
rule all:
    output: "x.txt"
    shell: "touch {output}"
"""


@pytest.fixture(scope="module")
def server():
    with SnakemakeServer() as started:
        yield started


def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What it said but the time of day, in any order: both streams are one file."""
    return sorted(line for line in done.stdout.splitlines() if not line.startswith("["))


@pytest.mark.parametrize("words", [["word=right"], ["word=wrong"], ["word=right", "--", "nothing"]])
def test_output_and_status_are_those_of_a_process(server, tmp_path, words):
    for name in ("one", "two"):  # each run imports its own modules
        folder = tmp_path / name
        folder.mkdir()
        (folder / "Snakefile").write_text(RULES)
        (folder / "own_module.py").write_text(f"NAME = 'module {name}'\n")
        command = ["-n", "-q", "host", "--cores", "1", "--config", *words]
        environment = {**os.environ, "NOTE": f"note {name}", "NO_COLOR": "1"}
        got = server.run(command, folder, environment)
        process = subprocess.run(
            [sys.executable, "-m", "snakemake", *command],
            **{"cwd": folder, "env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True},
        )
        assert got.returncode == process.returncode == (words != ["word=right"])
        assert lines(got) == lines(process)
        assert f"module {name}" in got.stdout and f"{folder} note {name}" in got.stdout
        assert not (folder / "x.txt").exists()
