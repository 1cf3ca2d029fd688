"""Reinforcement learning of the CRF after its training on likelihood: which windows, what is measured and written."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from genet5.bake.crops import Window, crop, read_eval_windows
from genet5.bake.shards import ShardReader
from genet5.clades import Clade
from genet5.crf.data import CrfData
from genet5.crf.folder import WEIGHTS_FILE, load_crf, save_crf
from genet5.errors import InputError
from genet5.files import file_sha256, write_json
from genet5.grpo.crf_run import CrfGrpoRun, CrfPolicy, CrfWindowScorer
from genet5.grpo.options import CrfGrpoOptions
from genet5.grpo.run import reward_weights
from genet5.grpo.training import run_fingerprint, simulated_part
from genet5.training.batches import BatchSource
from genet5.training.card import write_card
from genet5.training.loop import fit
from genet5.training.processes import say, start_fabric
from genet5.training.runs import export_best, export_finished
from genet5.training.sampler import BatchPlan


class CrfPrompts(CrfData):
    """Whole windows as prompts, on a random strand."""

    def prompts(self, indices: np.ndarray, _epoch: int, rng: np.random.Generator) -> list[Window]:
        return [crop(sample, *sample.core, reverse=bool(rng.integers(2))) for sample in self._read(indices)]


def run_crf_grpo(
    model_dir: Path,
    prompts: Path,
    validation: Path,
    eval_windows: Path,
    clades: Mapping[str, Clade],
    options: CrfGrpoOptions,
    output_dir: Path,
    restart: bool = False,
    device: str = "auto",
) -> None:
    """Train the CRF in ``model_dir`` on the windows of the tar ``prompts``, and export the best weights.

    The weights it starts from are scored first, so that the best ones are never worse than them on the validation
    windows. A finished run is only exported again.

    Raises:
        InputError: missing or damaged input, another run's folder, no reward that varies; see ``training.loop.fit``.
    """
    fingerprint = run_fingerprint(prompts, validation, eval_windows, clades)
    if not (model_dir / WEIGHTS_FILE).is_file():
        raise InputError(f"{model_dir / WEIGHTS_FILE}: no such file; --model must be the folder of a trained CRF")
    fingerprint["model"] = file_sha256(model_dir / WEIGHTS_FILE)
    if export_finished(output_dir, options, fingerprint, restart):
        return
    crf = load_crf(model_dir)
    data = CrfPrompts(ShardReader(prompts), clades)
    windows = read_eval_windows(eval_windows, ShardReader(validation))[: options.eval_samples or None]
    fabric = start_fabric(options, device)
    say(
        fabric,
        f"{len(data.lengths)} prompts, {len(windows)} validation windows, {options.group_size} annotations a strand",
    )
    rows = options.batch_size
    plan = BatchPlan(data.lengths, rows * int(data.lengths.max()), rows, options.seed)
    result = fit(
        CrfPolicy(crf),
        BatchSource(plan, data.prompts),
        options,
        output_dir,
        fingerprint=fingerprint,
        save_model=lambda folder: save_crf(crf, folder),
        evaluate=CrfWindowScorer(windows, data, reward_weights(options)) if windows else None,
        restart=restart,
        fabric=fabric,
        make_run=functools.partial(CrfGrpoRun, data),
    )
    if fabric.is_global_zero:
        inputs = {"model": str(model_dir), "prompts": str(prompts), "validation": str(validation)}
        config = {"options": dataclasses.asdict(options), "inputs": inputs, "sha256": fingerprint}
        write_json(output_dir / "grpo_config.json", config)
    about = "A gene finder, after reinforcement learning on exon and gene F1."
    export_best(
        fabric,
        result,
        output_dir,
        lambda folder: write_card(
            folder,
            "GeneT5 CRF",
            about,
            sorted(set(data.species)),
            result.metrics,
            dataclasses.asdict(options),
            simulated_part(data.shards),
        ),
    )
