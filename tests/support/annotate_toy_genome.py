"""A tiny trained network and a genome of three contigs for it to annotate."""

from __future__ import annotations

from pathlib import Path

from toy_bacterium import CLADE, CODE, chromosome, write_genome, write_run

from genet5.configuration import read_grammar
from genet5.genome.fasta import Genome
from genet5.tokens.grammar import Grammar
from genet5.tokens.grammars import Grammars
from genet5.writer.building import load_model
from genet5.writer.options import SftOptions
from genet5.writer.sft import run_sft


def train_tiny_model(folder: Path, repository: Path) -> Path:
    """Folder of a tiny network trained for seconds: it writes genes, though few right ones."""
    run = write_run(folder / "run")
    output = run.folder / "data/model/toy/sft"
    options = SftOptions(
        epochs=8,
        early_stopping=0,
        eval_steps=1000,
        token_budget=4000,
        max_batch_size=4,
        grad_accum=1,
        lr=5e-3,
        label_smoothing=0.0,
        precision="fp32",
        seed=1,
    )
    table = read_grammar(repository / "resources/grammar.yaml")
    run_sft(run.model, [run.manifest], run.baked / "validation.tar", run.baked / "eval.json", table, options, output)
    return output


def grammar_of(model_folder: Path, repository: Path) -> Grammar:
    """The toy clade's grammar for the model's tokenizer."""
    table = read_grammar(repository / "resources/grammar.yaml")
    return Grammars(load_model(model_folder)[1], table).of(CLADE, CODE.table)


def write_three_contigs(folder: Path) -> Genome:
    """40 kb of real DNA in two contigs, one shorter than a window, and 7.2 kb of which most is unknown."""
    path = write_genome(folder / "fna", length_bp=38_500, name="long")
    short, tail = chromosome()[200_000:201_500], chromosome()[300_000:300_600]
    path.write_text(f"{path.read_text()}>short\n{short}\n>unknown\n{'N' * 6_600}{tail}\n")
    return Genome(path)
