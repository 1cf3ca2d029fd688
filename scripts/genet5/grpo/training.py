"""Reinforcement learning of GeneT5 after supervised training: which windows, what is measured, what is written."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from genet5.bake.crops import Window, crop, read_eval_windows
from genet5.bake.shards import ShardReader, ShardSet
from genet5.clades import Clade, clade_named
from genet5.errors import InputError
from genet5.files import file_sha256, write_json
from genet5.genome.simulation_origin import simulated_in_words
from genet5.grpo.options import GrpoOptions
from genet5.grpo.run import GrpoRun, reward_weights
from genet5.tokens.grammars import Grammars
from genet5.training.batches import BatchSource
from genet5.training.card import write_card
from genet5.training.loop import fit
from genet5.training.processes import say, start_fabric
from genet5.training.runs import export_best, export_finished
from genet5.training.sampler import BatchPlan
from genet5.writer.building import load_model, save_model, weights_sha256
from genet5.writer.windows import WindowData, WindowScorer


class PromptData(WindowData):
    """Whole windows as prompts, on a random strand."""

    def __init__(self, shards: ShardReader | ShardSet, grammars: Grammars, added_tokens: int = 0) -> None:
        super().__init__(shards, grammars, random_crops=False, added_tokens=added_tokens)

    def prompts(self, indices: np.ndarray, _epoch: int, rng: np.random.Generator) -> list[Window]:
        samples = [self.shards.read(int(index)) for index in indices]
        return [crop(sample, *sample.core, reverse=bool(rng.integers(2))) for sample in samples]

    def group_tokens(self, group_size: int, max_gen_length: int) -> np.ndarray:
        """Tokens of each prompt with its group of completions, at most: nobody knows what will be sampled."""
        return self.prompt_tokens + group_size * max_gen_length

    def _shown(self, index: int) -> list[str]:
        sample = self.shards.read(index)
        return [crop(sample, *sample.core, reverse=turned).bases for turned in (False, True)]


def run_fingerprint(prompts: Path, validation: Path, eval_windows: Path, clades: Mapping[str, Clade]) -> dict[str, Any]:
    """What a run is made from, the model left out. Raises ``InputError`` for a file that is not there."""
    for path, rule in ((prompts, "grpo_prompts"), (validation, "merge_validation"), (eval_windows, "merge_validation")):
        if not path.is_file():
            raise InputError(f"{path}: no such file; run {rule} first")
    return {
        "prompts": file_sha256(prompts),
        "validation": file_sha256(validation),
        "eval_windows": file_sha256(eval_windows),
        "clades": {name: clade_named(clades, name, "clade").identity() for name in clades_of(prompts)},
    }


def run_grpo(
    model_dir: Path,
    prompts: Path,
    validation: Path,
    eval_windows: Path,
    clades: Mapping[str, Clade],
    options: GrpoOptions,
    output_dir: Path,
    restart: bool = False,
    device: str = "auto",
) -> None:
    """Train on the windows of the tar ``prompts``, and export the best weights as ``output_dir``'s own model.

    The weights it starts from are scored first, so that the best ones are never worse than them on the validation
    windows. A finished run is only exported again.

    Raises:
        InputError: missing or damaged input, another run's folder, no reward that varies; see ``training.loop.fit``.
    """
    fingerprint = run_fingerprint(prompts, validation, eval_windows, clades) | {"model": weights_sha256(model_dir)}
    if export_finished(output_dir, options, fingerprint, restart):
        return
    model, tokenizer = load_model(model_dir)
    grammars = Grammars(tokenizer, clades)
    data = PromptData(ShardReader(prompts), grammars, model.config.num_latents)
    windows = read_eval_windows(eval_windows, ShardReader(validation))[: options.eval_samples or None]
    fabric = start_fabric(options, device)
    say(
        fabric,
        f"{len(data.lengths)} prompts, {len(windows)} validation windows, {options.group_size} completions a prompt",
    )
    lengths = data.group_tokens(options.group_size, options.max_gen_length)
    plan = BatchPlan(lengths, options.token_budget, options.batch_size, options.seed, long_alone=True)
    result = fit(
        model,
        BatchSource(plan, data.prompts),
        options,
        output_dir,
        fingerprint=fingerprint,
        save_model=lambda folder: save_model(model, tokenizer, folder),
        evaluate=WindowScorer(windows, grammars, score=reward_weights(options).of) if windows else None,
        restart=restart,
        fabric=fabric,
        make_run=functools.partial(GrpoRun, grammars),
    )
    if fabric.is_global_zero:
        inputs = {"model": str(model_dir), "prompts": str(prompts), "validation": str(validation)}
        config = {"options": dataclasses.asdict(options), "inputs": inputs, "sha256": fingerprint}
        write_json(output_dir / "grpo_config.json", config)
    about = "A language model that writes gene structures, after reinforcement learning on exon and gene F1."
    export_best(
        fabric,
        result,
        output_dir,
        lambda folder: write_card(
            folder,
            "GeneT5 writer",
            about,
            sorted(set(data.species)),
            result.metrics,
            dataclasses.asdict(options),
            simulated_part(data.shards),
        ),
    )


def simulated_part(shards: ShardReader) -> str:
    """A sentence on the simulated part of the prompts."""
    about = (shards.meta(index) for index in range(len(shards)))
    return simulated_in_words([(meta.get("simulated_from", ""), meta["end"] - meta["start"]) for meta in about])


def clades_of(prompts: Path) -> list[str]:
    """Clades of the windows in a tar."""
    with ShardReader(prompts) as shards:
        return sorted({shards.meta(index)["clade"] for index in range(len(shards))})
