"""Dry runs of Snakemake without its start: a process that has imported it answers each with a child of its own.

A dry run takes two CPU seconds, half of them for imports. The child begins as ``python -m snakemake`` does in the same
folder and environment, but has the modules of other projects already. GeneT5's own are read anew.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

#: Of other projects, imported once.
MODULES = ("snakemake.cli", "numpy", "jsonschema", "yaml", "Bio.Data.CodonTable", "pulp", "pandas")

LONGEST_S = 300


class SnakemakeServer:
    """The process; use it as a context manager."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> SnakemakeServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait()

    def run(self, arguments: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run ``snakemake`` with arguments in a folder; standard output and error together in ``stdout``."""
        with tempfile.NamedTemporaryFile("r", errors="replace") as output:
            request = {"arguments": arguments, "folder": str(folder), "environment": environment, "to": output.name}
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            status = int(self.process.stdout.readline())
            return subprocess.CompletedProcess(["snakemake", *arguments], status, output.read())


def answer(arguments: list[str], folder: str, environment: dict[str, str], to: str) -> int:
    """Exit status of Snakemake, in a child."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        os.setsid()
        signal.alarm(LONGEST_S)  # one that hangs ends
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        with open(to, "w") as stream, open(os.devnull) as nothing:
            for wanted, own in ((nothing, 0), (stream, 1), (stream, 2)):
                os.dup2(wanted.fileno(), own)
        sys.path[0] = folder
        sys.argv = ["snakemake", *arguments]
        from snakemake.cli import main as snakemake

        snakemake()
        status = 0
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    for name in MODULES:
        __import__(name)
    for line in sys.stdin:
        print(answer(**json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
