"""The network: base-resolution stem, transformers backbone, pointer heads, reader of DNA."""
