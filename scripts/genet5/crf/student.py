"""One network to take the place of a trained CRF: its first weights, and which of them still have to learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from genet5.crf.config import CrfConfig, CrfShape
from genet5.crf.model import Crf, make_crf
from genet5.crf.network import CrfNetwork
from genet5.options import read_options

_SITE_BRANCH = "site_"  # how names of weights begin that only potentials of sites depend on


def student_config(teacher: CrfConfig, overrides: Mapping[str, Any]) -> CrfConfig:
    """The shape of the teacher's networks, as one network, with single fields replaced. Raises ``InputError``."""
    shape = read_options(CrfShape, {**teacher.one_network, **overrides}, "--overrides")
    return CrfConfig(**asdict(shape))


@torch.no_grad()
def make_student(teacher: Crf, config: CrfConfig, seed: int) -> Crf:
    """One network of the shape ``config`` that begins with the weights of the teacher's first network.

    Weights of another shape than the teacher's are fresh and depend on ``seed``. A narrower branch of sites keeps the
    channels that the head of the sites weighs most. The penalty of a gene is the teacher's, and stays.
    """
    student = make_crf(config, seed).eval()
    network, first = student.networks[0], teacher.networks[0]
    stored = first.state_dict()
    if config.stem_channels == teacher.config.stem_channels and config.site_channels < teacher.config.site_channels:
        stored |= _narrower_sites(first, config.site_channels)
    own = network.state_dict()
    own |= {name: stored[name] for name in own if name in stored and stored[name].shape == own[name].shape}
    network.load_state_dict(own)
    network.gene_penalty.copy_(teacher.gene_penalty)
    network.gene_penalty.requires_grad_(False)
    if bases_agree(teacher, config):
        for name, weight in network.named_parameters():
            weight.requires_grad_(name.startswith(_SITE_BRANCH))
    return student


def bases_agree(teacher: Crf, config: CrfConfig) -> bool:
    """Whether a student of this shape begins with the teacher's potentials of bases, so that only sites are learned."""
    fields = set(config.one_network) - {"site_channels", "site_dilations", "stem_dropout"}
    same = all(getattr(config, name) == getattr(teacher.config, name) for name in fields)
    return same and teacher.config.num_networks == 1


def _narrower_sites(network: CrfNetwork, channels: int) -> dict[str, Tensor]:
    """Weights of the branch of sites with so many of its channels: those with the largest weights in the site head."""
    head = network.site_head[0].weight
    near = network.site_norm.weight.numel()
    around = head.unflatten(1, (2, -1))  # before and behind a boundary
    of_stem = around.shape[2] - near
    weighed = (around[:, :, of_stem:] * network.site_norm.weight).square().sum((0, 1))
    kept = weighed.argsort(descending=True, stable=True)[:channels].sort().values
    columns = torch.cat([torch.arange(of_stem), of_stem + kept])
    found = {
        "site_embedding.weight": network.site_embedding.weight[:, kept],
        "site_norm.weight": network.site_norm.weight[kept],
        "site_head.0.weight": around[:, :, columns].flatten(1),
    }
    for number, layer in enumerate(network.site_convolutions):
        found[f"site_convolutions.{number}.conv.weight"] = layer.conv.weight[kept][:, kept]
        found[f"site_convolutions.{number}.conv.bias"] = layer.conv.bias[kept]
    return found
