"""Options of baking: the section bake of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from genet5.options import REQUIRED, option


@dataclass(frozen=True)
class WindowSizes:
    """The windows that a genome is cut into."""

    window_bp: int = option(REQUIRED, "bases of a window, without its flanks", minimum=100)
    stride_bp: int = option(REQUIRED, "bases from the start of one window to the start of the next", minimum=1)


@dataclass(frozen=True)
class BakeOptions:
    """Training data: windows of DNA with their genes."""

    windows: Mapping[str, Mapping[str, int]] = option(
        {},
        "window sizes of single clades, instead of those in the clade's file",
        some_of=WindowSizes,
        of_clades=True,
    )
    flank_bp: int = option(1000, "bases kept on either side of a window, for random crops in training", minimum=0)
    empty_share: float = option(
        0.1, "share of windows without a gene among those kept; the others are dropped and counted", minimum=0, below=1
    )
    max_windows: int = option(
        20_000, "number of training windows per species at most, drawn at random; 0: all", minimum=0
    )
    max_validation_windows: int = option(
        1000, "number of validation windows per species at most, drawn at random; 0: all", minimum=0
    )
    samples_per_shard: int = option(5000, "number of windows in a tar file", minimum=1)
    eval_samples: int = option(
        50, "number of validation windows that are decoded and scored during training, balanced over species", minimum=1
    )
    seed: int = option(42, "seed of every random choice", minimum=0)
