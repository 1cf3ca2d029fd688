"""Extract sequences from an annotation and its genome: exons, introns, CDS, proteins and spliced transcripts.

The annotation may come from any program or database: GFF3 or GTF, plain or gzip. Only the files with the prefix are
written, all of them or none.
"""

from __future__ import annotations

from pathlib import Path

from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.genome.extraction import ENDINGS, extract_sequences
from genet5.genome.fasta import open_genome


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--annotation", type=Path, required=True, help="GFF3 or GTF file, plain or gzip")
    parser.add_argument("--genome", type=Path, required=True, help="FASTA file that it belongs to, plain or gzip")
    parser.add_argument("--output-prefix", type=Path, required=True, help=f"path before {', '.join(ENDINGS.values())}")
    parser.add_argument(
        "--what", nargs="+", choices=ENDINGS, help="kinds to write; the annotation must have them (default: all)"
    )
    parser.add_argument(
        "--genetic-code", type=int, default=1, help="NCBI translation table of CDS that name none (transl_table)"
    )
    parser.add_argument(
        "--skip-missing", action="store_true", help="leave out rows on sequences that the genome lacks (else an error)"
    )
    arguments = parser.parse_args(argv)
    with open_genome(arguments.genome) as genome:
        done = extract_sequences(
            arguments.annotation,
            genome,
            arguments.output_prefix,
            arguments.what or tuple(ENDINGS),
            genetic_code=arguments.genetic_code,
            needed=arguments.what is not None,
            skip_missing=arguments.skip_missing,
            genome_name=str(arguments.genome),
        )
    for note in done.notes:
        print(f"note: {note}")
    counts = ", ".join(f"{number:,} {kind}" for kind, number in done.counts.items())
    print(f"{counts}: {arguments.output_prefix}.*")


if __name__ == "__main__":
    run_command(main)
