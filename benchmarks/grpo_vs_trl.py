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
import csv
import os
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "benchmarks")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
warnings.filterwarnings("ignore")

import torch  # noqa: E402
from datasets import Dataset, disable_progress_bars  # noqa: E402
from grpo_steps import (  # noqa: E402
    COMPLETION_TOKENS,
    LR,
    Steps,
    count_reads,
    forget_peak,
    now_s,
    our_crf_step,
    our_step,
    peak_gb,
    timed,
)  # fmt: skip
from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402
from transformers import PreTrainedTokenizerFast, PrinterCallback, Qwen2MoeForCausalLM, TrainerCallback  # noqa: E402
from transformers.utils import logging as transformers_logging  # noqa: E402
from trl import GRPOConfig, GRPOTrainer  # noqa: E402

from genet5.crf.config import crf_config  # noqa: E402
from genet5.errors import run_command  # noqa: E402
from genet5.writer.config import backbone_config, sized_config  # noqa: E402

TRL_WORDS = 256
SIDES = 3  # TRL, the writer, the CRF


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
