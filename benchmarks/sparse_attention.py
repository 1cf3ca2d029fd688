#!/usr/bin/env python
"""Block-banded attention against the same window as a dense mask: time and memory of one layer, forward and backward.

Each measurement is a process of its own, the two kinds in turn. Every 22nd token is a mile-post, which sees and is seen
by all: about one in 96 bases of DNABERT-2's tokens. Time is of forward and backward, without the making of the mask,
which all layers share. Memory is the highest during all of it beyond what queries, keys and values take, with the mask.
Outputs and gradients of both are compared, too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))

import torch  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from genet5.errors import InputError, run_command  # noqa: E402
from genet5.writer.banded import Band  # noqa: E402

HEADS, HEAD_SIZE, MILE_POST_EVERY = 4, 64, 22
TIME_TARGET, MEMORY_TARGET, GREATEST_DIFFERENCE = 1 / 4, 1 / 8, 1e-5
FULL, QUICK = {"tokens": 32768, "window": 1600, "repeats": 3}, {"tokens": 16384, "window": 800, "repeats": 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="16,384 tokens and a window of 800, once")
    parser.add_argument("--block", type=int, default=256, help="tokens computed at a time (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads of a CPU (default: %(default)s)")
    parser.add_argument("--measure", choices=("banded", "dense", "both"), help=argparse.SUPPRESS)
    parser.add_argument("--tokens", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--window", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        torch.set_num_threads(arguments.threads)
        print(json.dumps(measure(arguments.measure, arguments.tokens, arguments.window, arguments.block)))
        return
    size = QUICK if arguments.quick else FULL
    tokens, window = size["tokens"], size["window"]
    kinds = {kind: [] for kind in ("banded", "dense")}
    for _ in range(size["repeats"]):
        for kind, found in kinds.items():
            found.append(measured(kind, tokens, window, arguments))
    difference = measured("both", tokens // 4, window // 4, arguments)["difference"]
    medians = {
        kind: {name: statistics.median(one[name] for one in found) for name in found[0]}
        for kind, found in kinds.items()
    }
    ours, peer = medians["banded"], medians["dense"]
    print(
        f"{tokens:,} tokens, window {window:,}, block {arguments.block}, {HEADS} heads of {HEAD_SIZE}, {device_name()}"
    )
    print("| | banded | dense mask | ratio | target |\n|---|---|---|---|---|")
    targets = {"seconds": TIME_TARGET, "megabytes": MEMORY_TARGET}
    for name in ("forward_s", "backward_s", "seconds", "cpu_s", "megabytes"):
        target = f"{targets[name]:.3f}" if name in targets else ""
        print(f"| {name} | {ours[name]:.2f} | {peer[name]:.2f} | {ours[name] / peer[name]:.3f} | {target} |")
    print(f"greatest difference of outputs and gradients, at {tokens // 4:,} tokens: {difference:.1e}")
    ratios = {name: ours[name] / peer[name] for name in targets}
    print(f"bar: sparse_attention_memory {ratios['megabytes']:.3f} of-dense target {MEMORY_TARGET:.3f}")
    print(f"bar: sparse_attention_time {ratios['seconds']:.3f} of-dense target {TIME_TARGET:.3f}")
    met = all(ratios[name] <= target for name, target in targets.items()) and difference <= GREATEST_DIFFERENCE
    sys.exit(0 if met else 1)


def device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def measured(kind: str, tokens: int, window: int, arguments: argparse.Namespace) -> dict[str, float]:
    """What a process of its own prints."""
    command = [sys.executable, __file__, "--measure", kind, "--tokens", str(tokens), "--window", str(window)]
    command += ["--block", str(arguments.block), "--threads", str(arguments.threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise InputError(f"{kind} attention of {tokens} tokens failed; its message stands above")
    return json.loads(done.stdout.splitlines()[-1])


def measure(kind: str, tokens: int, window: int, block: int) -> dict[str, float]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    inputs = [torch.randn(1, HEADS, tokens, HEAD_SIZE, device=device, requires_grad=True) for _ in range(3)]
    weights = torch.randn(1, HEADS, tokens, HEAD_SIZE, device=device)
    everywhere = torch.arange(tokens, device=device)[None] % MILE_POST_EVERY == 0
    sequence = torch.zeros(1, tokens, dtype=torch.int64, device=device)
    band = Band.make(everywhere, sequence, tokens, window, window, block)
    if kind == "both":
        found = [run(part, band, inputs, weights)[1] for part in ("banded", "dense")]
        return {"difference": max(float((a - b).abs().max()) for a, b in zip(*found, strict=True))}
    few = slice(0, tokens if device.type == "cuda" else 512)  # compiles on a GPU, starts threads on a CPU
    small = Band.make(everywhere[:, few], sequence[:, few], min(tokens, few.stop), window, window, block)
    run(kind, small, [part[:, :, few] for part in inputs], weights[:, :, few])
    before_mb = resident_mb(device, "VmRSS")
    times, _ = run(kind, band, inputs, weights)
    return times | {"megabytes": resident_mb(device, "VmHWM") - before_mb}


def run(kind: str, band: Band, inputs: list[Tensor], weights: Tensor) -> tuple[dict[str, float], list[Tensor]]:
    """Seconds, and output and gradients."""
    scale = HEAD_SIZE**-0.5
    mask = band.dense()[:, None] if kind == "dense" else None
    started, cpu = clock(inputs[0]), time.process_time()
    if kind == "dense":
        out = F.scaled_dot_product_attention(*inputs, attn_mask=mask, scale=scale)
    else:
        out = band.attend(*inputs, scale)
    forward_s = clock(inputs[0]) - started
    gradients = torch.autograd.grad(out, inputs, weights)
    seconds = clock(inputs[0]) - started
    times = {"forward_s": forward_s, "backward_s": seconds - forward_s, "seconds": seconds}
    return times | {"cpu_s": time.process_time() - cpu}, [out.detach(), *gradients]


def clock(tensor: Tensor) -> float:
    if tensor.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter()


def resident_mb(device: torch.device, name: str) -> float:
    """Memory in use (VmRSS) or its highest (VmHWM)."""
    if device.type == "cuda":
        now = torch.cuda.memory_allocated() if name == "VmRSS" else torch.cuda.max_memory_allocated()
        if name == "VmRSS":
            torch.cuda.reset_peak_memory_stats()
        return now / 2**20
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


if __name__ == "__main__":
    run_command(main)
