"""The shape of the gene finder's network, and its named sizes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from genet5.errors import InputError

#: Named sizes; every field can be overridden (config key ``crf.overrides``).
SIZES: dict[str, dict[str, int]] = {
    "demo": {},
    "small": {"stem_channels": 96, "codon_channels": 144, "stretch_channels": 192},
    "base": {"stem_channels": 192, "codon_channels": 288, "stretch_channels": 384},
    "recipe": {"stem_channels": 192, "codon_channels": 288, "stretch_channels": 384},
}


@dataclass(frozen=True)
class CrfConfig:
    """Everything that fixes the network's shape.

    stem_channels, codon_channels, stretch_channels: width at the three resolutions: bases, codons, stretches of four
    codons; *_dilations: their convolutions. score_channels: hexamer scores summed per reading frame. site_channels:
    width of the site head's own branch. stem_dropout: while training. num_networks: whose potentials are averaged
    (``scripts/join_crfs.py``).
    """

    stem_channels: int = 64
    codon_channels: int = 96
    stretch_channels: int = 128
    score_channels: int = 16
    site_channels: int = 48
    stem_dilations: tuple[int, ...] = (1, 1)
    codon_dilations: tuple[int, ...] = (1, 2, 4, 8)
    stretch_dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    stem_dropout: float = 0.1
    num_networks: int = 1

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CrfConfig:
        """From JSON values; ``TypeError`` for fields it does not have."""
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @property
    def one_network(self) -> dict[str, Any]:
        """The fields that networks must share to be averaged."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "num_networks"}


def crf_config(size: str, overrides: dict[str, Any] | None = None) -> CrfConfig:
    """The configuration of a named size with single fields replaced.

    Raises ``InputError`` for an unknown size, and fields that no network can have.
    """
    if size not in SIZES:
        raise InputError(f"config key crf.size: {size!r} is unknown, allowed: {', '.join(SIZES)}")
    config = CrfConfig.from_dict({**SIZES[size], **(overrides or {})})
    check_shape(config, "config key crf.overrides.")
    return config


def check_shape(config: CrfConfig, where: str) -> None:
    """Raise ``InputError`` for a field that no network can have; the message begins with ``where`` and the field."""
    for name, value in asdict(config).items():
        if name == "stem_dropout":
            right, allowed = isinstance(value, (int, float)) and 0 <= value < 1, "a number from 0 to less than 1"
        elif name.endswith("_dilations"):
            right = isinstance(value, tuple) and len(value) > 0 and all(_is_count(entry) for entry in value)
            allowed = "a list of whole numbers of at least 1"
        else:
            right, allowed = _is_count(value), "a whole number of at least 1"
        if not right:
            shown = list(value) if isinstance(value, tuple) else value
            raise InputError(f"{where}{name}: {shown!r}, must be {allowed}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
