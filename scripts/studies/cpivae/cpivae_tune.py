"""Search for settings of one cpiVAE model with Optuna, on validation samples alone.

Run it again with the same arguments to continue, with more --n-trials to search on.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.studies.cpivae.arguments import add_fold_arguments, add_input_arguments, fold_settings
from genet5.studies.cpivae.paired_data import PairedData
from genet5.studies.cpivae.tuning import Search, done_trials, run_search


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    add_input_arguments(parser)
    add_fold_arguments(parser)
    parser.add_argument("--output-dir", type=Path, default=Path("outputs_tune"), help="folder of the search")
    parser.add_argument("--study-name", default="joint_vae_study", help="name of the search")
    parser.add_argument("--n-trials", type=int, default=50, help="trainings in all")
    parser.add_argument("--max-epochs", type=int, default=50, help="epochs of a training")
    arguments = parser.parse_args(argv)
    if min(arguments.n_trials, arguments.max_epochs) < 1:
        raise InputError("--n-trials, --max-epochs: expected at least 1")
    if "/" in arguments.study_name or not arguments.study_name:
        raise InputError(f"--study-name: '{arguments.study_name}' is no name of a file")
    logging.basicConfig(format="warning: %(message)s", level=logging.WARNING)
    settings, labels = fold_settings(arguments)
    data = PairedData.read(arguments.platform_a, arguments.platform_b, settings["data"], labels)
    search = Search(arguments.output_dir, arguments.study_name, arguments.n_trials, arguments.max_epochs)
    study = run_search(settings, data, search)
    print(f"best of {len(done_trials(study))} trials, number {study.best_trial.number}: {study.best_value:.4f}")
    print(arguments.output_dir / f"{arguments.study_name}_best_config.yaml")


if __name__ == "__main__":
    run_command(main)
