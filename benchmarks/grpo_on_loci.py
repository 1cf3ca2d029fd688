#!/usr/bin/env python
"""Does reinforcement learning help? One fine-tuned model, several seeds, windows that no choice was made on.

Needs a finished fine-tuning run (``snakemake data/model/loci/sft/model.safetensors data/baked/loci/grpo_prompts.tar
--configfile config/examples/loci.yaml``). For each seed the options of the configuration's section ``grpo`` are trained
(a run that was stopped goes on, a finished one is not repeated), then both models write genes greedily for validation
windows that ``eval.json`` does not name and that share no base with those or with each other: the named ones chose the
best step, so they say too much. Intervals: 95 %, windows drawn with replacement, the difference paired by window.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))

from genet5.bake.crops import Window, crop  # noqa: E402
from genet5.bake.shards import ShardReader  # noqa: E402
from genet5.clades import Clade, read_clades  # noqa: E402
from genet5.errors import InputError, run_command  # noqa: E402
from genet5.grpo.options import GrpoOptions  # noqa: E402
from genet5.grpo.run import reward_weights  # noqa: E402
from genet5.grpo.training import run_grpo  # noqa: E402
from genet5.options import read_options  # noqa: E402
from genet5.tokens.grammars import Grammars  # noqa: E402
from genet5.writer.building import load_model  # noqa: E402
from genet5.writer.decoding import write_genes  # noqa: E402

RESAMPLES = 2000
BATCH = 8


def unseen_windows(validation: Path, eval_data: Path) -> list[tuple[str, Window]]:
    """(species, window) of validation windows that overlap neither a scored one nor each other."""
    taken: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for entry in json.loads(eval_data.read_text(encoding="utf-8"))["samples"]:
        taken.setdefault((entry["species"], entry["seqid"]), []).append((entry["start"], entry["end"]))
    found = []
    with ShardReader(validation) as shards:
        for index in range(len(shards)):
            meta = shards.meta(index)
            spans = taken.setdefault((meta["species"], meta["seqid"]), [])
            if any(start < meta["end"] and end > meta["start"] for start, end in spans):
                continue
            spans.append((meta["start"], meta["end"]))
            sample = shards.read(index)
            found.append((meta["species"], crop(sample, *sample.core)))
    return found


def measure(
    model_dir: Path, windows: Sequence[Window], clades: Mapping[str, Clade], options: GrpoOptions
) -> np.ndarray:
    """[windows, 6]: reward; exons in common, in the reference, written; exon and nucleotide F1, of greedy decoding."""
    model, tokenizer = load_model(model_dir)
    model.eval()
    grammars = Grammars(tokenizer, clades)
    rows = np.zeros((len(windows), 6))
    kinds: dict[tuple[str, int], list[int]] = {}
    for number, window in enumerate(windows):
        kinds.setdefault((window.clade, window.genetic_code), []).append(number)
    for (clade, code), numbers in kinds.items():
        for first in range(0, len(numbers), BATCH):
            part = numbers[first : first + BATCH]
            written = write_genes(model, grammars.of(clade, code), [windows[n].bases for n in part], clade)
            for number, result in zip(part, written, strict=True):
                window = windows[number]
                reward = reward_weights(options).of(window.genes, result.genes, window.dont_care)
                sides = [
                    {(gene.strand, *segment) for gene in genes for segment in gene.cds}
                    for genes in (window.genes, result.genes)
                ]
                counts = (len(sides[0] & sides[1]), len(sides[0]), len(sides[1]))
                rows[number] = (reward.reward, *counts, reward.exon_f1, reward.nucleotide_f1)
    return rows


def summary(rows: np.ndarray) -> np.ndarray:
    """[..., windows, 6] -> [..., 4]: mean reward, mean exon F1, F1 of all exons together, mean nucleotide F1."""
    exons = 2 * rows[..., 1].sum(-1) / np.maximum(rows[..., 2].sum(-1) + rows[..., 3].sum(-1), 1)
    return np.stack([rows[..., 0].mean(-1), rows[..., 4].mean(-1), exons, rows[..., 5].mean(-1)], axis=-1)


def compare(before: np.ndarray, after: np.ndarray) -> str:
    """Summaries of rows [windows, 6] before and [seeds, windows, 6] after (mean of seeds), interval of the gain."""
    draws = np.random.default_rng(0).integers(0, len(before), (RESAMPLES, len(before)))
    gain = summary(after[:, draws]).mean(axis=0) - summary(before[draws])
    low, high = np.percentile(gain, [2.5, 97.5], axis=0)
    cells = [
        f"{one:.3f} -> {two:.3f} [{a:+.3f}, {b:+.3f}]"
        for one, two, a, b in zip(summary(before), summary(after).mean(axis=0), low, high, strict=True)
    ]
    return "".join(f" | {cell}" for cell in cells)


def read_section(config: Path) -> dict[str, Any]:
    """The configuration's section ``grpo`` over the defaults."""
    defaults = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text(encoding="utf-8"))["grpo"]
    return defaults | (yaml.safe_load(config.read_text(encoding="utf-8")).get("grpo") or {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=REPOSITORY / "config/examples/loci.yaml", help="(%(default)s)")
    parser.add_argument("--data", type=Path, default=REPOSITORY / "data", help="the workflow's data folder")
    parser.add_argument("--run", default="loci", help="name of the fine-tuning run (%(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="(%(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    baked, models = arguments.data / "baked" / arguments.run, arguments.data / "model" / arguments.run
    clades = read_clades()
    options = read_options(GrpoOptions, read_section(arguments.config), f"{arguments.config}: grpo")
    for path in (baked / "grpo_prompts.tar", models / "sft" / "model.safetensors"):
        if not path.is_file():
            raise InputError(f"{path}: no such file; see --help for the command that makes it")
    outputs = {seed: arguments.data / "studies" / "grpo_on_loci" / f"seed_{seed}" for seed in arguments.seeds}
    for seed, output in outputs.items():
        run_grpo(
            models / "sft",
            baked / "grpo_prompts.tar",
            baked / "validation.tar",
            baked / "eval.json",
            clades,
            replace(options, seed=seed),
            output,
        )
    for seed, output in outputs.items():
        print(f"seed {seed}, validation windows of eval.json: step reward exon_f1 gene_f1 nucleotide_f1")
        with open(output / "eval_log.csv", newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                values = (float(row[name]) for name in ("reward", "exon_f1", "gene_f1", "nucleotide_f1"))
                print(f"  {row['step']:>5} " + " ".join(f"{value:.3f}" for value in values))
    unseen = unseen_windows(baked / "validation.tar", baked / "eval.json")
    species = np.array([name for name, _ in unseen])
    windows = [window for _, window in unseen]
    print(
        f"{len(windows)} unseen windows, before -> after [95 % interval of the gain]: "
        "reward | exon F1, mean of windows | exon F1, all exons | nucleotide F1, mean of windows"
    )
    before = measure(models / "sft", windows, clades, options)
    after = {f"seed {seed}": measure(output, windows, clades, options)[None] for seed, output in outputs.items()}
    for label, rows in (after | {"all seeds": np.concatenate(list(after.values()))}).items():
        for name in ("all", *sorted(set(species))):
            chosen = (species == name) | (name == "all")
            print(f"{label} {name} ({chosen.sum()}){compare(before[chosen], rows[:, chosen])}")


if __name__ == "__main__":
    run_command(main)
