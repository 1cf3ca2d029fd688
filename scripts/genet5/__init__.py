"""GeneT5: language models that write gene annotations."""
