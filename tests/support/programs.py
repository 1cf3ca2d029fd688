"""Programs of the operating system that some tests need. Without one, its tests are skipped by name with the reason."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

#: Program -> its package in Debian and Ubuntu. `make test` installs them where it may.
PACKAGES = {
    "gt": "genometools",
    "busco": "busco",
    "hmmsearch": "hmmer",
    "hmmbuild": "hmmer",
    "prodigal": "prodigal",
    "git": "git",
}


def needs(program: str) -> pytest.MarkDecorator:
    """Leaves out a test where the program is not installed."""
    reason = f"needs the program {program}: apt-get install {PACKAGES[program]}"
    return pytest.mark.skipif(shutil.which(program) is None, reason=reason)


def path_without(folder: Path, *programs: str) -> str:
    """A search path, in ``folder``, with links to all programs but these."""
    folder.mkdir()
    for place in os.get_exec_path():
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            link = folder / program.name
            if program.name not in programs and not link.is_symlink():
                link.symlink_to(program)
    return str(folder)


def check_gff3(path: Path) -> None:
    """Fail unless the file is valid for GenomeTools; for tests with ``needs("gt")``."""
    done = subprocess.run(["gt", "gff3validator", path], capture_output=True, text=True)
    assert done.stdout.strip() == "input is valid GFF3", f"{path}: {done.stdout}{done.stderr}"
