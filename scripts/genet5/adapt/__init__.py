"""Fit a gene finder to a genome without labels: counts of its own DNA are added to what the networks say."""
