"""The gene finder: one network, or several whose potentials are averaged, and a random field over chains of genes.

A chain of genes scores the sum of the potentials of its bases and sites, minus a penalty per gene. The sum over all
chains of a strand and the best of them are exact (``chain_sums.py``, ``best_chain.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from genet5.crf.config import CrfConfig
from genet5.crf.labels import PADDING
from genet5.crf.network import CrfNetwork
from genet5.errors import InputError
from genet5.genome.sites import WindowSites
from genet5.training.precision import network_precision


class CrfScores(NamedTuple):
    """What the gene finder says of a batch of windows, in strand coordinates; float32.

    features: [B, 2, W, C], of the first network. class_logits: [B, 2, W, 5]. potentials: [B, 2, W, 4]. site_potentials:
    [B, 2, 4, W + 1]. All as in ``network.Output``.
    """

    features: Tensor
    class_logits: Tensor
    potentials: Tensor
    site_potentials: Tensor


class Crf(nn.Module):
    """Networks and the penalty of a gene."""

    def __init__(self, config: CrfConfig) -> None:
        super().__init__()
        self.config = config
        self.networks = nn.ModuleList(CrfNetwork(config) for _ in range(config.num_networks))

    @property
    def gene_penalty(self) -> Tensor:
        """What a gene has to earn, in nats; scalar."""
        return torch.stack([network.gene_penalty for network in self.networks]).mean()

    @property
    def device(self) -> torch.device:
        return self.networks[0].gene_penalty.device

    def forward(self, codes: Tensor) -> CrfScores:
        """codes: [B, 2, W] in strand coordinates, 0..3, 4 unknown, more padding.

        Several networks count as one whose potentials are the mean of theirs: chains of genes are then weighed by the
        geometric mean of their odds.
        """
        outputs = [network(codes) for network in self.networks]
        means = (
            sum(getattr(output, name) for output in outputs) / len(outputs)
            for name in ("class_logits", "potentials", "site_potentials")
        )
        return CrfScores(outputs[0].features, *means)


def make_crf(config: CrfConfig, seed: int) -> Crf:
    """A gene finder with fresh weights that depend on ``seed`` alone; the caller's random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Crf(config)


def join_crfs(crfs: Sequence[Crf], names: Sequence[object]) -> Crf:
    """One gene finder with the networks of all; ``names`` are for messages.

    Raises ``InputError`` if their shapes differ.
    """
    _check_shapes(crfs, names)
    first = crfs[0].config
    count = sum(crf.config.num_networks for crf in crfs)
    joined = Crf(CrfConfig(**first.one_network, num_networks=count))
    for network, trained in zip(joined.networks, [n for crf in crfs for n in crf.networks], strict=True):
        network.load_state_dict(trained.state_dict())
    return joined.eval()


def average_crfs(crfs: Sequence[Crf], shares: Sequence[float], names: Sequence[object]) -> Crf:
    """One gene finder whose weights are the sum of ``shares`` times those of each; ``names`` are for messages.

    Raises ``InputError`` if their shapes or numbers of networks differ.
    """
    _check_shapes(crfs, names)
    first = crfs[0].config
    for crf, name in zip(crfs, names, strict=True):
        if crf.config.num_networks != first.num_networks:
            raise InputError(f"{name}: {crf.config.num_networks} networks, in {names[0]} {first.num_networks}")
    averaged = Crf(first)
    states = [crf.state_dict() for crf in crfs]
    averaged.load_state_dict(
        {key: sum(share * state[key].float() for share, state in zip(shares, states, strict=True)) for key in states[0]}
    )
    return averaged.eval()


@torch.no_grad()
def divide_potentials(crf: Crf, temperature: float) -> None:
    """Make every potential and the penalty of a gene 1 / ``temperature`` of what they are.

    The best chain of genes stays, and its probability falls where ``temperature`` is over 1. What tables and hints add
    then weighs more beside the network.
    """
    for network in crf.networks:
        network.chain_scale -= log(temperature)
        for weight in (
            network.chain_head.weight,
            network.chain_head.bias,
            network.site_scale,
            network.site_bias,
            network.gene_penalty,
        ):
            weight /= temperature


def _check_shapes(crfs: Sequence[Crf], names: Sequence[object]) -> None:
    first = crfs[0].config
    for crf, name in zip(crfs, names, strict=True):
        for field, value in crf.config.one_network.items():
            if value != first.one_network[field]:
                raise InputError(f"{name}: {field} is {value}, in {names[0]} {first.one_network[field]}")


@torch.no_grad()
def score_codes(crf: Crf, codes: Tensor, precision: str = "fp32") -> CrfScores:
    """CRF scores of windows whose codes are [B, 2, W], on a CPU window by window.

    Convolutions of a batch are as fast there as one by one, but round otherwise in batches of other sizes. Sums over
    thousands of bases make that visible in scores, and an annotation shall not depend on the batch size. precision: of
    the networks (``training/precision.py``); the scores are float32 whatever they were computed in.
    """
    size = 1 if crf.device.type == "cpu" else len(codes)
    with network_precision(precision, crf.device):
        parts = [crf(part) for part in codes.split(size)]
    return CrfScores(*(torch.cat(column).float() for column in zip(*parts, strict=True)))


def window_codes(sites: Sequence[WindowSites]) -> Tensor:
    """Base codes of windows, padded to the longest; uint8 [B, 2, W]."""
    width = max(site.window_bp for site in sites)
    codes = np.full((len(sites), 2, width), PADDING, dtype=np.uint8)
    for row, site in enumerate(sites):
        codes[row, :, : site.window_bp] = site.strand_codes
    return torch.from_numpy(codes)
