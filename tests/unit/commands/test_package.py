"""The wheel: it holds the library, the commands and what they read, and works where no checkout is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from wheel import installed_package

pytest.importorskip("setuptools", reason="needs setuptools to build a wheel")


@pytest.fixture(scope="module")
def site(repository, tmp_path_factory) -> Path:
    """A folder with the package as it is installed."""
    return installed_package(repository, tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def run(site, tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python with that package, in another folder."""

    def start(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(site)}
        return subprocess.run([sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)

    return start


def files(folder: Path) -> set[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in paths if "__pycache__" not in path.parts}


def test_it_holds_library_commands_and_resources(site, repository):
    package, scripts = site / "genet5", repository / "scripts"
    assert files(scripts / "genet5") <= files(package)
    assert files(package / "commands") == {name for name in files(scripts) if not name.startswith("genet5")}
    assert files(package / "resources") == files(repository / "resources")


def test_the_command_is_declared(site):
    (entry,) = site.glob("*.dist-info/entry_points.txt")
    assert entry.read_text().split() == ["[console_scripts]", "genet5", "=", "genet5.cli:main"]


def test_commands_run_from_it(run, site, tmp_path):
    listed = run("-m", "genet5")
    assert listed.returncode == 0 and "  score " in listed.stdout and "  dna-llm-pretrain " in listed.stdout
    (tmp_path / "my.fa").write_text(">chr\nACGT\n")
    made = run("-m", "genet5", "index-genome", "--archive", "my.fa", "--output", "fna")
    assert made.returncode == 0 and (tmp_path / "fna.fai").is_file(), made.stderr
    settings = run("-m", "genet5", "cpivae-settings", "--output", "settings.yaml")
    assert settings.returncode == 0 and (tmp_path / "settings.yaml").is_file(), settings.stderr


def test_resources_are_found_in_it(run, site):
    asked = "from genet5.files import resource; from genet5.tokens.vocabulary import STRUCTURE_TOKENS_FILE as tokens;"
    found = run("-c", f"{asked} print(tokens, tokens.is_file(), resource('models').is_dir())").stdout.split()
    assert found == [str(site / "genet5/resources/structure_tokens.txt"), "True", "True"]
