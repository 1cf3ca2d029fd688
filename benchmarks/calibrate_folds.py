#!/usr/bin/env python
"""Calibrate a model of little annotation with what cross-validation says: ``calibration.{clade}.json`` beside it.

The model that is shipped has learned all pieces, so no chromosome is left to calibrate it on. The folds of
``small_sets.py`` were trained alike, and each annotated contigs it had not seen: how often their genes of a score are
exact is the best guess at how often the shipped model's are.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path

from experiment import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))

from small_sets import PIECES, data_folder

from genet5.annotate.calibrating import Judged, calibrate, describe, judged_genes
from genet5.annotate.calibration import log_odds
from genet5.annotate.calibration_file import write_calibration
from genet5.crf.folder import WEIGHTS_FILE
from genet5.errors import InputError, run_command
from genet5.evaluate.verdicts import judge
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome
from genet5.genome.genetic_code import GeneticCode

LEAST_SCORE = 1e-6  # column 6 has six digits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of the model that is shipped")
    parser.add_argument("--clade", required=True, choices=sorted({pieces.clade for pieces in PIECES.values()}))
    parser.add_argument(
        "--work", type=Path, default=REPOSITORY / "data/studies/small_sets", help="of small_sets.py (%(default)s)"
    )
    arguments = parser.parse_args()
    species = [name for name, pieces in PIECES.items() if pieces.clade == arguments.clade]
    judged = [judge_folds(name, arguments.work) for name in species]
    curve = calibrate(judged)
    regions = {name: list(PIECES[name].contigs) for name in species}
    output = arguments.model / f"calibration.{arguments.clade}.json"
    # No scores of decoders: a CRF has one decoder, and there is nothing to choose.
    write_calibration(output, arguments.model / WEIGHTS_FILE, {"viterbi": curve}, regions, {})
    print(f"{output}: {describe(curve)}")


def judge_folds(species: str, work: Path) -> Judged:
    """Genes that the folds found in the contigs left out, as log-odds of their scores, and whether they are exact."""
    found, code = work / "annotation" / f"{species}.gff3", GeneticCode.from_table(1)
    if not found.is_file():
        raise InputError(f"{found}: no such file; small_sets.py makes it")
    with Genome(work / "raw" / f"{species}.fna") as genome:
        genes = read_annotation(found, genome, code, predicted=True).genes
        reference = read_annotation(data_folder() / species / "gff.gz", genome, code)
    scores = scores_by_id(found)
    odds = [log_odds(math.log(max(scores[gene.id], LEAST_SCORE))) for gene in genes]
    _, verdicts = judge(reference, genes)
    return judged_genes([replace(gene, score=value) for gene, value in zip(genes, odds, strict=True)], verdicts)


def scores_by_id(gff3: Path) -> dict[str, float]:
    """Column 6 of the gene rows."""
    rows = (line.split("\t") for line in gff3.read_text(encoding="utf-8").splitlines() if line[:1] != "#")
    return {row[8].split(";")[0].removeprefix("ID="): float(row[5]) for row in rows if row[2] == "gene"}


if __name__ == "__main__":
    run_command(main)
