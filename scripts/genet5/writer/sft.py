"""Supervised fine-tuning of GeneT5 on baked shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from genet5.bake.crops import read_eval_windows
from genet5.bake.shards import ShardReader
from genet5.bake.training_inputs import TrainingInputs, find_inputs
from genet5.clades import Clade
from genet5.errors import InputError
from genet5.files import file_sha256
from genet5.tokens.grammars import Grammars
from genet5.training.batches import BatchSource, Source
from genet5.training.card import write_card
from genet5.training.fabric import Fabric
from genet5.training.loop import fit
from genet5.training.options import STREAM
from genet5.training.processes import say, start_fabric
from genet5.training.runs import export_best, export_finished
from genet5.training.sampler import BatchPlan, balanced_repeats
from genet5.training.streaming import stream_plan
from genet5.writer.building import load_model, save_model, weights_sha256
from genet5.writer.cost import flops_per_token
from genet5.writer.options import SftOptions
from genet5.writer.streamed_windows import StreamedWindowData
from genet5.writer.windows import WindowData, WindowScorer


def run_sft(
    model_dir: Path,
    manifests: Sequence[Path],
    validation: Path,
    eval_windows: Path,
    clades: Mapping[str, Clade],
    options: SftOptions,
    output_dir: Path,
    restart: bool = False,
    device: str = "auto",
) -> None:
    """Train, and export the best weights as ``output_dir``'s own model; a finished run is only exported again.

    Raises:
        InputError: missing or damaged input, no training windows, another run's folder; see ``training.loop.fit``.
    """
    for path in (validation, eval_windows):
        if not path.is_file():
            raise InputError(f"{path}: no such file; run merge_validation first")
    options.check_reading()
    inputs = find_inputs(manifests, validation, clades, options.shards_url if options.reading == STREAM else None)
    fingerprint = inputs.fingerprint | {"eval_windows": file_sha256(eval_windows), "model": weights_sha256(model_dir)}
    if export_finished(output_dir, options, fingerprint, restart):
        return
    model, tokenizer = load_model(model_dir)
    grammars = Grammars(tokenizer, clades)
    latents = model.config.num_latents
    held_out = ShardReader(validation)
    valid = WindowData(held_out, grammars, random_crops=False, added_tokens=latents)
    budget, rows = options.token_budget, options.max_batch_size
    fabric = start_fabric(options, device)
    read = _read_stream if options.reading == STREAM else _read_local
    train, mean_tokens = read(inputs, grammars, latents, options, fabric)
    scored = read_eval_windows(eval_windows, held_out)
    say(fabric, f"{train.num_samples} training windows, {len(valid.lengths)} for validation, {len(scored)} scored")
    result = fit(
        model,
        train,
        options,
        output_dir,
        fingerprint=fingerprint,
        save_model=lambda folder: save_model(model, tokenizer, folder),
        validation=BatchSource(
            BatchPlan(valid.lengths, budget, rows, long_alone=True, shuffle=False), valid.validation_batch
        ),
        evaluate=WindowScorer(scored, grammars) if scored else None,
        flops_per_token=flops_per_token(model.config, mean_tokens),
        restart=restart,
        fabric=fabric,
    )
    about = "A language model that writes gene structures around a gene finder, after supervised fine-tuning."
    export_best(
        fabric,
        result,
        output_dir,
        lambda folder: write_card(
            folder, "GeneT5 writer", about, inputs.species, result.metrics, options.for_card(), inputs.simulated
        ),
    )


def _read_local(
    inputs: TrainingInputs, grammars: Grammars, added_tokens: int, options: SftOptions, _fabric: Fabric
) -> tuple[Source, float]:
    """Batches of the shards on this machine, and tokens of a sample on average."""
    data = WindowData(inputs.windows(), grammars, added_tokens=added_tokens)
    repeats = balanced_repeats(data.species, options.species_balance)
    budget, rows = options.token_budget, options.max_batch_size
    plan = BatchPlan(data.lengths, budget, rows, options.seed, repeats, long_alone=True)
    return BatchSource(plan, data.training_batch, data.counts.batch), float(data.lengths.sum(axis=1).mean())


def _read_stream(
    inputs: TrainingInputs, grammars: Grammars, added_tokens: int, options: SftOptions, fabric: Fabric
) -> tuple[Source, float]:
    """The same of streamed shards."""
    data = StreamedWindowData(inputs.stream(), grammars, added_tokens)
    budget, most = options.token_budget, options.max_batch_size
    rows = min(max(budget / data.mean_tokens, 1.0), most)
    plan = stream_plan(data.shards, rows, options.species_balance, options, fabric)
    return data.source(plan, budget, most), data.mean_tokens
