"""Benchmarks start, and the flags they hand to scripts are flags of these."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from script_flags import flags_of

REPOSITORY = Path(__file__).resolve().parents[3]
LIBRARIES = (
    *(f"any_genome_{part}.py" for part in ("pieces", "sets", "tables", "tools")),
    "calibration_sets.py",
    "evidence_hints.py",
    "experiment.py",
    "grpo_steps.py",
    "measured_commands.py",
    "pseudo_chromosomes.py",
    "simulated_genome.py",
)
FILES = sorted((REPOSITORY / "benchmarks").glob("*.py"))
OF_SPEED = (
    "adapted_rows.py",
    "annotation_speed.py",
    "crf_training_speed.py",
    "dry_run_speed.py",
    "planted_genes.py",
    "speed_rows.py",
    "speed_table.py",
    "trl_speed.py",
)
COMMANDS = [path for path in FILES if path.name not in (*LIBRARIES, *OF_SPEED)]


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_a_benchmark_shows_its_help(path: Path) -> None:
    assert "--help" in flags_of(path)


def handed_flags(path: Path) -> Iterator[tuple[str, str]]:
    """(script, flag) of every ``call`` that names its script and spells the flag out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id != "call":
            continue
        script = next((one.value for one in ast.walk(node.args[0]) if isinstance(one, ast.Constant)), "")
        for part in (one for argument in node.args[1:] for one in ast.walk(argument)):
            if isinstance(part, ast.Constant) and str(part.value).startswith("--"):
                yield script, part.value.split("=")[0].split(" ")[0]


def test_scripts_have_the_flags_that_benchmarks_hand_them() -> None:
    handed = {pair for path in FILES for pair in handed_flags(path)}
    assert len({script for script, _ in handed}) > 5
    for script, flag in sorted(handed):
        known = flags_of(REPOSITORY / (script if "/" in script else f"scripts/{script}"))
        assert flag in known, f"{script} has no flag {flag}"
