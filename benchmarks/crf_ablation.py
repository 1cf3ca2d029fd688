#!/usr/bin/env python
"""What each part of the CRF and of its training is worth: one run per part left out, all with the same bases.

Trained on *S. pombe* and *S. cerevisiae* as ``config/examples/fungi.yaml`` says, decoded by dynamic programming, scored
on the validation region of *S. pombe* (which nothing here is chosen on but what the table shows). Needs
``snakemake data/baked/fungi/validation.tar data/raw/S.pombe/fna data/raw/S.pombe/gff.gz --configfile
config/examples/fungi.yaml``. A stopped row goes on where it was; a finished one is not repeated. ``--rows`` picks some.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from experiment import LEVELS, REPOSITORY, annotate, call, f1_scores, train_crf

sys.path.insert(0, str(REPOSITORY / "scripts"))

from genet5.errors import InputError, run_command

REGION = "II:1-500000"
SPECIES = ("S.pombe", "S.cerevisiae")


class Row(NamedTuple):
    """A variant: flags of train_crf.py, fields of the network, species, windows of a batch (steps shrink to match).

    hidden: first as many windows again with hidden bases to fill in (``masked_pretraining.py``), of the training
    species or, if it names regions of *S. pombe*, of these. Hexamers are then not counted.
    """

    flags: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    species: tuple[str, ...] = SPECIES
    batch: int = 1
    hidden: str = ""


ROWS = {
    "everything": Row(),
    "no chains in the loss": Row(("--chain-weight=0",)),
    "no soft F1": Row(("--soft-f1-weight=0",)),
    "no base classes in the loss": Row(("--base-weight=0",)),
    "sites weigh 20, not 1": Row(("--site-weight=20",)),
    "no counted hexamers": Row(("--hexamer-windows=0",)),
    "no random crops and strands": Row(("--no-random-crops",)),
    "batches of four windows": Row(batch=4),
    "narrow view (no dilation beyond 2)": Row(overrides=("codon_dilations=1,2,2,2", "stretch_dilations=1,1,2,2,2,2")),
    "no dropout": Row(overrides=("stem_dropout=0",)),
    "S. pombe alone": Row(species=SPECIES[:1]),
    "hidden bases filled in first": Row(hidden="training"),
    "hidden bases of held-out DNA filled in first": Row(hidden=f"{REGION},III"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--steps", type=int, default=1500, help="windows of 12 kb that each row sees (%(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="(%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="rows at the same time (%(default)s)")
    parser.add_argument("--data", type=Path, default=REPOSITORY / "data", help="the workflow's data folder")
    arguments = parser.parse_args()
    for path in ("baked/fungi/validation.tar", "raw/S.pombe/fna"):
        if not (arguments.data / path).is_file():
            raise InputError(f"{arguments.data / path}: no such file; see --help for the command that makes it")
    print(f"| {arguments.steps} windows each | " + " | ".join(LEVELS) + " |\n|---|" + "---|" * len(LEVELS), flush=True)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for name, f1 in zip(
            arguments.rows, pool.map(lambda name: run_row(name, arguments), arguments.rows), strict=True
        ):
            print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in f1) + " |", flush=True)


def run_row(name: str, arguments: argparse.Namespace) -> list[float]:
    """Train, annotate, score; F1 at each of ``LEVELS``."""
    row, baked = ROWS[name], arguments.data / "baked" / "fungi"
    folder = arguments.data / "studies/crf_ablation" / f"{arguments.steps}_{arguments.seed}" / name.replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    manifests = [baked / species / "manifest.json" for species in row.species]
    seed = f"--seed={arguments.seed}"
    raw, start = arguments.data / "raw/S.pombe", None
    if row.hidden:
        unlabelled = [f"--genome={raw / 'fna'}", f"--regions={row.hidden}"]
        if row.hidden == "training":
            unlabelled = ["--manifests", *map(str, manifests)]
        start = folder / "filled"
        call(REPOSITORY / "benchmarks/masked_pretraining.py", "--size=demo", f"--output-dir={start}",
             f"--max-steps={arguments.steps}", "--lr=3e-3", "--epochs=1000", seed, *unlabelled)  # fmt: skip
    steps = arguments.steps // row.batch
    options = [f"--max-steps={steps}", f"--eval-steps={steps}", f"--max-batch-size={row.batch}", seed, *row.flags]
    options += ["--overrides", *row.overrides] if row.overrides else []
    train_crf(start, baked / "validation.tar", folder / "crf", manifests, *options)
    found = annotate(folder / "crf", raw / "fna", "fungi", REGION, folder / "annotation")
    return f1_scores({name: found}, raw, REGION)[name]


if __name__ == "__main__":
    run_command(main)
