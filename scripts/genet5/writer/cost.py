"""What a token of the writer costs, for the share of a device's peak that a training reaches (column ``mfu``)."""

from __future__ import annotations

from genet5.writer.config import GeneT5Config

PASSES = 3  # forward, and twice as much backward


def weights_per_token(config: GeneT5Config) -> int:
    """Weights of the transformer's matrices that one token meets: of the experts, those that read it."""
    width, head = config.hidden_size, config.hidden_size // config.num_heads
    attention = 2 * width * width + 2 * width * head * config.num_kv_heads
    feed_forward = 3 * width * config.feed_forward_size
    if config.num_experts:
        gates = width * (config.num_experts + 1)  # one of them is for a shared expert, which is empty here
        feed_forward = feed_forward * min(config.experts_per_token, config.num_experts) + gates
    return config.num_layers * (attention + feed_forward)


def flops_per_token(config: GeneT5Config, row_tokens: float) -> float:
    """Forward and backward, of the transformer; row_tokens: mean number of tokens in a row, which each other one sees.

    Two operations for each weight, and four for each pair of tokens and channel (Kaplan et al. 2020). In layers with a
    window a token sees at most twice the window. The CRF, pointers and recomputed activations are left out, as is usual
    for this share.
    """
    window = 2 * config.dna_window_size or row_tokens
    seen = [min(row_tokens, window) if (layer + 1) % 4 else row_tokens for layer in range(config.num_layers)]
    return PASSES * (2.0 * weights_per_token(config) + 4.0 * config.hidden_size * sum(seen))
