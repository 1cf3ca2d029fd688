"""Predicted genes beside a reference: F1 at every level, verdicts, sanity checks, baselines, BUSCO."""
