"""Annotate a genome: write GFF3, proteins, CDS, a summary with the time taken, and tracks for the report.

The GFF3 is read back and checked (ids, parents, phases, translations) before it gets its name. A gene that cannot be
right ends the run with an error. `genet5 annotate` does the same with a model that comes with GeneT5.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from genet5.annotate.calibration_file import CALIBRATION_FILE, load_calibration
from genet5.annotate.decoders import DECODERS
from genet5.annotate.models import best_device, load_annotator
from genet5.annotate.run import How, annotate_genome, chosen_loci, chosen_regions, write_annotation, write_tracks
from genet5.clades import clade_named, read_clades
from genet5.crf.folder import WEIGHTS_FILE
from genet5.errors import run_command
from genet5.genome.fasta import Genome
from genet5.training.precision import PRECISIONS


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of a CRF or of a language model")
    parser.add_argument("--calibration", type=Path, help=f"of its scores (default: {CALIBRATION_FILE} there)")
    parser.add_argument("--genome", type=Path, required=True, help="FASTA file, uncompressed (with or without .fai)")
    parser.add_argument("--genetic-code", type=int, required=True, help="NCBI translation table")
    parser.add_argument("--clade", required=True, help="clade of the organism: a file in resources/clades")
    parser.add_argument("--clade-folder", default="", help="folder with clades of your own")
    parser.add_argument("--regions", default="", help="contigs or contig:start-end, comma-separated (default: all)")
    parser.add_argument(
        "--decoder", choices=DECODERS, default="viterbi", help="viterbi: the CRF alone; lm: language model; joint: both"
    )
    parser.add_argument("--window-bp", type=int, required=True, help="length of a tile")
    parser.add_argument("--overlap-bp", type=int, required=True, help="bases that neighbouring tiles share")
    parser.add_argument("--batch-size", type=int, default=8, help="tiles decoded together (%(default)s)")
    parser.add_argument(
        "--beam-width", type=int, default=1, help="structure sequences kept at a time, 1: greedy (%(default)s)"
    )
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="auto", help="of the CRF; auto: bf16 where native (%(default)s)"
    )
    parser.add_argument(
        "--min-confidence", type=float, default=0.0, help="leave out genes of a lower calibrated score (%(default)s)"
    )
    parser.add_argument("--track-loci", type=int, default=6, help="loci whose CRF tracks are kept (%(default)s)")
    parser.add_argument(
        "--output-prefix", type=Path, required=True, help="path before .gff3, .faa, .cds.fna, .json, .tracks.npz"
    )
    arguments = parser.parse_args(argv)
    clades = read_clades(arguments.clade_folder)
    rules = clade_named(clades, arguments.clade).gene_rules(arguments.genetic_code)
    model = load_annotator(arguments.model).to(best_device())
    place = arguments.calibration or arguments.model / CALIBRATION_FILE
    calibration = load_calibration(place, arguments.model / WEIGHTS_FILE, arguments.decoder)
    how = How(
        arguments.clade,
        arguments.genetic_code,
        arguments.decoder,
        arguments.window_bp,
        arguments.overlap_bp,
        arguments.batch_size,
        arguments.beam_width,
        arguments.precision,
        arguments.min_confidence,
    )
    with Genome(arguments.genome) as genome:
        regions = chosen_regions(genome, arguments.regions)
        loci = chosen_loci(regions, arguments.track_loci)
        found = annotate_genome(model, calibration, clades, genome, regions, how)
        write_annotation(arguments.output_prefix, found, genome)
        write_tracks(f"{arguments.output_prefix}.tracks.npz", model, rules, genome, loci)
    summary = found.summary
    print(f"{len(found.genes)} genes in {summary['bases'] / 1e6:.2f} Mb, {summary['wall_s']:.0f} s", flush=True)


if __name__ == "__main__":
    run_command(main)
