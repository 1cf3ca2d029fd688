"""A small simulated pair of platforms, and settings that train on it in a second."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from lightning import Callback

from genet5.studies.cpivae.paired_data import PairedData
from genet5.studies.cpivae.settings import default_settings, merged
from genet5.studies.cpivae.simulation import Simulation, simulate
from genet5.studies.cpivae.tables import Table, write_table

SIMULATION = Simulation(samples=60, features_a=14, features_b=18, shared=10, factors=4, missing=0.03, seed=7)

TINY: dict[str, Any] = {
    "model": {
        "latent_dim": 4,
        "encoder_layers": [12],
        "decoder_layers": [12],
        "num_flows": 2,
        "num_pseudoinputs": 6,
        "k_samples": 3,
        "num_embeddings": 8,
        "num_codebooks": 2,
        "num_res_blocks": 1,
        "unet_layers": [12, 8],
        "bottleneck_dim": 4,
        "encoder": {"hidden_dims": [12]},
        "decoder": {"hidden_dim": 16, "n_groups": 5, "n_timesteps": 8, "noise_dim": 2},
    },
    "training": {"max_epochs": 4, "batch_size": 16, "learning_rate": 3e-3, "scheduler_patience": 0},
    "loss_weights": {"total_correlation": 0.1, "cyclic": 0.1, "mmvae_coherence": 0.1},
    "hardware": {"accelerator": "cpu"},
}

#: What each model changes of the settings; the three decoders of generative_vae are models of their own.
MODELS: dict[str, dict[str, Any]] = {
    name: {"model_type": name}
    for name in ("joint_vae", "joint_vae_plus", "JointVAEVampPrior", "JointIWAE", "JointVQ", "JointMM", "res_unet")
} | {
    f"generative_vae {kind}": {"model_type": "generative_vae", "decoder_type": kind}
    for kind in ("autoregressive", "diffusion", "gan")
}


def tiny_settings(model: str = "joint_vae", /, **sections: dict[str, Any]) -> dict[str, Any]:
    """Settings of a model of ``MODELS``, small; ``sections`` are laid over them."""
    return merged(default_settings(), TINY, {"model": MODELS[model]}, sections)


def toy_tables() -> tuple[Table, Table]:
    """Both platforms, with gaps."""
    samples, a, b = simulate(SIMULATION)
    return Table("a.csv", samples, a.features, a.values), Table("b.csv", samples, b.features, b.values)


def toy_data(settings: dict[str, Any] | None = None) -> PairedData:
    """The pair, split and scaled."""
    return PairedData.prepare(*toy_tables(), (settings or tiny_settings())["data"])


def write_toy(folder: Path) -> tuple[Path, Path]:
    """The pair as files; their paths."""
    paths = folder / "a.csv", folder / "b.csv.gz"
    for path, table in zip(paths, toy_tables(), strict=True):
        write_table(path, "SampleID", table.samples, table.features, table.values)
    return paths


def changed(table: Table, rows: np.ndarray, values: np.ndarray) -> Table:
    """The table with other values in some rows."""
    new = table.values.copy()
    new[rows] = values
    return Table(table.source, table.samples, table.features, new)


class PressCtrlC(Callback):
    """A callback that does what Ctrl-C does in an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer, module) -> None:
        if trainer.current_epoch == self.epoch:
            raise KeyboardInterrupt


@contextmanager
def ctrl_c_restored() -> Iterator[None]:
    """Lightning ignores Ctrl-C for good once it was pressed."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)
