"""How fast devices compute: this machine is measured, others are assumed to reach a share of their peak."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genet5.errors import InputError
from genet5.plan.costs import StageCost
from genet5.training.logs import PEAK_FLOPS

#: Share of the peak that trainings of 12 layers of 768 reach: published ones .35 to .41 on H100. On a Spark, .73
#: batches a second of at most 36,400 tokens were reported for such a network with experts, which is at most .29.
WRITER_SHARE = {"H100": 0.30, "H200": 0.30, "Spark": 0.25}
#: Narrow convolutions reach less.
CRF_SHARE = 0.10
#: Seconds in which a GPU starts the kernels of one layer, for a token that is written.
LAYER_START_S = 0.0012
_PEAK_NAME = {"Spark": "GB10"}
HERE = "this machine"


@dataclass(frozen=True)
class Device:
    """nodes: that share a training. *_flops: sustained operations a second of one node. token_s: seconds of a token
    that is written for all sequences of a batch. chain_s: seconds a base in the sums over chains, on the CPU.
    """

    name: str
    nodes: int
    writer_flops: float
    crf_flops: float
    token_s: float
    chain_s: float
    about: str

    def hours(self, cost: StageCost) -> float:
        """Hours of a stage."""
        seconds = (
            cost.network_flops / self.crf_flops
            + cost.writer_flops / self.writer_flops
            + cost.bases * self.chain_s
            + cost.decoded * self.token_s
        )
        return seconds / (self.nodes if cost.shared else 1) / 3600


def assumed(name: str, layers: int, chain_s: float) -> Device:
    """A device that is not here, such as ``H100`` or ``2 Sparks``. Raises ``InputError`` for an unknown one."""
    number, _, kind = name.rpartition(" ")
    kind = kind.removesuffix("s") if number else kind
    if kind not in WRITER_SHARE or not (number or "1").isdecimal():
        raise InputError(f"--devices: {name} is unknown, allowed: {HERE}, and a number of {', '.join(WRITER_SHARE)}")
    peak, share = PEAK_FLOPS[_PEAK_NAME.get(kind, kind)], WRITER_SHARE[kind]
    about = f"assumed: writer {share:.0%}, CRF {CRF_SHARE:.0%} of a peak of {peak / 1e12:.0f} TFLOP/s a node"
    return Device(
        name, int(number or 1), share * peak, CRF_SHARE * peak, LAYER_START_S * layers, chain_s, about
    )  # fmt: skip


def with_log(device: Device, log: Path, flops_per_token: float) -> Device:
    """The device with the writer's speed in the training_log.csv of a run on it: the median of its second half.

    Raises ``InputError`` for a file that is no such log.
    """
    try:
        with log.open(encoding="utf-8", newline="") as stream:
            speeds = [float(row["tokens_per_s"]) for row in csv.DictReader(stream)]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{log}: not the training_log.csv of a writer ({type(error).__name__}: {error})") from error
    if not speeds:
        raise InputError(f"{log}: has no steps yet")
    late = sorted(speeds[len(speeds) // 2 :])
    tokens_per_s = late[len(late) // 2]
    return replace(
        device,
        writer_flops=tokens_per_s * flops_per_token / device.nodes,
        about=f"{device.about}; writer measured: {tokens_per_s:,.0f} tokens/s ({log})",
    )


def measured(config: Mapping[str, Any], crf_flops_per_base: float, wanted: str) -> Device:
    """This machine; ``wanted`` is one of ``device.DEVICES``."""
    from genet5.plan.measuring import measure

    found = measure(config, crf_flops_per_base, wanted)
    return Device(
        HERE, 1, found.writer_flops, found.crf_flops, found.token_s, found.chain_s,
        f"measured on {found.device}: writer {found.writer_flops / 1e9:,.0f}, CRF {found.crf_flops / 1e9:,.0f} GFLOP/s",
    )  # fmt: skip
