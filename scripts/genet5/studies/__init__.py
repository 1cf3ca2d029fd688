"""Companion studies: their own models and data, on the parts of the main workflow."""
