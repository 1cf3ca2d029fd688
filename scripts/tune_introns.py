"""Set how readily the CRF opens introns, by exon F1 on validation DNA.

Training makes donors worth what makes training DNA most probable. The best single annotation may want more of them. Of
joined CRFs, whose potentials are averaged, it does: one of them that misses an intron pulls the mean down. Each bias is
added to the potentials of all donors, and the validation DNA is annotated with each. The CRF is written with the best
(of equals, the smallest).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from genet5.annotate.decoders import DecodingOptions, make_decoder
from genet5.annotate.genomes import Tiling, annotate_regions
from genet5.annotate.models import Model
from genet5.clades import clade_named, read_clades
from genet5.command_line import argument_parser
from genet5.crf.folder import load_crf, save_crf
from genet5.device import add_device_argument, chosen_device
from genet5.errors import InputError, run_command
from genet5.evaluate.comparison import Prediction, compare
from genet5.genome.fasta import Genome
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.sites import DONOR_SITE
from genet5.genome.splits import parse_regions
from genet5.genome.writing import write_gff3

BIASES = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of a CRF")
    parser.add_argument("--clade-folder", default="", help="folder with clades of your own")
    parser.add_argument("--genome", type=Path, required=True, help="FASTA file, uncompressed")
    parser.add_argument("--annotation", type=Path, required=True, help="its reference")
    parser.add_argument("--regions", required=True, help="validation DNA: contigs or contig:start-end, comma-separated")
    parser.add_argument("--genetic-code", type=int, required=True, help="NCBI translation table")
    parser.add_argument("--clade", required=True, help="clade of the organism")
    parser.add_argument("--window-bp", type=int, required=True, help="length of a tile")
    parser.add_argument("--overlap-bp", type=int, required=True, help="bases that neighbouring tiles share")
    parser.add_argument("--biases", type=float, nargs="+", default=BIASES, help="tried, in nats")
    add_device_argument(parser)
    parser.add_argument("--output-dir", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args(argv)
    crf = load_crf(arguments.model).to(chosen_device(arguments.device))
    clades = read_clades(arguments.clade_folder)
    rules = clade_named(clades, arguments.clade).gene_rules(arguments.genetic_code)
    if not rules.splice_pairs:
        raise InputError(f"--clade: {arguments.clade} has no introns")
    code = GeneticCode.from_table(arguments.genetic_code)
    tiling = Tiling(arguments.window_bp, arguments.overlap_bp)
    trained = [network.site_bias[DONOR_SITE].item() for network in crf.networks]

    def set_bias(bias: float) -> None:
        with torch.no_grad():
            for network, value in zip(crf.networks, trained, strict=True):
                network.site_bias[DONOR_SITE] = value + bias

    def exon_f1(bias: float, genome: Genome, folder: str) -> float:
        set_bias(bias)
        decoder = make_decoder("viterbi", Model(crf), clades, arguments.clade, code.table, DecodingOptions())
        regions = list(parse_regions(arguments.regions, genome.lengths))
        found = annotate_regions(decoder, rules, genome, regions, code, tiling)
        path = Path(folder) / "found.gff3"
        write_gff3(path, found.genes, genome.lengths)
        document = compare(
            "validation", arguments.annotation, genome, code, predictions=[Prediction("found", path, None)],
            baselines=[], regions=regions, bootstrap=0, seed=0,
        )  # fmt: skip
        f1 = document["systems"]["found"]["exon"]["f1"]
        if f1 is None:
            raise InputError(f"--regions: {arguments.regions} has no exons to judge by")
        print(f"bias {bias:g}: exon F1 {f1:.4f}", flush=True)
        return f1

    with Genome(arguments.genome) as genome, tempfile.TemporaryDirectory() as folder:
        scores = {bias: exon_f1(bias, genome, folder) for bias in sorted(arguments.biases, key=abs)}
    best = max(scores, key=scores.__getitem__)
    set_bias(best)
    save_crf(crf.cpu(), arguments.output_dir)
    print(f"{arguments.output_dir}: donors count {best:+g}", flush=True)


if __name__ == "__main__":
    run_command(main)
