"""Matching, F1 at every level, baselines and BUSCO."""
