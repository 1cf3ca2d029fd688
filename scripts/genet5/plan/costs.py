"""What each stage of a run computes: steps, windows, tokens, and floating-point operations.

Operations are those of matrix products and convolutions, as usual: forward 2 for each weight that an input meets, and
backward twice as many (Kaplan et al. 2020). The CRF's are counted by torch on a short window.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from genet5.crf.config import crf_config
from genet5.crf.model import Crf, make_crf
from genet5.plan.genomes import GenomePlan
from genet5.settings.sections import STAGES
from genet5.writer.config import GeneT5Config, sized_config
from genet5.writer.cost import PASSES, flops_per_token

COUNTED_BP = 3000
#: Tokens of a completion in reinforcement learning, where max_gen_length allows as many.
COMPLETION_TOKENS = 120


@dataclass(frozen=True)
class Networks:
    """The two networks, and the operations of the CRF's forward pass per base of a window (both strands)."""

    crf: Crf
    crf_parameters: int
    crf_flops_per_base: float
    writer: GeneT5Config
    writer_parameters: int


@dataclass(frozen=True)
class StageCost:
    """What a stage computes in all. steps: 0 for annotation. windows: samples read in all, those of a step in one.
    shared: whether all nodes work on it; the CRF trains and a genome is annotated on one.

    network_flops: of the CRF's convolutions. writer_flops: of the transformer. bases: that the sums over chains see, or
    that are annotated; they are computed on the CPU. decoded: tokens that are written one after the other.
    """

    name: str
    steps: int = 0
    windows: int = 0
    windows_a_step: float = 0.0
    tokens: float = 0.0
    bases: float = 0.0
    network_flops: float = 0.0
    writer_flops: float = 0.0
    decoded: float = 0.0
    shared: bool = False


def networks(config: Mapping[str, Any], vocabulary: int = 4400) -> Networks:
    """The networks of a run. vocabulary: rows of the token table, which decide little."""
    crf = make_crf(crf_config(config["crf"]["size"], config["crf"]["overrides"]), 0).eval()
    shape = sized_config(config["writer"]["size"], crf.config, **config["writer"]["overrides"], vocab_size=vocabulary)
    return Networks(crf, _count(crf), _crf_flops_per_base(crf), shape, writer_parameters(shape))


def writer_parameters(shape: GeneT5Config) -> int:
    """Parameters of the writer without its CRF, counted on a network without memory."""
    from genet5.writer.network import GeneT5Model

    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tables that are empty have nothing to draw
        model = GeneT5Model(shape)
    return _count(model) - _count(model.crf)


def stage_costs(config: Mapping[str, Any], genomes: Sequence[GenomePlan], of: Networks) -> list[StageCost]:
    """Costs of the stages that a run trains, and of annotation with each that it scores."""
    known = [genome for genome in genomes if genome.train]
    make = {"crf": _crf, "grpo_crf": _grpo_crf, "sft": _sft, "grpo": _grpo}
    costs = [make[name](config, known, of) for name in trained_stages(config)] if known else []
    test_bp = sum(genome.test_bp for genome in genomes)
    return costs + [_annotation(name, test_bp, config, genomes, of) for name in config["stages"] if test_bp]


def trained_stages(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The stages up to the last one that is scored: each needs those before it, but the CRF's own reinforcement."""
    stages = STAGES[: max(map(STAGES.index, config["stages"])) + 1]
    return tuple(stage for stage in stages if stage != "grpo_crf" or stage in config["stages"])


def _crf(config: Mapping[str, Any], genomes: Sequence[GenomePlan], of: Networks) -> StageCost:
    section = config["crf"]
    windows, steps, drawn = _length(section, section["max_batch_size"], genomes)
    bases = sum(share * genome.window_bp for genome, share in drawn) * windows
    flops = PASSES * of.crf_flops_per_base * bases
    return StageCost("crf", steps, windows, windows / max(steps, 1), 0.0, bases, flops)


def _grpo_crf(config: Mapping[str, Any], genomes: Sequence[GenomePlan], of: Networks) -> StageCost:
    """Prompts are read for the reference of the KL divergence and for the update; samples cost little beside that."""
    section = config["grpo_crf"]
    prompts = min(config["grpo_prompts"]["num_prompts"], sum(genome.train for genome in genomes))
    a_step = section["batch_size"] * _batches_per_step(section, "batch_size")
    steps = math.ceil(prompts * section["epochs"] / a_step)
    steps = min(steps, section["max_steps"]) if section["max_steps"] else steps
    read = steps * a_step
    bases = read * sum(genome.window_bp for genome in genomes) / len(genomes)
    passes = PASSES + (section["beta"] > 0)
    return StageCost("grpo_crf", steps, read, a_step, 0.0, bases, passes * of.crf_flops_per_base * bases)


def _sft(config: Mapping[str, Any], genomes: Sequence[GenomePlan], of: Networks) -> StageCost:
    section, latents = config["sft"], of.writer.num_latents
    _, _, drawn = _length(section, 1, genomes)
    mean = sum(share * (genome.tokens + latents) for genome, share in drawn)
    rows = max(1.0, min(section["max_batch_size"], section["token_budget"] / mean))
    windows, steps, drawn = _length(section, rows, genomes)
    bases = sum(share * genome.window_bp for genome, share in drawn) * windows
    tokens = mean * windows
    return StageCost(
        "sft", steps, windows, windows / max(steps, 1), tokens, 0.0,
        of.crf_flops_per_base * bases, flops_per_token(of.writer, mean) * tokens, shared=True,
    )  # fmt: skip


def _grpo(config: Mapping[str, Any], genomes: Sequence[GenomePlan], of: Networks) -> StageCost:
    """Prompts are read for sampling, for the reference of the KL divergence and for the update, and so are completions.

    Prompts are balanced over species.
    """
    section = config["grpo"]
    prompts = min(config["grpo_prompts"]["num_prompts"], sum(genome.train for genome in genomes))
    mean = sum(genome.tokens for genome in genomes) / len(genomes) + of.writer.num_latents
    written = min(section["max_gen_length"], COMPLETION_TOKENS)
    rows = max(1.0, min(section["batch_size"], section["token_budget"] / (mean + section["group_size"] * written)))
    batches = _batches_per_step(section, "batch_size")
    a_step = rows * batches
    steps = math.ceil(prompts * section["epochs"] / a_step)
    steps = min(steps, section["max_steps"]) if section["max_steps"] else steps
    read = steps * a_step
    tokens = read * (mean + section["group_size"] * written)
    passes = 1 + (section["beta"] > 0) + PASSES * section["updates_per_rollout"]
    bases = read * sum(genome.window_bp for genome in genomes) / len(genomes)
    return StageCost(
        "grpo", steps, round(read), a_step, tokens, 0.0, of.crf_flops_per_base * bases,
        flops_per_token(of.writer, mean) / PASSES * passes * tokens, steps * batches * written,
        shared=True,
    )  # fmt: skip


def _annotation(
    name: str, test_bp: int, config: Mapping[str, Any], genomes: Sequence[GenomePlan], of: Networks
) -> StageCost:
    """Tiles share about an eighth of their bases. The writer reads each once, and writes the usual number of genes."""
    read_bp = test_bp * 8 / 7
    network = of.crf_flops_per_base * read_bp
    if name == "crf":
        return StageCost(f"annotate ({name})", bases=read_bp, network_flops=network)
    tested = [genome for genome in genomes if genome.test_bp]
    per_base = sum(genome.tokens / genome.window_bp * genome.test_bp for genome in tested) / test_bp
    mean = sum(genome.tokens * genome.test_bp for genome in tested) / test_bp
    tokens = per_base * read_bp
    return StageCost(
        f"annotate ({name})", tokens=tokens, bases=read_bp, network_flops=network,
        writer_flops=flops_per_token(of.writer, mean) / PASSES * tokens,
        decoded=_written(tested) * 8 / 7 / config["annotate"]["batch_size"],
    )  # fmt: skip


def _written(genomes: Sequence[GenomePlan]) -> float:
    """Structure tokens of whole genomes, if tiles were decoded one by one."""
    return sum(genome.structure_tokens / genome.window_bp * genome.test_bp for genome in genomes)


def _length(
    section: Mapping[str, Any], rows: float, genomes: Sequence[GenomePlan]
) -> tuple[int, int, list[tuple[GenomePlan, float]]]:
    """Windows and steps of a training, and the share of each species in them."""
    counts = [genome.train for genome in genomes]
    total = sum(counts)
    share = [count ** section["species_balance"] for count in counts]
    drawn = [(genome, one / sum(share)) for genome, one in zip(genomes, share, strict=True)]
    a_step = rows * _batches_per_step(section, "max_batch_size")
    steps = math.ceil(total / a_step) * section["epochs"]
    steps = min(steps, section["max_steps"]) if section["max_steps"] else steps
    return min(total * section["epochs"], round(steps * a_step)), steps, drawn


def _batches_per_step(section: Mapping[str, Any], batch_option: str) -> int:
    return max(1, section["windows_per_step"] // section[batch_option])


def _crf_flops_per_base(crf: Crf) -> float:
    codes = torch.randint(0, 4, (1, 2, COUNTED_BP), dtype=torch.uint8)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        crf.networks[0](codes)
    return counter.get_total_flops() / COUNTED_BP


def _count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
