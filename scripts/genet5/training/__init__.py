"""Batches by token budget, schedules, logs, checkpoints and the supervised stage."""
