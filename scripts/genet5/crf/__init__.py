"""The gene finder: per-base network, conditional random field over chains of genes, decoding, training."""
