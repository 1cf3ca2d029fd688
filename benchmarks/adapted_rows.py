"""Rows of benchmarks that print tables of their own, as rows of the one table of speed.

Such a script has a function that returns named or plain tuples (what, unit, ours, peer, ratio). Ratios are made again
here, so that over 1 always means that GeneT5 is the better one, of memory too.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from speed_rows import SpeedRow, SpeedSettings, cost_row, rate_row

#: Size of the simulated genomes: 1 is as large as the human one, which takes hours in all (the scripts' own --share).
SHARE, QUICK_SHARE = 0.2, 0.02
SPECIES = ("S.pombe", "C.elegans", "A.thaliana")
THREADS = 2
WINDOWS, QUICK_WINDOWS = 32, 8


def adapt_writer(module: ModuleType, settings: SpeedSettings) -> Iterator[SpeedRow]:
    """``writer_speed.py``: decoding, SFT and GRPO, with a base in place of a peer."""
    windows, rounds = (QUICK_WINDOWS, 1) if settings.quick else (WINDOWS, settings.rounds)
    for what, unit, ours, base, _ in module.measure(settings.base, windows, rounds):
        yield rate_row(what, unit, ours, base=base)


def adapt_reading(module: ModuleType, settings: SpeedSettings) -> Iterator[SpeedRow]:
    """``gff3_reading.py``."""
    share, rounds = _size(settings)
    return map(_with_peer, module.rows(share, SPECIES[:1] if settings.quick else SPECIES, rounds))


def adapt_score(module: ModuleType, settings: SpeedSettings) -> Iterator[SpeedRow]:
    """``score_speed.py``."""
    return map(_with_peer, module.rows(*_size(settings)))


def adapt_bake(module: ModuleType, settings: SpeedSettings) -> Iterator[SpeedRow]:
    """``bake_speed.py``."""
    share, rounds = _size(settings)
    return map(_with_peer, module.rows(share, THREADS, rounds))


def _size(settings: SpeedSettings) -> tuple[float, int]:
    return (QUICK_SHARE, 1) if settings.quick else (SHARE, settings.rounds)


def _with_peer(row: tuple) -> SpeedRow:
    """The peer's name is what follows the last comma. Units that are no rate are costs."""
    what, unit, ours, peer, _ = row
    name, comma, peer_name = what.rpartition(", ")
    made = rate_row if "/" in unit or " per " in unit else cost_row
    if peer is None or not comma:
        return made(what, unit, ours, peer)
    return made(name, unit, ours, peer, peer_name=peer_name)
