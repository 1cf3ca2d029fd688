"""Options of the gene finder."""

from __future__ import annotations

from dataclasses import dataclass

from genet5.training.options import RunOptions, option


@dataclass(frozen=True)
class CrfOptions(RunOptions):
    """The CRF: its size and its training."""

    size: str = option("base", "named size of the network", choices=("demo", "small", "base", "recipe"))
    init_from: str = option("", "folder of a trained CRF to start from (empty: fresh weights)")

    max_batch_size: int = option(1, "windows of a batch at most; many small steps beat few large ones", minimum=1)
    species_balance: float = option(
        1.0, "share of a species in an epoch grows as its samples ** this: 1 as they are, 0 equal", minimum=0, maximum=1
    )
    hexamer_windows: int = option(
        300,
        "training windows whose hexamers are counted for the first weights of a fresh network (0: random)",
        minimum=0,
    )
    random_crops: bool = option(True, "train on a random place and strand around each window, not on the window itself")
    base_weight: float = option(1.0, "weight of the cross-entropy of per-base classes", minimum=0)
    soft_f1_weight: float = option(0.2, "weight of one minus the soft F1 of coding bases", minimum=0)
    site_weight: float = option(1.0, "weight of the cross-entropy of sites (a mean over all that could be)", minimum=0)
    chain_weight: float = option(10.0, "weight of the chains' negative log-likelihood per base", minimum=0)
