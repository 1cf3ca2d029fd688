"""Files that come with GeneT5: clades, shipped models, structure tokens."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource(name: str) -> Path:
    """The path of ``resources/{name}``, beside the package where it is installed, else in the repository."""
    installed = _PACKAGE / "resources"
    return (installed if installed.is_dir() else _PACKAGE.parents[1] / "resources") / name
