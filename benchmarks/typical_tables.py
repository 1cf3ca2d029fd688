#!/usr/bin/env python
"""What is typical of a model's species, added to what the network says: exon and gene F1 on validation DNA.

Beside the weights of a model lie tables of its training species (``genet5 count-relatives``). Their mean, or that of
the nearest ones, joins the potentials with a share, and a donor costs so many nats more. Lengths of introns join, too:
theirs, and those that the genome itself seems to have. Each choice of these is scored: share 0 is the network alone,
and without a number of near species all are meant. A simulated genome is read without the table of its own species. The
DNA is that which the shipped models were calibrated on; simulated genomes are drawn anew. The networks read each window
once.

    python benchmarks/typical_tables.py --clades invertebrate vertebrate
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "benchmarks")]

import torch  # noqa: E402
from calibration_sets import SIMULATED, opened_set  # noqa: E402
from decoders import Cached  # noqa: E402

from genet5.adapt.sampling import read_sample  # noqa: E402
from genet5.adapt.typical import SAMPLE_BP, typical_of_windows  # noqa: E402
from genet5.annotate.genomes import Tiling, annotate_regions  # noqa: E402
from genet5.annotate.sampled_dna import masked_cost_of  # noqa: E402
from genet5.annotate.shipped import load_shipped  # noqa: E402
from genet5.clades import read_clades  # noqa: E402
from genet5.crf.window_decoder import WindowDecoder  # noqa: E402
from genet5.errors import run_command  # noqa: E402
from genet5.evaluate.scores import score_annotation  # noqa: E402
from genet5.files import read_json  # noqa: E402
from genet5.genome.genes import Region  # noqa: E402

CLADES = (
    "invertebrate", "nematode", "plant", "vertebrate", "fungi", "protist", "kinetoplastid", "ciliate", "eukaryote",
    "bacteria", "filamentous_fungi", "alga",
)  # fmt: skip
CHOICES = ("0:0", "0.3:1", "0.3:1:3", "0.3:1:6", "0.3:1:12", "0.5:1:6")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clades", nargs="+", default=list(CLADES), choices=CLADES, metavar="CLADE",
                        help=f"(default: {' '.join(CLADES)})")  # fmt: skip
    parser.add_argument("--choices", nargs="+", default=list(CHOICES), metavar="SHARE:COST[:NEAR]",
                        help=f"(default: {' '.join(CHOICES)})")  # fmt: skip
    parser.add_argument("--simulated", nargs="+", default=[], metavar="PARAMETERS",
                        help="genomes in place of those that the model was calibrated on")  # fmt: skip
    parser.add_argument("--no-lengths", action="store_true", help="introns of all lengths are alike")
    parser.add_argument("--bases", type=int, default=600_000, help="of a simulated genome (%(default)s)")
    parser.add_argument("--seed", type=int, default=77, help="of simulated genomes (%(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"| clade, set | {' | '.join(arguments.choices)} |\n|{'---|' * (1 + len(arguments.choices))}")
    for clade in arguments.clades:
        for row in rows(clade, arguments):
            print(row, flush=True)


def rows(clade: str, arguments: argparse.Namespace) -> Iterator[str]:
    """A row of the table for each set: those that the clade's model was calibrated on, or simulated ones."""
    shipped = load_shipped(read_clades(), clade)
    use, crf = shipped.clade.model, shipped.model.crf
    asked = {f"{SIMULATED}{one}": [] for one in arguments.simulated}
    for name, texts in (asked or read_json(use.calibration)["regions"]).items():
        with opened_set(name, ",".join(texts), shipped.clade, arguments.bases, arguments.seed) as one:
            relatives = one.unseen(shipped.model.relatives())
            plain = WindowDecoder(crf, one.rules, masked_cost=masked_cost_of(use.masked_cost, one.genome))
            everything = [Region(seqid, 0, length) for seqid, length in one.genome.lengths.items()]
            windows = read_sample(plain, one.genome, everything, SAMPLE_BP)
            decoder, found = Cached(plain), []
            for choice in arguments.choices:
                share, cost, near = map(float, f"{choice}:0".split(":")[:3])
                chosen = replace(relatives, strength=share, intron_cost=cost, near=int(near))
                tables = typical_of_windows(chosen, plain, windows)
                decoder.decoder.add = replace(tables, lengths=None) if arguments.no_lengths else tables
                tiling = Tiling(use.window_bp, use.overlap_bp, 1)
                genes = annotate_regions(decoder, one.rules, one.genome, one.regions, one.code, tiling).genes
                report = score_annotation(one.truth, genes, one.genome.lengths, regions=one.regions, bootstrap=0)
                found.append(" / ".join(f"{report[level]['f1'] or 0:.3f}" for level in ("exon", "gene")))
        yield f"| {clade}, {name} | {' | '.join(found)} |"


if __name__ == "__main__":
    run_command(main)
