"""The commands that the documentation shows mean what they seem to mean, and the files it names exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from snakemake.cli import parse_args

from genet5.cli import commands, study_commands

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
    shown = []
    for name in DOCUMENTS:
        text = (repository / name).read_text()
        shown += re.findall(r"`(snakemake [^`]+)`", text)
        shown += re.findall(r"^    (snakemake .+)$", text, flags=re.MULTILINE)
        shown += re.findall(r"^#.*: +(snakemake .+)$", text, flags=re.MULTILINE)
    return shown


def test_shown_commands_have_a_target_that_no_option_swallows(repository, monkeypatch):
    monkeypatch.chdir(repository)
    shown = shown_commands(repository)
    assert len(shown) > 12
    for command in shown:
        _, arguments = parse_args(shlex.split(command, comments=True)[1:])
        if arguments.unlock:
            continue
        assert len(arguments.targets) == 1, command
        (target,) = arguments.targets
        places = ("data/score/", "data/annotation/", "data/model/", "data/raw/")
        assert target in TARGETS or target.startswith(places), command


def test_shown_commands_name_scripts_and_flags_that_exist(repository):
    texts = [(repository / name).read_text().replace("\\\n", " ") for name in DOCUMENTS]
    found = [c for text in texts for c in re.findall(r"(?:`|^    )(?:python|genet5) ([^`\n]+)", text, re.M)]
    scripts = {name: str(path.relative_to(repository)) for name, path in (commands() | study_commands()).items()}
    for number, command in enumerate(found):
        name, blank, rest = command.partition(" ")
        if "/" not in name and name not in ("-m", "-c", "COMMAND", "--help"):
            assert name in scripts, f"genet5 {command}"
            found[number] = scripts[name] + blank + rest
    found = [command for command in found if command.startswith(("scripts/", "benchmarks/"))]
    assert len(found) > 12
    # Most flags of trainings are fields of their options.
    declared = "".join(path.read_text() for path in (repository / "scripts/genet5").rglob("*.py"))
    for command in found:
        script, *words = shlex.split(command, comments=True)
        source = "" if script == "scripts/X.py" else (repository / script).read_text()
        for word in words:
            flag = word.partition("=")[0].replace("_", "-")
            field = flag[2:].replace("-", "_")
            if not flag.startswith("--") or flag == "--help":
                continue
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
