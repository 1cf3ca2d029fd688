"""Steps of CRF training per CPU second, ours and those of an older checkout. No peer trains a CRF of this kind.

Windows are of *P. falciparum* 1 and 2, with their genes, and both sides draw the same crops.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from annotation_speed import WHOLE, write_dna
from speed_rows import REPOSITORY, SpeedRow, SpeedSettings, Usage, alternate, measure_command, median_usage, rate_row

from genet5.bake.species import SpeciesSource, bake_species
from genet5.bake.windows import WindowRules

FLANK_BP, WINDOWS = 1000, 50
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
        windows = bake(size.window_bp, settings)
        sides = {"ours": lambda size=size, windows=windows: _side(REPOSITORY, size, windows, settings)}
        if settings.base:
            sides["base"] = lambda size=size, windows=windows: _side(settings.base, size, windows, settings)
        found = {side: median_usage(runs) for side, runs in alternate(sides, settings.rounds).items()}
        base = size.steps / found["base"].cpu_s if settings.base else None
        yield rate_row(
            f"CRF of size {size.network}, a window of {size.window_bp:,} bases", "steps per CPU s",
            size.steps / found["ours"].cpu_s, base=base, usage=found["ours"], note="fp32, one thread",
        )  # fmt: skip


def bake(window_bp: int, settings: SpeedSettings) -> Path:
    """The manifest of some windows. Raises InputError where the reference data are missing."""
    dna = WHOLE["P. falciparum 1, 2"]
    fasta = write_dna(dna, settings)
    source = SpeciesSource(dna.folder, fasta, settings.data / dna.folder / "gff.gz", 1, dna.clade, "train")
    rules = WindowRules(window_bp, window_bp // 2, flank_bp=FLANK_BP, max_windows=WINDOWS)
    return bake_species(source, rules, WINDOWS, settings.work / f"baked_{window_bp}")


def _side(checkout: Path, size: Size, windows: Path, settings: SpeedSettings) -> Usage:
    """The steps alone, without the start of the process; the peak of memory is that of the whole process."""
    shown = settings.work / "steps.json"
    whole = measure_command(
        [sys.executable, STEPS_SCRIPT, windows, "--library", checkout, "--size", size.network, "--rows", size.rows,
         "--steps", size.steps],
        output=shown,
    )  # fmt: skip
    return Usage(**json.loads(shown.read_text(encoding="utf-8")), peak_mb=whole.peak_mb)
