"""Compare the predictors of DNA-LLM: table and pictures from results on disk."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.files import atomic_write, read_json, write_json
from genet5.studies.dna_llm import figures
from genet5.studies.dna_llm.binding_windows import load_windows
from genet5.studies.dna_llm.comparison import (
    compare_results,
    comparison_document,
    comparison_text,
    comparison_tsv,
    pretraining_tsv,
)
from genet5.studies.dna_llm.results import read_result


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--study", type=Path, required=True, help="folder with windows.npz, outputs/ and models/")
    parser.add_argument("--losses", nargs="*", default=[], help="names of losses_*.json in outputs/ (default: none)")
    parser.add_argument("--predictors", nargs="+", required=True, help="names of folders in models/, in table order")
    parser.add_argument("--bootstrap", type=int, default=1000, help="resamples for intervals")
    parser.add_argument("--seed", type=int, default=42, help="seed of the resampling")
    arguments = parser.parse_args(argv)
    if arguments.bootstrap < 0:
        raise InputError(f"--bootstrap: found {arguments.bootstrap}, allowed: at least 0")
    outputs, models = arguments.study / "outputs", arguments.study / "models"
    windows = load_windows(arguments.study / "windows.npz")
    results = [read_result(models / name, windows) for name in arguments.predictors]
    losses = [read_losses(outputs / name) for name in arguments.losses]
    for entry in losses:
        figures.loss_figure(entry, outputs / f"loss_{entry['alphabet']}.png")
    if losses:
        figures.training_time_figure(losses, outputs / "training_time_comparison.png")
        figures.bits_figure(losses, outputs / "bits_per_base.png")
        with atomic_write(outputs / "pretraining.tsv") as stream:
            stream.write(pretraining_tsv(losses))
    trained = [result.facts for result in results if "history" in result.facts]
    for facts in trained:
        figures.training_curves_figure(facts, models / f"training_curves_{facts['name']}.png")
    if trained:
        figures.finetuning_time_figure(trained, models / "finetuning_time_comparison.png")
    table = compare_results(results, windows, arguments.bootstrap, arguments.seed)
    document = comparison_document(results, table, losses, windows)
    figures.performance_figure(document["predictors"], models / "performance_comparison.png")
    with atomic_write(models / "comparison.tsv") as stream:
        stream.write(comparison_tsv(document))
    write_json(models / "comparison.json", document, sort_keys=False)  # predictors in table order
    print(comparison_text(document), end="")


def read_losses(path: Path) -> dict:
    """A losses_*.json."""
    return read_json(path)


if __name__ == "__main__":
    run_command(main)
