"""The language model: it writes structure sequences with the scores of the CRF as input."""
