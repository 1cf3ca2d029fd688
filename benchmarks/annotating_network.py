#!/usr/bin/env python
"""The network as it annotates beside the network as it is trained: kb of a window per CPU second, one thread.

Both get random DNA and the weights of a shipped model. ``ONEDNN_MAX_CPU_ISA=AVX2`` (or AVX512_CORE, SSE41) lets this
processor do as an older one does.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))

from genet5.crf.annotating_network import AnnotatingNetwork  # noqa: E402
from genet5.crf.folder import load_crf  # noqa: E402
from genet5.crf.model import score_codes, window_codes  # noqa: E402
from genet5.errors import run_command  # noqa: E402
from genet5.genome.sites import GeneRules, WindowSites  # noqa: E402
from genet5.training.precision import native_bf16  # noqa: E402

RULES = GeneRules(splice_pairs=(("GT", "AG"), ("GC", "AG"), ("AT", "AC")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=REPOSITORY / "resources/models/invertebrate")
    parser.add_argument("--window-bp", type=int, default=48_000, help="(default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="of each, alternating; the best counts (%(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    crf = load_crf(arguments.model)
    bases = "".join(np.random.default_rng(1).choice(list("ACGT"), arguments.window_bp))
    sites = WindowSites(bases, RULES)
    asked, codes = np.stack([sites.plus.scored, sites.minus.scored]), window_codes([sites])
    print("| format | as trained, kb/s | as it annotates, kb/s | ratio | mean difference of bases, of sites |")
    print("|---|---|---|---|---|")
    for precision in ("bf16", "fp32") if native_bf16() else ("fp32",):
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        networks = [AnnotatingNetwork(network, dtype) for network in crf.networks]
        seconds: dict[str, list[float]] = {"plain": [], "fast": []}
        for _ in range(arguments.repeats + 1):
            begun = time.process_time()
            plain = score_codes(crf, codes, precision)
            middle = time.process_time()
            fast = [network.potentials(sites.strand_codes, asked) for network in networks]
            seconds["plain"].append(middle - begun)
            seconds["fast"].append(time.process_time() - middle)
        rates = {name: arguments.window_bp / 1000 / min(taken) for name, taken in seconds.items()}
        bases_apart = np.abs(np.mean([one.bases for one in fast], axis=0) - plain.potentials[0].numpy()).mean()
        both = np.mean([one.sites for one in fast], axis=0), plain.site_potentials[0].numpy()
        sites_apart = np.abs(both[0] - both[1])[sites.allowed].mean()
        print(
            f"| {precision} | {rates['plain']:.0f} | {rates['fast']:.0f} | {rates['fast'] / rates['plain']:.2f} | "
            f"{bases_apart:.1e}, {sites_apart:.1e} |"
        )


if __name__ == "__main__":
    run_command(main)
