"""Where files come from: downloads."""
