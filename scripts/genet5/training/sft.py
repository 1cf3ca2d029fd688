"""Supervised fine-tuning of GeneT5 on baked shards: which windows, how they are cropped, and what is measured."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genet5.annotate.decoding import write_genes
from genet5.bake.manifest import file_sha256, read_manifest, shard_paths
from genet5.bake.samples import Sample, window_genes
from genet5.bake.shards import ShardReader, ShardSet
from genet5.errors import InputError
from genet5.evaluate.window_scores import window_f1
from genet5.genome.genetic_code import GeneticCode, reverse_complement
from genet5.model.batch import Batch, Example, collate, make_example
from genet5.model.building import load_model, save_model
from genet5.model.network import GeneT5Model
from genet5.tokens.codec import WindowGene, reverse_complement_genes
from genet5.tokens.grammar import Grammar
from genet5.tokens.sites import GrammarRules
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.training.batches import BatchSource
from genet5.training.loop import fit
from genet5.training.options import TrainingOptions
from genet5.training.processes import say, start_fabric
from genet5.training.runs import finished_run
from genet5.training.sampler import BatchPlan, balanced_repeats

TOKENS_PER_GENE = 24  # of the text, generously: a plan only needs to know about how long a sample is


class Grammars:
    """One grammar per clade and genetic code, made when first asked for."""

    def __init__(self, tokenizer: GeneTokenizer, table: Mapping[str, Mapping[str, Any]]) -> None:
        self.tokenizer = tokenizer
        self.table = table
        self._made: dict[tuple[str, int], Grammar] = {}

    def of(self, clade: str, genetic_code: int) -> Grammar:
        if clade not in self.table:
            raise InputError(f"clade {clade!r} is not in the grammar table, allowed: {', '.join(sorted(self.table))}")
        key = (clade, genetic_code)
        if key not in self._made:
            rules = dict(self.table[clade])
            rules["starts"] = tuple(rules["starts"])
            rules["splice_pairs"] = tuple(tuple(pair) for pair in rules["splice_pairs"])
            stops = GeneticCode.from_table(genetic_code).stops
            self._made[key] = Grammar(self.tokenizer, GrammarRules(**rules), stops)
        return self._made[key]


@dataclass(frozen=True)
class Window:
    """A crop of a sample as the network sees it."""

    bases: str
    genes: list[WindowGene]
    dont_care: list[tuple[int, int, str]]
    clade: str
    genetic_code: int


def crop(sample: Sample, start: int, end: int, reverse: bool = False) -> Window:
    """Bases ``start`` .. ``end - 1`` of a sample with its genes, on either strand; soft-masking is ignored."""
    genes, spans = window_genes(sample, start, end)
    bases = sample.bases[start:end].decode("ascii").upper()
    dont_care = [tuple(span) for span in spans]
    if reverse:
        size = end - start
        turned = {"+": "-", "-": "+", ".": "."}
        bases = reverse_complement(bases)
        genes = reverse_complement_genes(genes, size)
        dont_care = [(size - high, size - low, turned[strand]) for low, high, strand in dont_care]
    return Window(bases, genes, dont_care, sample.meta["clade"], sample.meta["genetic_code"])


def random_crop(sample: Sample, rng: np.random.Generator) -> Window:
    """A window as long as the core at a random place of the sample, on a random strand."""
    length = sample.core.length
    start = int(rng.integers(0, len(sample.bases) - length + 1))
    return crop(sample, start, start + length, bool(rng.integers(2)))


class WindowData:
    """Samples of shards as batches of the network."""

    def __init__(self, shards: ShardReader | ShardSet, grammars: Grammars, lookahead_bp: int) -> None:
        self.shards = shards
        self.grammars = grammars
        self.lookahead_bp = lookahead_bp
        tokenizer = grammars.tokenizer
        metas = [shards.meta(index) for index in range(len(shards))]
        self.species = [meta["species"] for meta in metas]
        core_bp = shards.sizes_bp() - np.array([meta["flank5"] + meta["flank3"] for meta in metas], dtype=np.int64)
        longest = int(core_bp.max(initial=0))
        if longest > tokenizer.max_window_bp:
            raise InputError(
                f"a window of {longest} bp is longer than max_window_bp {tokenizer.max_window_bp} of the tokenizer: "
                "raise tokenizer.max_window_bp or lower bake.windows"
            )
        genes = np.array([meta["num_genes"] + meta["num_introns"] for meta in metas], dtype=np.int64)
        per_base = 1 / (tokenizer.k or 1) + 1 / tokenizer.segment_bp
        self.lengths = np.ceil(core_bp * per_base).astype(np.int64) + 8 + TOKENS_PER_GENE * genes

    def example(self, window: Window) -> Example:
        grammar = self.grammars.of(window.clade, window.genetic_code)
        return make_example(window.bases, window.clade, window.genes, window.dont_care, grammar, self.lookahead_bp)

    def training_batch(self, indices: np.ndarray, _epoch: int, rng: np.random.Generator) -> Batch:
        return collate([self.example(random_crop(self.shards.read(int(index)), rng)) for index in indices])

    def validation_batch(self, indices: np.ndarray, _epoch: int, _rng: np.random.Generator) -> Batch:
        samples = [self.shards.read(int(index)) for index in indices]
        return collate([self.example(crop(sample, *sample.core)) for sample in samples])


class WindowScorer:
    """F1 of greedy constrained decoding on fixed windows."""

    def __init__(self, windows: Sequence[Window], grammars: Grammars, batch_size: int = 8) -> None:
        self.windows = windows
        self.grammars = grammars
        self.batch_size = batch_size

    def __call__(self, model: GeneT5Model) -> dict[str, float]:
        groups: dict[tuple[str, int], list[Window]] = {}
        for window in self.windows:
            groups.setdefault((window.clade, window.genetic_code), []).append(window)
        scores = []
        for (clade, code), windows in groups.items():
            grammar = self.grammars.of(clade, code)
            for first in range(0, len(windows), self.batch_size):
                part = windows[first : first + self.batch_size]
                written = write_genes(model, grammar, [window.bases for window in part], clade)
                scores += [
                    window_f1(window.genes, result.genes, window.dont_care)
                    for window, result in zip(part, written, strict=True)
                ]
        means = np.mean(np.array(scores, dtype=np.float64), axis=0)
        return {"exon_f1": float(means[0]), "gene_f1": float(means[1]), "nucleotide_f1": float(means[2])}


def read_eval_windows(path: Path, shards: ShardReader) -> list[Window]:
    """The validation windows that ``eval.json`` names."""
    chosen = json.loads(path.read_text(encoding="utf-8"))["samples"]
    samples = [shards.read(entry["index"]) for entry in chosen]
    return [crop(sample, *sample.core) for sample in samples]


def run_sft(
    model_dir: Path,
    manifests: Sequence[Path],
    validation: Path,
    eval_samples: Path,
    grammar_table: Mapping[str, Mapping[str, Any]],
    options: TrainingOptions,
    output_dir: Path,
    restart: bool = False,
) -> None:
    """Train, and export the best weights as ``output_dir``'s own model; a finished run is only exported again.

    Raises:
        InputError: missing or damaged input, no training windows, another run's folder; see ``training.loop.fit``.
    """
    for path in (validation, eval_samples):
        if not path.is_file():
            raise InputError(f"{path}: no such file; run merge_validation first")
    shards = [path for manifest in manifests for path in shard_paths(manifest, "train")]
    fingerprint = {
        "manifests": {read_manifest(path)["parameters"]["species"]: file_sha256(path) for path in sorted(manifests)},
        "validation": file_sha256(validation),
        "model": file_sha256(model_dir / "model.safetensors") if (model_dir / "model.safetensors").is_file() else "",
        "grammar": json.loads(json.dumps(grammar_table)),
    }
    if result := finished_run(output_dir, options, fingerprint):
        print(f"{output_dir}: already finished after {result.steps} steps", flush=True)
        export(result.best, output_dir)
        return
    if not shards:
        raise InputError(
            f"no training windows in {', '.join(map(str, manifests)) or 'no manifest'}: bake a train species"
        )
    torch.manual_seed(options.seed)
    model, tokenizer = load_model(model_dir)
    grammars = Grammars(tokenizer, grammar_table)
    lookahead_bp = model.config.lookahead_bp
    train = WindowData(ShardSet(shards), grammars, lookahead_bp)
    held_out = ShardReader(validation)
    valid = WindowData(held_out, grammars, lookahead_bp)
    repeats = balanced_repeats(train.species, options.species_balance) if options.species_balance < 1 else None
    budget, rows = options.token_budget, options.max_batch_size
    fabric = start_fabric(options)
    windows = read_eval_windows(eval_samples, held_out)
    say(fabric, f"{len(train.lengths)} training windows, {len(valid.lengths)} for validation, {len(windows)} scored")
    result = fit(
        model,
        BatchSource(
            BatchPlan(train.lengths, budget, rows, options.seed, repeats, long_alone=True), train.training_batch
        ),
        options,
        output_dir,
        fingerprint=fingerprint,
        save_model=lambda folder: save_model(model, tokenizer, folder),
        validation=BatchSource(
            BatchPlan(valid.lengths, budget, rows, long_alone=True, shuffle=False), valid.validation_batch
        ),
        evaluate=WindowScorer(windows, grammars) if windows else None,
        restart=restart,
        fabric=fabric,
    )
    if fabric.is_global_zero:
        export(result.best, output_dir)
    fabric.barrier()


def export(best: Path, output_dir: Path) -> None:
    """Copy the best model into ``output_dir`` itself; the weights appear last and whole."""
    names = sorted(path.name for path in best.iterdir() if path.is_file())
    for name in sorted(names, key=lambda name: name == "model.safetensors"):
        partial = output_dir / f".{name}.tmp"
        shutil.copyfile(best / name, partial)
        partial.replace(output_dir / name)
