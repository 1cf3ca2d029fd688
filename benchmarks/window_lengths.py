"""How many genes are longer than a training window: the reason for the window lengths of the clades.

Reads the annotations of the reference data (GENET5_DATA). Only contigs of at least 100 kb count, so that loci that were
cut around one gene do not make genes look short. The span of a gene is that of its coding segments and their introns.

    python benchmarks/window_lengths.py
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from experiment import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))

from genet5.errors import InputError, run_command
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome, decompress_genome
from genet5.genome.genetic_code import GeneticCode

SETS = {
    "E.coli": 11, "S.pombe": 1, "S.cryophilus": 1, "P.falciparum.chr3-12": 1, "A.thaliana": 1, "C.elegans.chrII": 1,
    "D.melanogaster.chr4": 1, "H.sapiens.chr1": 1,
}  # fmt: skip
LENGTHS_KB = (10, 15, 30, 45)
LEAST_CONTIG_BP = 100_000


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), help="default: all")
    arguments = parser.parse_args(argv)
    data = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data"))
    if not data.is_dir():
        raise InputError(f"{data}: no such folder; GENET5_DATA names the folder of the reference data (docs/data.md)")
    print(f"| set | genes | {' | '.join(f'longer than {kb} kb' for kb in LENGTHS_KB)} |")
    print("|---|---|" + "---|" * len(LENGTHS_KB))
    for name in arguments.sets:
        spans = gene_spans(data / name, SETS[name])
        shares = [sum(span > 1000 * kb for span in spans) / len(spans) for kb in LENGTHS_KB]
        print(f"| {name} | {len(spans):,} | {' | '.join(f'{share:.1%}' for share in shares)} |", flush=True)


def gene_spans(folder: Path, code: int) -> list[int]:
    """Bases from the first to the last coding base of the canonical transcripts."""
    with tempfile.TemporaryDirectory() as scratch:
        unpacked = Path(scratch) / "fna"
        decompress_genome(folder / "fna.gz", unpacked)
        with Genome(unpacked) as genome:
            genes = read_annotation(folder / "gff.gz", genome, GeneticCode.from_table(code)).genes
            long_enough = {seqid for seqid, length in genome.lengths.items() if length >= LEAST_CONTIG_BP}
    return [gene.canonical.end - gene.canonical.start for gene in genes if gene.seqid in long_enough]


if __name__ == "__main__":
    run_command(main)
