"""Toy windows of two clades, rollouts on them, and a whole run of reinforcement learning.

Run as a script it trains in several processes: python grpo_toy.py INPUTS OUTPUT_DIR '{"max_steps": 2, ...options}' 2
"""

from __future__ import annotations

import csv
import json
import os
import socket
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from model_toy import BACTERIA, SPLICED, TOKENIZER, random_bases, random_genes, toy_model

from genet5.bake.crops import Window
from genet5.bake.samples import Sample, SampleGene
from genet5.bake.shards import write_shard
from genet5.clades import read_clades
from genet5.grpo.options import GrpoOptions
from genet5.grpo.rollouts import Completion, Rollout, roll_out
from genet5.grpo.sampling import Sampling
from genet5.grpo.training import run_grpo
from genet5.options import read_options
from genet5.tokens.grammars import Grammars
from genet5.writer.building import save_model
from genet5.writer.network import GeneT5Model

CODES = {"fungi": 1, "bacteria": 11}
#: a clade with introns and one without; genes so short that windows of 100 bases hold some
RULES = {"fungi": SPLICED, "bacteria": BACTERIA}
CLADES = {name: replace(clade, rules=RULES[name]) for name, clade in read_clades().items() if name in RULES}
GRAMMARS = Grammars(TOKENIZER, CLADES)
CLOCK = {"timestamp", "elapsed_s", "rollout_s", "update_s", "tokens_per_s", "eta_s", "eval_s"}
SAMPLING = Sampling(0.9, 0, 1.0)


def toy_windows(sizes: Sequence[int], seed: int, clades: Sequence[str] = ("fungi", "bacteria")) -> list[Window]:
    """Windows of random DNA with genes from a random walk through the grammar; clades in turn."""
    windows = []
    for number, size in enumerate(sizes):
        rng = np.random.default_rng([seed, number])
        clade = clades[number % len(clades)]
        bases = random_bases(rng, size, 0.01)
        genes = random_genes(GRAMMARS.of(clade, CODES[clade]), bases, rng)
        windows.append(Window(bases, genes, [], clade, CODES[clade]))
    return windows


def toy_rollout(
    model: GeneT5Model, windows: Sequence[Window], group_size: int = 4, max_tokens: int = 60, **settings: Any
) -> Rollout:
    """``roll_out`` with ``sampling``, ``seed`` and what else it takes in ``settings``."""
    settings = {"sampling": SAMPLING, "seed": (5, 0, 1)} | settings
    return roll_out(model, GRAMMARS, windows, group_size, max_tokens=max_tokens, **settings)


def parts_of(completion: Completion) -> tuple[list[int], list[int]]:
    """Places in a completion of its structure choices and of its boundary choices."""
    structure = [taken.step for taken in completion.choices if taken.decision.structure is not None]
    return structure, [taken.step for taken in completion.choices if taken.decision.structure is None]


# ---------------------------------------------------------------- a whole run

OPTIONS: dict[str, Any] = {
    "log_memory": False,
    "precision": "fp32",
    "batch_size": 2,
    "windows_per_step": 2,
    "group_size": 4,
    "max_gen_length": 24,
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "lr": 1e-3,
    "max_steps": 4,
    "early_stopping": 0,
    "eval_steps": 2,
    "save_steps": 1,
    "boundary_weight": 0.2,
    "boundary_bp": 30,
}


@dataclass(frozen=True)
class ToyInputs:
    """What a run reads, in one folder."""

    folder: Path

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            "model_dir": self.folder / "model",
            "prompts": self.folder / "grpo_prompts.tar",
            "validation": self.folder / "validation.tar",
            "eval_windows": self.folder / "eval.json",
            "clades": CLADES,
        }


def sample_of(window: Window, key: str, split: str, seqid: str = "c") -> Sample:
    """A window as it is baked; the genes must be whole."""
    genes = []
    for number, gene in enumerate(window.genes):
        assert not gene.partial5 and not gene.partial3
        phases, left = [], 0
        for start, end in gene.cds if gene.strand == "+" else reversed(gene.cds):
            phases.append(left)
            left = (left - (end - start)) % 3
        ordered = phases if gene.strand == "+" else phases[::-1]
        genes.append(SampleGene(f"g{number}", gene.strand, gene.cds, tuple(ordered)))
    introns = sum(len(gene.cds) - 1 for gene in window.genes)
    meta = {
        "species": f"T.{window.clade}",
        "clade": window.clade,
        "genetic_code": window.genetic_code,
        "split": split,
        "seqid": seqid,
        "start": 0,
        "end": len(window.bases),
        "flank5": 0,
        "flank3": 0,
        "num_genes": len(genes),
        "num_partial": 0,
        "num_introns": introns,
        "coding_bp": sum(end - start for gene in window.genes for start, end in gene.cds),
    }
    return Sample(key, window.bases.encode(), tuple(genes), (), meta)


def planted_windows(count: int, seed: int) -> list[Window]:
    """Short windows of two clades with whole genes; each fourth has none."""
    found: list[Window] = []
    while len(found) < count:
        seed += 1
        clade = ("fungi", "bacteria")[len(found) % 2]
        (window,) = toy_windows([90 + seed % 7 * 10], seed, [clade])
        genes = [gene for gene in window.genes if not gene.partial5 and not gene.partial3]
        empty = len(found) % 4 == 3
        if genes or empty:
            found.append(replace(window, genes=[] if empty else genes))
    return found


def write_inputs(folder: Path, num_prompts: int = 8, num_validation: int = 3, **shape: Any) -> ToyInputs:
    """Prompts, validation windows and a model with fresh weights."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, split, count, seed in (
        ("grpo_prompts.tar", "train", num_prompts, 0),
        ("validation.tar", "validation", num_validation, 100_000),
    ):
        windows = planted_windows(count, seed)
        members = [sample_of(window, f"{split}-{i}", split).to_members() for i, window in enumerate(windows)]
        write_shard(folder / name, members, split)
    entries = {"samples": [{"index": index} for index in range(num_validation)]}
    (folder / "eval.json").write_text(json.dumps(entries))
    save_model(toy_model(seed=6, **shape), TOKENIZER, folder / "model")
    return ToyInputs(folder)


def run_toy(inputs: ToyInputs, output_dir: Path, options: Mapping[str, Any], restart: bool = False) -> None:
    """`run_grpo` with options over `OPTIONS`."""
    checked = read_options(GrpoOptions, OPTIONS | dict(options), "test")
    run_grpo(**inputs.arguments, options=checked, output_dir=output_dir, restart=restart)


def tensors(folder: Path) -> dict[str, Tensor]:
    return safetensors.torch.load_file(folder / "model.safetensors")


def numbers(log: list[dict[str, str]], column: str) -> list[float]:
    return [float(row[column]) for row in log]


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of a log without the columns that depend on the clock."""
    with open(path, newline="") as stream:
        return [{k: v for k, v in row.items() if k not in CLOCK} for row in csv.DictReader(stream)]


def train_in_processes(inputs: ToyInputs, output_dir: Path, options: Mapping[str, Any], count: int) -> list[int]:
    """Train in processes with torchrun's variables; their exit statuses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(count):
        child = os.fork()
        if child:
            children.append(child)
            continue
        world = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        world |= dict.fromkeys(["WORLD_SIZE", "LOCAL_WORLD_SIZE"], count)
        os.environ |= {name: str(value) for name, value in world.items()} | {"TORCHELASTIC_RUN_ID": "toy"}
        status = 1
        try:
            run_toy(inputs, output_dir, options)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, output, words, processes = sys.argv[1:]
    print(train_in_processes(ToyInputs(Path(folder)), Path(output), json.loads(words), int(processes)))
