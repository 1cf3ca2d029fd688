#!/usr/bin/env python
"""What the features of a nucleotide GPT say about the bases before, and how loudly beside what they always say.

    python benchmarks/dna_llm_features.py --windows data/studies/dna_llm/RUN/windows.npz \
        --cores data/studies/dna_llm/RUN/outputs/ckpt_vocab4 random

For each number of bases back: how often a linear function of a base's features names the base that stands there
(least squares on half of the windows, counted on the other half; 25 % is guessing), and the share of the variance of
the features that this base explains, which is what a head sees first. Constant: the root mean square of their mean in
units of their standard deviation, which fine-tuning takes away.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from genet5.errors import run_command
from genet5.studies.dna_llm.alphabets import BASES
from genet5.studies.dna_llm.binding_windows import load_windows
from genet5.studies.dna_llm.gpt import Gpt, GptConfig, load_gpt

BACK = (0, 1, 2, 3, 5, 9)
FIRST = 20  # bases of a window that are left out: they have fewer before them


@torch.no_grad()
def features_of(core: Gpt, bases: np.ndarray) -> torch.Tensor:
    """[windows, bp, width], float32."""
    letters = torch.from_numpy(core.config.letters.ids(BASES)).long()
    rows = torch.from_numpy(bases.astype(np.int64)).split(16)
    return torch.cat([core.eval().features(letters[part]) for part in rows])


def linear_accuracy(features: torch.Tensor, truth: torch.Tensor) -> float:
    """Share of the second half of rows that a least-squares function fitted to the first half gets right."""
    half = len(features) // 2
    ones = torch.ones(len(features), 1, dtype=features.dtype)
    inputs = torch.cat([features, ones], dim=1)
    wanted = torch.nn.functional.one_hot(truth[:half], 4).to(features.dtype)
    weights = torch.linalg.lstsq(inputs[:half], wanted, driver="gelsd").solution
    return float(((inputs[half:] @ weights).argmax(1) == truth[half:]).double().mean())


def explained_variance(features: torch.Tensor, truth: torch.Tensor) -> float:
    """Share of the variance of all features together that lies between the means of the four bases."""
    centred = features - features.mean(0)
    between = sum(
        float((truth == base).double().mean()) * centred[truth == base].mean(0).square().sum() for base in range(4)
    )
    return float(between / centred.square().mean(0).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=Path, required=True, help="windows.npz of the study")
    parser.add_argument("--cores", nargs="+", required=True, help="folders of pretrained cores, or: random")
    parser.add_argument("--number", type=int, default=200, help="training windows that are read (%(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="of the choice of windows and the random core")
    arguments = parser.parse_args()
    train = load_windows(arguments.windows).part("train").bases
    bases = train[np.random.default_rng(arguments.seed).permutation(len(train))[: arguments.number]]
    print(f"{'core':<44}{'constant':>9}" + "".join(f"{f'{back} back':>16}" for back in BACK))
    for name in arguments.cores:
        torch.manual_seed(arguments.seed)
        core = Gpt(GptConfig("vocab4")) if name == "random" else load_gpt(Path(name))
        features = features_of(core, bases)
        every = features[:, FIRST:].flatten(0, 1)
        constant = every.mean(0).square().mean().sqrt() / every.var(0).mean().sqrt()
        cells = []
        for back in BACK:
            truth = torch.from_numpy(bases[:, FIRST - back : bases.shape[1] - back].astype(np.int64)).flatten()
            accuracy, share = linear_accuracy(every.double(), truth), explained_variance(every.double(), truth)
            cells.append(f"{accuracy:.3f} ({share:.4f})")
        print(f"{name[-43:]:<44}{constant:>9.2f}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


if __name__ == "__main__":
    run_command(main)
