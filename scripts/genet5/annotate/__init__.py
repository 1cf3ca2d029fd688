"""Whole genomes to GFF3: tiling, constrained decoding, stitching, confidence."""
