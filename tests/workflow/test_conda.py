"""The conda environments of the rules: each has what the scripts of its rules import, and the programs that they start.

Nothing is installed: imports and programs are read from the source (tests/support/conda_needs.py).
"""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conda_needs import missing, rule_scripts
from packaging.requirements import Requirement

#: Imports inside functions that these scripts reach but never call, and why.
NEVER_CALLED = {
    # device.py looks for a GPU when a model is loaded; of it, this script's options need the names of devices alone.
    "envs/data.yaml: torch (pip), for grpo_prompts.py",
}


def test_rules_name_conda_environments_that_exist(repository):
    named = set()
    for path in (repository / "workflow" / "rules").glob("*.smk"):
        for environment in re.findall(r'conda:\s+"(.+?)"', path.read_text()):
            named.add((path.parent / environment).resolve())
    assert {path.name for path in named} == {"data.yaml", "train.yaml", "evaluate.yaml"}
    assert all(path.is_file() for path in named)


def test_conda_environments_ask_for_the_versions_of_the_project(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    declared = {Requirement(text).name: Requirement(text).specifier for text in project["dependencies"]}
    paths = sorted((repository / "envs").glob("*.yaml"))
    assert len(paths) > 2
    for path in paths:
        listed = yaml.safe_load(path.read_text())["dependencies"]
        for requirement in map(Requirement, next(entry["pip"] for entry in listed if isinstance(entry, dict))):
            assert requirement.specifier == declared[requirement.name], f"{path.name}: {requirement}"


def test_conda_environments_have_what_their_scripts_need(repository):
    assert set(missing(repository)) == NEVER_CALLED


def test_conda_needs_are_those_of_every_rule(repository):
    texts = [path.read_text() for path in (repository / "workflow/rules").glob("*.smk")]
    shells = sum(len(re.findall(r"^    shell:", text, flags=re.MULTILINE)) for text in texts)
    found = rule_scripts(repository)
    assert len({need.rule for need in found}) == shells > 40
    assert {need.script for need in found if "/" in need.script} >= {
        "studies/cpivae/cpivae_train.py", "studies/dna_llm/dna_llm_pretrain.py", "studies/vq_transformer/vq_train.py",
    }  # fmt: skip
    trained = {need.script for need in found if need.rule == "train_crf"}
    assert trained == {"launch.sh", "train_crf.py"}


def swap(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert text.count(old) == 1
        return text.replace(old, new)

    return change


def add(more: str) -> Callable[[str], str]:
    return lambda text: text + more


LATE = "\n\ndef late():\n    import polars\n"


@pytest.mark.parametrize(
    ("file", "change", "line"),
    [
        ("envs/evaluate.yaml", swap("      - pyrodigal >=3.6\n", ""), "evaluate.yaml: pyrodigal (pip), for score.py"),
        ("envs/evaluate.yaml", swap("      - pyarrow >=17.0\n", ""), "evaluate.yaml: pyarrow (pip), for summary.py"),
        ("envs/evaluate.yaml", swap("  - hmmer >=3.3\n", ""), "envs/evaluate.yaml: hmmer (conda), for busco.py"),
        ("envs/evaluate.yaml", swap("  - busco >=5.4\n", ""), "envs/evaluate.yaml: busco (conda), for busco.py"),
        ("envs/train.yaml", swap("      - torch >=2.9\n", ""), "envs/train.yaml: torch (pip), for launch.sh"),
        ("envs/train.yaml", swap("      - zstandard >=0.23\n", ""), "zstandard (pip), for {vq}/vq_limits.py"),
        ("scripts/score.py", add(LATE), "envs/evaluate.yaml: polars (pip), for score.py"),
        ("scripts/genet5/evaluate/matching.py", add(LATE), "envs/evaluate.yaml: polars (pip), for score.py"),
        ("scripts/genet5/files.py", add(LATE), "envs/data.yaml: polars (pip), for index_genome.py"),
        ("scripts/train_crf.py", add(LATE), "envs/train.yaml: polars (pip), for train_crf.py"),
        ("scripts/genet5/crf/model.py", add("import polars.io as pl\n"), "train.yaml: polars (pip), for train_sft.py"),
        (
            "scripts/genet5/studies/cpivae/__init__.py", add("from polars import col\n"),
            "envs/train.yaml: polars (pip), for studies/cpivae/cpivae_train.py",
        ),
        (
            "scripts/genet5/errors.py", add("import importlib\nimportlib.import_module('polars')\n"),
            "envs/data.yaml: polars (pip), for download.py",
        ),
        ("scripts/index_genome.py", add("\nimport busco\n"), "envs/data.yaml: busco (conda), for index_genome.py"),
        (
            "scripts/genet5/evaluate/busco.py", add("\n\ndef other():\n    return shutil.which('prodigal')\n"),
            "envs/evaluate.yaml: prodigal (conda), for busco.py",
        ),
        (
            "workflow/rules/report.smk", swap('    conda:\n        "../../envs/evaluate.yaml"\n', ""),
            "rule report: runs report.py, but names no conda environment",
        ),
        (
            "workflow/rules/train.smk", lambda text: text.replace("envs/train.yaml", "envs/evaluate.yaml"),
            "envs/evaluate.yaml: pytorch-lightning (pip), for train_sft.py",
        ),
    ],
)  # fmt: skip
def test_a_gap_in_a_conda_environment_is_found(repository, tmp_path: Path, file: str, change: Callable, line: str):
    for folder in ("scripts", "workflow/rules", "envs"):
        shutil.copytree(repository / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / file
    path.write_text(change(path.read_text()))
    found = set(missing(tmp_path)) - NEVER_CALLED
    assert [entry for entry in found if entry.endswith(line.format(vq="studies/vq_transformer"))], found


def test_conda_environments_need_no_package_that_only_types_name(repository, tmp_path: Path):
    for folder in ("scripts", "workflow/rules", "envs"):
        shutil.copytree(repository / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "scripts/score.py"
    path.write_text(path.read_text() + "\nfrom typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import polars\n")
    assert set(missing(tmp_path)) == NEVER_CALLED
