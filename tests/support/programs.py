"""Programs of the operating system that some tests need. Without one, its tests are skipped by name with the reason."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

#: Program -> its package in Debian and Ubuntu. `make test` installs them where it may.
PACKAGES = {"gt": "genometools", "busco": "busco", "hmmsearch": "hmmer", "git": "git"}


def needs(program: str) -> pytest.MarkDecorator:
    """Leaves out a test where the program is not installed."""
    reason = f"needs the program {program}: apt-get install {PACKAGES[program]}"
    return pytest.mark.skipif(shutil.which(program) is None, reason=reason)


def check_gff3(path: Path) -> None:
    """Fail unless the file is valid for GenomeTools; for tests with ``needs("gt")``."""
    done = subprocess.run(["gt", "gff3validator", path], capture_output=True, text=True)
    assert done.stdout.strip() == "input is valid GFF3", f"{path}: {done.stdout}{done.stderr}"
