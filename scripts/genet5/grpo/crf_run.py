"""One run of reinforcement learning of the CRF: sample whole annotations of windows, score them, learn from them."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

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
        options = self.options
        batch = self.fabric.to_device(self.windows.batch(windows))
        with self.fabric.autocast():
            potentials, site = self.losses(batch)
        before = None
        if self.start is not None:
            with torch.no_grad(), self.fabric.autocast():
                before = [*map(_numbers, self.start.read(batch)), float(self.start.crf.gene_penalty)]
        penalty = self.model.crf.gene_penalty
        now_ = [_numbers(potentials), _numbers(site), float(penalty.detach())]
        allowed = (batch.sites > NOT_A_SITE).cpu().numpy()
        slopes = [np.zeros_like(now_[0]), np.zeros_like(now_[1]), 0.0]
        seed = batch_seed(options.seed, self.state.epoch, position)
        lessons: list[Lesson] = []
        genes: list[list[int]] = []
        value = divergences = 0.0
        for number, window in enumerate(windows):
            for row, sign in enumerate(SIGNS):
                size = len(window.bases)
                strand = _strand(now_, number, row, allowed, size, options.temperature)
                reference = [gene for gene in window.genes if gene.strand == sign]
                sampled = sample_strand(
                    strand, sign, reference, options.group_size, (seed + 2 * number + row) % 2**63, options.credit
                )
                lesson = learn(sampled, reference, window.dont_care, self.weights, size, options.temperature)
                lessons.append(lesson)
                genes.append([len(group) for group in sampled.genes])
                repeated = len(sampled.genes) - len({tuple(group) for group in sampled.genes})
                genes[-1].append(repeated)
                value += _add(lesson.features, 1.0, slopes, number, row, strand, options.temperature)
                if before is not None:
                    first, one = (_strand(part, number, row, allowed, size, 1.0) for part in (before, now_))
                    apart, gradient = divergence(one, first)
                    divergences += apart
                    _add(gradient, options.beta, slopes, number, row, one, 1.0)
        surrogate = sum(
            (tensor * torch.from_numpy(slope).to(tensor)).sum()
            for tensor, slope in zip((potentials, site), slopes[:2], strict=True)
        )
        surrogate = surrogate - penalty * slopes[2]
        losses = {"policy": value, "kl": divergences, "weight": 2.0 * len(windows)}
        total = surrogate - surrogate.detach() + value + options.beta * divergences
        if options.likelihood_weight > 0:
            chains = chain_loss(
                potentials.flatten(0, 1),
                site.flatten(0, 1),
                penalty,
                batch.sites.flatten(0, 1) > NOT_A_SITE,
                batch.chains.flatten(0, 1),
                batch.lengths.repeat_interleave(2),
            )
            likelihood = chains.loss.sum()
            total = total + options.likelihood_weight * likelihood
            losses["likelihood"] = likelihood
        share = 1 / self.accumulated
        tokens = float(batch.lengths.sum())
        return {"sum": total} | losses | audit(lessons, genes) | {
            "tokens": tokens, "tokens_weight": share / self.fabric.world_size,
        }  # fmt: skip

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


def _numbers(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to("cpu", torch.float64).numpy()


def _strand(
    numbers: Sequence[Any], window: int, row: int, allowed: np.ndarray, size: int, temperature: float
) -> Strand:
    potentials, site, penalty = numbers
    return Strand.of(
        potentials[window, row, :size],
        site[window, row, :, : size + 1],
        allowed[window, row, :, : size + 1],
        penalty,
        temperature,
    )


def _add(
    found: Features, weight: float, slopes: list[Any], window: int, row: int, strand: Strand, temperature: float
) -> float:
    """Adds a gradient by the potentials to that of the batch; returns what it makes of the strand's own potentials."""
    size = len(strand.potentials)
    slopes[0][window, row, :size] += weight * found.of_base
    slopes[1][window, row, :, : size + 1] += weight * found.of_site
    slopes[2] += weight * found.genes
    worth = (found.of_base * strand.potentials).sum() + (found.of_site * strand.site)[strand.allowed].sum()
    return float(worth - found.genes * strand.penalty) * temperature


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
