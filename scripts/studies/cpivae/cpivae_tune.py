#!/usr/bin/env python
"""cpiVAE study, search for settings of one model with Optuna, on validation samples alone.

Run it again with the same arguments to continue, with more --n_trials to search on.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.errors import InputError, run_command
from genet5.studies.cpivae.arguments import add_input_arguments
from genet5.studies.cpivae.paired_data import PairedData
from genet5.studies.cpivae.settings import read_settings
from genet5.studies.cpivae.tuning import Search, done_trials, run_search


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_input_arguments(parser)
    parser.add_argument("--output_dir", type=Path, default=Path("outputs_tune"), help="(%(default)s)")
    parser.add_argument("--study_name", default="joint_vae_study", help="(%(default)s)")
    parser.add_argument("--n_trials", type=int, default=50, help="trainings in all (%(default)s)")
    parser.add_argument("--max_epochs", type=int, default=50, help="epochs of a training (%(default)s)")
    arguments = parser.parse_args(argv)
    if min(arguments.n_trials, arguments.max_epochs) < 1:
        raise InputError("--n_trials, --max_epochs: expected at least 1")
    if "/" in arguments.study_name or not arguments.study_name:
        raise InputError(f"--study_name: '{arguments.study_name}' is no name of a file")
    logging.basicConfig(format="warning: %(message)s", level=logging.WARNING)
    settings = read_settings(arguments.config)
    data = PairedData.read(arguments.platform_a, arguments.platform_b, settings["data"])
    search = Search(arguments.output_dir, arguments.study_name, arguments.n_trials, arguments.max_epochs)
    study = run_search(settings, data, search)
    print(f"best of {len(done_trials(study))} trials, number {study.best_trial.number}: {study.best_value:.4f}")
    print(arguments.output_dir / f"{arguments.study_name}_best_config.yaml")


if __name__ == "__main__":
    run_command(main)
