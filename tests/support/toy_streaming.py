"""Streamed training of the toy bacterium's CRF or writer; run as a script it trains in processes of its own.

python toy_streaming.py crf|sft RUN_FOLDER OUTPUT_DIR '{"epochs": 2, ...options}' [--processes N]

Every process writes the keys of the samples that it trains on, a batch a line, into OUTPUT_DIR-keys-RANK.txt.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import toy_training
from toy_bacterium import CRF_SHAPE, ToyRun

from genet5.bake.samples import Sample
from genet5.clades import read_clades
from genet5.crf.data import CrfWindows
from genet5.crf.options import CrfOptions
from genet5.crf.training import run_crf_training
from genet5.errors import run_command
from genet5.writer.options import SftOptions
from genet5.writer.sft import run_sft

CRF = {"size": "demo", "overrides": CRF_SHAPE, "epochs": 2, "log_every": 50, "save_steps": 4}
SFT = {"epochs": 2, "early_stopping": 0, "windows_per_step": 8, "token_budget": 4000, "max_batch_size": 4, "lr": 3e-3}
SHARED = {"species_balance": 1.0, "precision": "fp32", "memwatch": 0.0}


def train(stage: str, run: ToyRun, output_dir: Path, options: dict[str, Any]) -> None:
    """Train with options over those above; manifests and validation sets are those of ``run``."""
    manifests = sorted(run.baked.glob("*/manifest.json"))
    validation = run.baked / "validation.tar"
    if stage == "crf":
        run_crf_training(manifests, validation, read_clades(), CrfOptions(**CRF | SHARED | options), output_dir)
        return
    scored = run.baked / "eval.json"
    run_sft(run.model, manifests, validation, scored, read_clades(), SftOptions(**SFT | SHARED | options), output_dir)


def write_keys(path: Path) -> None:
    """From now on, write what CRFs are trained on into a file."""
    plain = CrfWindows.shown

    def watched(self: CrfWindows, samples: Sequence[Sample], rng: np.random.Generator) -> Any:
        with path.open("a") as stream:
            stream.write(" ".join(sample.key for sample in samples) + "\n")
        return plain(self, samples, rng)

    CrfWindows.shown = watched


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("stage", choices=("crf", "sft"))
    parser.add_argument("run", type=lambda text: ToyRun(Path(text)))
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("options", type=json.loads)
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()

    def train_one(_arguments: argparse.Namespace) -> None:
        torch.set_num_threads(1)
        write_keys(Path(f"{arguments.output_dir}-keys-{os.environ['RANK']}.txt"))
        train(arguments.stage, arguments.run, arguments.output_dir, arguments.options)

    print(json.dumps(toy_training.train_in_processes(arguments, arguments.processes, train_one)))


if __name__ == "__main__":
    run_command(main)
