"""Names of baselines and files, here so that whoever needs them alone loads no torch."""

from __future__ import annotations

BASELINES = ("mean", "ridge", "pls", "knn", "wnn")
TRUTH = "truth"

HISTORY_FILE, CHECKPOINTS = "history.csv", "checkpoints"
FINAL_MODEL, CONFIG_FILE, SPLIT_FILE = "final_model.ckpt", "config.yaml", "split.tsv"
