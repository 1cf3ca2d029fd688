"""Fit a method without a network on two platforms, and score it like a model.

mean: of training samples. ridge: linear. pls: partial least squares. knn: nearest training samples. wnn: weighted
nearest neighbours. truth: a simulation's noise-free values, the limit of what any predictor could reach.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.studies.cpivae.arguments import add_fold_arguments, fold_settings
from genet5.studies.cpivae.baselines import baseline_predictor, truth_predictor
from genet5.studies.cpivae.evaluation import evaluate, remembered, write_result
from genet5.studies.cpivae.names import BASELINES, TRUTH
from genet5.studies.cpivae.out_of_fold import write_predictions
from genet5.studies.cpivae.paired_data import PairedData
from genet5.studies.cpivae.tables import read_table


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--baseline", choices=[*BASELINES, TRUTH], required=True, help="see above")
    parser.add_argument("--config", type=Path, required=True, help="YAML: its section data says how to split and scale")
    parser.add_argument("--platform-a", type=Path, required=True, help="table: sample ids, then features")
    parser.add_argument("--platform-b", type=Path, required=True, help="the same of the other platform")
    parser.add_argument("--truth-a", type=Path, help="noise-free values of platform a, for the baseline truth")
    parser.add_argument("--truth-b", type=Path, help="the same of the other platform")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of result.json and evaluation.npz")
    add_fold_arguments(parser)
    parser.add_argument("--bootstrap", type=int, default=1000, help="resamples of test samples")
    parser.add_argument("--bootstrap-seed", type=int, default=42, help="seed of the resampling")
    arguments = parser.parse_args(argv)
    if min(arguments.bootstrap, arguments.bootstrap_seed) < 0:
        raise InputError("--bootstrap, --bootstrap-seed: expected at least 0")
    logging.basicConfig(format="warning: %(message)s", level=logging.WARNING)
    settings, labels = fold_settings(arguments)
    data = PairedData.read(arguments.platform_a, arguments.platform_b, settings["data"], labels)
    begin = time.monotonic()
    if arguments.baseline == TRUTH:
        if not arguments.truth_a or not arguments.truth_b:
            raise InputError("--baseline truth needs --truth-a and --truth-b")
        tables = {"a": read_table(arguments.truth_a), "b": read_table(arguments.truth_b)}
        predictor, chosen = truth_predictor(data, tables), {}
    else:
        predictor, chosen = baseline_predictor(arguments.baseline, data, settings["data"]["random_seed"])
    seconds = time.monotonic() - begin
    predictor = remembered(predictor)
    result, arrays, _ = evaluate(predictor, data, arguments.bootstrap, arguments.bootstrap_seed)
    facts = {
        "model_type": arguments.baseline,
        "chosen": chosen,
        "training_s": round(seconds, 3),
        "random_seed": settings["data"]["random_seed"],
        "cross_validation": settings["data"]["cross_validation"],
    }
    if facts["cross_validation"]["folds"]:
        write_predictions(predictor, data, arguments.output_dir)
    write_result(arguments.output_dir, {**facts, **result}, arrays)
    for name, row in result["test"].items():
        print(f"test {name}: r {row['corr_mean']:.4f} by feature, {row['sample_corr_mean']:.4f} by sample")


if __name__ == "__main__":
    run_command(main)
