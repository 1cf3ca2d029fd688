#!/usr/bin/env python
"""Train a CRF further on a genome that nobody has annotated, with its own confident genes as the truth.

Adapting to the genome at hand: annotate it (dynamic programming, calibrated scores), take genes of a probability of at
least ``--confident`` as labels, hide the other genes from the loss, train on these windows beside the windows of the
training species. The guard: the adapted CRF is taken only if its chains are no worse on validation DNA with real
labels. The control is a CRF trained as long on the training species alone. Prints the scores of all three on the
genome's reference, which the training never reads.

Needs a CRF with its calibration, as ``snakemake annotate --configfile config/examples/pombe.yaml`` leaves it.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from experiment import LEVELS, REPOSITORY, annotate, call, f1_scores, train_crf

sys.path.insert(0, str(REPOSITORY / "scripts"))

from genet5.errors import run_command
from genet5.files import atomic_write
from genet5.genome.fasta import Genome
from genet5.genome.splits import complement, format_regions, parse_regions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="pombe", help="the run whose CRF is taken (%(default)s)")
    parser.add_argument("--species", default="S.pombe", help="(%(default)s)")
    parser.add_argument("--clade", default="fungi", help="(%(default)s)")
    parser.add_argument("--regions", default="III", help="DNA without labels (%(default)s)")
    parser.add_argument("--confident", type=float, default=0.9, help="least probability of a label (%(default)s)")
    parser.add_argument("--steps", type=int, default=300, help="windows that each CRF sees (%(default)s)")
    parser.add_argument("--lr", type=float, default=5e-4, help="(%(default)s)")
    parser.add_argument("--data", type=Path, default=REPOSITORY / "data", help="the workflow's data folder")
    arguments = parser.parse_args()
    data, run, species = arguments.data, arguments.run, arguments.species
    work, crf, raw = data / "studies/self_training" / run, data / "model" / run / "crf", data / "raw" / species
    work.mkdir(parents=True, exist_ok=True)

    def annotation(model: Path, prefix: Path) -> Path:
        return annotate(model, raw / "fna", arguments.clade, arguments.regions, prefix)

    before = annotation(crf, work / "before")
    with atomic_write(work / "pseudo.gff3") as stream:
        stream.writelines(pseudo_labels(before, arguments.confident))
    known, own = data / "baked" / run / species / "manifest.json", bake(arguments, raw / "fna", work / "pseudo.gff3")
    variants = {"longer on the training species": [known], "on its own confident genes": [known, own]}
    found, chains = {"as it was": before}, {"as it was": float("nan")}
    for name, manifests in variants.items():
        folder = work / name.replace(" ", "_")
        options = [f"--max-steps={arguments.steps}", f"--eval-steps={arguments.steps}", f"--lr={arguments.lr}"]
        train_crf(crf, data / "baked" / run / "validation.tar", folder, manifests, *options, "--species-balance=0")
        with (folder / "eval_log.csv").open(newline="") as stream:
            chains[name] = float(list(csv.DictReader(stream))[-1]["val_chain"])
        found[name] = annotation(folder, folder / "annotation")
    print(f"| {species} {arguments.regions} | validation chains | " + " | ".join(LEVELS) + " |")
    print("|---|---|" + "---|" * len(LEVELS))
    for name, f1 in f1_scores(found, raw, arguments.regions).items():
        print(f"| {name} | {chains[name]:.3f} | " + " | ".join(f"{value:.3f}" for value in f1) + " |")
    _, control, adapted = chains.values()
    print(f"guard: {'taken' if adapted <= control else 'refused'}, chains {adapted:.3f} against {control:.3f}")


def pseudo_labels(annotation: Path, confident: float) -> list[str]:
    """Rows of the annotation; genes of a lower score as pseudogenes, which are nobody's truth."""
    rows = []
    for line in annotation.read_text(encoding="utf-8").splitlines():
        columns = line.split("\t")
        if len(columns) == 9 and columns[2] == "gene":
            sure = float(columns[5]) >= confident
        if line.startswith("#") or sure:
            rows.append(f"{line}\n")
        elif columns[2] == "gene":
            rows.append("\t".join([*columns[:2], "pseudogene", *columns[3:]]) + "\n")
    return rows


def bake(arguments: argparse.Namespace, fasta: Path, annotation: Path) -> Path:
    """Windows of the regions alone."""
    with Genome(fasta) as genome:
        lengths = genome.lengths
    rest = format_regions(complement(parse_regions(arguments.regions, lengths), lengths), lengths)
    call("bake_shards.py", f"--species={arguments.species}.unlabelled", f"--genome={fasta}", "--split=train",
         f"--annotation={annotation}", "--genetic-code=1", f"--clade={arguments.clade}", f"--excluded-regions={rest}",
         "--window-bp=12000", "--stride-bp=6000", "--flank-bp=1000",
         f"--output-dir={annotation.parent / 'baked'}")  # fmt: skip
    return annotation.parent / "baked/manifest.json"


if __name__ == "__main__":
    run_command(main)
