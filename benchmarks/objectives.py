#!/usr/bin/env python
"""Objectives of the CRF: exon F1, gene F1 and calibration after trainings that differ in nothing else.

Each training starts from the shipped model of the clade and sees as many windows of one species, or (--whole-clade) of
all species of the recipe: by likelihood, by a margin, by the expected F1 of sites, and by reinforcement learning
on samples of whole annotations. The last weights are taken. DNA of the species that is held out is decoded by viterbi,
with the network alone. Counts of all seeds are added up. Differences are from the first objective, with 95 % intervals
of paired resamples of stretches of about 100 kb.

The training DNA is that of the clades' recipes, so bake it first:

    snakemake data/baked/plant4.clade/A.thaliana/manifest.json --configfile config/clades/plant4.yaml
    python benchmarks/objectives.py --sets A.thaliana.Chr4.Chr5

    snakemake data/baked/plant4.clade/validation.tar --configfile config/clades/plant4.yaml
    python benchmarks/objectives.py --sets A.thaliana.Chr4.Chr5 --whole-clade --windows 2000 --lr 3e-4 --seeds 42 \
        --objectives likelihood expected_f1

A stopped training goes on where it was, and a finished one is not repeated.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "benchmarks")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
import yaml  # noqa: E402
from any_genome import Scored, prepare  # noqa: E402
from any_genome_sets import TARGETS  # noqa: E402
from decoders import Cached, compared, counts_of, f1, pieces  # noqa: E402
from experiment import call  # noqa: E402

from genet5.annotate.calibrating import judged_genes  # noqa: E402
from genet5.annotate.calibration import calibration_error  # noqa: E402
from genet5.annotate.genomes import Tiling, annotate_regions  # noqa: E402
from genet5.annotate.models import load_annotator  # noqa: E402
from genet5.annotate.shipped import shipped_model  # noqa: E402
from genet5.clades import clade_named, read_clades  # noqa: E402
from genet5.crf.window_decoder import WindowDecoder  # noqa: E402
from genet5.errors import InputError, run_command  # noqa: E402
from genet5.evaluate.verdicts import judge  # noqa: E402
from genet5.genome.genetic_code import GeneticCode  # noqa: E402

#: Of a set in any_genome_sets.py: baked training DNA of the same species, and its clade's recipe.
TRAINING = {
    "A.thaliana.Chr4.Chr5": "plant4.clade/A.thaliana",
    "D.melanogaster.2L.contigs": "invertebrate3.clade/D.melanogaster.2R.contigs",
    "S.pombe.III": "fungi.clade/S.pombe",
    "C.elegans.IV.V": "nematode2.clade/C.elegans",
    "P.falciparum": "protist.clade/P.falciparum.chr3-12",
}
LIKELIHOOD, GRPO = "likelihood", "grpo"
OBJECTIVES = (LIKELIHOOD, "softmax_margin", "expected_f1", GRPO)
WINDOWS_PER_STEP = 4  # of one species; a training of a whole clade takes one at a time, as recipes do


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(TRAINING), choices=TRAINING, metavar="SET",
                        help=f"(default: {' '.join(TRAINING)})")  # fmt: skip
    parser.add_argument("--windows", type=int, default=96, help="that each training sees (%(default)s)")
    parser.add_argument("--whole-clade", action="store_true", help="train on all species, in the way of the recipe")
    parser.add_argument("--objectives", nargs="+", default=list(OBJECTIVES), choices=OBJECTIVES, metavar="OBJECTIVE",
                        help=f"the first is the one to compare with (default: {' '.join(OBJECTIVES)})")  # fmt: skip
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of trainings (default: 1 2 3)")
    parser.add_argument("--lr", type=float, default=5e-5, help="highest learning rate of all (%(default)s)")
    parser.add_argument("--max-bp", type=int, default=1_000_000, help="held-out bases of a set at most (%(default)s)")
    parser.add_argument("--data", type=Path, default=REPOSITORY / "data", help="the workflow's data folder")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sources = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data"))
    print("| set | objective | exon F1 | gene F1 | calibration error | exon, difference | gene, difference |\n"
          "|---|---|---|---|---|---|---|", flush=True)  # fmt: skip
    for name in arguments.sets:
        scored = prepare(name, TARGETS[name], sources, arguments.data / "studies/any_genome", arguments.max_bp)
        with scored.genome:
            for row in rows(scored, arguments):
                print(row, flush=True)


def rows(scored: Scored, arguments: argparse.Namespace) -> Iterator[str]:
    """Rows of the table: the model that all start from, then one for each objective."""
    start = shipped_model(clade_named(read_clades(), scored.target.clade)).folder
    counts, error = measured(scored, [start])
    yield f"| {scored.name} | start | {shown(counts)} | {error:.3f} | | |"
    against = None
    for objective in arguments.objectives:
        trained = [train(scored.name, objective, seed, start, arguments) for seed in arguments.seeds]
        counts, error = measured(scored, trained)
        if against is None:
            against = counts
            yield f"| {scored.name} | {objective} | {shown(counts)} | {error:.3f} | | |"
        else:
            first, name, exon, gene, *differences = compared(scored.name, objective, against, counts)[2:-2].split(" | ")
            yield f"| {' | '.join([first, name, exon, gene, f'{error:.3f}', *differences])} |"


def shown(counts: np.ndarray) -> str:
    return " | ".join(f"{value:.3f}" for value in f1(counts.sum(0)))


def train(name: str, objective: str, seed: int, start: Path, arguments: argparse.Namespace) -> Path:
    """The folder of the last weights of a training."""
    run, species = TRAINING[name].split("/")
    baked = arguments.data / "baked" / run
    manifests = sorted(baked.glob("*/manifest.json")) if arguments.whole_clade else [baked / species / "manifest.json"]
    if missing := [path for path in (*manifests, baked) if not path.exists()]:
        raise InputError(f"{missing[0]}: no such file; see --help for the command that makes it")
    study = arguments.data / "studies/objectives" / name
    folder = study / f"{'clade_' * arguments.whole_clade}{objective}_{arguments.windows}_{arguments.lr}_{seed}"
    merged = baked if arguments.whole_clade else study / "validation"
    if not (merged / "validation.tar").is_file():
        call("merge_validation.py", f"--output-dir={merged}", "--manifests", *map(str, manifests))
    at_once = 1 if arguments.whole_clade else WINDOWS_PER_STEP
    steps = arguments.windows // at_once
    same = [f"--seed={seed}", f"--lr={arguments.lr}", f"--max-steps={steps}", f"--eval-steps={steps}",
            f"--windows-per-step={at_once}", "--epochs=1000", "--weight-decay=0.01",
            f"--validation={merged / 'validation.tar'}", f"--output-dir={folder}"]  # fmt: skip
    if arguments.whole_clade:
        recipe = REPOSITORY / "config/clades" / f"{run.removesuffix('.clade')}.yaml"
        how = yaml.safe_load(recipe.read_text())["crf"]
        same += [f"--species-balance={how['species_balance']}", f"--min-lr-ratio={how.get('min_lr_ratio', 0.01)}"]
    else:
        same += ["--warmup-ratio=0.1", "--min-lr-ratio=0.1", "--max-grad-norm=1", "--log-every=1"]
    if objective == GRPO:
        prompts = study / "prompts"
        if not (prompts / "grpo_prompts.tar").is_file():
            call("grpo_prompts.py", f"--output-dir={prompts}", "--manifests", *map(str, manifests))
        call("train_grpo_crf.py", f"--model={start}", f"--prompts={prompts / 'grpo_prompts.tar'}",
             f"--eval-windows={merged / 'eval.json'}", *same)  # fmt: skip
    else:
        call("train_crf.py", "--size=demo", f"--init-from={start}", f"--objective={objective}", *same,
             "--manifests", *map(str, manifests))  # fmt: skip
    return folder / "final"


def measured(scored: Scored, folders: list[Path]) -> tuple[np.ndarray, float]:
    """Counts [pieces, 2, 3] of all models together, and the calibration error of their scores."""
    clade = clade_named(read_clades(), scored.target.clade)
    use = shipped_model(clade)
    rules, code = clade.gene_rules(scored.target.code), GeneticCode.from_table(scored.target.code)
    tiling, areas = Tiling(use.window_bp, use.overlap_bp, 1), pieces(scored, scored.regions)
    counts, scores, exact = 0, [], []
    for folder in folders:
        decoder = Cached(WindowDecoder(load_annotator(folder).crf, rules))
        with redirect_stdout(sys.stderr):  # how far it is; the table alone goes to stdout
            genes = annotate_regions(decoder, rules, scored.genome, scored.regions, code, tiling).genes
        counts = counts + counts_of(scored, genes, areas)
        judged = judged_genes(genes, judge(scored.annotation, genes)[1])
        scores += judged.odds
        exact += judged.exact
    return counts, calibration_error(scores, exact)


if __name__ == "__main__":
    run_command(main)
