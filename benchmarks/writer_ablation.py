#!/usr/bin/env python
"""What the language part adds to the reader below it, and what it would be without the reader's evidence.

One reader, fine-tuned on *S. pombe* and *S. cerevisiae* with the same windows for every row, scored on the validation
region of *S. pombe*: dynamic programming over the reader alone, the language part before and after fine-tuning with
several widths of beam, after reinforcement learning on exon and gene F1, and a language part that never sees the
reader's evidence, so that it has pointers and features of the DNA alone. Needs what ``reader_ablation.py`` needs, and a
trained reader (``--reader``). A stopped row goes on where it was; a finished one is not repeated.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import torch
from experiment import GRAMMAR, LEVELS, REPOSITORY, annotate, call, f1_scores

sys.path.insert(0, str(REPOSITORY / "scripts"))

from genet5.configuration import read_grammar
from genet5.errors import InputError, run_command
from genet5.grpo.options import GrpoOptions
from genet5.grpo.training import run_grpo
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.writer import sft
from genet5.writer.building import load_model, save_model
from genet5.writer.network import GeneT5Model
from genet5.writer.options import SftOptions

REGION = "II:1-500000"
SPECIES = ("S.pombe", "S.cerevisiae")
WINDOW_BP, OVERLAP_BP = 12000, 4000


class Row(NamedTuple):
    """A model by name (see ``models``) and flags of annotate_genome.py."""

    model: str
    decoder: str
    beam_width: int = 1


ROWS = {
    "reader alone, dynamic programming": Row("before", "viterbi"),
    "language part before training, greedy": Row("before", "lm"),
    "language part before training, beam 4": Row("before", "lm", 4),
    "language part, greedy": Row("trained", "lm"),
    "language part, beam 4": Row("trained", "lm", 4),
    "language part, beam 8": Row("trained", "lm", 8),
    "language part, reinforced, greedy": Row("reinforced", "lm"),
    "language part, reinforced, beam 4": Row("reinforced", "lm", 4),
    "without the clade's token, greedy": Row("without_clade", "lm"),
    "without evidence, greedy": Row("without_evidence", "lm"),
    "without evidence, beam 4": Row("without_evidence", "lm", 4),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", type=Path, required=True, help="model with a trained reader")
    parser.add_argument("--steps", type=int, default=150, help="steps of fine-tuning (%(default)s)")
    parser.add_argument("--grpo-steps", type=int, default=24, help="steps of reinforcement learning (%(default)s)")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--data", type=Path, default=REPOSITORY / "data", help="the workflow's data folder")
    arguments = parser.parse_args()
    work, raw = arguments.data / "studies/writer_ablation" / str(arguments.steps), arguments.data / "raw/S.pombe"
    if not (raw / "fna").is_file():
        raise InputError(f"{raw / 'fna'}: no such file; see --help for what is needed")
    print(f"| {arguments.steps} steps | " + " | ".join(LEVELS) + " | CPU s |\n|---|" + "---|" * (len(LEVELS) + 1))
    for name in arguments.rows:
        row = ROWS[name]
        model = train(row.model, arguments, work)
        prefix = work / name.replace(",", "").replace(" ", "_")
        found = annotate(model, raw / "fna", "fungi", REGION, prefix, WINDOW_BP, OVERLAP_BP,
                         f"--decoder={row.decoder}", f"--beam-width={row.beam_width}")  # fmt: skip
        f1 = f1_scores({name: found}, raw, REGION)[name]
        seconds = json.loads(Path(f"{prefix}.json").read_text(encoding="utf-8"))["cpu_s"]
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in f1) + f" | {seconds:.0f} |", flush=True)


def train(name: str, arguments: argparse.Namespace, work: Path) -> Path:
    """Folder of the model called ``name``, trained where it must be."""
    if name == "before":
        return arguments.reader
    if name == "reinforced":
        return reinforce(train("trained", arguments, work), arguments, work)
    baked, start = arguments.data / "baked/fungi", arguments.reader
    prepare = {"without_evidence": without_evidence, "without_clade": without_clade}.get(name, lambda *_: None)
    if name == "without_evidence":
        start = work / "blind"
        model, tokenizer = load_model(arguments.reader)
        without_evidence(model, tokenizer)
        save_model(model, tokenizer, start)

    def load(folder: Path) -> tuple:
        model, tokenizer = load_model(folder)
        prepare(model, tokenizer)
        return model, tokenizer

    options = SftOptions(
        max_steps=arguments.steps, eval_steps=arguments.steps, epochs=100, lr=1e-3, betas=(0.9, 0.98),
        max_grad_norm=5.0, token_budget=16384, max_batch_size=4, grad_accum=1, label_smoothing=0.0, early_stopping=0,
    )  # fmt: skip
    with patch.object(sft, "load_model", load):
        sft.run_sft(start, [baked / species / "manifest.json" for species in SPECIES], baked / "validation.tar",
                    baked / "eval.json", read_grammar(GRAMMAR), options, work / name)  # fmt: skip
    return work / name


def reinforce(start: Path, arguments: argparse.Namespace, work: Path) -> Path:
    """Folder of ``start`` after the last step of reinforcement learning: no step is chosen on what is scored."""
    baked, output = arguments.data / "baked/fungi", work / f"reinforced_{arguments.grpo_steps}"
    manifests = [str(baked / species / "manifest.json") for species in SPECIES]
    call("grpo_prompts.py", "--num-prompts=1600", f"--output-dir={work}", "--manifests", *manifests)
    options = GrpoOptions(
        max_steps=arguments.grpo_steps, eval_steps=arguments.grpo_steps, save_steps=4, epochs=100, lr=1e-4,
        batch_size=8, grad_accum=2, group_size=16, token_budget=200_000, temperature=0.5, top_k=0, top_p=1.0,
        boundary_weight=0.2, beta=0.0, early_stopping=0,
    )  # fmt: skip
    run_grpo(start, work / "grpo_prompts.tar", baked / "validation.tar", baked / "eval.json", read_grammar(GRAMMAR),
             options, output)  # fmt: skip
    return output / "final"


@torch.no_grad()
def without_evidence(model: GeneT5Model, _tokenizer: GeneTokenizer) -> None:
    """Take the reader's evidence from the language part for good."""
    for weights in (model.evidence.weights, model.option_evidence):
        weights.zero_()
        weights.requires_grad_(False)


@torch.no_grad()
def without_clade(model: GeneT5Model, tokenizer: GeneTokenizer) -> None:
    """Make the tokens of clades say nothing for good."""
    embeddings, clades = model.get_input_embeddings().weight, torch.tensor(list(map(tokenizer.clade, tokenizer.clades)))
    embeddings[clades] = 0.0
    embeddings.register_hook(lambda gradient: gradient.index_fill(0, clades, 0.0))


if __name__ == "__main__":
    run_command(main)
