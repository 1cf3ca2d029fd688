"""GeneT5: language models that write gene annotations."""

__version__ = "0.1.0"
