"""Tiny trained networks, and a genome of three contigs for them to annotate."""

from __future__ import annotations

from pathlib import Path

from toy_bacterium import CLADE, CODE, CRF_SHAPE, ToyRun, chromosome, write_genome, write_model, write_run

from genet5.clades import read_clades
from genet5.crf.folder import load_crf
from genet5.crf.options import CrfOptions
from genet5.crf.training import run_crf_training
from genet5.genome.fasta import Genome
from genet5.genome.sites import GeneRules
from genet5.writer.options import SftOptions
from genet5.writer.sft import run_sft


def train_tiny_crf(run: ToyRun) -> Path:
    """Folder of a tiny CRF trained for seconds."""
    output = run.folder / "data/model/toy/trained_crf"
    options = CrfOptions(
        size="demo",
        overrides=CRF_SHAPE,
        epochs=2,
        eval_steps=1000,
        lr=3e-3,
        hexamer_windows=20,
        precision="fp32",
        seed=1,
    )
    run_crf_training([run.manifest], run.baked / "validation.tar", read_clades(), options, output)
    return output


def train_tiny_model(folder: Path) -> Path:
    """Folder of a tiny language model trained for seconds around such a CRF: it writes genes, though few right ones."""
    run = write_run(folder / "run")
    start = write_model(run.folder / "data/model/toy/start", crf=load_crf(train_tiny_crf(run)))
    output = run.folder / "data/model/toy/sft"
    options = SftOptions(
        epochs=8,
        early_stopping=0,
        eval_steps=1000,
        token_budget=4000,
        max_batch_size=4,
        windows_per_step=4,
        lr=5e-3,
        label_smoothing=0.0,
        precision="fp32",
        seed=1,
    )
    inputs = [run.manifest], run.baked / "validation.tar", run.baked / "eval.json"
    run_sft(start, *inputs, read_clades(), options, output)
    return output


def toy_rules() -> GeneRules:
    """The rules of genes of the toy clade under its genetic code."""
    return read_clades()[CLADE].gene_rules(CODE.table)


def write_three_contigs(folder: Path) -> Genome:
    """40 kb of real DNA in two contigs, one shorter than a window, and 7.2 kb of which most is unknown."""
    path = write_genome(folder / "fna", length_bp=38_500, name="long")
    short, tail = chromosome()[200_000:201_500], chromosome()[300_000:300_600]
    path.write_text(f"{path.read_text()}>short\n{short}\n>unknown\n{'N' * 6_600}{tail}\n")
    return Genome(path)
