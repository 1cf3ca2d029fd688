"""Reinforcement learning on exon and gene F1: prompts, rollouts, rewards, the objective."""
