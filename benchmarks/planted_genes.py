"""Random DNA with genes planted in it, for benchmarks of speed: what it teaches does not matter."""

from __future__ import annotations

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from genet5.bake.crops import Window
from genet5.genome.genes import Interval
from genet5.genome.genetic_code import reverse_complement
from genet5.genome.window_genes import WindowGene

GENETIC_CODE = {"bacteria": 11}  # others: 1
STOPS = ("TAA", "TAG", "TGA")
GENE_CODONS, GAP_BP = (60, 300), (40, 200)


def planted_window(window_bp: int, clade: str, seed: int) -> Window:
    """Random DNA with open reading frames on both strands."""
    rng = random.Random(seed)
    codons = [a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT" if a + b + c not in STOPS]
    bases, genes, at = [], [], 0
    while at < window_bp:
        bases.append("".join(rng.choices("ACGT", k=rng.randint(*GAP_BP))))
        at += len(bases[-1])
        gene = "ATG" + "".join(rng.choices(codons, k=rng.randint(*GENE_CODONS))) + rng.choice(STOPS)
        if at + len(gene) <= window_bp:
            strand = rng.choice("+-")
            genes.append(WindowGene(strand, (Interval(at, at + len(gene)),), False, False))
            bases.append(gene if strand == "+" else reverse_complement(gene))
            at += len(gene)
    return Window("".join(bases)[:window_bp], genes, [], clade, GENETIC_CODE.get(clade, 1))
