"""Supervised fine-tuning of GeneT5 on baked shards."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from genet5.bake.manifest import file_sha256, read_manifest, shard_paths
from genet5.bake.shards import ShardReader, ShardSet
from genet5.errors import InputError
from genet5.model.building import load_model, save_model
from genet5.tokens.clades import Grammars
from genet5.training.batches import BatchSource
from genet5.training.loop import fit
from genet5.training.options import TrainingOptions
from genet5.training.processes import say, start_fabric
from genet5.training.runs import export, finished_run
from genet5.training.sampler import BatchPlan, balanced_repeats
from genet5.training.windows import WindowData, WindowScorer, read_eval_windows


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
    train = WindowData(ShardSet(shards), grammars)
    if not model.config.reader_trained:
        raise InputError(f"{model_dir}: its reader has first weights; train it first (reader.py)")
    model.reader.requires_grad_(False)
    held_out = ShardReader(validation)
    valid = WindowData(held_out, grammars)
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
