#!/usr/bin/env python
"""Deterministic sums on a CPU with several threads: what they cost, and whether equal steps have equal gradients.

The same supervised step of the writer is repeated with torch's deterministic algorithms, which training on a CPU asks
for, and without, in turn. Printed are the median seconds of a step and how many different gradients there were.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import time

import torch
from compile import Size, gradients, sft_step

from genet5.errors import run_command

MOST = 1.05  # seconds of a deterministic step over those of another


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=40, help="steps of each kind (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads (default: %(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.utils.deterministic.fill_uninitialized_memory = False
    model, losses = sft_step(Size("demo", 6000, 2, 1), torch.device("cpu"))
    seconds: dict[bool, list[float]] = {False: [], True: []}
    found: dict[bool, set[str]] = {False: set(), True: set()}
    for repeat in range(arguments.repeats + 1):  # the first is slow
        for deterministic in found:
            torch.use_deterministic_algorithms(deterministic)
            torch.manual_seed(1)
            model.zero_grad()
            started = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16):
                loss = losses()
            loss.backward()
            if repeat:
                seconds[deterministic].append(time.perf_counter() - started)
                found[deterministic].add(digest(model))
    print("| sums | seconds a step | different gradients |\n|---|---|---|")
    for deterministic, name in ((False, "in any order"), (True, "deterministic")):
        median, count = statistics.median(seconds[deterministic]), len(found[deterministic])
        print(f"| {name} | {median:.3f} | {count} in {arguments.repeats} |")
    ratio = statistics.median(seconds[True]) / statistics.median(seconds[False])
    print(f"bar: deterministic_step {ratio:.3f} times-as-long target {MOST}")
    sys.exit(0 if ratio <= MOST and len(found[True]) == 1 else 1)


def digest(model: torch.nn.Module) -> str:
    """Of all gradients."""
    together = hashlib.sha256()
    for gradient in gradients(model).values():
        together.update(gradient.numpy().tobytes())
    return together.hexdigest()


if __name__ == "__main__":
    run_command(main)
