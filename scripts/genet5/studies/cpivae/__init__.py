"""Variational autoencoders that predict what one omics platform would have measured from what another one did."""
