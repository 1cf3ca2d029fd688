"""The network: base-resolution stem, transformers backbone, pointer and base heads."""
