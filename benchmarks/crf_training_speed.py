#!/usr/bin/env python
"""Steps of CRF training per CPU second, ours and those of an older checkout.

A step is what the training loop does with one batch: losses, gradients, clipping, one update of AdamW. Windows are
random DNA, since the sums over chains take as long whatever the labels say. No peer trains a CRF of this kind.

Started by itself, the script takes steps with the library of ``--library`` and prints one JSON object; ``run.py`` calls
``speed_rows``, which starts it so for each side.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from speed_rows import REPOSITORY, SpeedRow, SpeedSettings, Usage, alternate, measure_command, median_usage, rate_row


class Size(NamedTuple):
    """network: size of the CRF. window_bp, rows: of a batch. steps: that are measured, after one that is not."""

    network: str
    window_bp: int
    rows: int
    steps: int


SIZES = {"demo": Size("demo", 6000, 1, 20), "base": Size("base", 15_000, 1, 5)}
QUICK = {"demo": Size("demo", 6000, 1, 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, default=REPOSITORY, help="checkout (default: this one)")
    parser.add_argument("--size", choices=SIZES, default="demo", help="of the network (default: %(default)s)")
    parser.add_argument("--window-bp", type=int, default=6000, help="bases of a window (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=1, help="windows of a step (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=4, help="measured steps (default: %(default)s)")
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.library / "scripts"))
    size = Size(arguments.size, arguments.window_bp, arguments.rows, arguments.steps)
    json.dump(take_steps(size)._asdict(), sys.stdout)


def take_steps(size: Size) -> Usage:
    """Seconds of all measured steps, with the library that is first on the path."""
    import torch

    from genet5.crf.config import crf_config
    from genet5.crf.model import make_crf
    from genet5.crf.options import CrfOptions
    from genet5.crf.training import CrfTraining
    from genet5.plan.measuring import crf_batch, random_windows
    from genet5.training.optimizer import build_optimizer

    torch.set_num_threads(1)
    options = CrfOptions(size=size.network)
    model = CrfTraining(make_crf(crf_config(size.network), 0), options).train()
    optimizer = build_optimizer(model, options)
    batch = crf_batch(random_windows(size.rows, size.window_bp))

    def step() -> None:
        optimizer.zero_grad()
        losses = model.training_losses(batch)
        (losses["sum"] / losses["weight"]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), options.max_grad_norm)
        optimizer.step()

    step()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(size.steps):
        step()
    return Usage(time.perf_counter() - wall, time.process_time() - cpu)


def speed_rows(settings: SpeedSettings) -> Iterator[SpeedRow]:
    """A row for each size of the network."""
    for name, size in (QUICK if settings.quick else SIZES).items():
        sides = {"ours": lambda size=size: _side(REPOSITORY, size, settings)}
        if settings.base:
            sides["base"] = lambda size=size: _side(settings.base, size, settings)
        found = {side: median_usage(runs) for side, runs in alternate(sides, settings.rounds).items()}
        base = size.steps / found["base"].cpu_s if settings.base else None
        yield rate_row(
            f"CRF {name}, {size.rows} window(s) of {size.window_bp:,} bases", "steps per CPU s",
            size.steps / found["ours"].cpu_s, base=base, usage=found["ours"], note="fp32, one thread",
        )  # fmt: skip


def _side(checkout: Path, size: Size, settings: SpeedSettings) -> Usage:
    """The steps alone, without the start of the process; its peak of memory is that of the whole process."""
    shown = settings.work / "steps.json"
    whole = measure_command(
        [sys.executable, __file__, "--library", checkout, "--size", size.network, "--window-bp", size.window_bp,
         "--rows", size.rows, "--steps", size.steps],
        environment={"PYTHONPATH": str(checkout / "scripts")}, output=shown,
    )  # fmt: skip
    taken = Usage(**json.loads(shown.read_text(encoding="utf-8")))
    return taken._replace(peak_mb=whole.peak_mb)


if __name__ == "__main__":
    main()
