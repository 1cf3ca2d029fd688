#!/usr/bin/env python
"""A step of our reinforcement learning against a step of TRL's GRPOTrainer: steps per second in one run, and the ratio.

One step of either: one prompt, G completions of 64 tokens sampled at temperature 1, rewards, one forward and backward
pass, one update of AdamW. The backbone is the same class with the same sizes (transformers' Qwen2Moe, dense), weights
are fresh, threads are the same, neither uses vLLM or recomputes activations. Steps of the two alternate; medians are
shown, a first step of each is left out.

What differs. TRL's model is a plain language model: causal, with a language head over 256 words (a tokenizer like ours
has thousands, and without a GPU TRL runs the head over the prompt too, so the small head favours TRL); its prompts are
random words and its reward counts odd ones. Ours is the whole step of a run: DNA with genes planted on both strands,
a CRF that scores the DNA, a prompt that attends in both directions, the grammar, pointers, F1 as reward. Ours takes the
tokens that the grammar forces without asking the network, and learns from the chosen ones alone: "reads" is how often
the network was asked for a group of completions, "choices" how many tokens of one it chose. They are cut at 64 tokens;
"tokens" is their real mean length.

The row "ours, crf" is a step of the CRF as policy, on the same DNA: one pass of its network, G exact samples of both
strands, rewards per locus, one update; with --beta, a pass of the reference and the exact KL divergence, too.

Columns: "read" is the real length of the prompt. "rollout_s" holds sampling, rewards and, with --beta, the reference's
log-probabilities; "update_s" the rest of the step; "cpu_s" processor seconds of a step, which other jobs on the machine
disturb less. "peak_gb" is the most memory of the process (on a GPU: of torch) in a step; both models are in it.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import functools
import io
import math
import os
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "benchmarks")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from datasets import Dataset, disable_progress_bars  # noqa: E402
from lightning.fabric import Fabric  # noqa: E402
from lightning.fabric.plugins.environments import LightningEnvironment  # noqa: E402
from planted_genes import planted_window  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402
from torch import nn  # noqa: E402
from transformers import PreTrainedTokenizerFast, PrinterCallback, Qwen2MoeForCausalLM, TrainerCallback  # noqa: E402
from transformers.utils import logging as transformers_logging  # noqa: E402
from trl import GRPOConfig, GRPOTrainer  # noqa: E402

from genet5.bake.crops import Window  # noqa: E402
from genet5.clades import read_clades  # noqa: E402
from genet5.crf.config import crf_config  # noqa: E402
from genet5.crf.data import CrfWindows  # noqa: E402
from genet5.crf.model import make_crf  # noqa: E402
from genet5.errors import run_command  # noqa: E402
from genet5.grpo.crf_run import CrfGrpoRun, CrfPolicy  # noqa: E402
from genet5.grpo.options import CrfGrpoOptions, GrpoOptions  # noqa: E402
from genet5.grpo.run import GrpoRun, SampledBatch  # noqa: E402
from genet5.tokens.grammars import Grammars  # noqa: E402
from genet5.tokens.tokenizer import GeneTokenizer  # noqa: E402
from genet5.training.batches import BatchSource  # noqa: E402
from genet5.training.checkpoints import RunFolder  # noqa: E402
from genet5.training.evaluation import Evaluation  # noqa: E402
from genet5.training.run import RunSpec  # noqa: E402
from genet5.training.sampler import BatchPlan  # noqa: E402
from genet5.training.signals import StopRequest  # noqa: E402
from genet5.writer.building import new_model, resize_model  # noqa: E402
from genet5.writer.config import backbone_config, sized_config  # noqa: E402

COMPLETION_TOKENS = 64
LR = 1e-6
TRL_WORDS = 256
SIDES = 3  # TRL, the writer, the CRF
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--prompt-tokens", type=int, nargs="+", default=[512, 2048, 4096], help="(default: %(default)s)"
    )
    parser.add_argument("--group-sizes", type=int, nargs="+", default=[8, 16], help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=3, help="measured steps of each side (default: %(default)s)")
    parser.add_argument("--size", choices=("demo", "small"), default="demo", help="(default: %(default)s)")
    parser.add_argument("--clade", default="bacteria", help="rules of our completions (default: %(default)s)")
    parser.add_argument("--beta", type=float, default=0.0, help="weight of the KL divergence (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default: %(default)s)")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="(default: %(default)s)")
    parser.add_argument("--csv", type=Path, help="also write the table here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    disable_progress_bars()
    rows = []
    print(
        f"{arguments.size}, {arguments.clade}, beta {arguments.beta:g}, {arguments.precision}, {arguments.device}, "
        f"{arguments.threads} thread(s), torch {torch.__version__}; medians of {arguments.steps} steps",
        flush=True,
    )
    for prompt_tokens in arguments.prompt_tokens:
        for group_size in arguments.group_sizes:
            rows += measure(prompt_tokens, group_size, arguments)
            if len(rows) == SIDES:
                print("  ".join(f"{name:>{_width(name)}}" for name in rows[0]))
            for row in rows[-SIDES:]:
                print("  ".join(f"{_shown(value):>{_width(name)}}" for name, value in row.items()), flush=True)
    if arguments.csv:
        with arguments.csv.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows(rows)


def measure(prompt_tokens: int, group_size: int, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of the table, TRL's first."""
    theirs, ours, crf = Steps(), Steps(), Steps()
    with tempfile.TemporaryDirectory() as folder:
        window_tokens, step = our_step(prompt_tokens, group_size, arguments, Path(folder) / "ours", ours)
        crf_step = our_crf_step(prompt_tokens, group_size, arguments, Path(folder) / "crf", crf)
        trainer = make_trainer(prompt_tokens, group_size, arguments, Path(folder) / "trl", theirs)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Alternation(theirs, lambda: (step(), crf_step()), arguments.device))
        trainer.train()
    rows = []
    slow, fast = theirs.summary(), ours.summary()
    sides = ("TRL", prompt_tokens, slow), ("ours", window_tokens, fast), ("ours, crf", window_tokens, crf.summary())
    for side, tokens, found in sides:
        rows.append(
            {
                "prompt": prompt_tokens,
                "G": group_size,
                "side": side,
                "read": tokens,
                "steps_per_s": 1 / found["step_s"],
                "ratio": slow["step_s"] / found["step_s"],
                "cpu_ratio": slow["cpu_s"] / found["cpu_s"],
                **found,
            }
        )
    return rows


def _width(name: str) -> int:
    return max(len(name), 6)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.1f}" if value >= 100 else f"{value:.3g}"
    return str(value)


# ---------------------------------------------------------------- both


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


# ---------------------------------------------------------------- ours


def window_of(prompt_tokens: int) -> int:
    """Bases of DNA that make so many tokens."""
    return round((prompt_tokens - 4) / (1 / KMER + 1 / SEGMENT_BP) / SEGMENT_BP) * SEGMENT_BP


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
    fabric = Fabric(
        accelerator=arguments.device,
        devices=1,
        precision={"fp32": "32-true", "bf16": "bf16-mixed"}[arguments.precision],
        plugins=[LightningEnvironment()],
    )
    plan = BatchPlan(np.full(len(windows), prompt_tokens), prompt_tokens, 1)
    source = BatchSource(plan, lambda indices, _epoch, _rng: [windows[index] for index in indices])
    stop = StopRequest()
    folder.mkdir()
    with contextlib.redirect_stdout(io.StringIO()):
        policy = CrfPolicy(make_crf(crf_config(arguments.size), 0))
        evaluation = Evaluation(fabric, stop, options, None, None)
        spec = RunSpec(fabric, RunFolder(folder), policy, source, options, evaluation, stop, lambda _: None)
        run = CrfGrpoRun(CrfWindows(read_clades()), spec)
    run.model.train()
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
    fabric = Fabric(
        accelerator=arguments.device,
        devices=1,
        precision={"fp32": "32-true", "bf16": "bf16-mixed"}[arguments.precision],
        plugins=[LightningEnvironment()],
    )
    grammars = Grammars(tokenizer, read_clades())
    plan = BatchPlan(np.full(len(windows), prompt_tokens), options.token_budget, 1, long_alone=True)
    source = BatchSource(plan, lambda indices, _epoch, _rng: [windows[index] for index in indices])
    stop = StopRequest()
    evaluation = Evaluation(fabric, stop, options, None, None)
    folder.mkdir()
    with contextlib.redirect_stdout(io.StringIO()):
        spec = RunSpec(fabric, RunFolder(folder), model, source, options, evaluation, stop, lambda _: None)
        run = GrpoRun(grammars, spec)
    run.model.train()
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


# ---------------------------------------------------------------- TRL


class Alternation(TrainerCallback):
    """Measures TRL's steps and takes one of ours after each."""

    def __init__(self, steps: Steps, other: Callable[[], None], device: str) -> None:
        self.steps, self.other, self.device = steps, other, device

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        forget_peak(self.device)
        self.started, self.cpu_before = now_s(self.device), time.process_time()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.steps.step_s.append(now_s(self.device) - self.started)
        self.steps.cpu_s.append(time.process_time() - self.cpu_before)
        self.steps.peak_gb.append(peak_gb(self.device))
        self.other()


def make_trainer(
    prompt_tokens: int, group_size: int, arguments: argparse.Namespace, folder: Path, steps: Steps
) -> GRPOTrainer:
    config = backbone_config(sized_config(arguments.size, crf_config(arguments.size), vocab_size=TRL_WORDS))
    config.eos_token_id, config.pad_token_id, config.bos_token_id = 0, 1, None
    torch.manual_seed(0)
    model = Qwen2MoeForCausalLM(config)
    if arguments.beta > 0:  # TRL reads its reference from a folder
        model.save_pretrained(folder / "start")
        model.config._name_or_path = str(folder / "start")
    words = {"<eos>": 0, "<pad>": 1} | {f"w{number}": number for number in range(2, TRL_WORDS)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    processing = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>", padding_side="left"
    )
    rng = random.Random(0)
    prompts = [
        " ".join(f"w{rng.randrange(2, TRL_WORDS)}" for _ in range(prompt_tokens)) for _ in range(arguments.steps + 1)
    ]
    reads = count_reads(model.model)

    def reward(completion_ids: Sequence[Sequence[int]], **_: Any) -> list[float]:
        steps.reads.append(reads())
        steps.tokens.append(statistics.mean(map(len, completion_ids)))
        steps.choices.append(steps.tokens[-1])
        return [sum(token % 2 for token in ids) / len(ids) for ids in completion_ids]

    options = GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=group_size,
        num_generations=group_size,
        gradient_accumulation_steps=1,
        num_iterations=1,
        max_completion_length=COMPLETION_TOKENS,
        generation_kwargs={"min_new_tokens": COMPLETION_TOKENS},
        temperature=1.0,
        beta=arguments.beta,
        router_aux_loss_coef=0.0,  # the network is dense
        learning_rate=LR,
        lr_scheduler_type="constant",
        max_steps=arguments.steps + 1,
        use_cpu=arguments.device == "cpu",
        bf16=arguments.precision == "bf16",
        gradient_checkpointing=False,
        dataloader_pin_memory=False,
        report_to="none",
        logging_strategy="no",
        save_strategy="no",
        disable_tqdm=True,
    )
    trainer = GRPOTrainer(model, reward, options, Dataset.from_dict({"prompt": prompts}), processing_class=processing)
    trainer._generate_and_score_completions = timed(
        trainer._generate_and_score_completions, steps.rollout_s, arguments.device
    )
    return trainer


if __name__ == "__main__":
    run_command(main)
