"""Options of reinforcement learning."""

from __future__ import annotations

from dataclasses import dataclass

from genet5.training.options import RunOptions, option


@dataclass(frozen=True)
class GrpoOptions(RunOptions):
    """Group relative policy optimisation; a step samples for ``batch_size`` x ``grad_accum`` prompts a process."""

    # --- other defaults than in supervised training
    grad_accum: int = option(4, "batches of prompts per process that one step samples and learns from", minimum=1)
    lr: float = option(1e-6, "highest learning rate", above=0)
    warmup_ratio: float = option(0.05, "share of the steps in which the rate rises to lr", minimum=0, maximum=1)
    log_every: int = option(1, "steps between rows of grpo_log.csv", minimum=1, affects_result=False)
    monitor: str = option("reward", "value that picks best/ and stops early: reward, exon_f1, gene_f1, nucleotide_f1")
    # --- rollouts
    batch_size: int = option(8, "prompts of a batch at most", minimum=1)
    group_size: int = option(8, "completions sampled per prompt", minimum=2)
    token_budget: int = option(65_536, "tokens of a batch: prompts x (longest prompt + its completions)", minimum=1)
    max_gen_length: int = option(256, "tokens of a completion at most", minimum=1)
    temperature: float = option(0.8, "divides the logits, in sampling and in the objective", above=0)
    top_k: int = option(50, "sample among this many most probable choices (0: all)", minimum=0)
    top_p: float = option(0.9, "sample among the most probable choices that make up this share", above=0, maximum=1)
    # --- reward
    exon_weight: float = option(0.6, "weight of exon F1", minimum=0)
    gene_weight: float = option(0.4, "weight of gene F1", minimum=0)
    nucleotide_weight: float = option(0.0, "weight of coding-base F1, a dense term", minimum=0)
    boundary_weight: float = option(0.0, "weight of how near exon ends are, a dense term", minimum=0)
    boundary_bp: int = option(30, "distance in bases at which a boundary earns nothing", minimum=1)
    # --- objective
    beta: float = option(0.05, "weight of the KL divergence from the model it started from (0: none)", minimum=0)
    clip_low: float = option(0.2, "ratios below 1 - clip_low earn no further gradient", above=0, below=1)
    clip_high: float = option(0.2, "ratios above 1 + clip_high earn no further gradient", above=0)
    scale_rewards: bool = option(True, "divide advantages by the group's standard deviation")
    updates_per_rollout: int = option(1, "optimizer updates on the same completions", minimum=1)
    # --- evaluation, safety
    eval_samples: int = option(0, "validation windows that are decoded and scored (0: all listed ones)", minimum=0)
    max_steps_without_variance: int = option(
        20, "stop when for this many steps every group had equal rewards (0: never)", minimum=0
    )
