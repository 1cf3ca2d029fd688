"""Options of the writer and of its training: the sections writer and sft of the configuration.

Nothing here needs PyTorch or transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genet5.errors import InputError
from genet5.options import option, read_options, with_default
from genet5.training.options import ReadingOptions, RunOptions


@dataclass(frozen=True)
class WriterShape:
    """Fields of the network that a user may set; the defaults are those of size demo."""

    hidden_size: int = option(96, "width of the transformer; an even multiple of num_heads", minimum=1)
    num_layers: int = option(3, "number of layers", minimum=1)
    num_heads: int = option(4, "number of attention heads", minimum=1)
    num_kv_heads: int = option(2, "number of key and value heads; it divides num_heads", minimum=1)
    feed_forward_size: int = option(256, "width of the feed-forward layers, and of each expert", minimum=1)
    num_experts: int = option(0, "number of experts; 0: a dense network", minimum=0)
    experts_per_token: int = option(2, "number of experts that read a token, at most num_experts", minimum=1)
    router_loss_weight: float = option(0.01, "weight of the loss that spreads tokens over experts", minimum=0)
    pointer_size: int = option(48, "width of the keys of pointers", minimum=1)
    tie_embeddings: bool = option(
        True, "structure tokens are written with the vectors they are read with; false: with a table of their own"
    )
    num_latents: int = option(
        0,
        "number of learned latent tokens, which read all DNA tokens in each layer and are read by all structure tokens",
        minimum=0,
    )
    dropout: float = option(
        0.0,
        "share of the embeddings, and of the outputs of attention and feed-forward layers, that training sets to zero; "
        "reinforcement learning has none",
        minimum=0,
        below=1,
    )
    # --- sliding attention
    dna_block_size: int = option(
        0,
        "tokens that attention with dna_window_size computes at a time (on a GPU at least 128), a power of two of at "
        "least 16; 0: full attention",
        minimum=0,
    )
    dna_window_size: int = option(
        0,
        "in three of four layers, DNA tokens see DNA less than this many tokens away, and all mile-posts and latents; "
        "a multiple of dna_block_size",
        minimum=0,
    )
    structure_block_size: int = option(0, "as dna_block_size, for structure tokens", minimum=0)
    structure_window_size: int = option(
        0,
        "in three of four layers, structure tokens see their own sequence less than this many tokens back, and the "
        "whole prompt; a multiple of structure_block_size",
        minimum=0,
    )
    # --- first weights
    init_std: float = option(0.02, "standard deviation of the first weights", above=0)
    init_embedding_std: float = option(
        0.0, "standard deviation of the first token vectors and latents; 0: init_std", minimum=0
    )
    init_attention_std: float = option(
        0.0, "standard deviation of the first weights of attention; 0: init_std", minimum=0
    )
    init_feed_forward_std: float = option(
        0.0, "standard deviation of the first weights of feed-forward layers and experts; 0: init_std", minimum=0
    )
    init_router_std: float = option(
        0.006, "standard deviation of the first weights of the routers of experts; 0: init_std", minimum=0
    )


SCRATCH = "scratch"
_BASE = {
    "hidden_size": 768, "num_layers": 12, "num_heads": 12, "num_kv_heads": 3, "feed_forward_size": 3072,
    "pointer_size": 192,
}  # fmt: skip
#: Named sizes: what each changes of the defaults.
SIZES: dict[str, dict[str, Any]] = {
    "demo": {},
    "small": {
        "hidden_size": 256, "num_layers": 6, "num_heads": 8, "num_kv_heads": 2, "feed_forward_size": 768,
        "pointer_size": 96,
    },
    "base": {**_BASE, "num_experts": 4},
    "recipe": {**_BASE, "num_experts": 32},
}  # fmt: skip


def writer_shape(size: str, overrides: Mapping[str, Any] | None = None) -> WriterShape:
    """The shape of a named size, with single fields replaced.

    Raises ``InputError`` for a size that does not exist, and for fields that do not fit together.
    """
    if size not in SIZES:
        raise InputError(f"config key writer.size: {size!r} is unknown, allowed: {', '.join(SIZES)}")
    shape = read_options(WriterShape, {**SIZES[size], **(overrides or {})}, "config key writer.overrides")
    check_shape(shape)
    return shape


def check_shape(shape: WriterShape) -> None:
    """Raise ``InputError`` for fields that no network can have together."""
    where = "config key writer.overrides."
    if shape.hidden_size % shape.num_heads or (shape.hidden_size // shape.num_heads) % 2:
        raise InputError(
            f"{where}hidden_size: {shape.hidden_size}, must be an even multiple of {shape.num_heads} heads"
        )
    if shape.num_heads % shape.num_kv_heads:
        raise InputError(f"{where}num_kv_heads: {shape.num_kv_heads} does not divide num_heads ({shape.num_heads})")
    if shape.num_experts and shape.experts_per_token > shape.num_experts:
        raise InputError(
            f"{where}experts_per_token: {shape.experts_per_token}, must be at most num_experts ({shape.num_experts})"
        )
    for part in ("dna", "structure"):
        block, window = (getattr(shape, f"{part}_{name}_size") for name in ("block", "window"))
        if not block and not window:
            continue
        if block < 16 or block & (block - 1):
            raise InputError(
                f"{where}{part}_block_size: {block} is not a power of two of at least 16 (16, 32, 64, ...)"
            )
        if window <= 0 or window % block:
            raise InputError(
                f"{where}{part}_window_size: {window} is not a positive multiple of {part}_block_size {block}"
            )


@dataclass(frozen=True)
class WriterOptions:
    """The first weights of the writer, the language model."""

    size: str = option("base", "named size of the network", choices=tuple(SIZES))
    init_from: str = option(
        SCRATCH,
        "scratch, or a folder or hub id: of DNABERT-2 (size base, and a tokenizer of kind bpe), or of a GeneT5 writer",
        nonempty=True,
    )
    seed: int = option(42, "seed of fresh weights", minimum=0)
    overrides: Mapping[str, Any] = option({}, "single fields that differ from the size", some_of=WriterShape)


@dataclass(frozen=True)
class SftOptions(ReadingOptions):
    """Supervised fine-tuning of the writer."""

    # --- other defaults than in other trainings
    epochs: int = with_default(RunOptions, "epochs", 4)
    early_stopping: int = with_default(RunOptions, "early_stopping", 2)
    lr: float = with_default(RunOptions, "lr", 1e-4)
    save_steps: int = with_default(RunOptions, "save_steps", 500)
    log_memory: bool = with_default(RunOptions, "log_memory", True)
    memwatch: float = with_default(RunOptions, "memwatch", 30.0)
    # --- data
    token_budget: int = option(63_700, "number of tokens in a batch at most, padding counted", minimum=1)
    max_batch_size: int = option(8, "number of windows in a batch at most", minimum=1)
    windows_per_step: int = with_default(
        RunOptions,
        "windows_per_step",
        1024,
        "number of windows whose gradients make one step, over all processes, a multiple of max_batch_size; fewer if "
        "token_budget limits the batches; 0: one batch",
    )
    species_balance: float = option(
        0.3,
        "a species is drawn in proportion to its number of windows to this power; 1: as they are; 0: all equally often",
        minimum=0,
        maximum=1,
    )
    # --- loss
    label_smoothing: float = option(
        0.1, "label smoothing of the training loss; the validation loss has none", minimum=0, below=1
    )
