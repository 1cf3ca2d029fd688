#!/usr/bin/env python
"""What each part of the reader and of its training is worth: one run per part left out, all with the same bases.

Trained on *S. pombe* and *S. cerevisiae* as ``config/fungi.yaml`` says, decoded by dynamic programming, scored on the
validation region of *S. pombe* (which nothing here is chosen on but what the table shows). Needs
``snakemake data/model/fungi/resized/model.safetensors data/baked/fungi/validation.tar data/raw/S.pombe/fna
data/raw/S.pombe/gff.gz --configfile config/fungi.yaml``. A stopped row goes on where it was; a finished one is not
repeated. ``--rows`` picks some.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))

from genet5.errors import InputError, run_command  # noqa: E402
from genet5.evaluate.comparison import Prediction, compare  # noqa: E402
from genet5.genome.fasta import Genome  # noqa: E402
from genet5.genome.genetic_code import GeneticCode  # noqa: E402
from genet5.genome.splits import parse_regions  # noqa: E402

REGION = "II:1-500000"
LEVELS = ("nucleotide", "exon", "intron", "end3", "gene")
SPECIES = ("S.pombe", "S.cerevisiae")


class Row(NamedTuple):
    """A variant: flags of reader.py, fields of the network, species, rows of a batch (steps shrink to match)."""

    flags: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    species: tuple[str, ...] = SPECIES
    rows: int = 1


ROWS = {
    "everything": Row(),
    "no chains in the loss": Row(("--chain-weight=0",)),
    "chains alone": Row(("--base-weight=0", "--site-weight=0", "--soft-f1-weight=0")),
    "no soft F1": Row(("--soft-f1-weight=0",)),
    "sites weigh 1, not 20": Row(("--site-weight=1",)),
    "no counted hexamers": Row(("--hexamer-windows=0",)),
    "batches of four windows": Row(rows=4),
    "narrow view (no dilation beyond 2)": Row(overrides=("codon_dilations=1,2,2,2", "stretch_dilations=1,1,2,2,2,2")),
    "no dropout": Row(overrides=("stem_dropout=0",)),
    "S. pombe alone": Row(species=SPECIES[:1]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--steps", type=int, default=1500, help="windows of 12 kb that each row sees (%(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="(%(default)s)")
    parser.add_argument("--data", type=Path, default=REPOSITORY / "data", help="the workflow's data folder")
    arguments = parser.parse_args()
    for path in ("model/fungi/resized/model.safetensors", "baked/fungi/validation.tar", "raw/S.pombe/fna"):
        if not (arguments.data / path).is_file():
            raise InputError(f"{arguments.data / path}: no such file; see --help for the command that makes it")
    print(f"| {arguments.steps} windows each | " + " | ".join(LEVELS) + " |\n|---|" + "---|" * len(LEVELS), flush=True)
    for name in arguments.rows:
        folder = arguments.data / "studies" / "reader_ablation" / f"{arguments.steps}_{arguments.seed}" / name
        f1 = run_row(ROWS[name], folder.with_name(name.replace(" ", "_")), arguments)
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in f1) + " |", flush=True)


def run_row(row: Row, folder: Path, arguments: argparse.Namespace) -> list[float]:
    """Train, annotate, score; F1 at each of ``LEVELS``."""
    baked, grammar = arguments.data / "baked" / "fungi", REPOSITORY / "resources/grammar.yaml"
    model = arguments.data / "model/fungi/resized"
    folder.mkdir(parents=True, exist_ok=True)
    if row.overrides:
        fresh = folder / "fresh"
        call("init_model.py", f"--size=demo --tokenizer={model} --init-from=scratch --seed={arguments.seed}".split(),
             ["--override", *row.overrides, f"--output-dir={fresh}"])  # fmt: skip
        call("resize_model.py", [f"--model={fresh}", f"--tokenizer={model}", f"--output-dir={folder / 'resized'}"])
        model = folder / "resized"
    trained = folder / "reader"
    manifests = [str(baked / name / "manifest.json") for name in row.species]
    steps = arguments.steps // row.rows
    options = [f"--max-steps={steps}", f"--eval-steps={steps}", f"--max-batch-size={row.rows}", "--epochs=4"]
    options += ["--betas", "0.9", "0.98", "--lr=3e-3", "--min-lr-ratio=0.02", "--max-grad-norm=5", "--log-every=50"]
    paths = [f"--model={model}", f"--validation={baked / 'validation.tar'}", f"--grammar={grammar}"]
    call("reader.py", [*paths, f"--output-dir={trained}", f"--seed={arguments.seed}", *options, *row.flags],
         ["--manifests", *manifests])  # fmt: skip
    genome, prefix = arguments.data / "raw/S.pombe/fna", folder / "annotation"
    call("annotate_genome.py", [f"--model={trained}", f"--genome={genome}", f"--grammar={grammar}"],
         f"--genetic-code=1 --clade=fungi --regions={REGION} --decoder=viterbi".split(),
         f"--window-bp=24000 --overlap-bp=8000 --output-prefix={prefix}".split())  # fmt: skip
    with Genome(genome) as opened:
        document = compare(
            "S.pombe", arguments.data / "raw/S.pombe/gff.gz", opened, GeneticCode.from_table(1),
            predictions=[Prediction("reader", prefix.with_suffix(".gff3"), None)], baselines=[],
            regions=list(parse_regions(REGION, opened.lengths)), bootstrap=0, seed=0,
        )  # fmt: skip
    (folder / "score.json").write_text(json.dumps(document))
    return [document["systems"]["reader"][level]["f1"] for level in LEVELS]


def call(script: str, *flags: list[str]) -> None:
    """Run a script of the workflow; what it prints goes to stderr."""
    command = [sys.executable, str(REPOSITORY / "scripts" / script), *(flag for part in flags for flag in part)]
    if subprocess.run(command, stdout=sys.stderr, env={**os.environ}, check=False).returncode:
        raise InputError(f"{script}: failed; its message stands above")


if __name__ == "__main__":
    run_command(main)
