"""Training of the VQ-Transformer on the training loop of the main workflow, with the options of its source."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genet5.errors import InputError
from genet5.files import file_sha256, write_json
from genet5.options import option
from genet5.studies.vq_transformer.bounds import code_entropy
from genet5.studies.vq_transformer.corpus import Corpus, Dataset
from genet5.studies.vq_transformer.network import VqConfig, VqTransformer, parameter_count, save_network
from genet5.studies.vq_transformer.tensorboard import BoardRun
from genet5.training.batches import BatchSource
from genet5.training.loop import fit
from genet5.training.losses import mean_losses
from genet5.training.options import RunOptions
from genet5.training.processes import say, start_fabric
from genet5.training.runs import export
from genet5.training.sampler import BatchPlan
from genet5.training.state import FitResult

VECTORS_PER_CODE = 20  # inputs of k-means for each code it has to place


@dataclass(frozen=True)
class TrainConfig:
    """Options under the names of the source. An epoch is one batch: a step."""

    device: str = option("auto", "where to compute; auto: a GPU if there is one", choices=("auto", "cpu", "cuda"))
    learning_rate: float = option(1e-4, "highest learning rate", above=0)
    final_learning_rate: float = option(1e-6, "learning rate at the end of the cosine", minimum=0)
    weight_decay: float = option(1e-4, "weight decay of matrices (adam: added to gradients)", minimum=0)
    optimizer: str = option("adam", "optimizer", choices=("adam", "adamw"))
    amsgrad: bool = option(True, "keep the largest second moment (Reddi et al. 2018)")
    warmup_epochs: int = option(50, "batches in which the rate rises to learning_rate", minimum=0)
    epochs: int = option(2000, "batches trained on", minimum=1)
    eval_interval: int = option(100, "batches between evaluations", minimum=1)
    eval_iters: int = option(30, "batches of each split in an evaluation", minimum=1)
    batch_size: int = option(6, "windows of a batch", minimum=1)
    max_grad_norm: float = option(1.0, "clip gradients to this norm (0: no clipping)", minimum=0)
    tensorboard: bool = option(True, "write losses and metrics for TensorBoard, too")
    save_interval: int = option(500, "batches between checkpoints", minimum=1)
    log_every: int = option(20, "batches between rows of the training log", minimum=1)
    precision: str = option("auto", "auto: bf16 on a device that computes in it", choices=("auto", "fp32", "bf16"))
    compile: bool = option(False, "torch.compile the loss")
    seed: int = option(42, "of first weights, windows, dropout and restarts of codes", minimum=0)

    def run_options(self) -> CodecRunOptions:
        """The same as options of the training loop. ``InputError`` for options that contradict each other."""
        if self.warmup_epochs > self.epochs:
            raise InputError(f"warmup_epochs: found {self.warmup_epochs}, allowed: at most epochs ({self.epochs})")
        if self.final_learning_rate > self.learning_rate:
            raise InputError(
                f"final_learning_rate: found {self.final_learning_rate:g}, allowed: at most learning_rate "
                f"({self.learning_rate:g})"
            )
        return CodecRunOptions(
            max_steps=self.epochs,
            lr=self.learning_rate,
            min_lr_ratio=self.final_learning_rate / self.learning_rate,
            warmup_ratio=self.warmup_epochs / self.epochs,
            weight_decay=self.weight_decay,
            betas=(0.9, 0.999),
            optimizer=self.optimizer,
            amsgrad=self.amsgrad,
            eval_steps=self.eval_interval,
            save_steps=self.save_interval,
            max_grad_norm=self.max_grad_norm,
            log_every=self.log_every,
            precision=self.precision,
            compile=self.compile,
            seed=self.seed,
            device=self.device,
            tensorboard=self.tensorboard,
        )


@dataclass(frozen=True)
class CodecRunOptions(RunOptions):
    """What the loop knows of ``TrainConfig``."""

    optimizer: str = option("adam", "optimizer", choices=("adam", "adamw"))
    amsgrad: bool = option(True, "keep the largest second moment")
    device: str = option("auto", "where to compute", choices=("auto", "cpu", "cuda"), affects_result=False)
    tensorboard: bool = option(True, "write for TensorBoard, too", affects_result=False)


class Windows:
    """Blocks of DNA as batches of tensors."""

    def __init__(self, dataset: Dataset, block_size: int, config: TrainConfig):
        self.dataset, self.block_size, self.config = dataset, block_size, config

    def training(self) -> BatchSource:
        """One batch for each step, at random places that depend on seed and step alone."""
        return BatchSource(self._plan(self.config.epochs * self.config.batch_size, shuffle=True), self._random)

    def fixed(self, split: str) -> BatchSource:
        """``eval_iters`` batches evenly spread over a split: the same at each evaluation."""
        most = self.config.eval_iters * self.config.batch_size
        starts = self.dataset.corpus.even_starts(split, self.block_size, most)
        plan = self._plan(len(starts), shuffle=False)
        return BatchSource(plan, lambda indices, _epoch, _rng: self._tensors(starts[indices]))

    def _plan(self, count: int, shuffle: bool) -> BatchPlan:
        rows, block = self.config.batch_size, self.block_size
        return BatchPlan(np.full(count, block), rows * block, rows, self.config.seed, shuffle=shuffle)

    def _random(self, indices: np.ndarray, _epoch: int, rng: np.random.Generator) -> dict[str, Tensor]:
        return self._tensors(self.dataset.corpus.random_starts("train", self.block_size, rng, len(indices)))

    def _tensors(self, starts: np.ndarray) -> dict[str, Tensor]:
        tokens, bases = self.dataset.batch_at(starts, self.block_size)
        return {"tokens": torch.from_numpy(tokens), "bases": torch.from_numpy(bases)}


class CodebookMetrics:
    """Loss on training DNA by the training loss's definition, and how the codes are used on validation DNA.

    The loss on validation DNA is the loop's own (``val_loss``).
    """

    def __init__(self, train: BatchSource, valid: BatchSource, options: RunOptions, device: torch.device):
        self.train, self.valid, self.options, self.device = train, valid, options, device

    def __call__(self, network: VqTransformer) -> dict[str, float]:
        means = estimate_loss(network, self.train, self.options, self.device)
        counts = torch.zeros(network.config.groups, network.config.codebook_size, dtype=torch.float64)
        for batch in self.valid.plan.batches(0):
            tokens = self.valid.make_batch(batch, 0, np.random.default_rng(0))["tokens"].to(self.device)
            for group, codes in enumerate(network.codes(tokens).flatten(0, 1).T.cpu()):
                counts[group] += torch.bincount(codes, minlength=counts.shape[1])
        entropy = [code_entropy(row.numpy()) for row in counts]
        return {
            "train_loss": means["loss"],
            "train_accuracy": means["accuracy"],
            "val_usage": float((counts > 0).double().mean()),
            "val_perplexity": 2 ** float(np.mean(entropy)),
            "val_code_bits_per_base": sum(entropy) / network.config.bases_per_code,
            "restarted_codes": float(network.quantiser.restarts),
        }


def estimate_loss(
    network: VqTransformer, source: BatchSource, options: RunOptions, device: torch.device
) -> dict[str, float]:
    """Mean loss and its parts over all batches of a source, as the network is (mode, gradients): the caller decides."""
    sums: dict[str, float] = {}
    for batch in source.plan.batches(0):
        tensors = source.make_batch(batch, 0, np.random.default_rng(0))
        for name, value in network.training_losses({key: t.to(device) for key, t in tensors.items()}).items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
    return mean_losses(list(sums), list(sums.values()))


@torch.no_grad()
def initialise_codebook(network: VqTransformer, windows: Windows, config: TrainConfig) -> int:
    """Place the codes by k-means among the vectors of training DNA; returns how many vectors that were."""
    source, wanted, vectors = windows.training(), VECTORS_PER_CODE * network.config.codebook_size, []
    for position, batch in enumerate(source.plan.batches(0)):
        # Windows that no step reads: the epoch is not one of the run's.
        rng = np.random.default_rng([config.seed, 1, position])
        vectors.append(network.encode(source.make_batch(batch, 1, rng)["tokens"]).flatten(0, 1))
        if sum(map(len, vectors)) >= wanted:
            break
    network.quantiser.initialise(torch.cat(vectors))
    return sum(map(len, vectors))


def run_training(
    corpus_file: Path, sizes: VqConfig, config: TrainConfig, output_dir: Path, history_file: Path, restart: bool = False
) -> FitResult:
    """Train, export the best weights as ``output_dir``'s own model, write the loss history.

    A finished run is only exported again; a stopped one goes on from its last checkpoint.

    Raises:
        InputError: no corpus, options that contradict each other, another run's folder; see ``training.loop.fit``.
    """
    options = config.run_options()
    corpus = Corpus.load(corpus_file)
    torch.manual_seed(config.seed)
    network = VqTransformer(sizes)
    windows = Windows(Dataset(corpus, sizes.kmers), sizes.block_size, config)
    fabric = start_fabric(options, "gpu" if options.device == "cuda" else options.device)
    millions = parameter_count(network) / 1e6
    say(fabric, f"VQ-Transformer, {sizes.bits_per_base:.3f} bits per base: {millions:.2f} million parameters")
    if restart or not (output_dir / "checkpoint_latest").exists():
        vectors = initialise_codebook(network, windows, config)
        say(fabric, f"{sizes.groups} x {sizes.codebook_size} codes placed among {vectors:,} vectors")
    valid = windows.fixed("val")
    result = fit(
        network,
        windows.training(),
        options,
        output_dir,
        fingerprint={
            "corpus": file_sha256(corpus_file),
            "network": sizes.__dict__,
            "windows": {"batch_size": config.batch_size, "eval_iters": config.eval_iters},
        },
        save_model=lambda folder: save_network(network, folder),
        validation=valid,
        evaluate=CodebookMetrics(windows.fixed("train"), valid, options, fabric.device),
        restart=restart,
        fabric=fabric,
        make_run=BoardRun,
    )
    if fabric.is_global_zero:
        write_history(output_dir, result, network, corpus, history_file)
        export(result.best, output_dir)
    fabric.barrier()
    return result


def write_history(
    output_dir: Path, result: FitResult, network: VqTransformer, corpus: Corpus, path: Path
) -> dict[str, Any]:
    """``loss_history`` (step, training loss, validation loss) of each evaluation, and what the run was."""
    with open(output_dir / "eval_log.csv", newline="", encoding="utf-8") as stream:
        rows: list[Mapping[str, str]] = list(csv.DictReader(stream))
    columns = [name for name in rows[0] if name not in ("timestamp", "epoch", "eval_s")]
    history = {
        "loss_history": [[int(row["step"]), float(row["train_loss"]), float(row["val_loss"])] for row in rows],
        "evaluations": {name: [float(row[name]) for row in rows] for name in columns},
        "network": network.config.__dict__,
        "bits_per_base": network.config.bits_per_base,
        "parameters": parameter_count(network),
        "train_bases": corpus.size("train"),
        "val_bases": corpus.size("val"),
        "best_step": result.best_step,
        "best_val_loss": result.best_value,
        "steps": result.steps,
        "total_time_s": result.elapsed_s,
    }
    write_json(path, history)
    print(
        f"best step {result.best_step}: validation loss {result.best_value:.4f} (blind guess "
        f"{math.log(4):.4f}); total time taken {result.elapsed_s / 3600:.2f} hours",
        flush=True,
    )
    return history
