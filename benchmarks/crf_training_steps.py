#!/usr/bin/env python
"""Take steps of CRF training with the library of a checkout, and print the seconds of all of them as JSON.

A step is what the training loop does: a batch of random crops with their labels, losses, gradients, clipping, one
update of AdamW. ``crf_training_speed.py`` bakes the windows and starts this for each side. It imports nothing else of
this folder, so that the library is the one of the checkout.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, help="of baked windows")
    parser.add_argument("--library", type=Path, default=REPOSITORY, help="checkout (default: this one)")
    parser.add_argument("--size", default="demo", help="of the network, as crf.size (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=1, help="windows of a step (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=4, help="measured steps, after one that is not (%(default)s)")
    arguments = parser.parse_args()
    library = (arguments.library / "scripts").resolve()
    sys.path.insert(0, str(library))
    import genet5

    if library not in Path(genet5.__file__).resolve().parents:
        sys.exit(f"error: genet5 was found in {genet5.__file__}, not in {library}")
    json.dump(take_steps(arguments.manifest, arguments.size, arguments.rows, arguments.steps), sys.stdout)


def take_steps(manifest: Path, size: str, rows: int, steps: int) -> dict[str, float]:
    """Seconds on the clock and of the processor, start-up and the first step left out. One thread."""
    import numpy as np
    import torch

    from genet5.bake.manifest import shard_paths
    from genet5.bake.shards import ShardSet
    from genet5.clades import read_clades
    from genet5.crf.config import crf_config
    from genet5.crf.data import CrfData
    from genet5.crf.model import make_crf
    from genet5.crf.options import CrfOptions
    from genet5.crf.training import CrfTraining
    from genet5.training.optimizer import build_optimizer

    torch.set_num_threads(1)
    options = CrfOptions(size=size)
    model = CrfTraining(make_crf(crf_config(size), 0), options).train()
    optimizer = build_optimizer(model, options)
    data = CrfData(ShardSet(shard_paths(manifest, "train")), read_clades())
    rng = np.random.default_rng(0)

    def step() -> None:
        optimizer.zero_grad()
        losses = model.training_losses(data.training_batch(rng.choice(len(data.lengths), rows), 0, rng))
        (losses["sum"] / losses["weight"]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), options.max_grad_norm)
        optimizer.step()

    step()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(steps):
        step()
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


if __name__ == "__main__":
    main()
