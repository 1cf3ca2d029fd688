"""Distillation: one network learns to say what a trained CRF says, on DNA that needs no annotation.

The teacher may be several joined networks, whose mean one network learns. Or the student is smaller than the teacher.
Both read random windows. The student learns the teacher's potentials, of bases and of sites where the bases allow one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from genet5.crf.config import CrfShape
from genet5.crf.folder import WEIGHTS_FILE, load_crf, save_crf
from genet5.crf.model import Crf
from genet5.crf.network import CrfNetwork
from genet5.crf.student import bases_agree, make_student, student_config
from genet5.crf.window_decoder import cpu_reader
from genet5.errors import InputError
from genet5.files import file_sha256
from genet5.genome.fasta import fasta_records
from genet5.genome.sites import GeneRules, WindowSites
from genet5.genome.splits import complement, parse_regions
from genet5.options import option, with_default
from genet5.training.batches import BatchSource
from genet5.training.card import write_card
from genet5.training.loop import fit
from genet5.training.options import RunOptions
from genet5.training.processes import say, start_fabric
from genet5.training.runs import export_best, export_finished
from genet5.training.sampler import BatchPlan
from genet5.training.trainable import TrainableModule

NOTHING = "-"  # left out of a genome
RUN_BP = 24  # bases whose errors are added up
DECISION_NATS = 3.0  # scale on which a site's potential counts as near a decision
LEAST_WEIGHT = 0.02  # of a site that is out of the question


@dataclass(frozen=True)
class DistilOptions(RunOptions):
    """Distillation of a CRF."""

    windows: int = option(3000, "number of random windows to learn from", minimum=1)
    window_bp: int = option(6000, "length of a window", minimum=100)
    validation_windows: int = option(50, "number of other random windows that choose the best weights", minimum=1)
    overrides: Mapping[str, Any] = option({}, "single fields of the network that differ", some_of=CrfShape)
    base_weight: float = option(5.0, "weight of the errors of bases; errors of sites have 1", minimum=0)
    # --- other defaults than in other trainings
    lr: float = with_default(RunOptions, "lr", 2e-3)
    betas: tuple[float, float] = with_default(RunOptions, "betas", (0.9, 0.98))
    weight_decay: float = with_default(RunOptions, "weight_decay", 0.0)
    min_lr_ratio: float = with_default(RunOptions, "min_lr_ratio", 0.01)
    max_grad_norm: float = with_default(RunOptions, "max_grad_norm", 5.0)
    eval_steps: int = with_default(RunOptions, "eval_steps", 500)
    save_steps: int = with_default(RunOptions, "save_steps", 500)
    log_every: int = with_default(RunOptions, "log_every", 50)


# -------------------------------------------------------------------- DNA


def read_stretches(genomes: Sequence[Path], left_out: Sequence[str]) -> list[bytes]:
    """The DNA of FASTA files, plain or gzip, upper case, without what is left out of each.

    left_out: regions of each genome as ``parse_regions`` reads them, ``NOTHING`` for none; empty: none of any genome.
    Raises ``InputError`` for another number of these, what is no FASTA file, unknown regions, and if all is left out.
    """
    if left_out and len(left_out) != len(genomes):
        raise InputError(f"--leave-out: {len(left_out)} values for {len(genomes)} genomes, expected as many")
    stretches = []
    for genome, text in zip(genomes, left_out or [NOTHING] * len(genomes), strict=True):
        contigs = {name: bases.upper() for name, bases in fasta_records(genome)}
        lengths = {name: len(bases) for name, bases in contigs.items()}
        regions = parse_regions("" if text == NOTHING else text, lengths, key=f"--leave-out, {genome}")
        stretches += [contigs[name][start:end] for name, start, end in complement(regions, lengths)]
    if not stretches:
        raise InputError("--leave-out: no DNA is left to learn from")
    return stretches


@dataclass
class DistilBatch:
    """One window as the teacher sees it, in strand coordinates.

    codes: uint8 [1, 2, W]. bases: float32 [1, 2, W, 4] and sites: float32 [1, 2, 4, W + 1], the teacher's potentials.
    allowed: bool [1, 2, 4, W + 1], where the bases allow a site.
    """

    codes: Tensor
    bases: Tensor
    sites: Tensor
    allowed: Tensor

    def to(self, device: torch.device | str) -> DistilBatch:
        return DistilBatch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


class DistilWindows:
    """Random windows, each base of the DNA as likely as any, with the teacher's potentials (made on the CPU).

    A stretch shorter than ``window_bp`` is a window of its own.
    """

    def __init__(
        self, stretches: Sequence[bytes], teacher: Crf, rules: GeneRules, options: DistilOptions, seed: Sequence[int]
    ) -> None:
        self.stretches, self.rules = stretches, rules
        self.read = cpu_reader(teacher, options.precision)
        rng = np.random.default_rng(seed)
        sizes = np.array([len(bases) for bases in stretches], dtype=np.float64)
        number = options.validation_windows if seed[-1] else options.windows
        self.drawn = rng.choice(len(sizes), number, p=sizes / sizes.sum())
        self.starts = [int(rng.integers(max(len(stretches[one]) - options.window_bp, 0) + 1)) for one in self.drawn]
        self.lengths = np.minimum(sizes[self.drawn].astype(np.int64), options.window_bp)

    def window(self, index: int) -> bytes:
        start = self.starts[index]
        return self.stretches[self.drawn[index]][start : start + int(self.lengths[index])]

    def batch(self, indices: np.ndarray, _epoch: int, _rng: np.random.Generator) -> DistilBatch:
        """Of one index."""
        (index,) = indices.tolist()
        sites = WindowSites(self.window(index), self.rules)
        potentials = self.read(sites)
        shown = sites.strand_codes, potentials.bases, potentials.sites, sites.allowed
        return DistilBatch(*(torch.from_numpy(np.ascontiguousarray(one))[None] for one in shown))

    def source(self, options: DistilOptions, shuffle: bool) -> BatchSource:
        plan = BatchPlan(self.lengths, int(self.lengths.max()), 1, seed=options.seed, shuffle=shuffle)
        return BatchSource(plan, self.batch)


# -------------------------------------------------------------------- loss


class Distillation(TrainableModule):
    """A student with its distance from the teacher, as the training loop wants a model."""

    def __init__(self, network: CrfNetwork, options: DistilOptions) -> None:
        super().__init__()
        self.network, self.options = network, options

    def train(self, mode: bool = True) -> Distillation:
        """The network never drops out: its answer is compared with another one's, not with labels."""
        super().train(mode)
        self.network.eval()
        return self

    def compile_network(self) -> None:
        raise InputError("compile: found true, but a distillation does not offer it")

    def training_losses(self, batch: DistilBatch) -> dict[str, Tensor]:
        """``sites`` and ``bases`` in nats squared, see ``site_error`` and ``base_error``."""
        output, weight = self.network(batch.codes), batch.codes.shape[-1]
        sites = site_error(output.site_potentials, batch.sites, batch.allowed)
        bases = base_error(output.potentials, batch.bases)
        loss = sites + self.options.base_weight * bases
        return {"sum": loss * weight, "weight": weight, "sites": sites * weight, "bases": bases * weight}


def site_error(found: Tensor, wanted: Tensor, allowed: Tensor) -> Tensor:
    """Weighted mean of squared errors of potentials of allowed sites, all [B, 2, 4, W + 1]; scalar.

    A site that the teacher gives even odds weighs 1, one that is out of the question ``LEAST_WEIGHT``.
    """
    if not allowed.any():
        return found.sum() * 0
    found, wanted = found[allowed], wanted[allowed]
    odds = wanted / DECISION_NATS
    weight = (4 * torch.sigmoid(odds) * torch.sigmoid(-odds)).clamp(min=LEAST_WEIGHT)
    return (weight * (found - wanted).square()).sum() / weight.sum()


def base_error(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean of squared errors of exons and introns of ``RUN_BP`` bases; potentials [B, 2, W, 4]; scalar.

    An exon earns the sum of its bases' potentials. So errors that alternate cancel each other, and those that lean to
    one side add up.
    """
    errors = F.pad(found - wanted, (0, 0, 0, -found.shape[2] % RUN_BP))
    codons = errors.unflatten(2, (-1, 3))  # [B, 2, N, 3, 4]
    frames = [sum(codons[..., at, (at + frame) % 3] for at in range(3)) for frame in range(3)]
    paths = torch.stack([*frames, codons[..., 3].sum(-1)])  # [4, B, 2, N]
    return paths.unflatten(-1, (-1, RUN_BP // 3)).sum(-1).square().mean()


# -------------------------------------------------------------------- run


def run_distillation(
    model: Path,
    genomes: Sequence[Path],
    left_out: Sequence[str],
    rules: GeneRules,
    options: DistilOptions,
    output_dir: Path,
    restart: bool = False,
    device: str = "auto",
) -> None:
    """Distil the CRF in the folder ``model`` into ``output_dir``; a finished run is only exported again.

    Raises ``InputError``: missing or damaged input, a shape that no network can have, another run's folder.
    """
    teacher = load_crf(model)
    config = student_config(teacher.config, options.overrides)
    stretches = read_stretches(genomes, left_out)
    fingerprint = {
        "teacher": file_sha256(model / WEIGHTS_FILE),
        "genomes": [file_sha256(genome) for genome in genomes],
        "left_out": list(left_out),
    }
    if export_finished(output_dir, options, fingerprint, restart):
        return
    student = make_student(teacher, config, options.seed)
    fabric = start_fabric(options, device)
    train, valid = (DistilWindows(stretches, teacher, rules, options, [options.seed, part]) for part in range(2))
    learned = "potentials of sites" if bases_agree(teacher, config) else "all potentials"
    say(fabric, f"{sum(map(len, stretches)) / 1e6:.1f} Mb of DNA; the student learns {learned}")
    result = fit(
        Distillation(student.networks[0], options),
        train.source(options, shuffle=True),
        options,
        output_dir,
        fingerprint=fingerprint,
        save_model=lambda folder: save_crf(student, folder),
        validation=valid.source(options, shuffle=False),
        restart=restart,
        fabric=fabric,
    )
    about = f"A gene finder: one network, distilled from a CRF of {teacher.config.num_networks}."
    names = [genome.name for genome in genomes]
    export_best(
        fabric,
        result,
        output_dir,
        lambda folder: write_card(folder, "GeneT5 CRF", about, names, result.metrics, vars(options)),
    )
