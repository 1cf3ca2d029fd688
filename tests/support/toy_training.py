"""A toy model and task for the training loop; run as a script it trains in a process of its own.

python toy_training.py OUTPUT_DIR '{"epochs": 2, ...options}' [--kill-at BATCH] [--processes N [M ...]]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import safetensors.torch
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from genet5.errors import run_command
from genet5.options import option, read_options
from genet5.training.batches import BatchSource
from genet5.training.loop import fit
from genet5.training.options import RunOptions
from genet5.training.sampler import BatchPlan
from genet5.training.trainable import TrainableModule

VOCABULARY = 11
OPTIONS = {"token_budget": 64, "max_batch_size": 8, "lr": 1e-2, "log_every": 1, "precision": "fp32", "epochs": 2}


CLOCK = {"timestamp", "elapsed_s", "tokens_per_s", "eta_s", "eval_s", "ram_used_gb"}


@dataclass(frozen=True)
class ToyOptions(RunOptions):
    """Batches of a token budget, and a loss with label smoothing."""

    batch_option: ClassVar[str] = "max_batch_size"

    token_budget: int = option(16_384, "tokens of a batch", minimum=1)
    max_batch_size: int = option(32, "samples of a batch", minimum=1)
    label_smoothing: float = option(0.0, "label smoothing of the training loss", minimum=0, below=1)


class ToyModel(TrainableModule):
    """Predicts the next token of 3 t + 1 mod 11 sequences; with dropout, so that a resume shows its generators."""

    def __init__(self, dropout: float = 0.2):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(VOCABULARY, 16)
        self.norm = nn.LayerNorm(16)
        self.body = nn.Sequential(nn.Linear(16, 16), nn.Dropout(dropout), nn.GELU())
        self.head = nn.Linear(16, VOCABULARY, bias=False)
        self.head.weight = self.embed.weight

    def training_losses(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        logits = self.head(self.norm(self.body(self.embed(batch["ids"][:, :-1].clamp(min=0)))))
        targets = batch["ids"][:, 1:]
        loss = nn.functional.cross_entropy(
            logits.transpose(1, 2), targets, ignore_index=-100, reduction="sum", label_smoothing=self.label_smoothing
        )
        wanted = targets != -100
        right = ((logits.argmax(-1) == targets) & wanted).sum()
        return {"sum": loss, "weight": wanted.sum(), "right": right, "rows": logits.shape[0], "rows_weight": 1.0}


def counted_tokens(batch: dict[str, torch.Tensor]) -> int:
    """Tokens of a batch but the zeros: no plan can know them."""
    return int((batch["ids"] > 0).sum())


def toy_source(num_samples: int, options: ToyOptions, sleep_s: float = 0.0, shuffle: bool = True) -> BatchSource:
    """Samples of 4 to 20 tokens with one token changed at random, as a crop or a reverse complement would."""
    lengths = np.random.default_rng(1).integers(4, 21, num_samples)

    def make_batch(indices: np.ndarray, epoch: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        time.sleep(sleep_s)
        ids = np.full((len(indices), lengths[indices].max()), -100)
        for row, index in enumerate(indices):
            tokens = [int(index) % VOCABULARY]
            while len(tokens) < lengths[index]:
                tokens.append((3 * tokens[-1] + 1) % VOCABULARY)
            tokens[rng.integers(len(tokens))] = 0
            ids[row, : len(tokens)] = tokens
        ids[:, 0] = np.maximum(ids[:, 0], 0)
        batch = torch.from_numpy(ids)
        return {"ids": torch.where(batch == -100, batch, batch)}

    plan = BatchPlan(lengths, options.token_budget, options.max_batch_size, options.seed, shuffle=shuffle)
    return BatchSource(plan, make_batch, counted_tokens)


def train_toy(output_dir: Path, options: dict, *, num_samples: int = 90, model: ToyModel | None = None, **keywords):
    """`fit` on the toy task with options over `OPTIONS`; returns the result and the model."""
    checked = read_options(ToyOptions, OPTIONS | options, "test")
    model = model or ToyModel()
    train = toy_source(num_samples, checked, keywords.pop("sleep_s", 0.0))
    keywords.setdefault("validation", toy_source(13, checked, shuffle=False))
    keywords.setdefault("fingerprint", {"data": "toy"})
    keywords.setdefault("save_model", lambda path: safetensors.torch.save_model(model, str(path / "model.safetensors")))
    return fit(model, train, checked, output_dir, **keywords), model


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of a log without the columns that depend on the clock."""
    with open(path, newline="") as stream:
        return [{k: v for k, v in row.items() if k not in CLOCK} for row in csv.DictReader(stream)]


def tensors(path: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(path / "model.safetensors")


def assert_same_run(one: Path, two: Path) -> None:
    assert rows(one / "training_log.csv") == rows(two / "training_log.csv")
    assert rows(one / "eval_log.csv") == rows(two / "eval_log.csv")
    for name in ("best", "final"):
        for key, tensor in tensors(one / name).items():
            assert torch.equal(tensor, tensors(two / name)[key]), (name, key)


def train_in_this_process(arguments: argparse.Namespace) -> None:
    """Train; in the process and training batch that the flags name, send this process a signal."""
    torch.set_num_threads(1)
    model = ToyModel()
    if arguments.kill_at and arguments.kill_rank == int(os.environ.get("RANK", 0)):
        plain, calls = model.training_losses, iter(range(10**6))

        def deadly(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            if model.training and next(calls) == arguments.kill_at:
                os.kill(os.getpid(), arguments.signal)
            return plain(batch)

        model.training_losses = deadly
    train_toy(arguments.output_dir, arguments.options, num_samples=arguments.num_samples, model=model)


def train_in_processes(
    arguments: argparse.Namespace, processes: int, train: Callable[[argparse.Namespace], None] = train_in_this_process
) -> list[int]:
    """Train in processes with torchrun's variables; their exit statuses. Forked, since imports take the most time."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(processes):
        child = os.fork()
        if child:
            children.append(child)
            continue
        world = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        world |= dict.fromkeys(["WORLD_SIZE", "LOCAL_WORLD_SIZE"], processes)
        os.environ |= {name: str(value) for name, value in world.items()} | {"TORCHELASTIC_RUN_ID": "toy"}
        status = 1
        try:
            train(arguments)
            status = 0
        except SystemExit as ended:
            status = ended.code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("options", type=json.loads)
    parser.add_argument("--kill-at", type=int, default=0)
    parser.add_argument("--kill-rank", type=int, default=0)
    parser.add_argument("--signal", type=int, default=int(signal.SIGKILL))
    parser.add_argument("--num-samples", type=int, default=90)
    parser.add_argument(
        "--processes", type=int, nargs="*", default=(), help="train in so many, then in so many without the signal, ..."
    )
    arguments = parser.parse_args()
    if not arguments.processes:
        train_in_this_process(arguments)
        return
    statuses = []
    for number in arguments.processes:
        statuses.append(train_in_processes(arguments, number))
        arguments.kill_at = 0
    print(json.dumps(statuses))


if __name__ == "__main__":
    run_command(main)
