"""Names of baselines and files, here so that whoever needs them alone loads no torch."""

from __future__ import annotations

BASELINES = ("mean", "ridge", "pls", "knn", "wnn")
TRUTH = "truth"

HISTORY_FILE, CHECKPOINTS = "history.csv", "checkpoints"
FINAL_MODEL, CONFIG_FILE, SPLIT_FILE = "final_model.ckpt", "config.yaml", "split.tsv"
FOLDS_FILE, PREDICTIONS_FILE = "folds.tsv", "predictions.npz"


def split_name(seed: int, fold: int | None = None) -> str:
    """Folder of what a seed splits, or of one fold of its cross-validation."""
    return f"seed_{seed}" if fold is None else f"seed_{seed}_fold_{fold}"


def parse_split(name: str) -> tuple[int, int | None]:
    """Seed and fold of what ``split_name`` made."""
    seed, _, fold = name.removeprefix("seed_").partition("_fold_")
    return int(seed), int(fold) if fold else None
