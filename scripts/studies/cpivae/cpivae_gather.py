"""Put the folds of a cross-validation together: each sample predicted by the run that did not see it.

The folds are runs of cpivae_train.py or cpivae_baseline.py with --folds and --fold, one run for each fold.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.studies.cpivae.out_of_fold import gather


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--folders", type=Path, nargs="+", required=True, help="folders of the runs, one for each fold")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of result.json and out_of_fold_*.csv.gz")
    parser.add_argument("--bootstrap", type=int, default=1000, help="resamples of the samples")
    parser.add_argument("--bootstrap-seed", type=int, default=42, help="seed of the resampling")
    arguments = parser.parse_args(argv)
    if min(arguments.bootstrap, arguments.bootstrap_seed) < 0:
        raise InputError("--bootstrap, --bootstrap-seed: expected at least 0")
    result = gather(arguments.folders, arguments.output_dir, arguments.bootstrap, arguments.bootstrap_seed)
    for name, row in result["test"].items():
        bounds = row["intervals"]["corr_mean"]
        interval = f" [{bounds[0]:.4f}, {bounds[1]:.4f}]" if bounds else ""
        print(
            f"{name}, {result['samples']['test']} samples in {len(result['folds'])} folds: "
            f"r {row['corr_mean']:.4f}{interval} by feature, {row['sample_corr_mean']:.4f} by sample"
        )


if __name__ == "__main__":
    run_command(main)
