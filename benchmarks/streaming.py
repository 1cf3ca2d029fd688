#!/usr/bin/env python
"""How fast training windows come: ours are streamed over HTTP from this machine, the peer reads the same shards here.

Read are windows of S.cerevisiae, which ``GENET5_DATA`` holds, baked with flanks of 1,000 bases. Both sides make batches
of the CRF, with random crops and all labels, as training does: the peer in random order by memory map, ours through
WebDataset with checksums and a shuffle of 1,024 windows. A row beside it counts the reading alone, without crops and
labels. Target: streamed batches come at least .8 times as fast.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from genet5.bake.manifest import shard_paths
from genet5.bake.shards import ShardSet
from genet5.bake.species import SpeciesSource, bake_species
from genet5.bake.streamed_shards import decode, stream_shard, streamed_shards
from genet5.bake.windows import WindowRules
from genet5.clades import read_clades
from genet5.crf.data import CrfData, StreamedCrfData
from genet5.errors import InputError, run_command
from genet5.genome.fasta import decompress_genome
from genet5.training.batches import BatchSource
from genet5.training.sampler import BatchPlan
from genet5.training.stream_plan import StreamPlan

REPOSITORY = Path(__file__).resolve().parent.parent
SPECIES, FLANK_BP, SHUFFLED, SEED, TARGET = "S.cerevisiae", 1000, 1024, 42, 0.8


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *arguments: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one chromosome's worth of windows, three repeats")
    parser.add_argument("--window-bp", type=int, default=15_000, help="bases of a window (%(default)s)")
    parser.add_argument("--rows", type=int, default=4, help="windows in a batch (%(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="processes that make batches (%(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="epochs of each side (%(default)s)")
    arguments = parser.parse_args()
    data = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared/data"))
    if not (data / SPECIES / "fna.gz").is_file():
        raise InputError(
            f"{data / SPECIES / 'fna.gz'}: no such file; GENET5_DATA must name the folder of reference data"
        )
    most = 300 if arguments.quick else None
    repeats = 3 if arguments.quick else arguments.repeats
    with tempfile.TemporaryDirectory() as folder:
        manifest = bake(data, arguments.window_bp, most, Path(folder))
        with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            sides = make_sides(manifest, f"http://127.0.0.1:{server.server_port}", arguments.rows, arguments.workers)
            ratios = [measure(name, *pair, repeats) for name, pair in sides.items()]
            server.shutdown()
    print(f"bar: streaming {ratios[-1]:.2f} x the windows per second of local shards target {TARGET}")
    sys.exit(ratios[-1] < TARGET)


def bake(data: Path, window_bp: int, max_windows: int | None, folder: Path) -> Path:
    """The manifest of the baked species, in shards of 500 windows."""
    decompress_genome(data / SPECIES / "fna.gz", folder / "fna")
    source = SpeciesSource(SPECIES, folder / "fna", data / SPECIES / "gff.gz", 1, "fungi", "train")
    rules = WindowRules(window_bp, window_bp // 2, flank_bp=FLANK_BP, max_windows=max_windows)
    return bake_species(source, rules, 500, folder / SPECIES)


def make_sides(
    manifest: Path, url: str, rows: int, workers: int
) -> dict[str, tuple[Callable[[int], int], Callable[[int], int]]]:
    """Of each row of the table, ours and the peer's: functions of the epoch that count the windows they read."""
    clades, shards = read_clades(), streamed_shards([manifest], url)
    streamed = StreamedCrfData(shards, clades)
    plan = StreamPlan([SPECIES] * len(shards), np.array([shard.samples for shard in shards]), rows, SHUFFLED, SEED)
    ours = streamed.source(plan, rows)
    local = ShardSet(shard_paths(manifest, "train"))
    data = CrfData(local, clades)
    peer = BatchSource(BatchPlan(data.lengths, rows * int(data.lengths.max()), rows, SEED), data.training_batch)

    def batches(source: object, epoch: int) -> int:
        made = source.epoch(epoch, 1)
        loaded = made.load(range(len(made)), SEED, workers)
        return sum(len(batch.lengths) for _, parts in loaded for batch in made.parts(parts))

    def streamed_samples(_epoch: int) -> int:
        return sum(1 for shard in shards for _ in map(decode, stream_shard(shard)))

    def local_samples(epoch: int) -> int:
        return sum(1 for _ in map(local.read, np.random.default_rng(epoch).permutation(len(local)).tolist()))

    return {
        "reading": (streamed_samples, local_samples),
        "CRF batches": (lambda epoch: batches(ours, epoch), lambda epoch: batches(peer, epoch)),
    }


def measure(name: str, ours: Callable[[int], int], peer: Callable[[int], int], repeats: int) -> float:
    """Print a row of windows per second, and return the ratio of the medians."""
    if name == "reading":
        print(f"{'windows per second':20}{'ours':>10}{'peer':>10}{'ratio':>8}{'target':>8}")
    rates: tuple[list[float], list[float]] = ([], [])
    for epoch in range(repeats + 1):
        for read, found in zip((ours, peer), rates, strict=True):
            started = time.perf_counter()
            count = read(epoch)
            found.append(count / (time.perf_counter() - started))
    medians = [statistics.median(found[1:]) for found in rates]  # the first epoch fills caches
    ratio = medians[0] / medians[1]
    target = f"{TARGET:8}" if name == "CRF batches" else ""
    print(f"{name:20}{medians[0]:10.0f}{medians[1]:10.0f}{ratio:8.2f}{target}", flush=True)
    return ratio


if __name__ == "__main__":
    run_command(main)
