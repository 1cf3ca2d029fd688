"""Pretraining of the nucleotide GPT, on the training loop of the main workflow."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from genet5.files import file_sha256, write_json
from genet5.options import option
from genet5.studies.dna_llm.bpe import TokenReader
from genet5.studies.dna_llm.corpus import Corpus
from genet5.studies.dna_llm.gpt import Gpt, GptConfig, parameter_count, save_gpt
from genet5.studies.dna_llm.markov import MarkovChain, MarkovMixture
from genet5.training.batches import BatchSource
from genet5.training.loop import fit
from genet5.training.options import RunOptions
from genet5.training.processes import say, start_fabric
from genet5.training.runs import export
from genet5.training.sampler import BatchPlan
from genet5.training.state import FitResult


@dataclass(frozen=True)
class PretrainOptions(RunOptions):
    """Next-letter prediction on windows drawn at random."""

    max_steps: int = option(4000, "optimizer steps", minimum=1)
    lr: float = option(1e-3, "highest learning rate", above=0)
    weight_decay: float = option(0.1, "weight decay of matrices (not of embeddings, norms)", minimum=0)
    warmup_ratio: float = option(0.025, "share of the steps in which the rate rises to lr", minimum=0, maximum=1)
    eval_steps: int = option(500, "steps between evaluations", minimum=1)
    log_every: int = option(100, "steps between rows of the training log", minimum=1, affects_result=False)
    batch_size: int = option(64, "windows of a batch", minimum=1)
    batch_option: ClassVar[str] = "batch_size"
    validation_windows: int = option(2000, "windows that are evaluated, evenly spread", minimum=1)
    reverse_complement: bool = option(True, "read every other window from the other strand")
    markov_order: int = option(
        5, "order of the Markov chain to compare with", minimum=0, maximum=10, affects_result=False
    )
    mixture_order: int = option(
        12, "highest order of the mixture of Markov chains to compare with", minimum=0, maximum=12, affects_result=False
    )


class CorpusWindows:
    """Windows of ``length`` letters as batches of ids of tokens, [windows, tokens], which the longest row fills."""

    def __init__(self, corpus: Corpus, length: int, options: PretrainOptions):
        self.corpus, self.length, self.options = corpus, length, options
        self.complement = corpus.alphabet.complement()
        self.reader = TokenReader(corpus.alphabet)

    def training(self) -> BatchSource:
        """As many windows as the steps need, each at a random place, from seed and step alone."""
        count = self.options.max_steps * self.options.batches_per_step() * self.options.batch_size
        return BatchSource(self._plan(count, shuffle=True), self._random_batch)

    def validation(self) -> BatchSource:
        """The same windows at each evaluation."""
        starts = self.corpus.tiled_starts(self.length, self.options.validation_windows)
        plan = self._plan(len(starts), shuffle=False)
        return BatchSource(plan, lambda indices, _epoch, _rng: self._tensor(starts[indices]))

    def _plan(self, count: int, shuffle: bool) -> BatchPlan:
        letters = self.length - 1
        rows = self.options.batch_size
        return BatchPlan(np.full(count, letters), rows * letters, rows, self.options.seed, shuffle=shuffle)

    def _random_batch(self, indices: np.ndarray, _epoch: int, rng: np.random.Generator) -> torch.Tensor:
        letters = self.corpus.windows(self.corpus.random_starts(self.length, rng, len(indices)), self.length)
        if self.options.reverse_complement:
            turned = rng.random(len(indices)) < 0.5
            letters[turned] = self.complement[letters[turned]][:, ::-1]
        return torch.from_numpy(self.reader(letters))

    def _tensor(self, starts: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(self.reader(self.corpus.windows(starts, self.length)))


def run_pretraining(
    corpus_dir: Path,
    sizes: GptConfig,
    options: PretrainOptions,
    output_dir: Path,
    losses_file: Path,
    restart: bool,
    device: str = "auto",
) -> FitResult:
    """Train, export the best weights as ``output_dir``'s own model, write the losses; a finished run is exported again.

    Raises:
        InputError: no corpus, another run's folder; see ``training.loop.fit``.
    """
    train, held_out = Corpus(corpus_dir, "train"), Corpus(corpus_dir, "val")
    torch.manual_seed(options.seed)
    model = Gpt(sizes)
    length = sizes.context + 1
    fabric = start_fabric(options, device)
    say(fabric, f"nucleotide GPT, alphabet {sizes.alphabet} ({len(sizes.letters)} tokens): "
                f"{parameter_count(model):,} parameters")  # fmt: skip
    valid = CorpusWindows(held_out, length, options)
    result = fit(
        model,
        CorpusWindows(train, length, options).training(),
        options,
        output_dir,
        fingerprint={
            "corpus": {name: file_sha256(corpus_dir / name) for name in ("meta.json", "train.bin", "val.bin")},
            "network": sizes.__dict__ | {"letters": sizes.letters.letters},
        },
        save_model=lambda folder: save_gpt(model, folder),
        validation=valid.validation(),
        restart=restart,
        fabric=fabric,
    )
    if fabric.is_global_zero:
        codes = held_out.alphabet.base_codes()
        starts = held_out.tiled_starts(length, options.validation_windows)
        counted = count_bases(train, codes[held_out.windows(starts, length)], options)
        write_losses(output_dir, result, model, counted, options, losses_file)
        export(result.best, output_dir)
    fabric.barrier()
    return result


def count_bases(train: Corpus, windows: np.ndarray, options: PretrainOptions) -> dict[str, Any]:
    """What counting the bases of the training DNA says of the windows (base codes), as figures for the losses file."""
    mixture = MarkovMixture(options.mixture_order).fit(list(train.base_codes()), options.reverse_complement)
    chain = MarkovChain(options.markov_order)
    if options.markov_order <= options.mixture_order:
        chain.take(mixture.cells)
    else:
        chain.fit(train.base_codes(), options.reverse_complement)
    return {
        "markov_order": options.markov_order,
        "markov_bits_per_base": chain.bits_per_base(windows),
        "mixture_order": options.mixture_order,
        "mixture_bits_per_base": mixture.bits_per_base(windows),
        "mixture_strengths": [strength if np.isfinite(strength) else None for strength in mixture.strengths],
    }


def write_losses(
    output_dir: Path, result: FitResult, model: Gpt, counted: dict[str, Any], options: PretrainOptions, path: Path
) -> None:
    """The losses at each evaluation, and the best one in bits per base beside those of counting."""
    with open(output_dir / "training_log.csv", newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["val_loss"]]
    with open(output_dir / "eval_log.csv", newline="", encoding="utf-8") as stream:
        evaluations = {int(row["step"]): float(row["val_bits_per_base"]) for row in csv.DictReader(stream)}
    losses = {
        "alphabet": model.config.alphabet,
        "vocab_size": len(model.config.letters),
        "parameters": parameter_count(model),
        "iterations": [int(row["step"]) for row in rows],
        "train_losses": [float(row["train_loss"]) for row in rows],
        "val_losses": [float(row["val_loss"]) for row in rows],
        "val_bits_per_base": [evaluations[int(row["step"])] for row in rows],
        "elapsed_time": [float(row["elapsed_s"]) for row in rows],
        "best_iteration": result.best_step,
        "best_val_loss": result.best_value,
        "best_bits_per_base": evaluations[result.best_step],
        **counted,
        "total_time_s": result.elapsed_s,
    }
    write_json(path, losses)
    print(
        f"best step {result.best_step}: {losses['best_bits_per_base']:.4f} bits per base, "
        f"Markov chain of order {options.markov_order} {counted['markov_bits_per_base']:.4f}, mixture of orders 0 to "
        f"{options.mixture_order} {counted['mixture_bits_per_base']:.4f}",
        flush=True,
    )
