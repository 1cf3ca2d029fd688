"""Reinforcement learning beside TRL's GRPOTrainer: the rows of ``grpo_vs_trl.py``, as a subject of ``run.py``.

That script measures both sides in one process, a step of each in turn. Here it runs once a round. The base is its own
checkout's script, which takes its own steps of TRL beside them.
"""

from __future__ import annotations

import csv
import importlib.util
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from speed_rows import (
    REPOSITORY,
    SpeedRow,
    SpeedSettings,
    Usage,
    alternate,
    measure_command,
    missing_peer_row,
    rate_row,
)

UNIT = "steps per CPU s"
PROMPT_TOKENS, GROUP_SIZE = 2048, 8
QUICK_PROMPT_TOKENS = 256


def speed_rows(settings: SpeedSettings) -> Iterator[SpeedRow]:
    """One row: steps per CPU second of both."""
    tokens = QUICK_PROMPT_TOKENS if settings.quick else PROMPT_TOKENS
    what = f"GRPO, prompt of {tokens:,} tokens, group of {GROUP_SIZE}"
    if importlib.util.find_spec("trl") is None:
        yield missing_peer_row(what, UNIT, "TRL", "pip install trl")
        return
    yield grpo_row(what, tokens, settings)


def grpo_row(what: str, prompt_tokens: int, settings: SpeedSettings, *flags: str) -> SpeedRow:
    """flags: further ones of grpo_vs_trl.py. Rates are of the medians of all rounds."""
    seconds: dict[str, list[dict[str, float]]] = {"ours": [], "TRL": [], "base": []}

    def run(checkout: Path) -> Usage:
        found, whole = compare_steps(checkout, prompt_tokens, settings, *flags)
        seconds["ours" if checkout == REPOSITORY else "base"].append(found["ours"])
        if checkout == REPOSITORY:
            seconds["TRL"].append(found["TRL"])
        return whole

    sides = {"ours": lambda: run(REPOSITORY)}
    if settings.base:
        sides["base"] = lambda: run(settings.base)
    alternate(sides, 1 if settings.quick else settings.rounds)  # the script takes medians of three steps by itself

    def usage(side: str) -> Usage:
        runs = seconds[side]
        wall, cpu, peak = (statistics.median(one[name] for one in runs) for name in ("step_s", "cpu_s", "peak_gb"))
        return Usage(wall, cpu, peak * 1000)

    ours, trl = usage("ours"), usage("TRL")
    return rate_row(
        what, UNIT, 1 / ours.cpu_s, 1 / trl.cpu_s, 1 / usage("base").cpu_s if settings.base else None,
        peer_name="TRL", note="a step of each in turn; both models are in the memory", usage=ours, peer_usage=trl,
    )  # fmt: skip


def compare_steps(
    checkout: Path, prompt_tokens: int, settings: SpeedSettings, *flags: str
) -> tuple[dict[str, dict[str, float]], Usage]:
    """Numbers of the table of a checkout's grpo_vs_trl.py by side, and what the whole process took."""
    table = settings.work / "grpo.csv"
    whole = measure_command(
        [sys.executable, checkout / "benchmarks/grpo_vs_trl.py", "--threads", 1, "--prompt-tokens", prompt_tokens,
         "--group-sizes", GROUP_SIZE, "--csv", table, *flags],
        environment={"PYTHONPATH": str(checkout / "scripts")},
    )  # fmt: skip
    with table.open(encoding="utf-8", newline="") as stream:
        rows = {row.pop("side"): {name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)}
    return rows, whole
