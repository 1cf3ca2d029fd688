"""The shape of the CRF's network, and its named sizes. Nothing here needs PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from genet5.errors import InputError
from genet5.options import option, read_options

#: Named sizes: what each changes of the defaults.
SIZES: dict[str, dict[str, Any]] = {
    "demo": {},
    "small": {"stem_channels": 96, "codon_channels": 144, "stretch_channels": 192},
    "base": {"stem_channels": 192, "codon_channels": 288, "stretch_channels": 384},
    "recipe": {"stem_channels": 192, "codon_channels": 288, "stretch_channels": 384},
}


@dataclass(frozen=True)
class CrfShape:
    """Fields of the network that a user may set; the defaults are those of size demo."""

    stem_channels: int = option(64, "channels of the stem at the resolution of bases", minimum=1)
    codon_channels: int = option(96, "channels of the stem at the resolution of codons", minimum=1)
    stretch_channels: int = option(128, "channels of the stem at the resolution of 12 bases", minimum=1)
    score_channels: int = option(16, "channels of the scores of hexamers, summed per reading frame", minimum=1)
    site_channels: int = option(48, "channels of the branch that reads sites", minimum=1)
    stem_dilations: tuple[int, ...] = option(
        (1, 1), "dilations of the convolutions over bases, one each", minimum=1, nonempty=True
    )
    codon_dilations: tuple[int, ...] = option(
        (1, 2, 4, 8), "dilations of the convolutions over codons, one each", minimum=1, nonempty=True
    )
    stretch_dilations: tuple[int, ...] = option(
        (1, 2, 4, 8, 16, 32), "dilations of the convolutions over 12 bases, one each", minimum=1, nonempty=True
    )
    site_dilations: tuple[int, ...] = option(
        (1, 1, 1), "dilations of the convolutions of the branch that reads sites, one each", minimum=1, nonempty=True
    )
    stem_dropout: float = option(0.1, "dropout of the stem in training", minimum=0, below=1)


@dataclass(frozen=True)
class CrfConfig(CrfShape):
    """Everything that fixes the network. num_networks: whose potentials are averaged (``scripts/join_crfs.py``)."""

    num_networks: int = option(1, "number of networks whose potentials are averaged", minimum=1)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CrfConfig:
        """From JSON values; ``TypeError`` for fields it does not have."""
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @property
    def one_network(self) -> dict[str, Any]:
        """The fields that networks must share to be averaged."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "num_networks"}


def crf_config(size: str, overrides: Mapping[str, Any] | None = None) -> CrfConfig:
    """The shape of a named size, with single fields replaced.

    Raises ``InputError`` for an unknown size, and for fields that no network can have.
    """
    if size not in SIZES:
        raise InputError(f"config key crf.size: {size!r} is unknown, allowed: {', '.join(SIZES)}")
    return read_options(CrfConfig, {**SIZES[size], **(overrides or {})}, "config key crf.overrides")
