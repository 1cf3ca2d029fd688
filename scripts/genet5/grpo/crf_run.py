"""One run of reinforcement learning of the CRF: sample whole annotations of windows, score them, learn from them."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from genet5.bake.crops import Window
from genet5.crf.chains import chain_loss
from genet5.crf.data import CrfBatch, CrfWindows
from genet5.crf.decoding import best_genes
from genet5.crf.labels import NOT_A_SITE
from genet5.crf.layers import Convolution, Dropout
from genet5.crf.model import Crf
from genet5.crf.sampling import Features, Strand
from genet5.crf.window_decoder import WindowDecoder
from genet5.errors import InputError
from genet5.genome.sites import WindowSites
from genet5.grpo.crf_policy import Lesson, divergence, learn, sample_strand
from genet5.grpo.log import Columns, RewardLog
from genet5.grpo.options import CrfGrpoOptions
from genet5.grpo.rewards import Reward, RewardWeights
from genet5.grpo.run import reward_weights
from genet5.training.batches import batch_seed
from genet5.training.compiling import prepare_compiling
from genet5.training.run import Run, RunSpec
from genet5.training.trainable import TrainableModule

AUDIT = ("zero_variance_groups", "empty_completions", "repeated_completions", "genes_per_completion")
SIGNS = "+-"


class CrfPolicy(TrainableModule):
    """A CRF as the training loop wants a model. There is no dropout: what is sampled is what is learnt from."""

    def __init__(self, crf: Crf) -> None:
        super().__init__()
        self.crf = crf
        for module in crf.modules():
            if isinstance(module, Dropout):
                module.share = 0.0

    def recompute_activations(self) -> None:
        for module in self.crf.modules():
            if isinstance(module, Convolution):
                module.recompute = True

    def compile_network(self) -> None:
        for network in self.crf.networks:
            network.compile(**prepare_compiling())

    def read(self, batch: CrfBatch) -> tuple[Tensor, Tensor]:
        """Potentials [B, 2, W, 4] and those of sites [B, 2, 4, W + 1]: the mean of all networks'."""
        places = (batch.sites > NOT_A_SITE).any(2)
        outputs = [network(batch.codes, places) for network in self.crf.networks]
        potentials = sum(one.potentials for one in outputs) / len(outputs)
        return potentials, sum(one.site_potentials for one in outputs) / len(outputs)


class CrfGrpoLog(RewardLog):
    """That of the CRF."""

    audit, on_console = AUDIT, "likelihood_loss"

    def losses(self, means: Mapping[str, float]) -> Columns:
        return {"likelihood_loss": means["likelihood"]}

    def times(self, means: Mapping[str, float], step_s: float) -> Columns:
        return {"step_s": round(step_s, 3)}


class CrfGrpoRun(Run):
    """A step reads its windows, samples ``group_size`` annotations of each strand, and updates the weights once."""

    log_class = CrfGrpoLog
    evaluates_first = True
    options: CrfGrpoOptions
    model: CrfPolicy

    def __init__(self, windows: CrfWindows, spec: RunSpec) -> None:
        options: CrfGrpoOptions = spec.options
        self.windows, self.weights = windows, reward_weights(options)
        self.start: CrfPolicy | None = None
        if options.beta > 0:
            self.start = spec.fabric.to_device(copy.deepcopy(spec.model).requires_grad_(False).eval())
        super().__init__(spec)

    def _loss_function(self) -> Callable[[Any], Any]:
        return self.model.read

    def _step(self, stream: Iterator[tuple[int, list[Window]]]) -> None:
        started = time.perf_counter()
        self._set_learning_rate()
        drawn = islice(stream, self.accumulated)
        sums = self._update(self._batch_losses(position, windows) for position, windows in drawn)
        self._watch_variance(sums)
        self._advance(time.perf_counter() - started)

    def _batch_losses(self, position: int, windows: Sequence[Window]) -> dict[str, Any]:
        """Losses of a batch, summed over strands, with what the log wants."""
        options, penalty = self.options, self.model.crf.gene_penalty
        batch = self.fabric.to_device(self.windows.batch(windows))
        allowed = (batch.sites > NOT_A_SITE).cpu().numpy()
        with self.fabric.autocast():
            potentials, site = self.losses(batch)
        now = BatchPotentials(potentials, site, penalty, allowed)
        taught = self._taught(windows, now, self._at_the_start(batch, allowed), position)
        losses = {"policy": taught.policy, "kl": taught.divergence, "weight": 2.0 * len(windows)}
        total = now.with_gradient(potentials, site, penalty) + taught.policy + options.beta * taught.divergence
        if options.likelihood_weight > 0:
            chains = chain_loss(
                potentials.flatten(0, 1),
                site.flatten(0, 1),
                penalty,
                batch.sites.flatten(0, 1) > NOT_A_SITE,
                batch.chains.flatten(0, 1),
                batch.lengths.repeat_interleave(2),
            )
            losses["likelihood"] = chains.loss.sum()
            total = total + options.likelihood_weight * losses["likelihood"]
        share = 1 / self.accumulated
        tokens = {"tokens": float(batch.lengths.sum()), "tokens_weight": share / self.fabric.world_size}
        return {"sum": total} | losses | audit(taught.lessons, taught.genes) | tokens

    def _at_the_start(self, batch: CrfBatch, allowed: np.ndarray) -> BatchPotentials | None:
        """Of the CRF that training began with, where the divergence from it counts."""
        if self.start is None:
            return None
        with torch.no_grad(), self.fabric.autocast():
            return BatchPotentials(*self.start.read(batch), self.start.crf.gene_penalty, allowed)

    def _taught(
        self, windows: Sequence[Window], now: BatchPotentials, before: BatchPotentials | None, position: int
    ) -> Taught:
        """Samples each strand, and adds what that teaches to the gradients of ``now``."""
        options = self.options
        seed = batch_seed(options.seed, self.state.epoch, position)
        taught = Taught([], [], 0.0, 0.0)
        for number, window in enumerate(windows):
            for row, sign in enumerate(SIGNS):
                place = Place(number, row, len(window.bases))
                strand = now.strand(place, options.temperature)
                reference = [gene for gene in window.genes if gene.strand == sign]
                drawn = (seed + 2 * number + row) % 2**63
                sampled = sample_strand(strand, sign, reference, options.group_size, drawn, options.credit)
                lesson = learn(sampled, reference, window.dont_care, self.weights, place.window_bp, options.temperature)
                taught.lessons.append(lesson)
                repeated = len(sampled.genes) - len({tuple(group) for group in sampled.genes})
                taught.genes.append([*map(len, sampled.genes), repeated])
                taught.policy += now.add(lesson.features, 1.0, place, strand) * options.temperature
                if before is not None:
                    one = now.strand(place)
                    apart, gradient = divergence(one, before.strand(place))
                    taught.divergence += apart
                    now.add(gradient, options.beta, place, one)
        return taught

    def _watch_variance(self, sums: Mapping[str, float]) -> None:
        """End a run that cannot learn."""
        allowed = self.options.max_steps_without_variance
        equal = sums["zero_variance_groups"] == sums["zero_variance_groups_weight"]
        self.state.idle_steps = self.state.idle_steps + 1 if equal else 0
        if allowed and self.state.idle_steps >= allowed:
            raise InputError(
                f"step {self.state.step + 1}: all samples of every strand earned the same for {allowed} steps (mean "
                f"reward {sums['reward'] / sums['reward_weight']:.3f}), so there is nothing to learn from: raise "
                "temperature or group_size, or give a dense term (nucleotide_weight) some weight"
            )


class Place(NamedTuple):
    """A strand of a batch: its window, its row there (0: +), and the bases of the window."""

    window: int
    row: int
    window_bp: int


@dataclass
class Taught:
    """By the samples of a batch. genes: of each sample of a strand, and last its repeated samples."""

    lessons: list[Lesson]
    genes: list[list[int]]
    policy: float
    divergence: float


class BatchPotentials:
    """Potentials of a batch as numbers, float64, and the gradient by them that its strands add up."""

    def __init__(self, potentials: Tensor, site: Tensor, penalty: Tensor, allowed: np.ndarray) -> None:
        self.base, self.site = (part.detach().to("cpu", torch.float64).numpy() for part in (potentials, site))
        self.penalty, self.allowed = float(penalty.detach()), allowed
        self.by_base, self.by_site, self.by_penalty = np.zeros_like(self.base), np.zeros_like(self.site), 0.0

    def strand(self, place: Place, temperature: float = 1.0) -> Strand:
        window, row, size = place
        return Strand.of(
            self.base[window, row, :size],
            self.site[window, row, :, : size + 1],
            self.allowed[window, row, :, : size + 1],
            self.penalty,
            temperature,
        )

    def add(self, found: Features, weight: float, place: Place, strand: Strand) -> float:
        """Adds a strand's gradient; returns what it makes of the strand's own potentials."""
        window, row, size = place
        self.by_base[window, row, :size] += weight * found.of_base
        self.by_site[window, row, :, : size + 1] += weight * found.of_site
        self.by_penalty -= weight * found.genes
        worth = (found.of_base * strand.potentials).sum() + (found.of_site * strand.site)[strand.allowed].sum()
        return float(worth - found.genes * strand.penalty)

    def with_gradient(self, potentials: Tensor, site: Tensor, penalty: Tensor) -> Tensor:
        """Zero, with the gradient that was added up."""
        by_base, by_site = torch.from_numpy(self.by_base), torch.from_numpy(self.by_site)
        slope = (potentials * by_base.to(potentials)).sum() + (site * by_site.to(site)).sum()
        slope = slope + penalty * self.by_penalty
        return slope - slope.detach()


def audit(lessons: Sequence[Lesson], genes: Sequence[Sequence[int]]) -> dict[str, float]:
    """Sums over samples (or strands), each with its weight. genes: of each sample, and last the repeated samples."""
    totals = np.array([[reward.reward for reward in lesson.rewards] for lesson in lessons])
    terms = np.array([reward for lesson in lessons for reward in lesson.rewards], dtype=np.float64).sum(axis=0)
    counts = np.array(genes)
    per_strand = {
        "reward_std": totals.std(axis=1, ddof=1).sum(),
        "zero_variance_groups": sum(not lesson.varied for lesson in lessons),
    }
    per_sample = dict(zip(Reward._fields, terms, strict=True)) | {
        "empty_completions": (counts[:, :-1] == 0).sum(),
        "repeated_completions": counts[:, -1].sum(),
        "genes_per_completion": counts[:, :-1].sum(),
    }
    sums: dict[str, float] = {}
    for values, weight in ((per_sample, totals.size), (per_strand, len(lessons))):
        for name, value in values.items():
            sums |= {name: float(value), f"{name}_weight": float(weight)}
    return sums


class CrfWindowScorer:
    """Mean scores of the most probable genes (viterbi) of fixed windows."""

    def __init__(self, windows: Sequence[Window], source: CrfWindows, weights: RewardWeights) -> None:
        self.windows, self.source, self.weights = windows, source, weights

    def __call__(self, model: CrfPolicy) -> dict[str, float]:
        scores = []
        for rules in {self.source.rules(window.clade, window.genetic_code): None for window in self.windows}:
            decoder = WindowDecoder(model.crf, rules)
            for window in self.windows:
                if self.source.rules(window.clade, window.genetic_code) is not rules:
                    continue
                sites = WindowSites(window.bases, rules)
                (potentials,) = decoder.read_windows([sites])
                genes = [gene for gene, _ in best_genes(*potentials, sites, decoder.gene_penalty)]
                scores.append(self.weights.of(window.genes, genes, window.dont_care))
        means = np.mean(np.array(scores, dtype=np.float64), axis=0)
        return dict(zip(Reward._fields, means.tolist(), strict=True))
