"""The documentation is true where a machine can tell: commands, flags, files, rules and rooms that it names exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from snakemake.cli import parse_args

import genet5
from genet5.clades import read_clades

CLADES = tuple(sorted(read_clades()))
MODEL_CARDS = tuple(f"resources/models/{clade}/README.md" for clade in CLADES)
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/architecture.md",
    "docs/decisions.md",
    "docs/from-the-source.md",
    "docs/glossary.md",
    "docs/guide.md",
    "docs/hardware.md",
    "docs/results.md",
    "docs/studies.md",
    "docs/upstream.md",
    "profiles/README.md",
    "resources/models/README.md",
    *MODEL_CARDS,
    "config/README.md",
    "config/config.yaml",
    "config/recipe.yaml",
    "config/examples/recipe_small.yaml",
    "config/studies/defaults.yaml",
)
TARGETS = {"all", "annotate", "bake_species", "cpivae", "dna_llm", "plan", "simulate", "vq_transformer"}
COMMAND = r"(?:`|^ {4,})"  # in backquotes, or on an indented line
RULE = r"^(?:use rule \w+ as|rule|checkpoint) (\w+)(?: with)?:"
PLACEHOLDERS = {"scripts/X.py"}
README_LINES = 120
README_ORDER = [
    "Install",
    "Annotate my genome",
    "Train on mine",
    "Two Sparks",
    "Scores",
    "Limits",
    "Map of the repository",
]


def text_of(repository: Path, name: str) -> str:
    """A document; commands that go on in the next line are one line."""
    return re.sub(r"\\\n\s*", "", (repository / name).read_text(encoding="utf-8"))


def shown(repository: Path, program: str) -> list[str]:
    """What follows ``program`` wherever a document shows it as a command."""
    texts = [text_of(repository, name) for name in DOCUMENTS]
    return [c for text in texts for c in re.findall(rf"{COMMAND}{program} ([^`\n]+)", text, re.MULTILINE)]


def unknown_flags(repository: Path, words: list[str], source: str) -> list[str]:
    """Long flags that neither the script nor an option of the library declares: most are fields of their options."""
    declared = source + "".join(path.read_text() for path in (repository / "scripts/genet5").rglob("*.py"))
    names = {word.partition("=")[0] for word in words if word.startswith("--")} - {"--help"}
    fields = {name: name[2:].replace("-", "_") for name in names}
    return sorted(n for n, field in fields.items() if f'"{n}"' not in declared and f"    {field}: " not in declared)


def test_shown_snakemake_commands_have_a_target_that_no_option_swallows(repository, monkeypatch):
    monkeypatch.chdir(repository)
    commands = shown(repository, "snakemake")
    for name in (name for name in DOCUMENTS if name.endswith(".yaml")):
        commands += re.findall(r"^#(?:.*:)? +snakemake (.+)$", text_of(repository, name), re.MULTILINE)
    assert len(commands) > 30
    for command in commands:
        _, arguments = parse_args(shlex.split(command, comments=True))
        if arguments.unlock:
            continue
        assert len(arguments.targets) == 1, command
        (target,) = arguments.targets
        places = ("data/score/", "data/annotation/", "data/model/", "data/raw/")
        assert target in TARGETS or target.startswith(places), command


def test_shown_python_commands_name_scripts_and_flags_that_exist(repository):
    commands = [c for c in shown(repository, "python") if c.startswith(("scripts/", "benchmarks/"))]
    assert len(commands) > 20
    for command in commands:
        script, *words = shlex.split(command, comments=True)
        source = "" if script in PLACEHOLDERS else (repository / script).read_text()
        assert not unknown_flags(repository, words, source), command


def test_shown_genet5_commands_are_scripts_with_these_flags(repository):
    folder = repository / "scripts"
    scripts = {p.stem.replace("_", "-"): p for p in (*folder.glob("*.py"), *folder.glob("studies/*/*.py"))}
    commands = [c for c in shown(repository, "genet5") if not c.startswith(("COMMAND", "--"))]
    assert len(commands) > 15
    for command in commands:
        name, *words = shlex.split(command, comments=True)
        assert name in scripts, command
        assert not unknown_flags(repository, words, scripts[name].read_text()), command


def test_every_configuration_is_explained(repository):
    text = (repository / "config/README.md").read_text()
    named = [path for path in (repository / "config").rglob("*") if path.is_file()]
    assert [path.name for path in named if f"`{path.name}`" not in text] == ["README.md"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_named_files_exist(repository, name):
    text = (repository / name).read_text()
    if name == "docs/from-the-source.md":  # its first column names files of others
        text = re.sub(r"^\|[^|]*", "", text, flags=re.MULTILINE)
    paths = re.findall(r"`((?:benchmarks|config|workflow|scripts|docs|envs|profiles|resources|tests)/[\w./-]*)`", text)
    paths += re.findall(r"`([A-Z]+\.(?:md|cff))`", text)
    assert not [path for path in paths if not (repository / path).exists() and path not in PLACEHOLDERS]


@pytest.mark.parametrize(
    "name", ["README.md", *(f"docs/{name}.md" for name in ("guide", "results", "architecture", "from-the-source"))]
)
def test_linked_files_and_pictures_exist(repository, name):
    links = re.findall(r"\]\(([^)#:]+)\)", (repository / name).read_text())
    assert not [link for link in links if not (repository / name).parent.joinpath(link).exists()]


def test_readme_is_short_and_annotates_first(repository):
    lines = (repository / "README.md").read_text().splitlines()
    assert len(lines) <= README_LINES
    assert [line[3:] for line in lines if line.startswith("## ")] == README_ORDER


def rules_of(repository: Path, *files: str) -> set[str]:
    """Rules of the workflow's files, or of all of them."""
    folder = repository / "workflow" / "rules"
    texts = [path.read_text() for path in sorted(folder.glob("*.smk")) if not files or path.name in files]
    return {rule for text in texts for rule in re.findall(RULE, text, re.MULTILINE)}


def test_the_picture_of_the_workflow_shows_its_rules(repository):
    text = (repository / "docs/architecture.md").read_text()
    edges = re.findall(r"^ +(\w+) --> (\w+)$", text, re.MULTILINE)
    stages = (
        "download",
        "simulate",
        "bake",
        "model",
        "train",
        "grpo",
        "annotate",
        "annotate_parts",
        "evaluate",
        "report",
    )
    targets = {"all", "annotate", "bake_species", "simulate"}
    assert {rule for edge in edges for rule in edge} == rules_of(repository, *(f"{s}.smk" for s in stages)) - targets


def test_the_guide_describes_rules_that_exist(repository):
    text = (repository / "docs/guide.md").read_text()
    tables = re.findall(r"^\| rule \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    cells = [line.split("|")[1] for table in tables for line in table.splitlines()]
    named = {rule for cell in cells for rule in re.findall(r"`(\w+)`", cell)}
    assert len(named) > 30
    assert named <= rules_of(repository)


def test_the_architecture_describes_every_room(repository):
    text = (repository / "docs/architecture.md").read_text()
    table = text.split("## The rooms of the library")[1].split("\n## ")[0]
    cells = re.findall(r"^\|([^|]+)\|", table, re.MULTILINE)
    described = {room for cell in cells for room in re.findall(r"`([\w.]+)/?`", cell)}
    library = repository / "scripts" / "genet5"
    rooms = {path.name for path in library.iterdir() if (path / "__init__.py").is_file()}
    rooms |= {path.name for path in library.glob("*.py") if not path.name.startswith("__")}
    assert described == rooms


def test_the_walks_through_the_code_name_functions_that_exist(repository):
    walks = (repository / "docs/architecture.md").read_text().split("\n## A base")[1]
    text = " ".join(walks.split())
    steps = re.findall(r"`((?:scripts/)?(?:genet5/)?[\w/]+\.py)`, `(?:\w+\.)?(\w+)`", text)
    assert len(steps) > 20
    for path, name in steps:
        file = repository / "scripts" / path.removeprefix("scripts/")
        assert re.search(rf"(?:def|class) {name}\b", file.read_text()), f"{path}: no {name}"


def test_every_shipped_model_has_a_card(repository):
    folders = {path.parent for path in (repository / "resources/models").glob("*/model.safetensors")}
    assert {str(path.relative_to(repository) / "README.md") for path in folders} == set(MODEL_CARDS)
    for folder in folders:
        _, head, _ = (folder / "README.md").read_text().split("---\n", 2)
        card = yaml.safe_load(head)
        assert card["license"] == "mit"
        assert card["library_name"] == "genet5"
        assert card["tags"] and card["datasets"] and card["metrics"]
        results = [result for model in card.get("model-index", ()) for result in model["results"]]
        assert all(0 <= metric["value"] < 1 for result in results for metric in result["metrics"])


def test_the_citation_has_the_version_of_the_package(repository):
    citation = yaml.safe_load((repository / "CITATION.cff").read_text())
    assert citation["version"] == genet5.__version__
    assert {"cff-version", "message", "title", "authors", "type", "license"} <= set(citation)
