"""Windows of random DNA with genes of one codon usage, for the tests of adaptation, and a decoder without networks."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from genet5.adapt.adaptation import Adaptation
from genet5.adapt.counting import Counts
from genet5.adapt.known_genes import count_window
from genet5.adapt.own_introns import genes_of
from genet5.adapt.sampling import SampledWindow
from genet5.bake.crops import Window
from genet5.clades import read_clades
from genet5.crf.annotating_network import WindowPotentials
from genet5.crf.data import CrfWindows
from genet5.genome.genes import Interval
from genet5.genome.sites import GeneRules, WindowSites
from genet5.genome.window_genes import WindowGene

RULES = GeneRules()  # no introns
WINDOWS = CrfWindows(read_clades())
DECODER = SimpleNamespace(gene_penalty=3.0, each=map, rules=RULES, evidence=None)
CODONS = [first + second + third for first in "ACGT" for second in "ACGT" for third in "ACGT"]
CODONS = [codon for codon in CODONS if codon not in RULES.stops]


@dataclass
class Simulated:
    """genes: of each window."""

    windows: list[SampledWindow]
    genes: list[list[WindowGene]]


def simulated(number: int, with_genes: bool, seed: int = 0, window_bp: int = 6_000, usage: int = 99) -> Simulated:
    """Windows of random DNA; with genes of one codon usage, of which the networks see every second one."""
    rng = np.random.default_rng(seed)
    codon_usage = np.random.default_rng(usage).dirichlet(np.full(len(CODONS), 0.5))
    windows, truth = [], []
    for _ in range(number):
        bases = rng.choice(list("ACGT"), size=window_bp)
        potentials = WindowPotentials(
            np.full((2, window_bp, 4), -0.03, np.float32), np.zeros((2, 4, window_bp + 1), np.float32)
        )
        genes = []
        for place, start in enumerate(range(300, window_bp - 1_000, 1_200) if with_genes else ()):
            codons = rng.choice(CODONS, size=200, p=codon_usage)
            gene = "ATG" + "".join(codons) + "TAA"
            bases[start : start + len(gene)] = list(gene)
            genes.append(WindowGene("+", (Interval(start, start + len(gene)),)))
            if place % 2:
                coding = np.arange(start, start + len(gene))
                potentials.bases[0, coding, np.arange(len(gene)) % 3] = 0.06
        if not with_genes:  # the networks believe in reading frames of random DNA
            belief = rng.normal(0, 0.1, (2, window_bp // 300, 4)).repeat(300, axis=1)
            potentials.bases[:] += belief.astype(np.float32)
        sites = WindowSites("".join(bases), RULES)
        windows.append(SampledWindow(sites, potentials, np.zeros(window_bp, bool)))
        truth.append(genes)
    return Simulated(windows, truth)


def found_genes(windows: list[SampledWindow], adaptation: Adaptation) -> list[list[WindowGene]]:
    return [genes_of(DECODER, one, adaptation) for one in windows]


def right(found: list[list[WindowGene]], truth: list[list[WindowGene]]) -> int:
    return sum(len(set(one) & set(other)) for one, other in zip(found, truth, strict=True))


def counted(bases: str, genes: list[WindowGene], unknown: list[tuple[int, int, str]]) -> Counts:
    counts = Counts()
    count_window(counts, Window(bases, genes, unknown, "bacteria", 11), WINDOWS)
    return counts


def known(number: int, seed: int, usage: int = 99) -> Counts:
    """Counts of simulated windows with their true genes."""
    genome, total = simulated(number, True, seed, usage=usage), Counts()
    for window, genes in zip(genome.windows, genome.genes, strict=True):
        total.add(counted("".join("ACGTN"[code] for code in window.sites.codes), genes, []))
    return total
