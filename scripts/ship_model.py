"""Put a trained model among those that come with the workflow: half-precision weights, and how it annotates best.

Calibrate what it writes afterwards (scripts/calibrate.py), since the calibration belongs to these very weights, and
describe the model in README.md beside it.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from genet5.annotate.genomes import DECODERS
from genet5.errors import run_command
from genet5.files import atomic_write
from genet5.tokens.tokenizer import SETTINGS_FILE, TOKENIZER_FILE
from genet5.writer.building import CONFIG_FILE, WEIGHTS_FILE, load_model

USE_FILE = "use.json"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of the trained model")
    parser.add_argument("--decoder", choices=DECODERS, required=True, help="as of annotate_genome.py")
    parser.add_argument("--window-bp", type=int, required=True, help="length of a tile")
    parser.add_argument("--overlap-bp", type=int, required=True, help="bases that neighbouring tiles share")
    parser.add_argument("--genetic-code", type=int, required=True, help="NCBI table where the user names none")
    parser.add_argument("--output-dir", type=Path, required=True, help="resources/models/{clade}")
    arguments = parser.parse_args(argv)
    load_model(arguments.model)  # whole, and of this version
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG_FILE, TOKENIZER_FILE, SETTINGS_FILE):
        shutil.copyfile(arguments.model / name, arguments.output_dir / name)
    # Weights are below 100, where half precision keeps three digits; the reader computes in less on most devices.
    halved = {name: tensor.to(torch.float16) for name, tensor in load_file(arguments.model / WEIGHTS_FILE).items()}
    weights = arguments.output_dir / WEIGHTS_FILE
    save_file(halved, weights, metadata={"format": "pt"})
    weights.chmod((arguments.output_dir / CONFIG_FILE).stat().st_mode)  # safetensors files are private otherwise
    use = {key: getattr(arguments, key) for key in ("decoder", "window_bp", "overlap_bp", "genetic_code")}
    with atomic_write(arguments.output_dir / USE_FILE) as stream:
        stream.write(json.dumps(use, indent=1, sort_keys=True) + "\n")
    print(f"{weights}: {weights.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    run_command(main)
