"""Fabric starts without the libraries that it asks for nothing but a version."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
{before}
import genet5.training.fabric
print("torchmetrics" in sys.modules, "transformers" in sys.modules, "scipy.signal" in sys.modules)
import torchmetrics
print(hasattr(torchmetrics, "Metric"))
from lightning import Trainer
"""


def printed(repository: Path, before: str) -> list[str]:
    script = SCRIPT.format(before=before)
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=repository / "scripts", capture_output=True, text=True, check=True
    )
    return result.stdout.splitlines()


def test_fabric_imports_neither_torchmetrics_nor_transformers_and_leaves_them_whole(repository: Path) -> None:
    assert printed(repository, "") == ["False False False", "True"]


def test_what_is_imported_already_stays(repository: Path) -> None:
    assert printed(repository, "import torchmetrics")[0].startswith("True")
