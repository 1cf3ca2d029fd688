"""Annotate a genome: write GFF3, proteins, CDS, a summary with the time taken, and tracks for the report.

The GFF3 is read back and checked (ids, parents, phases, translations) before it gets its name. A gene that cannot be
right ends the run with an error. `genet5 annotate` does the same with a model that comes with GeneT5.

With --part, this is one of several jobs for one genome. It decodes its share and writes PREFIX.part_KofN.npz alone.
`genet5 join-annotation` then makes the files from all parts: the same bytes as one job writes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from genet5.adapt.adaptation import adaptation_line
from genet5.annotate.adapting import adaptation_wanted
from genet5.annotate.by_parts import annotate_part
from genet5.annotate.calibration_file import CALIBRATION_FILE, decoder_by_validation, load_calibration
from genet5.annotate.choosing_clade import choose_if_asked
from genet5.annotate.gathering import evidence_wanted
from genet5.annotate.models import load_annotator
from genet5.annotate.options import ANNOTATION_FLAGS, AnnotateOptions, code_from_text
from genet5.annotate.parts import part_from_text
from genet5.annotate.run import (
    annotate_genome,
    chosen_loci,
    chosen_regions,
    how_to_annotate,
    write_annotation,
    write_tracks,
)
from genet5.annotate.shipped import is_shipped, shipped_model
from genet5.clades import clade_named, read_clades
from genet5.command_line import argument_parser
from genet5.configuration import AUTO
from genet5.crf.folder import WEIGHTS_FILE
from genet5.device import add_device_argument, add_threads_argument, use_threads
from genet5.errors import InputError, run_command
from genet5.genome.fasta import Genome
from genet5.options import add_option_arguments, options_from_arguments
from genet5.training.precision import PRECISIONS


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument(
        "--model", type=Path, help="folder of a CRF or of a language model (default: the clade's shipped model)"
    )
    parser.add_argument("--calibration", type=Path, help=f"of its scores (default: {CALIBRATION_FILE} beside it)")
    parser.add_argument("--genome", type=Path, required=True, help="FASTA file, uncompressed (with or without .fai)")
    parser.add_argument("--genetic-code", help="NCBI translation table; auto: by the DNA (default: the clade's)")
    parser.add_argument(
        "--clade",
        required=True,
        help="clade of the organism: a file in resources/clades; auto: the one whose model makes most of the DNA",
    )
    parser.add_argument("--clade-folder", default="", help="folder with clades of your own")
    parser.add_argument("--regions", default="", help="contigs or contig:start-end, comma-separated (default: all)")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto", help="of the CRF; auto: bf16 where native")
    add_device_argument(parser)
    add_threads_argument(parser)
    parser.add_argument("--track-loci", type=int, default=6, help="loci whose CRF tracks are kept")
    parser.add_argument("--part", default="", help="K/N: decode part K of N alone (default: the whole genome)")
    parser.add_argument(
        "--output-prefix", type=Path, required=True, help="path before .gff3, .faa, .cds.fna, .json, .tracks.npz"
    )
    add_option_arguments(parser, AnnotateOptions, "annotation", ANNOTATION_FLAGS)
    arguments = parser.parse_args(argv)
    use_threads(arguments.threads)
    wanted = options_from_arguments(AnnotateOptions, arguments, ANNOTATION_FLAGS)
    part = part_from_text(arguments.part) if arguments.part else None
    clades = read_clades(arguments.clade_folder)
    if arguments.model and arguments.clade == AUTO:
        raise InputError(f"--model: a model of your own needs its --clade; {AUTO} chooses among those of GeneT5")
    if part and wanted.adapt:
        raise InputError("--part: jobs that share a genome share an adaptation; make it first, and give --adaptation")
    asked_code = code_from_text(arguments.genetic_code) if arguments.genetic_code else None
    with Genome(arguments.genome) as genome:
        regions = chosen_regions(genome, arguments.regions)
        choice = choose_if_asked(genome, regions, clades, arguments.clade, asked_code, bool(arguments.model))
        if choice:
            print("\n".join(choice.lines()), flush=True)
        clade = clade_named(clades, choice.clade if choice else arguments.clade)
        code = choice.genetic_code if choice else asked_code
        folder = arguments.model or shipped_model(clade, clades=clades).folder
        shipped = is_shipped(clade, folder)
        model = load_annotator(folder).on(arguments.device)
        calibration_file = arguments.calibration or (clade.model.calibration if shipped else folder / CALIBRATION_FILE)
        validated = decoder_by_validation(calibration_file, folder / WEIGHTS_FILE, clade, model.has_writer)
        how = how_to_annotate(clade, code, wanted, model, shipped, arguments.precision, validated)
        calibration = load_calibration(calibration_file, folder / WEIGHTS_FILE, how.decoder)
        rules = clade.gene_rules(how.genetic_code)
        evidence = evidence_wanted(genome, clade, how, wanted)
        adaptation = adaptation_wanted(model, clades, genome, regions, how, wanted, evidence)
        if part:
            tiles = annotate_part(
                arguments.output_prefix,
                part,
                model,
                folder,
                calibration,
                clades,
                genome,
                arguments.regions,
                arguments.track_loci,
                how,
                choice.summary() if choice else None,
                adaptation,
                evidence,
            )
            print(f"part {part}: {tiles} tiles decoded", flush=True)
            return
        loci = chosen_loci(regions, arguments.track_loci)
        found = annotate_genome(model, calibration, clades, genome, regions, how, adaptation, evidence)
        found = replace(found, fitted=adaptation if wanted.adapt else None)
        if choice:
            found.summary["chosen"] = choice.summary()
        write_annotation(arguments.output_prefix, found, genome)
        tracks = f"{arguments.output_prefix}.tracks.npz"
        write_tracks(tracks, model, rules, genome, loci, arguments.precision, evidence)
    summary = found.summary
    if adaptation is not None and adaptation.about:
        print(adaptation_line(adaptation.about), flush=True)
    if evidence is not None:
        print("\n".join(evidence.lines()), flush=True)
    print(f"{len(found.genes)} genes in {summary['bases'] / 1e6:.2f} Mb, {summary['wall_s']:.0f} s", flush=True)


if __name__ == "__main__":
    run_command(main)
