"""One run of reinforcement learning: sample completions, score them, learn from them."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genet5.bake.crops import Window
from genet5.errors import InputError
from genet5.grpo.log import Columns, RewardLog
from genet5.grpo.objective import group_advantages, token_losses
from genet5.grpo.options import GrpoOptions
from genet5.grpo.policy import Packed, Scored, pack, score_choices
from genet5.grpo.rewards import Reward, RewardWeights
from genet5.grpo.rollouts import Rollout, roll_out
from genet5.grpo.sampling import Sampling
from genet5.tokens.grammars import Grammars
from genet5.training.run import Run, RunSpec
from genet5.writer.network import GeneT5Model
from genet5.writer.passes import PromptPass
from genet5.writer.token_counts import TokenCounts

AUDIT = (
    "zero_variance_groups",
    "empty_completions",
    "repeated_completions",
    "truncated_completions",
    "completion_tokens",
)


def reward_weights(options: GrpoOptions) -> RewardWeights:
    return RewardWeights(
        options.exon_weight,
        options.gene_weight,
        options.nucleotide_weight,
        options.boundary_weight,
        options.boundary_bp,
    )


@dataclass
class SampledBatch:
    """A batch of prompts with its completions, ready to learn from.

    advantages: [B, G]. reference: [Q], log-probabilities under the frozen weights, None without KL. old: [Q], under the
    weights that sampled, known after the first update. sums: what the log wants, with weights as in ``mean_losses``.
    read: the pass over the prompts with its graph, until the first update has used it.
    """

    packed: Packed
    advantages: Tensor
    reference: Tensor | None
    sums: dict[str, float]
    old: Tensor | None = None
    read: PromptPass | None = None


def audit(rollout: Rollout, rewards: list[list[Reward]]) -> dict[str, float]:
    """Sums over the completions (or groups) of a rollout, each with its weight, in the order of the log's columns."""
    totals = np.array([[reward.reward for reward in group] for group in rewards])
    terms = np.array([reward for group in rewards for reward in group], dtype=np.float64).sum(axis=0)
    completions = [completion for group in rollout.completions for completion in group]
    repeated = sum(len(group) - len({tuple(completion.ids) for completion in group}) for group in rollout.completions)
    per_group = {
        "reward_std": totals.std(axis=1, ddof=1).sum(),
        "zero_variance_groups": int((np.ptp(totals, axis=1) == 0).sum()),
    }
    per_text = dict(zip(Reward._fields, terms, strict=True)) | {
        "empty_completions": sum(not completion.genes for completion in completions),
        "repeated_completions": repeated,
        "truncated_completions": sum(completion.truncated for completion in completions),
        "completion_tokens": sum(len(completion.ids) for completion in completions),
    }
    sums: dict[str, float] = {}
    for values, weight in ((per_text, len(completions)), (per_group, len(rewards))):
        for name, value in values.items():
            sums |= {name: float(value), f"{name}_weight": float(weight)}
    return sums


class GrpoLog(RewardLog):
    """That of the writer."""

    audit, on_console = AUDIT, "entropy"

    def losses(self, means: Mapping[str, float]) -> Columns:
        return {"clip_share": means["clipped"], "entropy": means["entropy"], "router_loss": means.get("router")}

    def times(self, means: Mapping[str, float], step_s: float) -> Columns:
        rollout_s = means["rollout_s"]
        return {"rollout_s": round(rollout_s, 3), "update_s": round(step_s - rollout_s, 3)}


class GrpoRun(Run):
    """A step samples its share of ``windows_per_step`` prompts, then updates weights ``updates_per_rollout`` times."""

    log_class = GrpoLog
    evaluates_first = True
    options: GrpoOptions
    model: GeneT5Model

    def __init__(self, grammars: Grammars, spec: RunSpec) -> None:
        self.grammars = grammars
        options: GrpoOptions = spec.options
        spec.model.leave_out_dropout()
        self.reference: GeneT5Model | None = None
        if options.beta > 0:
            self.reference = spec.fabric.to_device(copy.deepcopy(spec.model).requires_grad_(False).eval())
        self.sampling = Sampling(options.temperature, options.top_k, options.top_p)
        self.weights = reward_weights(options)
        super().__init__(spec)
        self.log.updates_per_step = options.updates_per_rollout

    def _loss_function(self) -> Callable[[Any], Scored]:
        return lambda packed, read: score_choices(self.model, packed, self.options.temperature, read)

    def _step(self, stream: Iterator[tuple[int, list[Window]]]) -> None:
        started = time.perf_counter()
        self._set_learning_rate()
        kept: list[SampledBatch] = []
        sums = self._update(map(self._batch_losses, self._sampled(stream, kept)))
        for _ in range(1, self.options.updates_per_rollout):
            sums = self._update(map(self._batch_losses, kept))
        self._watch_variance(sums)
        self._advance(time.perf_counter() - started)

    def _sampled(self, stream: Iterator[tuple[int, list[Window]]], kept: list[SampledBatch]) -> Iterator[SampledBatch]:
        """A step's batches, each sampled when the update comes to it; they also go into ``kept``."""
        for position, windows in islice(stream, self.accumulated):
            self.model.eval()  # no dropout, no checkpointing: that would take the cache away
            kept.append(self._sample(position, windows))
            self.model.train()
            yield kept[-1]

    def _sample(self, position: int, windows: list[Window]) -> SampledBatch:
        """Roll out, score, and pack one batch of windows."""
        started = time.perf_counter()
        options, state = self.options, self.state
        with self.fabric.autocast(), torch.no_grad():
            rollout = roll_out(
                self.model,
                self.grammars,
                windows,
                options.group_size,
                self.sampling,
                options.max_gen_length,
                (options.seed, state.epoch, position),
                not options.gradient_checkpointing,
            )
            packed = pack(rollout, repeat=self.model.config.num_experts > 0)
            reference = None
            if self.reference is not None:
                reference = score_choices(self.reference, packed, options.temperature).log_probability
        rewards = [
            [self.weights.of(window.genes, completion.genes, window.dont_care) for completion in completions]
            for window, completions in zip(rollout.windows, rollout.completions, strict=True)
        ]
        totals = np.array([[reward.reward for reward in group] for group in rewards])
        advantages = torch.from_numpy(group_advantages(totals, options.scale_rewards)).float()
        sums = audit(rollout, rewards)
        # Weights that make means per step: tokens of all processes, seconds of one.
        share = 1 / self.accumulated
        counts = TokenCounts(self.grammars.tokenizer, self.model.config.num_latents)
        written = sum(len(completion.ids) for group in rollout.completions for completion in group)
        tokens = float(counts.batch(packed.batch) - int(packed.batch.num_target_tokens) + written)
        sums |= {"tokens": tokens, "tokens_weight": share / self.fabric.world_size}
        sums |= {"rollout_s": time.perf_counter() - started, "rollout_s_weight": share}
        return SampledBatch(packed, advantages.to(self.fabric.device), reference, sums, read=rollout.read)

    def _batch_losses(self, sampled: SampledBatch) -> dict[str, Any]:
        options = self.options
        read, sampled.read = sampled.read, None
        with self.fabric.autocast():
            scored = self.losses(sampled.packed, read)
        if sampled.old is None:
            sampled.old = scored.log_probability.detach()
        advantage = sampled.advantages[scored.row, scored.completion]
        losses = token_losses(
            scored.log_probability, sampled.old, sampled.reference, advantage, options.clip_low, options.clip_high
        )
        policy, kl = losses.policy.sum(), losses.kl.sum()
        weight = len(scored.log_probability)
        found = {"sum": policy + options.beta * kl, "weight": weight, "policy": policy, "kl": kl}
        if scored.router_loss is not None:
            found["router"] = scored.router_loss * weight
            found["sum"] = found["sum"] + found["router"] * self.model.config.router_loss_weight
        return found | {"entropy": scored.entropy.sum(), "clipped": losses.clipped.sum()} | sampled.sums

    def _watch_variance(self, sums: Mapping[str, float]) -> None:
        """End a run that cannot learn."""
        allowed = self.options.max_steps_without_variance
        equal = sums["zero_variance_groups"] == sums["zero_variance_groups_weight"]
        self.state.idle_steps = self.state.idle_steps + 1 if equal else 0
        if allowed and self.state.idle_steps >= allowed:
            mean, weights = sums["reward"] / sums["reward_weight"], self.weights
            advice = (
                "the model already writes these windows perfectly"
                if mean > 0.999 * sum((weights.exon, weights.gene, weights.nucleotide, weights.boundary))
                else "raise temperature, top_p or group_size, give a dense term (nucleotide_weight) some weight, or "
                "train longer in the supervised stage"
            )
            raise InputError(
                f"step {self.state.step + 1}: all completions of every group earned the same for {allowed} steps "
                f"(mean reward {mean:.3f}), so there is nothing to learn from: {advice}"
            )
