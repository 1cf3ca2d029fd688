#!/usr/bin/env python
"""How full batches of byte pairs are: ours are planned by measured tokens, the peer takes every base for a token.

Read are windows of genomes that ``GENET5_DATA`` holds, with the tokenizer of DNABERT-2. The tokens of a random crop are
known only when it is made. So batches are planned, then their crops are made, and their tokens are counted, padding
included. Crops over their plan are cut at a mile-post. Target: no batch is over the budget.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from genet5.bake.crops import random_crop
from genet5.bake.manifest import shard_paths
from genet5.bake.shards import ShardSet
from genet5.bake.species import SpeciesSource, bake_species
from genet5.bake.windows import WindowRules
from genet5.clades import read_clades
from genet5.errors import InputError, run_command
from genet5.genome.fasta import decompress_genome
from genet5.tokens.codec import encode_genes
from genet5.tokens.grammars import Grammars
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.training.sampler import BatchPlan
from genet5.writer.windows import WindowData

#: species -> genetic code, clade, format of its annotation
SETS = {
    "S.cerevisiae": (1, "fungi", "gff.gz"),
    "S.pombe": (1, "fungi", "gff.gz"),
    "E.coli": (11, "bacteria", "gff.gz"),
    "P.falciparum": (1, "protist", "gff.gz"),
    "A.thaliana": (1, "plant", "gff.gz"),
    "C.elegans": (1, "invertebrate", "gff.gz"),
    "H.sapiens": (1, "vertebrate", "gtf.gz"),
}
REPOSITORY = Path(__file__).resolve().parent.parent
SEGMENT_BP, FLANK_BP, MAX_ROWS, SEED = 96, 1000, 32, 42


class Filled(NamedTuple):
    """Batches of one species: median rows, tokens of the fullest one, crops over their plan, bases cut from them."""

    windows: int
    rows: float
    peer_rows: int
    fullest: int
    mean: float
    over: int
    cut_bp: int
    crops_bp: int
    crops: int
    plan_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one species, one epoch")
    parser.add_argument("--window-bp", type=int, default=15_000, help="bases of a window (%(default)s)")
    parser.add_argument("--token-budget", type=int, default=63_700, help="tokens of a batch at most (%(default)s)")
    parser.add_argument("--epochs", type=int, default=3, help="epochs that are made (%(default)s)")
    parser.add_argument("--repeat", type=int, default=1, help="read all windows so many times over (%(default)s)")
    arguments = parser.parse_args()
    data = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared/data"))
    base = data / "tokenizer/DNABERT-2/tokenizer.json"
    if not base.is_file():
        raise InputError(f"{base}: no such file; GENET5_DATA must name the folder of reference data (docs/data.md)")
    tokenizer = GeneTokenizer.build("bpe", base=base, segment_bp=SEGMENT_BP, max_window_bp=arguments.window_bp)
    grammars, budget = Grammars(tokenizer, read_clades()), arguments.token_budget
    names, epochs = (["S.cerevisiae"], 1) if arguments.quick else (list(SETS), arguments.epochs)
    print("windows in a batch, and tokens of a batch as a share of the budget")
    print(f"{'species':14}windows  ours  peer  ratio  target     mean  fullest  crops over  bases cut   plan")
    found = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            paths = bake(name, data, arguments.window_bp, folder)
            with ShardSet(paths * arguments.repeat) as shards:
                filled = fill(shards, grammars, budget, epochs)
        found.append(filled)
        print(
            f"{name:14}{filled.windows:7}{filled.rows:6.1f}{filled.peer_rows:6}{filled.rows / filled.peer_rows:7.1f}"
            f"{filled.mean / budget:17.3f}{filled.fullest / budget:9.3f}{filled.over / filled.crops:12.2%}"
            f"{filled.cut_bp / filled.crops_bp:11.4%}{filled.plan_s:5.1f}s",
            flush=True,
        )
    fullest = max(filled.fullest for filled in found) / budget
    print(f"bar: token_budget {fullest:.3f} share of the budget in the fullest batch target 1.0")
    sys.exit(fullest > 1)


def bake(name: str, data: Path, window_bp: int, folder: str) -> list[Path]:
    """Shards of the windows of a genome."""
    code, clade, annotation = SETS[name]
    decompress_genome(data / name / "fna.gz", Path(folder) / "fna")
    source = SpeciesSource(name, Path(folder) / "fna", data / name / annotation, code, clade, "train")
    rules = WindowRules(window_bp, window_bp // 2, flank_bp=FLANK_BP)
    return shard_paths(bake_species(source, rules, 5000, Path(folder) / "baked"), "train")


def fill(shards: ShardSet, grammars: Grammars, budget: int, epochs: int) -> Filled:
    """Plan batches, make their crops, and count."""
    started = time.perf_counter()
    data = WindowData(shards, grammars)
    plan = BatchPlan(data.lengths, budget, MAX_ROWS, SEED, long_alone=True)
    plan_s = time.perf_counter() - started
    rows, padded, over, cut_bp = [], [], 0, 0
    for epoch in range(epochs):
        for position, indices in enumerate(plan.batches(epoch)):
            prompts, sequences = read_batch(data, indices, [SEED, epoch, position])
            above = int((prompts > data.prompt_tokens[indices]).sum())
            if above:  # the same crops as they reach the network
                batch = data.training_batch(indices, epoch, np.random.default_rng([SEED, epoch, position]))
                prompts, sequences = batch.prompts.prompt_lengths.numpy(), batch.sequences.lengths.numpy()
                cut_bp += int(data.core_bp[indices].sum() - batch.prompts.lengths.sum())
            rows.append(len(indices))
            padded.append(len(indices) * int(prompts.max() + sequences.max()))
            over += above
    by_bases = data.core_bp.max() * (1 + 1 / SEGMENT_BP)
    return Filled(
        len(shards), float(np.median(rows)), int(budget // by_bases), max(padded), float(np.mean(padded)), over,
        cut_bp, epochs * int(data.core_bp.sum()), sum(rows), plan_s,
    )  # fmt: skip


def read_batch(data: WindowData, indices: np.ndarray, seed: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of the prompts and of the structure sequences of a batch's crops, none of them cut."""
    rng = np.random.default_rng(seed)
    crops = [random_crop(data.shards.read(int(index)), rng) for index in indices]
    tokenizer = data.grammars.tokenizer
    sequences = [len(encode_genes(window.genes, len(window.bases), tokenizer)) for window in crops]
    return np.array([data.counts.bases(window.bases) for window in crops]), np.array(sequences)


if __name__ == "__main__":
    run_command(main)
