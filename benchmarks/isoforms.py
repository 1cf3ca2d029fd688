#!/usr/bin/env python
"""Further transcripts of a gene (``genet5 annotate --isoforms``): what they win and lose at the level of transcripts.

Held-out DNA is annotated with the shipped model of its clade, once with one transcript of a gene, then with further
ones from several posteriors on. A transcript is right when its coding chain is that of a reference transcript, base
for base. A gene is right when one of its transcripts is.

    python benchmarks/isoforms.py
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "benchmarks")]

from any_genome import Scored, prepare  # noqa: E402
from any_genome_sets import TARGETS, targets_of  # noqa: E402
from any_genome_tools import run_ours  # noqa: E402

from genet5.errors import run_command  # noqa: E402
from genet5.evaluate.predictions import read_predictions  # noqa: E402
from genet5.evaluate.scores import score_annotation  # noqa: E402
from genet5.genome.genetic_code import GeneticCode  # noqa: E402

SETS = ("D.melanogaster.2L.contigs", "A.thaliana.Chr4.Chr5", "C.elegans.IV.V")
LEVELS = ("exon", "transcript", "gene")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=TARGETS, metavar="SET",
                        help=f"of any_genome_sets.py (default: {' '.join(SETS)})")  # fmt: skip
    parser.add_argument("--most", type=int, default=3, help="transcripts of a gene (%(default)s)")
    parser.add_argument("--posteriors", type=float, nargs="+", default=[0.3, 0.2, 0.1],
                        help="least ones of a further transcript (default: 0.3 0.2 0.1)")  # fmt: skip
    parser.add_argument("--cache", type=Path, default=REPOSITORY / "data/studies/any_genome", help="(%(default)s)")
    arguments = parser.parse_args()
    data = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data"))
    variants = [
        [],
        *([f"--isoforms={arguments.most}", f"--isoform-posterior={least}"] for least in arguments.posteriors),
    ]
    head = "| set | flags | transcripts of genes | precision, recall of transcripts |"
    print(f"{head} {' | '.join(f'{level} F1' for level in LEVELS)} |\n|{'---|' * (4 + len(LEVELS))}", flush=True)
    for name, target in targets_of(arguments.sets).items():
        scored = prepare(name, target, data, arguments.cache, target.limit_bp)
        with scored.genome:
            for flags in variants:
                print(row(scored, flags, arguments.cache), flush=True)


def row(scored: Scored, flags: list[str], cache: Path) -> str:
    target = scored.target
    made = run_ours(target.clade, None, scored.fasta, target.code, flags, cache)
    genes, _ = read_predictions(made.gff3, scored.genome, GeneticCode.from_table(target.code))
    report = score_annotation(scored.annotation, genes, scored.genome.lengths, regions=scored.regions)
    counts, level = report["predicted"], report["transcript"]
    found = f"{counts['transcripts']} of {counts['genes']}"
    right = f"{level['precision']:.3f}, {level['recall']:.3f}"
    scores = [f"{report[name]['f1']:.3f}" for name in LEVELS]
    cells = [scored.name, f"`{' '.join(flags)}`" if flags else "", found, right, *scores]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    run_command(main)
