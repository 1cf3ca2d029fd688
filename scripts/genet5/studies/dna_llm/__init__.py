"""A nucleotide GPT, and what its features are worth for predicting transcription factor binding sites."""
