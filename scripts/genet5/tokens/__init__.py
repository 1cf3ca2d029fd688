"""DNA tokenizers, the structure vocabulary, genes <-> token ids, and the grammar."""
