"""Write the proteins of a published annotation: one per gene, its canonical transcript, of the held-out regions."""

from __future__ import annotations

from pathlib import Path

from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.evaluate.reference_genes import reference_genes
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.splits import complement, parse_regions
from genet5.genome.writing import write_proteins


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--reference", required=True, type=Path, help="GFF3, GTF or GenBank, plain or gzip")
    parser.add_argument("--genome", required=True, type=Path, help="FASTA, uncompressed (scripts/index_genome.py)")
    parser.add_argument("--genetic-code", required=True, type=int, help="NCBI translation table")
    parser.add_argument(
        "--regions", default="", help="genes of these alone, e.g. chrI,chrII:1-50000 (1-based, closed; default: all)"
    )
    parser.add_argument("--output", required=True, type=Path, help="protein FASTA to write")
    arguments = parser.parse_args(argv)
    code = GeneticCode.from_table(arguments.genetic_code)
    with Genome(arguments.genome) as genome:
        named = parse_regions(arguments.regions, genome.lengths, key="--regions")
        regions = named or complement((), genome.lengths)
        genes = reference_genes(read_annotation(arguments.reference, genome, code), regions)
        written = write_proteins(arguments.output, genes, genome, code)
    print(f"{arguments.output}: {written} proteins of {len(genes)} genes")


if __name__ == "__main__":
    run_command(main)
