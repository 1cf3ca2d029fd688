"""The shape of the network as flags of a command."""

from __future__ import annotations

import argparse
import dataclasses

from genet5.studies.vq_transformer.network import VqConfig
from genet5.studies.vq_transformer.points import Point, point_named

_HELP = {
    "encoding": "k-mers that are read: base_1k to base_5k",
    "overlapping": "a k-mer at every base, not every k-th",
    "block_size": "bases read at once",
    "width": "numbers that describe a token",
    "layers": "transformer layers of the encoder, and of the decoder",
    "heads": "attention heads",
    "feed_forward": "inner width of a layer",
    "code_width": "numbers that describe a code",
    "dropout": "share of numbers dropped in training",
    "beta": "weight of the commitment loss",
    "decay": "what moving averages of the codebook keep over a batch of a vector for 2 codes; 0: trained by gradient",
    "restart_below": "codes used less than this share of the mean move to where they are needed; 0: never",
    "mse_weight": "weight of the squared error of the probabilities",
}


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """``--point`` and a flag for each other field of ``VqConfig``."""
    group = parser.add_argument_group("network")
    group.add_argument("--point", default=Point(4, 256).name, help="BASESxCODES or BASESxCODESxCODEBOOKS: bases a code")
    for name, text in _HELP.items():
        default = getattr(VqConfig, name)
        keywords = {"dest": f"network_{name}", "default": default, "help": text}
        if isinstance(default, bool):
            keywords["action"] = argparse.BooleanOptionalAction
        else:
            keywords |= {"type": type(default), "metavar": "X"}
        group.add_argument(f"--{name.replace('_', '-')}", **keywords)


def network_from_arguments(arguments: argparse.Namespace) -> VqConfig:
    """Raises ``InputError`` for a shape that makes no network."""
    point = point_named(arguments.point)
    fields = {name: getattr(arguments, f"network_{name}") for name in _HELP}
    return dataclasses.replace(VqConfig(), **point._asdict(), **fields)
