"""The commands that the documentation shows mean what they seem to mean, and the files it names exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from snakemake.cli import parse_args

DOCUMENTS = (
    "README.md",
    "docs/guide.md",
    "config/README.md",
    "profiles/README.md",
    "config/config.yaml",
    "config/studies.yaml",
)
TARGETS = {"all", "annotate", "bake_species", "cpivae", "dna_llm", "vq_transformer"}


def shown_commands(repository: Path) -> list[str]:
    """Every snakemake command in backquotes, on an indented line, or after a colon in a comment."""
    commands = []
    for name in DOCUMENTS:
        text = (repository / name).read_text()
        commands += re.findall(r"`(snakemake [^`]+)`", text)
        commands += re.findall(r"^    (snakemake .+)$", text, flags=re.MULTILINE)
        commands += re.findall(r"^#.*: +(snakemake .+)$", text, flags=re.MULTILINE)
    return commands


def test_shown_commands_have_a_target_that_no_option_swallows(repository, monkeypatch):
    monkeypatch.chdir(repository)
    commands = shown_commands(repository)
    assert len(commands) > 12
    for command in commands:
        _, arguments = parse_args(shlex.split(command, comments=True)[1:])
        if arguments.unlock:
            continue
        assert len(arguments.targets) == 1, command
        (target,) = arguments.targets
        assert target in TARGETS or target.startswith(("data/score/", "data/annotation/")), command


@pytest.mark.parametrize("name", [*DOCUMENTS, "docs/decisions.md", "docs/studies.md"])
def test_named_files_exist(repository, name):
    text = (repository / name).read_text()
    paths = re.findall(r"`((?:config|workflow|scripts|docs|envs|profiles|resources|tests)/[\w./-]*)`", text)
    missing = [path for path in paths if not (repository / path).exists() and path != "scripts/X.py"]
    assert not missing
