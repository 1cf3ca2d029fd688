#!/usr/bin/env python
"""DNA-LLM study, the comparison: table and pictures from results on disk. Trains nothing."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from genet5.atomic import atomic_write
from genet5.errors import InputError, run_command
from genet5.studies.dna_llm import figures
from genet5.studies.dna_llm.binding_windows import load_windows
from genet5.studies.dna_llm.comparison import (
    compare_results,
    comparison_document,
    comparison_text,
    comparison_tsv,
)
from genet5.studies.dna_llm.results import read_result


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=Path, required=True, help="windows.npz that dna_llm_windows.py wrote")
    parser.add_argument("--losses", type=Path, nargs="*", default=[], help="losses_*.json of pretraining")
    parser.add_argument("--results", type=Path, nargs="+", required=True, help="folders of predictors, in table order")
    parser.add_argument("--bootstrap", type=int, default=1000, help="resamples for intervals (%(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="(%(default)s)")
    parser.add_argument("--outputs", type=Path, required=True, help="folder of the pictures of pretraining")
    parser.add_argument("--models", type=Path, required=True, help="folder of table and pictures of the predictors")
    arguments = parser.parse_args(argv)
    if arguments.bootstrap < 0:
        raise InputError(f"--bootstrap: found {arguments.bootstrap}, allowed: at least 0")
    windows = load_windows(arguments.windows)
    results = [read_result(folder, windows) for folder in arguments.results]
    losses = [read_losses(path) for path in arguments.losses]
    for entry in losses:
        figures.loss_figure(entry, arguments.outputs / f"loss_{entry['alphabet']}.png")
    if losses:
        figures.training_time_figure(losses, arguments.outputs / "training_time_comparison.png")
    trained = [result.facts for result in results if "history" in result.facts]
    for facts in trained:
        figures.training_curves_figure(facts, arguments.models / f"training_curves_{facts['name']}.png")
    if trained:
        figures.finetuning_time_figure(trained, arguments.models / "finetuning_time_comparison.png")
    table = compare_results(results, windows, arguments.bootstrap, arguments.seed)
    document = comparison_document(results, table, losses, windows)
    figures.performance_figure(document["predictors"], arguments.models / "performance_comparison.png")
    with atomic_write(arguments.models / "comparison.tsv") as stream:
        stream.write(comparison_tsv(document))
    with atomic_write(arguments.models / "comparison.json") as stream:
        json.dump(document, stream, indent=1)
        stream.write("\n")
    print(comparison_text(document), end="")


def read_losses(path: Path) -> dict:
    """A losses_*.json."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no losses of pretraining ({error})") from None


if __name__ == "__main__":
    run_command(main)
