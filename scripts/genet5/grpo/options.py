"""Options of reinforcement learning: the sections grpo_prompts and grpo of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from genet5.options import option, with_default
from genet5.training.options import RunOptions


@dataclass(frozen=True)
class GrpoPromptOptions:
    """The training windows that reinforcement learning samples genes for."""

    num_prompts: int = option(
        5000, "number of windows at most, balanced over species; a tenth of them has no gene", minimum=1
    )
    min_introns: int = option(0, "least number of introns in a window that has genes", minimum=0)
    seed: int = option(42, "seed of the draw", minimum=0)


@dataclass(frozen=True)
class GrpoRunOptions(RunOptions):
    """What reinforcement learning of the writer and of the CRF have in common."""

    batch_option: ClassVar[str] = "batch_size"

    # --- other defaults than in other trainings
    epochs: int = with_default(
        RunOptions,
        "epochs",
        1,
        "number of passes over the prompts; a step takes windows_per_step of them",
    )
    early_stopping: int = with_default(RunOptions, "early_stopping", 3)
    monitor: str = option(
        "reward",
        "value of the greedily decoded validation windows that selects the best checkpoint",
        choices=("reward", "exon_f1", "gene_f1", "nucleotide_f1", "boundary_f1"),
    )
    lr: float = with_default(RunOptions, "lr", 1e-6)
    warmup_ratio: float = with_default(RunOptions, "warmup_ratio", 0.05)
    eval_steps: int = with_default(RunOptions, "eval_steps", 25)
    save_steps: int = with_default(RunOptions, "save_steps", 25)
    log_every: int = with_default(RunOptions, "log_every", 1, "steps between rows of grpo_log.csv")
    log_memory: bool = with_default(RunOptions, "log_memory", True)
    memwatch: float = with_default(RunOptions, "memwatch", 30.0)
    # --- rollouts
    batch_size: int = option(8, "number of prompts in a batch at most", minimum=1)
    windows_per_step: int = with_default(
        RunOptions,
        "windows_per_step",
        32,
        "number of windows (prompts) that one step samples and learns from, over all processes, a multiple of "
        "batch_size; 0: one batch",
    )
    group_size: int = option(8, "number of completions sampled per prompt", minimum=2)
    temperature: float = option(0.8, "divisor of the logits, in sampling and in the objective", above=0)
    # --- reward
    exon_weight: float = option(0.6, "weight of exon F1 in the reward", minimum=0)
    gene_weight: float = option(0.4, "weight of gene F1 in the reward", minimum=0)
    nucleotide_weight: float = option(0.0, "weight of the F1 of coding bases in the reward", minimum=0)
    boundary_weight: float = option(
        0.0, "weight of the F1 of exon ends; an end that is d bases off earns 1 - d / boundary_bp", minimum=0
    )
    boundary_bp: int = option(30, "distance in bases from which an exon end earns nothing", minimum=1)
    # --- objective
    beta: float = option(0.05, "weight of the KL divergence from the model it starts from; 0: none", minimum=0)
    # --- evaluation, safety
    eval_samples: int = option(
        0, "number of the windows in eval.json that are decoded and scored; 0: all of them", minimum=0
    )
    max_steps_without_variance: int = option(
        20, "stop with a message after this many steps in which every group had equal rewards; 0: never", minimum=0
    )


@dataclass(frozen=True)
class GrpoOptions(GrpoRunOptions):
    """Reinforcement learning on exon and gene F1 (group relative policy optimisation)."""

    # --- rollouts
    token_budget: int = option(
        65_536, "number of tokens in a batch at most: prompts x (the longest prompt + its completions)", minimum=1
    )
    max_gen_length: int = option(
        256, "number of tokens of a completion at most; a longer one is cut and judged by its genes so far", minimum=1
    )
    top_k: int = option(50, "sample among this many most probable tokens; 0: all", minimum=0)
    top_p: float = option(0.9, "sample among the most probable tokens that make up this share", above=0, maximum=1)
    # --- objective
    clip_low: float = option(0.2, "probability ratios below 1 - clip_low earn no further gradient", above=0, below=1)
    clip_high: float = option(0.2, "probability ratios above 1 + clip_high earn no further gradient", above=0)
    scale_rewards: bool = option(True, "divide advantages by the standard deviation of their group")
    updates_per_rollout: int = option(1, "number of optimizer updates on the same completions", minimum=1)


@dataclass(frozen=True)
class CrfGrpoOptions(GrpoRunOptions):
    """Reinforcement learning of the CRF on exon and gene F1: exact samples of its annotations are the completions."""

    monitor: str = with_default(
        GrpoRunOptions,
        "monitor",
        "reward",
        "value of the validation windows, decoded by viterbi, that selects the best weights",
    )
    lr: float = with_default(RunOptions, "lr", 2e-5)
    batch_size: int = with_default(GrpoRunOptions, "batch_size", 1)
    windows_per_step: int = with_default(RunOptions, "windows_per_step", 4)
    group_size: int = with_default(GrpoRunOptions, "group_size", 16, "number of annotations sampled per strand")
    temperature: float = with_default(
        GrpoRunOptions, "temperature", 1.0, "divisor of the potentials, in sampling and in the objective"
    )
    credit: str = option(
        "locus",
        "what an annotation is rewarded for: each locus by itself, or its strand as a whole; a locus is a stretch that "
        "genes of the reference or of a sample cover",
        choices=("locus", "strand"),
    )
    beta: float = with_default(GrpoRunOptions, "beta", 0.01)
    likelihood_weight: float = option(
        0.05, "weight of the negative log-likelihood of the right chain of genes, in nats per strand", minimum=0
    )
