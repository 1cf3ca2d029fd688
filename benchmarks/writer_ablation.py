#!/usr/bin/env python
"""What the writer adds to the CRF that it is made around, and what it would be without the CRF's scores.

Every row has the same CRF. Writers are fine-tuned on the same windows of *S. pombe* and *S. cerevisiae*, and scored on
the validation region of *S. pombe*: dynamic programming over the CRF alone, the writer before and after fine-tuning
with several widths of beam, after reinforcement learning on exon and gene F1, and a writer that never sees the CRF's
scores, so that it has pointers and features of the DNA alone. Needs what ``crf_ablation.py`` needs, a tokenizer
(``snakemake data/model/fungi/tokenizer/tokenizer.json --configfile config/examples/fungi.yaml``) and a trained CRF
(``--crf``). A stopped row goes on where it was; a finished one is not repeated.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import torch
from experiment import LEVELS, REPOSITORY, annotate, call, f1_scores

sys.path.insert(0, str(REPOSITORY / "scripts"))

from genet5.clades import read_clades
from genet5.crf.folder import WEIGHTS_FILE
from genet5.errors import InputError, run_command
from genet5.grpo.options import GrpoOptions
from genet5.grpo.training import run_grpo
from genet5.tokens.tokenizer import TOKENIZER_FILE, GeneTokenizer
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
    "CRF alone, dynamic programming": Row("before", "viterbi"),
    "writer before training, greedy": Row("before", "lm"),
    "writer before training, beam 4": Row("before", "lm", 4),
    "writer, greedy": Row("trained", "lm"),
    "writer, beam 4": Row("trained", "lm", 4),
    "writer, beam 8": Row("trained", "lm", 8),
    "writer, reinforced, greedy": Row("reinforced", "lm"),
    "writer, reinforced, beam 4": Row("reinforced", "lm", 4),
    "without the clade's token, greedy": Row("without_clade", "lm"),
    "without CRF scores, greedy": Row("without_scores", "lm"),
    "without CRF scores, beam 4": Row("without_scores", "lm", 4),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crf", type=Path, required=True, help="folder of a trained CRF")
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
        return fresh_writer(arguments.crf, arguments.data / "model/fungi/tokenizer", work)
    if name == "reinforced":
        return reinforce(train("trained", arguments, work), arguments, work)
    baked, start = arguments.data / "baked/fungi", train("before", arguments, work)
    prepare = {"without_scores": without_scores, "without_clade": without_clade}.get(name, lambda *_: None)
    if name == "without_scores":
        model, tokenizer = load_model(start)
        without_scores(model, tokenizer)
        start = work / "blind"
        save_model(model, tokenizer, start)

    def load(folder: Path) -> tuple:
        model, tokenizer = load_model(folder)
        prepare(model, tokenizer)
        return model, tokenizer

    options = SftOptions(
        max_steps=arguments.steps, eval_steps=arguments.steps, epochs=100, lr=1e-3, betas=(0.9, 0.98),
        max_grad_norm=5.0, token_budget=16384, max_batch_size=4, windows_per_step=4, label_smoothing=0.0,
        early_stopping=0,
    )  # fmt: skip
    with patch.object(sft, "load_model", load):
        sft.run_sft(start, [baked / species / "manifest.json" for species in SPECIES], baked / "validation.tar",
                    baked / "eval.json", read_clades(), options, work / name)  # fmt: skip
    return work / name


def fresh_writer(crf: Path, tokenizer: Path, work: Path) -> Path:
    """Folder of a writer of size demo with fresh weights around the CRF."""
    if not (tokenizer / TOKENIZER_FILE).is_file():
        raise InputError(f"{tokenizer / TOKENIZER_FILE}: no such file; see --help for what is needed")
    folder = work / "before"
    if not (folder / WEIGHTS_FILE).is_file():
        call("init_model.py", "--size=demo", f"--tokenizer={tokenizer}", f"--crf={crf}",
             f"--output-dir={work / 'init'}")  # fmt: skip
        call("resize_model.py", f"--model={work / 'init'}", f"--tokenizer={tokenizer}", f"--output-dir={folder}")
    return folder


def reinforce(start: Path, arguments: argparse.Namespace, work: Path) -> Path:
    """Folder of ``start`` after the last step of reinforcement learning: no step is chosen on what is scored."""
    baked, output = arguments.data / "baked/fungi", work / f"reinforced_{arguments.grpo_steps}"
    manifests = [str(baked / species / "manifest.json") for species in SPECIES]
    call("grpo_prompts.py", "--num-prompts=1600", f"--output-dir={work}", "--manifests", *manifests)
    options = GrpoOptions(
        max_steps=arguments.grpo_steps, eval_steps=arguments.grpo_steps, save_steps=4, epochs=100, lr=1e-4,
        batch_size=8, windows_per_step=16, group_size=16, token_budget=200_000, temperature=0.5, top_k=0, top_p=1.0,
        boundary_weight=0.2, beta=0.0, early_stopping=0,
    )  # fmt: skip
    run_grpo(
        start, work / "grpo_prompts.tar", baked / "validation.tar", baked / "eval.json", read_clades(), options, output
    )
    return output / "final"


@torch.no_grad()
def without_scores(model: GeneT5Model, _tokenizer: GeneTokenizer) -> None:
    """Take the CRF's scores from the writer for good."""
    for weights in (model.head.boundary_scores.weights, model.head.option_weight):
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
