"""Annotate a genome with a model that comes with GeneT5: GFF3, proteins, coding sequences and a page to look at.

The FASTA file may be gzip-compressed. Nothing is written outside --output.
"""

from __future__ import annotations

from pathlib import Path

from genet5.annotate.options import ANNOTATION_FLAGS, AnnotateOptions, code_from_text
from genet5.clades import read_clades
from genet5.command_line import argument_parser
from genet5.configuration import AUTO, new_genome_name
from genet5.device import add_device_argument, add_threads_argument, check_memory_limit, use_threads
from genet5.errors import InputError, run_command
from genet5.options import add_option_arguments, options_from_arguments


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("genome", type=Path, help="FASTA file, plain or gzip")
    parser.add_argument(
        "--clade",
        default="",
        help="clade of the organism, such as fungi (needed); auto: a guess from the DNA, often wrong for animals",
    )
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder to write")
    parser.add_argument("--model", type=Path, help="folder of a model of your own (default: the clade's shipped one)")
    parser.add_argument(
        "--genetic-code",
        default=AUTO,
        help="NCBI translation table; auto: what stop codons of the DNA say, where that is clear, else the clade's",
    )
    parser.add_argument("--regions", default="", help="contigs or contig:start-end, comma-separated (default: all)")
    add_device_argument(parser)
    add_threads_argument(parser)
    parser.add_argument("--track-loci", type=int, default=6, help="loci drawn on the page")
    parser.add_argument("--clade-folder", default="", help="folder with clades of your own")
    add_option_arguments(parser, AnnotateOptions, "annotation", ANNOTATION_FLAGS)
    arguments = parser.parse_args(argv)

    check_memory_limit()
    # Here, so that --help and a wrong flag do not wait for torch.
    from genet5.adapt.adaptation import adaptation_line
    from genet5.annotate.api import Annotator, load
    from genet5.annotate.choosing_clade import choose_if_asked
    from genet5.annotate.run import chosen_loci, chosen_regions, write_annotation, write_tracks
    from genet5.genome.fasta import open_genome
    from genet5.report.annotation_page import write_annotation_page

    if not arguments.clade:
        known = ", ".join(name for name, clade in read_clades(arguments.clade_folder).items() if clade.model)
        raise InputError(f"--clade is missing; clades with a model: {known}; or {AUTO}, a guess from the DNA")
    if arguments.model and arguments.clade == AUTO:
        raise InputError(f"--model: a model of your own needs its --clade; {AUTO} chooses among those of GeneT5")
    asked_code = code_from_text(arguments.genetic_code)
    use_threads(arguments.threads)
    name = new_genome_name(str(arguments.genome), "the genome's file")

    def loaded(clade: str) -> Annotator:
        return load(arguments.model or clade, clade, arguments.clade_folder, arguments.device)

    annotator = None if arguments.clade == AUTO else loaded(arguments.clade)
    clades = read_clades(arguments.clade_folder)
    with open_genome(arguments.genome) as genome:
        regions = chosen_regions(genome, arguments.regions)
        loci = chosen_loci(regions, arguments.track_loci)
        choice = choose_if_asked(genome, regions, clades, arguments.clade, asked_code, bool(arguments.model))
        if choice:
            print("\n".join(choice.lines()), flush=True)
        if annotator is None or (choice and choice.clade != annotator.clade.name):
            annotator = loaded(choice.clade)
        found = annotator.annotate(
            genome,
            genetic_code=choice.genetic_code if choice else asked_code,
            regions=arguments.regions,
            options=options_from_arguments(AnnotateOptions, arguments, ANNOTATION_FLAGS),
        )
        if choice:
            found.summary["chosen"] = choice.summary()
        prefix = arguments.output / name
        write_annotation(prefix, found, genome)
        rules = annotator.clade.gene_rules(found.summary["options"]["genetic_code"])
        tracks = Path(f"{prefix}.tracks.npz")
        write_tracks(tracks, annotator.model, rules, genome, loci, evidence=found.evidence)
        write_annotation_page(
            Path(f"{prefix}.html"),
            title=name,
            genome_path=genome.path,
            genes=found.genes,
            lengths=genome.lengths,
            summary=found.summary,
            tracks=tracks,
            clade_folder=arguments.clade_folder,
        )
    summary = found.summary
    if "adaptation" in summary:
        print(adaptation_line(summary["adaptation"]))
    if found.evidence is not None:
        print("\n".join(found.evidence.lines()))
    print(f"{len(found.genes)} genes in {summary['bases'] / 1e6:.2f} Mb, {summary['wall_s']:.0f} s: {prefix}.gff3")


if __name__ == "__main__":
    run_command(main)
