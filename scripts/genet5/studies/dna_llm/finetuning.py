"""Training of a predictor of binding scores, on the training loop of the main workflow."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from genet5.errors import InputError
from genet5.files import file_sha256
from genet5.options import option
from genet5.studies.dna_llm.augmentation import augment
from genet5.studies.dna_llm.binding_windows import BindingWindows, load_windows
from genet5.studies.dna_llm.gpt import WEIGHTS_FILE, Gpt, GptConfig, load_gpt, parameter_count
from genet5.studies.dna_llm.kept_features import keep_features, stay_the_same
from genet5.studies.dna_llm.metrics import average_precision, pearson_r
from genet5.studies.dna_llm.predictors import CnnBaseline, GptPredictor, ScorePredictor, load_predictor, save_predictor
from genet5.studies.dna_llm.results import HELD_OUT, write_predictions
from genet5.studies.dna_llm.variants import Variant
from genet5.training.batches import BatchSource
from genet5.training.fabric import Fabric
from genet5.training.loop import SupervisedRun, fit
from genet5.training.options import RunOptions
from genet5.training.processes import say, start_fabric
from genet5.training.run import RunSpec
from genet5.training.runs import export
from genet5.training.sampler import BatchPlan

CENTRED_ON = 256  # training windows, evenly spread, that tell the mean of a core's features


@dataclass(frozen=True)
class FinetuneOptions(RunOptions):
    """Regression of scores; an epoch shows each training window once, moved or as it is."""

    epochs: int = option(60, "passes over the training windows", minimum=1)
    early_stopping: int = option(20, "stop after this many epochs without a better one (0: never)", minimum=0)
    lr: float = option(2e-3, "highest learning rate", above=0)
    weight_decay: float = option(1e-2, "weight decay of matrices", minimum=0)
    min_lr_ratio: float = option(0.01, "last learning rate as a share of lr", minimum=0, maximum=1)
    log_every: int = option(100, "steps between rows of the training log", minimum=1, affects_result=False)
    batch_size: int = option(64, "windows of a batch", minimum=1)
    batch_option: ClassVar[str] = "batch_size"
    max_shift: int = option(10, "bases by which a training window is moved at most (0: not at all)", minimum=0)
    reverse_complement: bool = option(
        False, "read every other training window from the other strand (where labels do not depend on the strand)"
    )
    dropout: float = option(0.1, "dropout of the head", minimum=0, below=1)
    core_dropout: float = option(0.1, "dropout of a core that is trained through", minimum=0, below=1)
    core_lr_scale: float = option(0.25, "learning rate of a core that is trained through, as a share of lr", above=0)


def build_predictor(
    variant: Variant, core_dir: Path | None, sizes: GptConfig, options: FinetuneOptions
) -> ScorePredictor:
    """The untrained predictor: pretrained core from ``core_dir``, or a random one of ``sizes``."""
    if not variant.alphabet:
        return CnnBaseline(options.dropout, variant.one_sided)
    if variant.pretrained:
        if core_dir is None:
            raise InputError(f"{variant.name}: needs --core, the folder of a pretrained core")
        core = load_gpt(core_dir)
        if core.config.alphabet != variant.alphabet:
            raise InputError(f"{core_dir}: alphabet {core.config.alphabet}, {variant.name} needs {variant.alphabet}")
    else:
        core = Gpt(dataclasses.replace(sizes, alphabet=variant.alphabet))
    if not variant.frozen:
        core = _with_dropout(core, options.core_dropout)
    return GptPredictor(core, variant.direction, variant.frozen, options.dropout, options.core_lr_scale, variant.bases)


def _core_fingerprint(variant: Variant, core_dir: Path | None, sizes: GptConfig) -> Any:
    if variant.pretrained and core_dir is not None:
        return file_sha256(core_dir / WEIGHTS_FILE)
    return dataclasses.asdict(sizes) if variant.alphabet else None


def _with_dropout(core: Gpt, dropout: float) -> Gpt:
    changed = Gpt(dataclasses.replace(core.config, dropout=dropout))
    changed.load_state_dict(core.state_dict())
    return changed


def training_source(windows: BindingWindows, options: FinetuneOptions, kept: Mapping[str, torch.Tensor]) -> BatchSource:
    """Augmented batches of training windows, with their features where ``kept["train"]`` has them."""

    def make_batch(indices: np.ndarray, _epoch: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        bases, scores = windows.bases[indices], windows.scores[indices]
        batch = _batch(*augment(bases, scores, options.max_shift, options.reverse_complement, rng))
        return batch | {"features": kept["train"][indices]} if "train" in kept else batch

    return BatchSource(_plan(windows, options, shuffle=True), make_batch)


def validation_source(
    windows: BindingWindows, options: FinetuneOptions, kept: Mapping[str, torch.Tensor]
) -> BatchSource:
    """Windows as they are, every base with weight 1, with their features where ``kept["validation"]`` has them."""

    def make_batch(indices: np.ndarray, _epoch: int, _rng: np.random.Generator) -> dict[str, torch.Tensor]:
        scores = windows.scores[indices]
        batch = _batch(windows.bases[indices], scores, np.ones_like(scores))
        return batch | {"features": kept["validation"][indices]} if "validation" in kept else batch

    return BatchSource(_plan(windows, options, shuffle=False), make_batch)


def _plan(windows: BindingWindows, options: FinetuneOptions, shuffle: bool) -> BatchPlan:
    count, bp = windows.bases.shape
    rows = options.batch_size
    return BatchPlan(np.full(count, bp), rows * bp, rows, options.seed, shuffle=shuffle)


def _batch(bases: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> dict[str, torch.Tensor]:
    bases = torch.from_numpy(bases.astype(np.int64))
    return {"bases": bases, "scores": torch.from_numpy(scores), "weights": torch.from_numpy(weights)}


@torch.no_grad()
def predict(
    model: ScorePredictor, bases: np.ndarray, batch_size: int, features: torch.Tensor | None = None
) -> np.ndarray:
    """Scores of windows [windows, bp] in evaluation mode, float32; the model's mode is left as it was found.

    ``features``: kept ones of these windows; else they are computed.
    """
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    parts = []
    for first in range(0, len(bases), batch_size):
        chosen = slice(first, first + batch_size)
        inputs = {"bases": torch.from_numpy(bases[chosen].astype(np.int64)).to(device)}
        if features is not None:
            inputs["features"] = features[chosen].to(device)
        parts.append(model(**inputs).float().cpu().numpy())
    model.train(training)
    return np.concatenate(parts)


def run_finetuning(
    variant: Variant,
    windows_file: Path,
    core_dir: Path | None,
    sizes: GptConfig,
    options: FinetuneOptions,
    output_dir: Path,
    restart: bool = False,
    device: str = "auto",
) -> None:
    """Train, export the best epoch's weights, and write what they predict for validation and test windows.

    Test windows are read only after training has ended, by the weights that were reloaded from the disk.

    Raises:
        InputError: missing input, another run's folder; see ``training.loop.fit``.
    """
    windows = load_windows(windows_file)
    train, validation = windows.part("train"), windows.part("validation")
    torch.manual_seed(options.seed)
    model = build_predictor(variant, core_dir, sizes, options)
    bp = windows.bases.shape[1]
    if isinstance(model, GptPredictor):
        if model.core.config.context < bp:
            raise InputError(f"context: the core reads {model.core.config.context} letters, windows have {bp} bases")
        model.centre(torch.from_numpy(train.bases[:: -(-len(train.bases) // CENTRED_ON)].astype(np.int64)))
    fabric = start_fabric(options, device)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    counts = {"parameters": parameter_count(model), "trained": trained, "head": parameter_count(model.head)}
    say(
        fabric,
        f"{variant.name} ({variant.about}): {counts['parameters']:,} parameters, {trained:,} of them trained, "
        f"head {counts['head']:,}; {len(train.bases)} training, {len(validation.bases)} validation windows",
    )
    rows = 4 * options.batch_size  # of a batch without gradients
    kept: dict[str, torch.Tensor] = {}

    def make_run(spec: RunSpec) -> SupervisedRun:
        """``fit`` calls this when it knows that there is something to train; features count as training time."""
        run = SupervisedRun(spec)
        if stay_the_same(model, options.max_shift, options.reverse_complement):
            say(fabric, "computing features once for all epochs, since core and windows stay as they are")
            for split, part in (("train", train), ("validation", validation)):
                kept[split] = keep_features(model, part.bases, rows, fabric, output_dir)
        return run

    def evaluate(model: ScorePredictor) -> dict[str, float]:
        predicted = predict(model, validation.bases, rows, kept.get("validation"))
        in_site = validation.scores > 0
        return {"val_r": pearson_r(predicted, validation.scores), "val_auprc": average_precision(predicted, in_site)}

    result = fit(
        model,
        training_source(train, options, kept),
        options,
        output_dir,
        fingerprint={
            "windows": file_sha256(windows_file),
            "variant": dataclasses.asdict(variant),
            "core": _core_fingerprint(variant, core_dir, sizes),
        },
        save_model=lambda folder: save_predictor(model, folder),
        validation=validation_source(validation, options, kept),
        evaluate=evaluate,
        restart=restart,
        fabric=fabric,
        make_run=make_run,
    )
    if fabric.is_global_zero:
        best = load_predictor(result.best)
        predictions = predict_held_out(best, windows, options, fabric)
        facts = {
            "name": variant.name,
            "about": variant.about,
            **counts,
            "history": history(output_dir),
            "best_step": result.best_step,
            "best_val_loss": result.best_value,
            "stopped": result.stopped,
            "elapsed_time": result.elapsed_s,
            "device": str(fabric.device.type),
        }
        write_predictions(predictions, facts, output_dir)
        export(result.best, output_dir)
        r = pearson_r(predictions["validation"], validation.scores)
        say(fabric, f"best step {result.best_step}: validation r {r:.4f}")
    fabric.barrier()


def predict_held_out(
    model: ScorePredictor, windows: BindingWindows, options: FinetuneOptions, fabric: Fabric
) -> dict[str, np.ndarray]:
    """Predictions for the validation and test windows, in their order, at the precision of training."""
    model = fabric.to_device(model)
    with fabric.autocast():
        return {split: predict(model, windows.part(split).bases, 4 * options.batch_size) for split in HELD_OUT}


def history(output_dir: Path) -> dict[str, list[float]]:
    """Step, mean training loss, validation loss and r, and seconds since the start, for each epoch."""
    with open(output_dir / "training_log.csv", newline="", encoding="utf-8") as stream:
        training = {int(row["step"]): row for row in csv.DictReader(stream)}
    with open(output_dir / "eval_log.csv", newline="", encoding="utf-8") as stream:
        evaluations = list(csv.DictReader(stream))
    steps = [int(row["step"]) for row in evaluations]
    # A row of the training log is the mean since the row before: sums up to each row, then means between evaluations.
    logged = np.array(sorted(training))
    losses = np.array([float(training[step]["train_loss"]) for step in logged])
    sums = np.cumsum(losses * np.diff(logged, prepend=0))[np.searchsorted(logged, steps)]
    return {
        "step": steps,
        "train_loss": (np.diff(sums, prepend=0) / np.diff(steps, prepend=0)).tolist(),
        "val_loss": [float(row["val_loss"]) for row in evaluations],
        "val_r": [float(row["val_r"]) for row in evaluations],
        "elapsed_time": [float(training[step]["elapsed_s"]) for step in steps],
    }
