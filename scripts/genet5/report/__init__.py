"""Figures, tables and the HTML page, made from results on disk."""
