"""Options of the CRF and of its training: the section crf of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genet5.crf.config import SIZES, CrfShape
from genet5.options import option, with_default
from genet5.training.options import ReadingOptions, RunOptions

SCRATCH = "scratch"


@dataclass(frozen=True)
class CrfOptions(ReadingOptions):
    """Training of the CRF, the gene finder."""

    # --- the network
    size: str = option("base", "named size of the network", choices=tuple(SIZES))
    # Its weights are in the fingerprint of a run, not the name of its folder.
    init_from: str = option(
        SCRATCH, "scratch, or the folder of a trained CRF to start from", nonempty=True, affects_result=False
    )
    overrides: Mapping[str, Any] = option({}, "single fields that differ from the size", some_of=CrfShape)
    # --- other defaults than in other trainings
    epochs: int = with_default(RunOptions, "epochs", 4)
    lr: float = with_default(RunOptions, "lr", 3e-3)
    betas: tuple[float, float] = with_default(RunOptions, "betas", (0.9, 0.98))
    min_lr_ratio: float = with_default(RunOptions, "min_lr_ratio", 0.02)
    max_grad_norm: float = with_default(RunOptions, "max_grad_norm", 5.0)
    save_steps: int = with_default(RunOptions, "save_steps", 500)
    log_every: int = with_default(RunOptions, "log_every", 50)
    log_memory: bool = with_default(RunOptions, "log_memory", True)
    memwatch: float = with_default(RunOptions, "memwatch", 30.0)
    # --- data
    max_batch_size: int = option(1, "number of windows in a batch at most", minimum=1)
    windows_per_step: int = with_default(
        RunOptions,
        "windows_per_step",
        1,
        "number of windows whose gradients make one step, over all processes, a multiple of max_batch_size; many small "
        "steps beat few large ones; 0: one batch",
    )
    species_balance: float = option(
        0.3,
        "a species is drawn in proportion to its number of windows to this power; 1: as they are; 0: all equally often",
        minimum=0,
        maximum=1,
    )
    hexamer_windows: int = option(
        300, "number of training windows whose hexamers are counted for the first weights; 0: random weights", minimum=0
    )
    random_crops: bool = option(True, "train on a random place and strand around each window, not on the window itself")
    # --- loss
    base_weight: float = option(1.0, "weight of the cross-entropy of per-base classes", minimum=0)
    soft_f1_weight: float = option(0.2, "weight of one minus the soft F1 of coding bases", minimum=0)
    site_weight: float = option(
        1.0, "weight of the cross-entropy of sites, averaged over all places that could be one", minimum=0
    )
    chain_weight: float = option(
        10.0, "weight of the negative log-likelihood per base of the right chain of genes", minimum=0
    )
    objective: str = option(
        "likelihood",
        "what chains of genes are trained for: the likelihood of the right one; softmax_margin: the same, where wrong "
        "chains start ahead by what they cost; expected_f1: likelihood, and the expected F1 of sites",
        choices=("likelihood", "softmax_margin", "expected_f1"),
    )
    margin_per_base: float = option(0.02, "softmax_margin: cost of a base of a wrong class, in nats", minimum=0)
    margin_per_site: float = option(1.0, "softmax_margin: cost of a wrong or a missing site, in nats", minimum=0)
    f1_weight: float = option(1.0, "expected_f1: weight of one minus the expected F1 of sites", minimum=0)

    @property
    def counts_hexamers(self) -> bool:
        """Whether the first weights come from counts."""
        return self.hexamer_windows > 0 and self.init_from == SCRATCH
