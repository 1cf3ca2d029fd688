#!/usr/bin/env python
"""Train the stem of a CRF to fill in hidden bases before it sees a gene: a row of ``crf_ablation.py``.

Needs no annotation: windows of the manifests, or regions of a genome, are read for their DNA alone. Stretches of one to
six bases, a share of all, are hidden from both strands; the loss is the cross-entropy of what stood there, in nats per
hidden base.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))

from genet5.bake.manifest import shard_paths  # noqa: E402
from genet5.bake.shards import ShardSet  # noqa: E402
from genet5.clades import read_clades  # noqa: E402
from genet5.crf.data import CrfData  # noqa: E402
from genet5.crf.folder import WEIGHTS_FILE, save_crf  # noqa: E402
from genet5.crf.options import CrfOptions  # noqa: E402
from genet5.crf.training import first_crf  # noqa: E402
from genet5.errors import InputError, run_command  # noqa: E402
from genet5.files import file_sha256  # noqa: E402
from genet5.genome.fasta import Genome  # noqa: E402
from genet5.genome.sites import encode_bases, reverse_complement_codes  # noqa: E402
from genet5.genome.splits import parse_regions  # noqa: E402
from genet5.options import add_option_arguments, options_from_arguments  # noqa: E402
from genet5.training.batches import BatchSource  # noqa: E402
from genet5.training.loop import fit  # noqa: E402
from genet5.training.processes import start_fabric  # noqa: E402
from genet5.training.runs import export_best, export_finished  # noqa: E402
from genet5.training.sampler import BatchPlan  # noqa: E402
from genet5.training.trainable import TrainableModule  # noqa: E402

HIDDEN_SHARE, LONGEST_HIDDEN = 0.15, 6
UNKNOWN = 4


@dataclass
class HiddenBases:
    """codes: uint8 [B, 2, W] without the hidden bases. answers: int64 [B, 2, W], -100 where nothing is hidden."""

    codes: Tensor
    answers: Tensor

    def to(self, device: torch.device | str) -> HiddenBases:
        return HiddenBases(self.codes.to(device), self.answers.to(device))


def hide_bases(codes: Tensor, rng: np.random.Generator) -> HiddenBases:
    """Hide stretches of the forward strand, and what pairs with them. codes: uint8 [B, 2, W], no padding."""
    hidden = np.zeros((len(codes), codes.shape[-1]), dtype=bool)
    stretches = int(hidden.size * HIDDEN_SHARE / ((1 + LONGEST_HIDDEN) / 2))
    rows, starts = rng.integers(len(codes), size=stretches), rng.integers(codes.shape[-1], size=stretches)
    for shift, longer in enumerate(rng.integers(1, LONGEST_HIDDEN + 1, size=stretches)[None] > np.arange(6)[:, None]):
        hidden[rows[longer], np.minimum(starts[longer] + shift, codes.shape[-1] - 1)] = True
    both = torch.from_numpy(np.stack([hidden, hidden[:, ::-1]], axis=1)) & (codes < UNKNOWN)
    return HiddenBases(codes.masked_fill(both, UNKNOWN), codes.long().masked_fill(~both, -100))


class RegionWindows:
    """Windows of regions of a genome at random places; as many in an epoch as fit side by side."""

    def __init__(self, genome: Genome, regions: str, window_bp: int) -> None:
        places = parse_regions(regions, genome.lengths)
        self.window_bp, self.codes = window_bp, [encode_bases(genome.sequence(*place)) for place in places]
        bases = np.array([len(codes) for codes in self.codes])
        if bases.min(initial=window_bp) < window_bp or not len(bases):
            raise InputError(f"--regions {regions!r}: wanted regions of {window_bp} bases or more")
        self.share = bases / bases.sum()
        self.lengths = np.full(int(bases.sum()) // window_bp, window_bp)

    def codes_of(self, indices: np.ndarray, _epoch: int, rng: np.random.Generator) -> Tensor:
        """uint8 [B, 2, W]."""
        found = []
        for region in rng.choice(len(self.codes), size=len(indices), p=self.share):
            start = rng.integers(len(self.codes[region]) - self.window_bp + 1)
            forward = self.codes[region][start : start + self.window_bp]
            found.append(np.stack([forward, reverse_complement_codes(forward)]))
        return torch.from_numpy(np.stack(found))


class MaskedPretraining(TrainableModule):
    """The stem with a head that names bases."""

    def __init__(self, stem: nn.Module, channels: int) -> None:
        super().__init__()
        self.stem, self.head = stem, nn.Linear(channels, 4)

    def training_losses(self, batch: HiddenBases) -> dict[str, Tensor]:
        logits = self.head(self.stem(batch.codes)).float()
        loss = F.cross_entropy(logits.flatten(0, 2), batch.answers.flatten(), reduction="sum")
        return {"sum": loss, "weight": (batch.answers >= 0).sum()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifests", type=Path, nargs="+", default=[], help="windows whose DNA is read")
    parser.add_argument("--genome", type=Path, help="FASTA whose --regions are read, instead of --manifests")
    parser.add_argument("--regions", default="", help="of --genome, as contig:first-last, separated by commas")
    parser.add_argument("--window-bp", type=int, default=12000, help="bases of a window of --genome (%(default)s)")
    parser.add_argument("--clade-folder", default="", help="folder with clades of your own")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the CRF to write")
    add_option_arguments(parser, CrfOptions)
    arguments = parser.parse_args()
    if bool(arguments.manifests) == bool(arguments.genome) or bool(arguments.genome) != bool(arguments.regions):
        raise InputError("wanted either --manifests, or --genome and --regions")
    options, output = options_from_arguments(CrfOptions, arguments), arguments.output_dir
    start = Path(options.init_from) / WEIGHTS_FILE
    fingerprint: dict[str, Any] = {"start": file_sha256(start) if start.is_file() else ""}
    fingerprint |= {"manifests": [file_sha256(path) for path in arguments.manifests]}
    if arguments.genome:
        fingerprint |= {"genome": file_sha256(arguments.genome), "regions": arguments.regions}
    if export_finished(output, options, fingerprint, restart=False):
        return
    torch.manual_seed(options.seed)
    crf = first_crf(options)
    if arguments.genome:
        with Genome(arguments.genome) as genome:
            windows = RegionWindows(genome, arguments.regions, arguments.window_bp)
        lengths, codes_of = windows.lengths, windows.codes_of
    else:
        shards = ShardSet([path for manifest in arguments.manifests for path in shard_paths(manifest, "train")])
        data = CrfData(shards, read_clades(arguments.clade_folder))
        lengths, codes_of = data.lengths, lambda *drawn: data.training_batch(*drawn).codes
    fabric = start_fabric(options)
    result = fit(
        MaskedPretraining(crf.networks[0].stem, crf.config.stem_channels),
        BatchSource(
            BatchPlan(lengths, int(lengths.max()), 1, options.seed),
            lambda indices, epoch, rng: hide_bases(codes_of(indices, epoch, rng), rng),
        ),
        options,
        output,
        fingerprint=fingerprint,
        save_model=lambda folder: save_crf(crf, folder),
        fabric=fabric,
    )
    export_best(fabric, result, output, lambda _folder: None)


if __name__ == "__main__":
    run_command(main)
