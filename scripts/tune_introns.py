"""Set how readily dynamic programming over a model's readers opens introns, by exon F1 on validation DNA.

A field's donors are worth what makes training DNA most probable; the best single annotation may want more of them, and
of joined readers, whose potentials are averaged, it does: one of them that misses an intron pulls the mean down. Each
bias is added to the potentials of all donors; the validation DNA is annotated with each, and the model is written with
the best (of equals, the smallest).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from genet5.annotate.genomes import AnnotationOptions, annotate_regions
from genet5.configuration import read_grammar
from genet5.crf.labels import DONOR_SITE
from genet5.errors import InputError, run_command
from genet5.evaluate.comparison import Prediction, compare
from genet5.genome.fasta import Genome
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.splits import parse_regions
from genet5.genome.writing import write_gff3
from genet5.tokens.grammars import Grammars
from genet5.writer.building import load_model, save_model

BIASES = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("--grammar", type=Path, required=True, help="grammar table (resources/grammar.yaml)")
    parser.add_argument("--genome", type=Path, required=True, help="FASTA file, uncompressed")
    parser.add_argument("--annotation", type=Path, required=True, help="its reference")
    parser.add_argument("--regions", required=True, help="validation DNA: contigs or contig:start-end, comma-separated")
    parser.add_argument("--genetic-code", type=int, required=True, help="NCBI translation table")
    parser.add_argument("--clade", required=True, help="clade of the organism, as in the grammar table")
    parser.add_argument("--window-bp", type=int, required=True, help="length of a tile")
    parser.add_argument("--overlap-bp", type=int, required=True, help="bases that neighbouring tiles share")
    parser.add_argument("--biases", type=float, nargs="+", default=BIASES, help="tried (%(default)s), in nats")
    parser.add_argument("--output-dir", type=Path, required=True, help="model folder to write")
    arguments = parser.parse_args(argv)
    model, tokenizer = load_model(arguments.model)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    code = GeneticCode.from_table(arguments.genetic_code)
    grammar = Grammars(tokenizer, read_grammar(arguments.grammar)).of(arguments.clade, arguments.genetic_code)
    if not grammar.rules.splice_pairs:
        raise InputError(f"--clade: {arguments.clade} has no introns")
    options = AnnotationOptions("viterbi", arguments.window_bp, arguments.overlap_bp)
    trained = [reader.site_bias[DONOR_SITE].item() for reader in model.readers]

    def set_bias(bias: float) -> None:
        with torch.no_grad():
            for reader, value in zip(model.readers, trained, strict=True):
                reader.site_bias[DONOR_SITE] = value + bias

    def exon_f1(bias: float, genome: Genome, folder: str) -> float:
        set_bias(bias)
        regions = list(parse_regions(arguments.regions, genome.lengths))
        found = annotate_regions(model, grammar, genome, regions, arguments.clade, code, options)
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
    save_model(model.cpu(), tokenizer, arguments.output_dir)
    print(f"{arguments.output_dir}: donors count {best:+g}", flush=True)


if __name__ == "__main__":
    run_command(main)
