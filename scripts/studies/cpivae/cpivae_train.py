"""Train a cpiVAE model on two platforms, and score its best weights on held-out samples."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.studies.cpivae.arguments import add_fold_arguments, add_input_arguments, fold_settings
from genet5.studies.cpivae.paired_data import PairedData
from genet5.studies.cpivae.training import Scoring, run_folder, run_training, try_once

VERSION_VARIABLE = "GENET5_CPIVAE_VERSION"


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    add_input_arguments(parser)
    add_fold_arguments(parser)
    parser.add_argument("--output-dir", type=Path, help="folder of experiments (default: outputs)")
    parser.add_argument("--experiment-name", help="folder in it (default: joint_vae_experiment)")
    parser.add_argument("--version", help="folder of this run in that (default: version_ and the time)")
    parser.add_argument(
        "--resume-from-checkpoint", type=Path, help="continue from it, exactly, in its folder: checkpoints/last.ckpt"
    )
    parser.add_argument("--fast-dev-run", action="store_true", help="one batch of everything, nothing is written")
    parser.add_argument("--draws", type=int, default=32, help="draws from the posterior for intervals")
    parser.add_argument("--bootstrap", type=int, default=1000, help="resamples of test samples")
    parser.add_argument("--bootstrap-seed", type=int, default=42, help="seed of the resampling")
    arguments = parser.parse_args(argv)
    if min(arguments.draws, arguments.bootstrap, arguments.bootstrap_seed) < 0:
        raise InputError("--draws, --bootstrap, --bootstrap-seed: expected at least 0")
    folder = resumed_folder(arguments) if arguments.resume_from_checkpoint else new_folder(arguments)
    logging.basicConfig(format="warning: %(message)s", level=logging.WARNING)
    settings, labels = fold_settings(arguments)
    data = PairedData.read(arguments.platform_a, arguments.platform_b, settings["data"], labels)
    if arguments.fast_dev_run:
        try_once(settings, data, folder)
        return
    scoring = Scoring(arguments.draws, arguments.bootstrap, arguments.bootstrap_seed)
    result = run_training(settings, data, folder, folder.parent.name, scoring, arguments.resume_from_checkpoint)
    if result:
        for name, row in result["test"].items():
            print(f"test {name}: r {row['corr_mean']:.4f} by feature, {row['sample_corr_mean']:.4f} by sample")
        print(folder)


def new_folder(arguments: argparse.Namespace) -> Path:
    """Folder of a run that begins."""
    name = "joint_vae_experiment" if arguments.experiment_name is None else arguments.experiment_name
    for flag, word in (("--experiment-name", name), ("--version", arguments.version or "any")):
        if "/" in word or not word:
            raise InputError(f"{flag}: '{word}' is no name of a folder")
    # Processes that Lightning starts for further GPUs inherit the name of the first.
    version = arguments.version or os.environ.setdefault(VERSION_VARIABLE, time.strftime("version_%Y%m%d-%H%M%S"))
    return (arguments.output_dir or Path("outputs")) / name / version


def resumed_folder(arguments: argparse.Namespace) -> Path:
    """Folder of a run that goes on: the checkpoint's, for the best checkpoints so far stand there."""
    folder = run_folder(arguments.resume_from_checkpoint)
    places = {
        "--output-dir": (arguments.output_dir and arguments.output_dir.resolve(), folder.parent.parent.resolve()),
        "--experiment-name": (arguments.experiment_name, folder.parent.name),
        "--version": (arguments.version, folder.name),
    }
    for flag, (found, own) in places.items():
        if found is not None and found != own:
            raise InputError(f"{flag}: found {found}, but {arguments.resume_from_checkpoint} goes on in {own}")
    return folder


if __name__ == "__main__":
    run_command(main)
