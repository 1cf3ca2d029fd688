#!/usr/bin/env python
"""Compiled networks (``compile: true``) against the same uncompiled, in seconds a step of training.

Three steps: the CRF, the writer in supervised training, and the update of reinforcement learning (each prompt with
eight completions). Both sides have the same weights and batch of random DNA. They run in turn, and the median of
repeats counts. Gradients of both are compared. On a GPU the networks have size base and compute in bf16.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from genet5.clades import read_clades  # noqa: E402
from genet5.crf.config import crf_config  # noqa: E402
from genet5.crf.model import make_crf  # noqa: E402
from genet5.crf.options import CrfOptions  # noqa: E402
from genet5.crf.training import CrfTraining  # noqa: E402
from genet5.errors import run_command  # noqa: E402
from genet5.grpo.policy import pack, score_choices  # noqa: E402
from genet5.grpo.rollouts import roll_out  # noqa: E402
from genet5.grpo.sampling import Sampling  # noqa: E402
from genet5.plan.measuring import CLADE, CODE, crf_batch, random_windows  # noqa: E402
from genet5.tokens.grammars import Grammars  # noqa: E402
from genet5.tokens.tokenizer import GeneTokenizer  # noqa: E402
from genet5.training.trainable import Trainable  # noqa: E402
from genet5.writer.batch import collate, make_example  # noqa: E402
from genet5.writer.building import new_model, resize_model  # noqa: E402
from genet5.writer.decoding import write_genes  # noqa: E402
from genet5.writer.network import GeneT5Model  # noqa: E402

STEPS = ("crf", "sft", "grpo")
TARGET = 1.05  # times as fast: the training of the CRF
LARGEST_ERROR = 0.02  # of gradients; bf16 rounds


@dataclass(frozen=True)
class Size:
    """Of networks, windows (bases), rows of a batch, and repeats."""

    network: str
    window_bp: int
    rows: int
    repeats: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the CRF alone, on a short window")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS, help="what to measure (default: all)")
    parser.add_argument("--threads", type=int, default=2, help="threads of a CPU (default: %(default)s)")
    parser.add_argument(
        "--precision", choices=("fp32", "bf16"), help="of the networks (default: fp32 on a CPU, bf16 on a GPU)"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = arguments.precision or ("bf16" if device.type == "cuda" else "fp32")
    size = Size("demo", 6000, 1, 5) if device.type == "cpu" else Size("base", 12000, 8, 10)
    if arguments.quick:
        size = Size("demo", 3000, 1, 3)
    print("| step | uncompiled, s | compiled, s | ratio | target | first step, s | error of gradients |")
    print("|---|---|---|---|---|---|---|")
    ratios, errors = {}, {}
    for name in ("crf",) if arguments.quick else arguments.steps:
        torch._dynamo.reset()
        model, losses = {"crf": crf_step, "sft": sft_step, "grpo": grpo_step}[name](size, device)
        plain, compiled, first_s, errors[name] = compared(model, losses, size.repeats, device, precision)
        ratios[name] = plain / compiled
        target = f"{TARGET}" if name == "crf" else ""
        row = f"| {name} | {plain:.3f} | {compiled:.3f} | {ratios[name]:.2f} | {target} | {first_s:.0f} |"
        print(f"{row} {errors[name]:.1e} |", flush=True)
    step = next(iter(ratios))
    print(f"bar: compile_{step} {ratios[step]:.2f} times-as-fast target {TARGET}")
    sys.exit(0 if ratios[step] >= TARGET and max(errors.values()) <= LARGEST_ERROR else 1)


def compared(
    model: Trainable, losses: Callable[[], Tensor], repeats: int, device: torch.device, precision: str
) -> tuple[float, float, float, float]:
    """Median seconds uncompiled and compiled, seconds of the first compiled step, and the error of its gradients."""

    def step() -> tuple[float, dict[str, Tensor]]:
        model.zero_grad()
        wait(device)
        started = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            loss = losses()
        loss.backward()
        wait(device)
        return time.perf_counter() - started, gradients(model)

    model.compile_network()
    with torch.compiler.set_stance("force_eager"):
        _, right = step()
    first_s, found = step()
    difference = sum(float((found[name] - right[name]).square().sum()) for name in right)
    error = (difference / sum(float(tensor.square().sum()) for tensor in right.values())) ** 0.5
    times: dict[str, list[float]] = {"force_eager": [], "default": []}
    for _ in range(repeats):
        for stance, found_s in times.items():
            with torch.compiler.set_stance(stance):
                found_s.append(step()[0])
    plain, compiled = (statistics.median(found_s) for found_s in times.values())
    return plain, compiled, first_s, error


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


# ---------------------------------------------------------------- the three steps


def crf_step(size: Size, device: torch.device) -> tuple[CrfTraining, Callable[[], Tensor]]:
    batch = crf_batch(random_windows(size.rows, size.window_bp)).to(device)
    crf = make_crf(crf_config(size.network, {"stem_dropout": 0.0}), 0)
    model = CrfTraining(crf, CrfOptions(size=size.network)).to(device).train()
    return model, lambda: model.training_losses(batch)["sum"]


def writer(size: Size, device: torch.device) -> tuple[GeneT5Model, Grammars]:
    tokenizer = GeneTokenizer.build("kmer", segment_bp=96, max_window_bp=size.window_bp)
    model = new_model(size.network, tokenizer, make_crf(crf_config("demo", {}), 0), 0)
    return resize_model(model, tokenizer).to(device).train(), Grammars(tokenizer, read_clades())


def sft_step(size: Size, device: torch.device) -> tuple[GeneT5Model, Callable[[], Tensor]]:
    """The target of each window is what the fresh writer writes for it."""
    model, grammars = writer(size, device)
    grammar = grammars.of(CLADE, CODE)
    bases = [window.bases for window in random_windows(size.rows, size.window_bp)]
    written = write_genes(model.eval(), grammar, bases, CLADE)
    examples = [make_example(b, CLADE, one.genes, grammar) for b, one in zip(bases, written, strict=True)]
    batch = collate(examples).to(device)
    model.train()
    return model, lambda: model.training_losses(batch)["sum"]


def grpo_step(size: Size, device: torch.device) -> tuple[GeneT5Model, Callable[[], Tensor]]:
    model, grammars = writer(size, device)
    packed = pack(
        roll_out(
            model.eval(), grammars, random_windows(size.rows, size.window_bp), 8, Sampling(0.8, 50, 0.9), 256, (0,)
        )
    )
    model.train()
    return model, lambda: -score_choices(model, packed, 0.8).log_probability.sum()


if __name__ == "__main__":
    run_command(main)
