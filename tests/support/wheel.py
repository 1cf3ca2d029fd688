"""The package as pip installs it, in a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "scripts", "resources", "config", "workflow")


def installed_package(repository: Path, folder: Path) -> Path:
    """A new folder in ``folder`` to import the package from. It is built from a copy: the checkout stays clean."""
    for name in SOURCES:
        source, target = repository / name, folder / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copyfile(source, target)
    command = [sys.executable, "-c", BUILD, folder]
    built = subprocess.run(command, cwd=folder / "source", capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"
