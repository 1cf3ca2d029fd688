"""Steps of training on random DNA, timed on this machine with the code that trains."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from genet5.bake.crops import Window
from genet5.clades import read_clades
from genet5.crf.chains import chain_loss
from genet5.crf.config import crf_config
from genet5.crf.data import CrfBatch
from genet5.crf.labels import NOT_A_SITE, label_window
from genet5.crf.model import make_crf
from genet5.crf.options import CrfOptions
from genet5.crf.training import CrfTraining
from genet5.device import chosen_device
from genet5.genome.sites import WindowSites
from genet5.tokens.grammars import Grammars
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.training.precision import chosen_precision
from genet5.writer.batch import collate, make_example
from genet5.writer.building import new_model, resize_model
from genet5.writer.cost import PASSES, flops_per_token
from genet5.writer.decoding import write_genes
from genet5.writer.options import writer_shape

CLADE, CODE = "fungi", 1
WINDOW_BP, ROWS, REPEATS = 6000, 1, 3
#: A network of fewer layers and experts, which any machine can hold, does as many operations a second.
MOST_LAYERS, MOST_EXPERTS = 2, 4


class Measured(NamedTuple):
    """As in ``devices.Device``; device: its name."""

    writer_flops: float
    crf_flops: float
    token_s: float
    chain_s: float
    device: str


def measure(config: Mapping[str, Any], crf_flops_per_base: float, wanted: str = "auto") -> Measured:
    """Time a step of the CRF and one of the writer, both of the sizes of ``config``. Takes seconds."""
    device = torch.device(chosen_device(wanted))
    bases = random_windows(ROWS, WINDOW_BP)
    batch = crf_batch(bases).to(device)
    crf = CrfTraining(make_crf(crf_config(config["crf"]["size"], config["crf"]["overrides"]), 0), CrfOptions())
    crf = crf.to(device).train()
    step_s = timed(crf, lambda: crf.training_losses(batch)["sum"], device, config["crf"]["precision"])
    chain_s = _chain_seconds(crf, batch)
    base_count = ROWS * WINDOW_BP
    crf_flops = PASSES * crf_flops_per_base * base_count / max(step_s - chain_s, step_s / 20)
    writer_flops, token_s = _writer(config, bases, device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    return Measured(writer_flops, crf_flops, token_s, chain_s / base_count, name)


def timed(model: nn.Module, losses: Callable[[], Tensor], device: torch.device, precision: str) -> float:
    """Median seconds of forward and backward; the first is not counted."""
    seconds = []
    with_bf16 = chosen_precision(precision, device.type) == "bf16"
    for _ in range(1 + REPEATS):
        model.zero_grad()
        _wait(device)
        started = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=with_bf16):
            loss = losses()
        loss.backward()
        _wait(device)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def random_windows(number: int, window_bp: int) -> list[Window]:
    """Windows of random DNA without genes."""
    rng = np.random.default_rng(0)
    return [Window("".join(rng.choice(list("ACGT"), window_bp)), [], [], CLADE, CODE) for _ in range(number)]


def crf_batch(windows: list[Window]) -> CrfBatch:
    """These windows with labels, as the CRF trains on them."""
    rules = read_clades()[CLADE].gene_rules(CODE)
    sites = [WindowSites(window.bases, rules) for window in windows]
    labels, of_sites = zip(*(label_window(one, [], []) for one in sites), strict=True)
    stacked = torch.from_numpy(np.stack(labels))
    return CrfBatch(
        codes=torch.from_numpy(np.stack([one.strand_codes for one in sites])),
        lengths=torch.tensor([one.window_bp for one in sites]),
        labels=stacked,
        chains=stacked,
        sites=torch.from_numpy(np.stack(of_sites)),
    )


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _chain_seconds(crf: CrfTraining, batch: CrfBatch) -> float:
    """Seconds of the sums over chains with their gradient."""
    with torch.no_grad():
        output = crf.network(batch.codes)
    potentials = output.potentials.flatten(0, 1).requires_grad_()
    sites = output.site_potentials.flatten(0, 1).requires_grad_()
    allowed = (batch.sites > NOT_A_SITE).flatten(0, 1)
    labels, lengths = batch.chains.flatten(0, 1), batch.lengths.repeat_interleave(2)

    def losses() -> Tensor:
        return chain_loss(potentials, sites, crf.network.gene_penalty, allowed, labels, lengths).loss.sum()

    return timed(crf, losses, potentials.device, "fp32")


def _writer(config: Mapping[str, Any], windows: list[Window], device: torch.device) -> tuple[float, float]:
    """Operations a second of a training step, and seconds of a token that is written."""
    section = config["writer"]
    tokenizer = GeneTokenizer.build("kmer", segment_bp=96, max_window_bp=WINDOW_BP)
    shape = writer_shape(section["size"], section["overrides"])
    smaller = {
        "num_layers": min(shape.num_layers, MOST_LAYERS),
        "num_experts": min(shape.num_experts, MOST_EXPERTS),
    }
    overrides = {**section["overrides"], **smaller}
    model = new_model(section["size"], tokenizer, make_crf(crf_config("demo"), 0), 0, overrides)
    model = resize_model(model, tokenizer).to(device)
    grammar = Grammars(tokenizer, read_clades()).of(CLADE, CODE)
    bases = [window.bases for window in windows]
    write_genes(model.eval(), grammar, bases, CLADE)  # the first compiles
    started = time.perf_counter()
    written = write_genes(model, grammar, bases, CLADE)
    decoded_s = time.perf_counter() - started
    examples = [make_example(b, CLADE, one.genes, grammar) for b, one in zip(bases, written, strict=True)]
    batch = collate(examples).to(device)
    tokens = int(batch.prompts.prompt_lengths.sum() + batch.sequences.lengths.sum())
    model.train()
    step_s = timed(model, lambda: model.training_losses(batch)["sum"], device, config["sft"]["precision"])
    # The prompt is read before the first token: a third of a training step.
    alone_s = max(decoded_s - step_s / PASSES, decoded_s / 10) / int(batch.sequences.lengths.max())
    token_s = alone_s / model.config.num_layers * shape.num_layers
    return flops_per_token(model.config, tokens / len(windows)) * tokens / step_s, token_s
