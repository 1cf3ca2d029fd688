"""The eight models, by the names of the published cpiVAE."""
