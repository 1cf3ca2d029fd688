"""The plan of a run as text: genomes, networks, stages, hours by device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genet5.plan.costs import Networks, StageCost, trained_stages
from genet5.plan.devices import Device
from genet5.plan.genomes import GenomePlan

#: Bytes of a parameter in a checkpoint (weight and two moments), and in a model.
CHECKPOINT_BYTES, MODEL_BYTES = 12, 4


def plan_text(
    config: Mapping[str, Any],
    genomes: Sequence[GenomePlan],
    of: Networks,
    costs: Sequence[StageCost],
    devices: Sequence[Device],
) -> str:
    """The whole plan. costs: of the stages."""
    parts = [
        f"run {config['run']}: {len(genomes)} species, stages {', '.join(config['stages'])}",
        _genomes(genomes),
        _networks(config, of, genomes),
        _stages(costs),
        _hours(costs, devices),
        "\n".join(f"{device.name}: {device.about}" for device in devices),
        _notes(genomes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def model_gb(config: Mapping[str, Any], of: Networks) -> float:
    """Disk of the models of all stages: the checkpoints that are kept, the best, the last, and the result."""
    total, stages = 0, trained_stages(config)
    for stage in stages:
        parameters = of.crf_parameters if stage == "crf" else of.crf_parameters + of.writer_parameters
        total += parameters * (CHECKPOINT_BYTES * config[stage]["keep_checkpoints"] + 3 * MODEL_BYTES)
    if stages != ("crf",):  # the writer before training, as found and with its vocabulary grown
        total += 2 * MODEL_BYTES * of.writer_parameters
    return total / 1e9


def _genomes(genomes: Sequence[GenomePlan]) -> str:
    rows = [
        [
            genome.row.species,
            genome.row.clade,
            genome.row.split,
            f"{genome.genome_bp / 1e6:,.1f}" if genome.genome_bp else "?",
            f"{genome.train:,}",
            f"{genome.validation:,}",
            f"{genome.test_bp / 1e6:,.1f}",
            f"{genome.tokens:,.0f}",
            f"{genome.train * genome.tokens / 1e6:,.1f}",
            f"{genome.disk_gb:.2f}",
            genome.known + (", baked" if genome.baked else ""),
        ]
        for genome in genomes
    ]
    total = ["total", "", "", f"{sum(g.genome_bp or 0 for g in genomes) / 1e6:,.1f}"]
    total += [f"{sum(g.train for g in genomes):,}", f"{sum(g.validation for g in genomes):,}"]
    total += [f"{sum(g.test_bp for g in genomes) / 1e6:,.1f}", ""]
    total += [f"{sum(g.train * g.tokens for g in genomes) / 1e6:,.1f}", f"{sum(g.disk_gb for g in genomes):.2f}", ""]
    head = [
        "species",
        "clade",
        "split",
        "Mb",
        "train",
        "validation",
        "test Mb",
        "tokens",
        "M tokens",
        "GB",
        "size from",
    ]
    return _table(head, [*rows, total], left=(0, 1, 2, 10))


def _networks(config: Mapping[str, Any], of: Networks, genomes: Sequence[GenomePlan]) -> str:
    disk = sum(genome.disk_gb for genome in genomes)
    models = model_gb(config, of)
    return (
        f"CRF, size {config['crf']['size']}: {of.crf_parameters:,} parameters\n"
        f"writer, size {config['writer']['size']}: {of.writer_parameters:,} parameters\n"
        f"disk: {disk:.0f} GB of genomes and windows, {models:.0f} GB of models and checkpoints"
    )


def _stages(costs: Sequence[StageCost]) -> str:
    rows = [
        [
            cost.name,
            f"{cost.steps:,}" if cost.steps else "",
            f"{cost.windows_a_step:,.0f}" if cost.steps else "",
            f"{cost.windows:,}" if cost.windows else "",
            f"{cost.tokens / 1e6:,.1f}" if cost.tokens else "",
            f"{(cost.network_flops + cost.writer_flops) / 1e15:,.2f}",
        ]
        for cost in costs
    ]
    return _table(["stage", "steps", "windows a step", "windows", "M tokens", "PFLOP"], rows)


def _hours(costs: Sequence[StageCost], devices: Sequence[Device]) -> str:
    hours = [[device.hours(cost) for cost in costs] for device in devices]
    rows = [[cost.name, *(_number(column[row]) for column in hours)] for row, cost in enumerate(costs)]
    rows.append(["total", *(_number(sum(column)) for column in hours)])
    return _table(["hours", *(device.name for device in devices)], rows)


def _notes(genomes: Sequence[GenomePlan]) -> str:
    notes = []
    if any(genome.train + genome.validation and not genome.baked for genome in genomes):
        notes.append("Windows that are not baked yet are at most so many: those without genes are left out then.")
    if any(genome.row.exon_flank_bp and not genome.baked for genome in genomes):
        notes.append("Genomes with exon_flank_bp are counted whole: condensed, they have far fewer windows.")
    if unknown := [genome.row.species for genome in genomes if genome.genome_bp is None]:
        notes.append(f"Not counted, since their size is unknown: {', '.join(unknown)}. Give genome_bp in the table.")
    return "\n".join(notes)


def _number(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.1f}" if hours >= 1 else f"{hours:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """Columns with two blanks between; those in ``left`` start at the left, the others end at the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    ]
    return "\n".join(lines)
