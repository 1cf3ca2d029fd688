"""Write the settings of one cpiVAE training, complete and checked: the file for cpivae_train.py --config."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.files import json_value
from genet5.studies.cpivae.settings import check_settings, default_settings, merged, write_settings


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--changes", default="{}", help="JSON: what differs from config/studies/cpivae_training.yaml")
    parser.add_argument("--output", type=Path, required=True, help="YAML file to write")
    arguments = parser.parse_args(argv)
    changes = json_value(arguments.changes, "--changes")
    if not isinstance(changes, dict):
        raise InputError("--changes: expected an object")
    settings = merged(default_settings(), changes)
    check_settings(settings, "--changes")
    write_settings(settings, arguments.output)


if __name__ == "__main__":
    run_command(main)
