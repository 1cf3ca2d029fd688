"""Put a trained CRF among the models that come with GeneT5, with weights in half precision.

Calibrate the result afterwards (scripts/calibrate.py), since a calibration belongs to these very weights. Name the
folder in the clade's file (resources/clades), and describe the model in README.md beside it.
"""

from __future__ import annotations

from pathlib import Path

import torch

from genet5.command_line import argument_parser
from genet5.crf.folder import WEIGHTS_FILE, load_crf, save_crf
from genet5.errors import run_command


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of the trained CRF")
    parser.add_argument("--output-dir", type=Path, required=True, help="resources/models/{name}")
    arguments = parser.parse_args(argv)
    # Weights are below 100, where half precision keeps three digits; most devices compute in less.
    save_crf(load_crf(arguments.model), arguments.output_dir, torch.float16)
    weights = arguments.output_dir / WEIGHTS_FILE
    print(f"{weights}: {weights.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    run_command(main)
