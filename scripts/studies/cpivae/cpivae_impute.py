"""Predict the values of one platform for samples that the other one measured.

Deterministic: the mean of the latent posterior is decoded. Features are matched by name; absent ones are filled in.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.studies.cpivae.imputation import Experiment
from genet5.studies.cpivae.tables import read_table, write_table


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--experiment-dir", type=Path, required=True, help="folder that cpivae_train.py made")
    parser.add_argument("--input-data", type=Path, required=True, help="table: sample ids, then features")
    parser.add_argument("--source-platform", choices=["a", "b"], required=True, help="the platform of the table")
    parser.add_argument("--target-platform", choices=["a", "b"], required=True, help="the platform to predict")
    parser.add_argument("--output", type=Path, required=True, help="table to write; gzip if it ends in .gz")
    parser.add_argument("--checkpoint", type=Path, help="checkpoint of the folder (default: final_model.ckpt)")
    parser.add_argument("--output-latent", type=Path, help="table of latent positions to write")
    parser.add_argument("--interval", type=float, help="write the ends of intervals, too: 0.5, 0.8, 0.9 or 0.95")
    parser.add_argument("--output-lower", type=Path, help="table of lower ends to write, with --interval")
    parser.add_argument("--output-upper", type=Path, help="table of upper ends to write, with --interval")
    parser.add_argument("--draws", type=int, default=32, help="draws from the posterior for intervals")
    parser.add_argument("--seed", type=int, default=42, help="of the draws")
    parser.add_argument("--id-column", default="SampleID", help="name of the first column written")
    arguments = parser.parse_args(argv)
    wanted = [arguments.interval, arguments.output_lower, arguments.output_upper]
    if any(entry is not None for entry in wanted) and None in wanted:
        raise InputError("--interval, --output-lower, --output-upper: give all three or none")
    logging.basicConfig(format="warning: %(message)s", level=logging.WARNING)
    experiment = Experiment.load(arguments.experiment_dir, arguments.checkpoint)
    table = read_table(arguments.input_data)
    source, target = arguments.source_platform, arguments.target_platform
    written = {arguments.output: experiment.impute(table, source, target)}
    if arguments.interval is not None:
        middle, low, high = experiment.impute_with_interval(
            table, source, target, arguments.interval, arguments.draws, arguments.seed
        )
        written |= {arguments.output: middle, arguments.output_lower: low, arguments.output_upper: high}
    for path, made in written.items():
        write_table(path, arguments.id_column, made.samples, made.features, made.values)
    if arguments.output_latent:
        latent = experiment.latent(table, source)
        names = [f"z{number}" for number in range(latent.shape[1])]
        write_table(arguments.output_latent, arguments.id_column, table.samples, names, latent)
    print(
        f"{len(table.samples)} samples, {len(experiment.preprocessors[target].features)} features: {arguments.output}"
    )


if __name__ == "__main__":
    run_command(main)
