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
    "docs/decisions.md",
    "docs/studies.md",
    "profiles/README.md",
    "resources/models/README.md",
    "config/config.yaml",
    "config/studies/defaults.yaml",
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
        places = ("data/score/", "data/annotation/", "data/model/", "data/raw/")
        assert target in TARGETS or target.startswith(places), command


def test_shown_python_commands_name_scripts_and_flags_that_exist(repository):
    texts = [(repository / name).read_text().replace("\\\n", " ") for name in DOCUMENTS]
    commands = [
        c for text in texts for c in re.findall(r"(?:`|^    )python ((?:scripts|benchmarks)/[^`\n]+)", text, re.M)
    ]
    assert len(commands) > 12
    # Most flags of trainings are fields of their options.
    declared = "".join(path.read_text() for path in (repository / "scripts/genet5").rglob("*.py"))
    for command in commands:
        script, *words = shlex.split(command, comments=True)
        source = "" if script == "scripts/X.py" else (repository / script).read_text()
        for flag in (word.partition("=")[0] for word in words if word.startswith("--") and word != "--help"):
            field = flag[2:].replace("-", "_")
            assert f'"{flag}"' in source + declared or f"    {field}: " in declared, command


def test_every_configuration_is_explained(repository):
    text = (repository / "config/README.md").read_text()
    named = [path for path in (repository / "config").rglob("*") if path.is_file()]
    assert [path.name for path in named if f"`{path.name}`" not in text] == ["README.md"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_named_files_exist(repository, name):
    text = (repository / name).read_text()
    paths = re.findall(r"`((?:benchmarks|config|workflow|scripts|docs|envs|profiles|resources|tests)/[\w./-]*)`", text)
    missing = [path for path in paths if not (repository / path).exists() and path != "scripts/X.py"]
    assert not missing
