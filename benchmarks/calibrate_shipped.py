#!/usr/bin/env python
"""The calibration of a shipped model, made on real DNA and on simulated genomes of species that it was not trained on.

``genet5 calibrate`` takes the species of a run. A simulated genome stands for one whose species nobody knows, so here
it is read without the table of its own species. Real DNA is read as a user's is. Sets: folders of ``GENET5_DATA`` with
their regions, and ``Simulated.PARAMETERS`` (``genet5 simulate``); by default those of the calibration that is there.

    python benchmarks/calibrate_shipped.py fungi
    python benchmarks/calibrate_shipped.py moulds --model data/model/moulds --sets S.pombe=II:1-500000 \\
        Simulated.neurospora
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "benchmarks")]

import torch  # noqa: E402
from calibration_sets import opened_set  # noqa: E402

from genet5.adapt.typical import typical_of  # noqa: E402
from genet5.annotate.calibrating import Judged, calibrate, describe, judged_genes  # noqa: E402
from genet5.annotate.calibration import log_odds  # noqa: E402
from genet5.annotate.calibration_file import CALIBRATION_FILE, write_calibration  # noqa: E402
from genet5.annotate.choosing import ValidationScore  # noqa: E402
from genet5.annotate.decoders import DecodingOptions, make_decoder  # noqa: E402
from genet5.annotate.genomes import Tiling, annotate_regions  # noqa: E402
from genet5.annotate.models import Model, load_annotator  # noqa: E402
from genet5.annotate.sampled_dna import masked_cost_of  # noqa: E402
from genet5.clades import Clade, clade_named, read_clades  # noqa: E402
from genet5.crf.folder import WEIGHTS_FILE  # noqa: E402
from genet5.crf.window_decoder import WindowDecoder  # noqa: E402
from genet5.errors import InputError, run_command  # noqa: E402
from genet5.evaluate.scores import score_annotation  # noqa: E402
from genet5.evaluate.verdicts import judge  # noqa: E402
from genet5.files import read_json  # noqa: E402
from genet5.genome.splits import format_regions  # noqa: E402

DECODER = "viterbi"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clade", help="a file in resources/clades")
    parser.add_argument("--model", type=Path, help="folder of a CRF (default: the clade's shipped one)")
    parser.add_argument("--sets", nargs="+", metavar="SET[=REGIONS]", help="(default: those of the calibration)")
    parser.add_argument("--window-bp", type=int, default=48_000, help="of tiles (%(default)s)")
    parser.add_argument("--overlap-bp", type=int, default=8_000, help="of tiles (%(default)s)")
    parser.add_argument("--bases", type=int, default=600_000, help="of a simulated genome (%(default)s)")
    parser.add_argument("--seed", type=int, default=78, help="of simulated genomes (%(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    clade = clade_named(read_clades(), arguments.clade)
    folder = arguments.model or (clade.model.folder if clade.model else None)
    if folder is None:
        raise InputError(f"--model: no model comes with GeneT5 for {clade.name!r}; allowed: the folder of one")
    file = folder / CALIBRATION_FILE
    asked = dict(text.partition("=")[::2] for text in arguments.sets or [])
    asked = asked or {name: ",".join(regions) for name, regions in read_json(file)["regions"].items()}
    model, found, read = load_annotator(folder), {}, {}
    for name, text in asked.items():
        found[name], read[name] = judged_set(model, clade, name, text, arguments)
        print(f"{name}: {found[name].score.text}", flush=True)
    curve = calibrate(list(found.values()))
    scores = {DECODER: {name: one.score for name, one in found.items()}}
    write_calibration(file, folder / WEIGHTS_FILE, {DECODER: curve}, read, scores)
    print(f"{describe(curve)}: {file}")


def judged_set(
    model: Model, clade: Clade, name: str, text: str, arguments: argparse.Namespace
) -> tuple[Judged, list[str]]:
    """Genes found in a set, and the regions that were read."""
    with opened_set(name, text, clade, arguments.bases, arguments.seed) as one:
        relatives = model.relatives()
        cost = masked_cost_of(clade.model.masked_cost, one.genome)
        decoder = WindowDecoder(model.crf, one.rules, masked_cost=cost)
        add = None if relatives is None else typical_of(one.unseen(relatives), decoder, one.genome)
        made = make_decoder(
            DECODER, model, read_clades(), clade.name, one.code.table, DecodingOptions(add=add, masked_cost=cost)
        )
        tiling = Tiling(arguments.window_bp, arguments.overlap_bp, 1)
        genes = annotate_regions(made, one.rules, one.genome, one.regions, one.code, tiling, log_odds).genes
        _, verdicts = judge(one.truth, genes)
        report = score_annotation(one.truth, genes, one.genome.lengths, regions=one.regions, bootstrap=0)
        score = ValidationScore(clade.name, report["exon"]["f1"], report["gene"]["f1"])
        read = [format_regions([region], one.genome.lengths) for region in one.regions]
        return judged_genes(genes, verdicts)._replace(score=score), read


if __name__ == "__main__":
    run_command(main)
