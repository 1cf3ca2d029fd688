"""Steps of CRF training per CPU second, ours and those of an older checkout. No peer trains a CRF of this kind."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from speed_rows import REPOSITORY, SpeedRow, SpeedSettings, Usage, alternate, measure_command, median_usage, rate_row

STEPS_SCRIPT = REPOSITORY / "benchmarks/crf_training_steps.py"


class Size(NamedTuple):
    """network: size of the CRF. window_bp, rows: of a batch. steps: that are measured, after one that is not."""

    network: str
    window_bp: int
    rows: int
    steps: int


SIZES = (Size("demo", 6000, 1, 20), Size("base", 15_000, 1, 5))
QUICK = (Size("demo", 6000, 1, 4),)


def speed_rows(settings: SpeedSettings) -> Iterator[SpeedRow]:
    """A row for each size of the network."""
    for size in QUICK if settings.quick else SIZES:
        sides = {"ours": lambda size=size: _side(REPOSITORY, size, settings)}
        if settings.base:
            sides["base"] = lambda size=size: _side(settings.base, size, settings)
        found = {side: median_usage(runs) for side, runs in alternate(sides, settings.rounds).items()}
        base = size.steps / found["base"].cpu_s if settings.base else None
        yield rate_row(
            f"CRF of size {size.network}, a window of {size.window_bp:,} bases", "steps per CPU s",
            size.steps / found["ours"].cpu_s, base=base, usage=found["ours"], note="fp32, one thread",
        )  # fmt: skip


def _side(checkout: Path, size: Size, settings: SpeedSettings) -> Usage:
    """The steps alone, without the start of the process; the peak of memory is that of the whole process."""
    shown = settings.work / "steps.json"
    whole = measure_command(
        [sys.executable, STEPS_SCRIPT, "--library", checkout, "--size", size.network, "--window-bp", size.window_bp,
         "--rows", size.rows, "--steps", size.steps],
        output=shown,
    )  # fmt: skip
    return Usage(**json.loads(shown.read_text(encoding="utf-8")), peak_mb=whole.peak_mb)
