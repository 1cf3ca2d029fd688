"""Training of the gene finder: single bases, sites and whole chains of genes, on random crops of baked windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genet5.bake.shards import ShardReader
from genet5.bake.training_inputs import TrainingInputs, find_inputs
from genet5.clades import Clade
from genet5.crf.chains import chain_loss
from genet5.crf.config import crf_config
from genet5.crf.data import CrfBatch, CrfData, StreamedCrfData
from genet5.crf.folder import WEIGHTS_FILE, load_crf, save_crf
from genet5.crf.hexamer_counts import HexamerCounts, begin_from_counts
from genet5.crf.labels import NOT_A_SITE
from genet5.crf.layers import Convolution
from genet5.crf.losses import base_losses
from genet5.crf.model import Crf, make_crf
from genet5.crf.objectives import EXPECTED_F1, SOFTMAX_MARGIN, expected_site_f1, margin_costs
from genet5.crf.options import SCRATCH, CrfOptions
from genet5.errors import InputError
from genet5.files import file_sha256
from genet5.training.batches import BatchSource, Source
from genet5.training.card import write_card
from genet5.training.compiling import prepare_compiling
from genet5.training.fabric import Fabric
from genet5.training.loop import fit
from genet5.training.options import STREAM
from genet5.training.processes import say, start_fabric
from genet5.training.runs import export_best, export_finished
from genet5.training.sampler import BatchPlan, balanced_repeats
from genet5.training.streaming import stream_plan
from genet5.training.trainable import TrainableModule


class CrfTraining(TrainableModule):
    """One network with its losses, as the training loop wants a model."""

    def __init__(self, crf: Crf, options: CrfOptions) -> None:
        super().__init__()
        self.network = crf.networks[0]
        self.options = options

    def recompute_activations(self) -> None:
        """Convolutions keep no activations for the backward pass: they are computed again."""
        for module in self.network.modules():
            if isinstance(module, Convolution):
                module.recompute = True

    def compile_network(self) -> None:
        """The network alone: the sums over chains are compiled already, by numba."""
        self.network.compile(**prepare_compiling())

    def training_losses(self, batch: CrfBatch) -> dict[str, Tensor]:
        """Losses summed over bases; ``refused`` is the share of strands whose labels are no chain of genes."""
        allowed = batch.sites > NOT_A_SITE
        output, options = self.network(batch.codes, allowed.any(2)), self.options
        parts = base_losses(output.class_logits, output.site_logits, batch.labels, batch.sites)
        penalty, strands = self.network.gene_penalty, batch.lengths.repeat_interleave(2)
        labels, sites = batch.chains.flatten(0, 1), batch.sites.flatten(0, 1)
        bases, boundaries = output.potentials.flatten(0, 1), output.site_potentials.flatten(0, 1)
        margins = torch.zeros((), device=bases.device), torch.zeros((), device=bases.device)
        if options.objective == SOFTMAX_MARGIN and self.training:
            margins = margin_costs(labels, sites, options.margin_per_base, options.margin_per_site)
        chains = chain_loss(
            bases + margins[0], boundaries + margins[1], penalty, allowed.flatten(0, 1), labels, strands
        )
        weight = batch.lengths.sum()
        chain = chains.loss.sum()
        loss = (
            options.base_weight * parts["base"]
            + options.soft_f1_weight * parts["soft_f1"]
            + options.site_weight * parts["site"]
        )
        if options.objective == EXPECTED_F1:
            parts["site_f1"] = expected_site_f1(bases, boundaries, penalty, sites, strands)
            loss = loss + options.f1_weight * (1 - parts["site_f1"])
        losses = {"sum": loss * weight + options.chain_weight * chain, "weight": weight}
        losses |= {name: value * weight for name, value in parts.items()}
        return losses | {"chain": chain * 1000, "refused": chains.refused.float().mean() * weight}


def first_crf(options: CrfOptions) -> Crf:
    """The gene finder that training starts from: a trained one (``init_from``), or a fresh one of the size asked for.

    ``site_dilations`` may name more layers after those of the trained one: they begin as the identity. Raises
    ``InputError`` for a folder without one, one of another shape than asked for, and one of several networks.
    """
    config = crf_config(options.size, options.overrides)
    if options.init_from == SCRATCH:
        return make_crf(config, options.seed)
    crf = load_crf(options.init_from)
    if crf.config.num_networks > 1:
        raise InputError(
            f"{options.init_from}: {crf.config.num_networks} joined networks; train each by itself, and join them again"
        )
    differing = [name for name, value in crf.config.one_network.items() if value != getattr(config, name)]
    # Dropout is none of the weights, and layers of sites can be added.
    shape = [name for name in differing if name not in ("stem_dropout", "site_dilations")]
    if config.site_dilations[: len(crf.config.site_dilations)] != crf.config.site_dilations:
        shape.append("site_dilations")
    if shape:
        name = shape[0]
        raise InputError(
            f"{options.init_from}: {name} is {getattr(crf.config, name)}, asked for is {getattr(config, name)}; set "
            "crf.size and crf.overrides alike"
        )
    fresh = make_crf(config, options.seed)
    fresh.load_state_dict({**fresh.state_dict(), **crf.state_dict()})
    for layer in fresh.networks[0].site_convolutions[len(crf.config.site_dilations) :]:
        nn.init.zeros_(layer.conv.weight)  # adds nothing until it learns
        nn.init.zeros_(layer.conv.bias)
    return fresh


def run_crf_training(
    manifests: Sequence[Path],
    validation: Path,
    clades: Mapping[str, Clade],
    options: CrfOptions,
    output_dir: Path,
    restart: bool = False,
    device: str = "auto",
) -> None:
    """Train, and export the best weights as ``output_dir``'s own model; a finished run is only exported again.

    Raises:
        InputError: missing or damaged input, no training windows, another run's folder; see ``training.loop.fit``.
    """
    if not validation.is_file():
        raise InputError(f"{validation}: no such file; run merge_validation first")
    options.check_reading()
    inputs = find_inputs(manifests, validation, clades, options.shards_url if options.reading == STREAM else None)
    start = Path(options.init_from) / WEIGHTS_FILE if options.init_from != SCRATCH else None
    if start is not None and not start.is_file():
        raise InputError(f"{start}: no such file; init_from must be the folder of a trained CRF")
    fingerprint = inputs.fingerprint | {"start": file_sha256(start) if start else ""}
    if export_finished(output_dir, options, fingerprint, restart):
        return
    crf = first_crf(options)
    valid = CrfData(ShardReader(validation), clades)
    fabric = start_fabric(options, device)
    read = _read_stream if options.reading == STREAM else _read_local
    train, counts = read(inputs, clades, options, fabric)
    if counts:
        begin_from_counts(crf.networks[0], counts.log_odds())
    say(fabric, f"{train.num_samples} training windows, {len(valid.lengths)} for validation")
    result = fit(
        CrfTraining(crf, options),
        train,
        options,
        output_dir,
        fingerprint=fingerprint,
        save_model=lambda folder: save_crf(crf, folder),
        validation=BatchSource(_plan(valid, options, shuffle=False), valid.validation_batch) if valid.species else None,
        restart=restart,
        fabric=fabric,
    )
    about = "A gene finder: a network per base and a conditional random field over chains of genes."
    export_best(
        fabric,
        result,
        output_dir,
        lambda folder: write_card(
            folder, "GeneT5 CRF", about, inputs.species, result.metrics, options.for_card(), inputs.simulated
        ),
    )


def _read_local(
    inputs: TrainingInputs, clades: Mapping[str, Clade], options: CrfOptions, _fabric: Fabric
) -> tuple[Source, HexamerCounts | None]:
    """Batches of the shards on this machine, and counts of hexamers if the first weights are made of them."""
    data = CrfData(inputs.windows(), clades, options.random_crops)
    repeats = balanced_repeats(data.species, options.species_balance)
    plan = _plan(data, options, seed=options.seed, repeats=repeats)
    counts = data.count_hexamers(options.hexamer_windows, options.seed) if options.counts_hexamers else None
    return BatchSource(plan, data.training_batch), counts


def _read_stream(
    inputs: TrainingInputs, clades: Mapping[str, Clade], options: CrfOptions, fabric: Fabric
) -> tuple[Source, HexamerCounts | None]:
    """The same of streamed shards."""
    data = StreamedCrfData(inputs.stream(), clades, options.random_crops)
    plan = stream_plan(data.shards, options.max_batch_size, options.species_balance, options, fabric)
    counts = data.count_hexamers(options.hexamer_windows) if options.counts_hexamers else None
    return data.source(plan, options.max_batch_size), counts


def _plan(data: CrfData, options: CrfOptions, **details: Any) -> BatchPlan:
    rows = options.max_batch_size
    return BatchPlan(data.lengths, rows * int(data.lengths.max()), rows, **details)
