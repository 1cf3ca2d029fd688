"""Compare the models and baselines of cpiVAE: table, pictures and page from results on disk."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.files import atomic_write, write_json
from genet5.studies.cpivae import figures
from genet5.studies.cpivae.comparison import Run, compare, read_run, table_text, table_tsv
from genet5.studies.cpivae.folds import pattern_labels
from genet5.studies.cpivae.names import HISTORY_FILE, split_name
from genet5.studies.cpivae.page import build_page
from genet5.studies.cpivae.tables import read_labels


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--run", required=True, help="name of the run")
    parser.add_argument("--study", type=Path, required=True, help="folder with outputs/ and baselines/")
    parser.add_argument("--pairs", nargs="+", required=True, help="names of pairs, in table order")
    parser.add_argument("--models", nargs="*", default=[], help="names of models (default: none)")
    parser.add_argument(
        "--baselines", nargs="*", default=[], metavar="PAIR=NAME", help="baselines of each pair (default: none)"
    )
    parser.add_argument("--seeds", nargs="+", type=int, required=True, help="seeds of the splits")
    parser.add_argument("--folds", type=int, default=0, help="folds of the cross-validation; 0: none")
    parser.add_argument("--labels", nargs="*", default=[], metavar="PAIR=FILE", help="tables: sample id, label")
    parser.add_argument(
        "--label-patterns",
        nargs="*",
        default=[],
        metavar="PAIR=REGEX",
        help="first group in the sample id is the label",
    )
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of index.html, tables and pictures")
    arguments = parser.parse_args(argv)
    output = arguments.output_dir
    runs: list[Run] = []
    for pair in arguments.pairs:
        for kind, names in (
            ("baselines", [name for key, name in map(named, arguments.baselines) if key == pair]),
            ("outputs", arguments.models),
        ):
            for name in names:
                folder = arguments.study / kind / pair / name
                runs.append(read_run(pair, name, [folder / split_name(seed) for seed in arguments.seeds]))
    if not runs:
        raise InputError("--models, --baselines: nothing to compare")
    pairs = compare(runs)
    pictures = {}
    for pair, entry in pairs.items():
        of_pair = {run.name: run for run in runs if run.pair == pair}
        drawn = {"performance": output / f"{pair}_performance.png"}
        figures.performance_figure(entry, drawn["performance"])
        if "best_model" in entry:
            model = of_pair[entry["best_model"]]
            # Folds have a model each: curves and latent space are those of the first one.
            first = split_name(arguments.seeds[0], 0 if arguments.folds else None)
            histories = {
                name: arguments.study / "outputs" / pair / name / first / HISTORY_FILE for name in arguments.models
            }
            drawn |= {name: output / f"{pair}_{name}.png" for name in ("curves", "latent")}
            figures.curves_figure(histories, drawn["curves"])
            shown = read_run(pair, model.name, [arguments.study / "outputs" / pair / model.name / first])
            labels = labels_of(pair, shown, arguments.labels, arguments.label_patterns)
            figures.latent_figure(shown, labels, drawn["latent"])
            if "best_baseline" in entry:
                drawn["features"] = output / f"{pair}_features.png"
                figures.features_figure(model, of_pair[entry["best_baseline"]], drawn["features"])
        pictures[pair] = drawn
    with atomic_write(output / "comparison.tsv") as stream:
        stream.write(table_tsv(pairs))
    write_json(output / "comparison.json", pairs, sort_keys=False)  # pairs and models in table order
    with atomic_write(output / "index.html") as stream:
        stream.write(build_page(arguments.run, pairs, pictures))
    print(table_text(pairs), end="")


def named(text: str) -> tuple[str, str]:
    """``NAME=VALUE`` as two words."""
    name, sign, value = text.partition("=")
    if not sign:
        raise InputError(f"'{text}': expected NAME=VALUE")
    return name, value


def labels_of(pair: str, run: Run, tables: list[str], patterns: list[str]) -> dict[str, str]:
    """Label of each sample: from the pair's table, or cut out of its id; empty without either."""
    for name, value in map(named, tables):
        if name == pair:
            return read_labels(Path(value))
    for name, value in map(named, patterns):
        if name == pair:
            return pattern_labels([str(sample) for sample in run.arrays[0]["samples"]], value)
    return {}


if __name__ == "__main__":
    run_command(main)
