"""The sizes of the GPT as flags of a command."""

from __future__ import annotations

import argparse

from genet5.errors import InputError
from genet5.studies.dna_llm.alphabets import Alphabet
from genet5.studies.dna_llm.gpt import GptConfig

_HELP = {
    "layers": "transformer layers",
    "width": "numbers that describe a token",
    "heads": "attention heads",
    "context": "letters read at once",
    "dropout": "dropout of the core in pretraining",
}


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """``--layers``, ``--width``, ``--heads``, ``--context``, ``--network-dropout``."""
    group = parser.add_argument_group("network")
    for name, text in _HELP.items():
        default = getattr(GptConfig, name)
        flag = "--network-dropout" if name == "dropout" else f"--{name}"
        group.add_argument(flag, dest=f"network_{name}", type=type(default), default=default, metavar="X", help=text)


def network_from_arguments(arguments: argparse.Namespace, alphabet: Alphabet) -> GptConfig:
    """Raises ``InputError`` for sizes that make no network."""
    sizes = {name: getattr(arguments, f"network_{name}") for name in _HELP}
    for name in ("layers", "width", "heads", "context"):
        if sizes[name] < 1:
            raise InputError(f"--{name}: found {sizes[name]}, allowed: at least 1")
    if not 0 <= sizes["dropout"] < 1:
        raise InputError(f"--network-dropout: found {sizes['dropout']}, allowed: at least 0 and less than 1")
    return GptConfig(alphabet.name, **sizes, merges=alphabet.merges)
