"""Steps of our reinforcement learning, of the writer and of the CRF, and what is measured of a step of any side.

A library of ``grpo_vs_trl.py``, which says what is compared.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from planted_genes import planted_window
from torch import nn

from genet5.bake.crops import Window
from genet5.clades import read_clades
from genet5.crf.config import crf_config
from genet5.crf.data import CrfWindows
from genet5.crf.model import make_crf
from genet5.grpo.crf_run import CrfGrpoRun, CrfPolicy
from genet5.grpo.options import CrfGrpoOptions, GrpoOptions
from genet5.grpo.run import GrpoRun, SampledBatch
from genet5.tokens.grammars import Grammars
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.training.batches import BatchSource
from genet5.training.checkpoints import RunFolder
from genet5.training.evaluation import Evaluation
from genet5.training.fabric import Fabric, LightningEnvironment
from genet5.training.run import Run, RunSpec
from genet5.training.sampler import BatchPlan
from genet5.training.signals import StopRequest
from genet5.writer.building import new_model, resize_model

COMPLETION_TOKENS = 64
LR = 1e-6
KMER, SEGMENT_BP = 6, 60  # as in config/examples/demo.yaml


@dataclass
class Steps:
    """What was measured of one side, one entry a step."""

    step_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    rollout_s: list[float] = field(default_factory=list)
    peak_gb: list[float] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)
    choices: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        """Medians without the first step."""
        return {
            "step_s": statistics.median(self.step_s[1:]),
            "cpu_s": statistics.median(self.cpu_s[1:]),
            "rollout_s": statistics.median(self.rollout_s[1:]),
            "update_s": statistics.median(a - b for a, b in zip(self.step_s[1:], self.rollout_s[1:], strict=True)),
            "peak_gb": max(self.peak_gb[1:]),
            "reads": statistics.mean(self.reads[1:]),
            "tokens": statistics.mean(self.tokens[1:]),
            "choices": statistics.mean(self.choices[1:]),
        }


def timed(call: Callable[..., Any], seconds: list[float], device: str) -> Callable[..., Any]:
    """``call``, whose seconds are noted."""

    @functools.wraps(call)
    def timing(*positional: Any, **named: Any) -> Any:
        started = now_s(device)
        result = call(*positional, **named)
        seconds.append(now_s(device) - started)
        return result

    return timing


def now_s(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def forget_peak(device: str) -> None:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # the peak is that of the whole run then


def peak_gb(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return math.nan
    return next(int(line.split()[1]) * 1024 / 1e9 for line in status.splitlines() if line.startswith("VmHWM"))


def count_reads(backbone: nn.Module) -> Callable[[], int]:
    """How often the network read something without gradients, prompts left out, since the last call."""
    reads = [0]

    def count(_module: nn.Module, _positional: Any, named: dict[str, Any]) -> None:
        cache = named.get("past_key_values")
        if not torch.is_grad_enabled() and cache is not None and cache.get_seq_length() > 0:
            reads[0] += 1

    backbone.register_forward_pre_hook(count, with_kwargs=True)

    def taken() -> int:
        found, reads[0] = reads[0], 0
        return found

    return taken


def window_of(prompt_tokens: int) -> int:
    """Bases of DNA that make so many tokens."""
    return round((prompt_tokens - 4) / (1 / KMER + 1 / SEGMENT_BP) / SEGMENT_BP) * SEGMENT_BP


def run_of(
    make_run: Callable[[RunSpec], Run],
    model: nn.Module,
    windows: Sequence[Window],
    plan: BatchPlan,
    options: GrpoOptions | CrfGrpoOptions,
    arguments: argparse.Namespace,
    folder: Path,
) -> Run:
    """A run that takes the windows in the order of ``plan``, evaluates nothing and saves nothing."""
    fabric = Fabric(
        accelerator=arguments.device,
        devices=1,
        precision={"fp32": "32-true", "bf16": "bf16-mixed"}[arguments.precision],
        plugins=[LightningEnvironment()],
    )
    source = BatchSource(plan, lambda indices, _epoch, _rng: [windows[index] for index in indices])
    stop = StopRequest()
    folder.mkdir()
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = Evaluation(fabric, stop, options, None, None)
        spec = RunSpec(fabric, RunFolder(folder), model, source, options, evaluation, stop, lambda _: None)
        run = make_run(spec)
    run.model.train()
    return run


def our_crf_step(
    prompt_tokens: int, group_size: int, arguments: argparse.Namespace, folder: Path, steps: Steps
) -> Callable[[], None]:
    """A function that takes and measures one step of the CRF as policy."""
    windows = [planted_window(window_of(prompt_tokens), arguments.clade, seed) for seed in range(arguments.steps + 1)]
    options = CrfGrpoOptions(
        early_stopping=0,
        windows_per_step=1,
        group_size=group_size,
        beta=arguments.beta,
        lr=LR,
        scheduler="constant",
        warmup_ratio=0.0,
        nucleotide_weight=1.0,
        max_steps_without_variance=0,
        log_memory=False,
    )
    plan = BatchPlan(np.full(len(windows), prompt_tokens), prompt_tokens, 1)
    policy = CrfPolicy(make_crf(crf_config(arguments.size), 0))
    make_run = functools.partial(CrfGrpoRun, CrfWindows(read_clades()))
    run = run_of(make_run, policy, windows, plan, options, arguments, folder)
    stream = run._stream()
    one = timed(lambda: run._step(stream), steps.step_s, arguments.device)

    def step() -> None:
        forget_peak(arguments.device)
        before = time.process_time()
        one()
        steps.cpu_s.append(time.process_time() - before)
        steps.rollout_s.append(0.0)  # sampling is part of the update
        steps.peak_gb.append(peak_gb(arguments.device))
        steps.reads.append(1)
        steps.tokens.append(0.0)
        steps.choices.append(0.0)

    return step


def our_step(
    prompt_tokens: int, group_size: int, arguments: argparse.Namespace, folder: Path, steps: Steps
) -> tuple[int, Callable[[], None]]:
    """Tokens of our prompts, and a function that takes and measures one step."""
    window_bp = window_of(prompt_tokens)
    tokenizer = GeneTokenizer.build("kmer", KMER, segment_bp=SEGMENT_BP, max_window_bp=window_bp)
    crf = make_crf(crf_config(arguments.size), 0)
    model = resize_model(new_model(arguments.size, tokenizer.dna_only(), crf, 0), tokenizer)
    windows = [planted_window(window_bp, arguments.clade, seed) for seed in range(arguments.steps + 1)]
    options = GrpoOptions(
        epochs=1,
        early_stopping=0,  # nothing is evaluated
        batch_size=1,
        windows_per_step=1,
        token_budget=1,
        group_size=group_size,
        max_gen_length=COMPLETION_TOKENS,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        beta=arguments.beta,
        lr=LR,
        scheduler="constant",
        warmup_ratio=0.0,
        nucleotide_weight=1.0,  # a fresh model hits no exon, and rewards shall vary
        max_steps_without_variance=0,
        log_memory=False,
    )
    grammars = Grammars(tokenizer, read_clades())
    plan = BatchPlan(np.full(len(windows), prompt_tokens), options.token_budget, 1, long_alone=True)
    run = run_of(functools.partial(GrpoRun, grammars), model, windows, plan, options, arguments, folder)
    stream = run._stream()
    reads = count_reads(run.model.backbone)
    sample = timed(run._sample, steps.rollout_s, arguments.device)

    def sample_and_count(position: int, drawn: list[Window]) -> SampledBatch:
        sampled = sample(position, drawn)
        decisions = sampled.packed.batch.decisions
        steps.reads.append(reads())
        steps.tokens.append(sampled.sums["completion_tokens"] / group_size)
        steps.choices.append((len(decisions.structure) + len(decisions.places)) / group_size)
        return sampled

    run._sample = sample_and_count
    one = timed(lambda: run._step(stream), steps.step_s, arguments.device)

    def step() -> None:
        forget_peak(arguments.device)
        before = time.process_time()
        one()
        steps.cpu_s.append(time.process_time() - before)
        steps.peak_gb.append(peak_gb(arguments.device))

    return len(tokenizer.prompt_ids(windows[0].bases, arguments.clade).ids), step
