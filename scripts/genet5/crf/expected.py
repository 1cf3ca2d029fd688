"""The annotation of a window with the highest expected exon and gene F1, rather than the most probable one.

Each exon and each gene of some sampled chains gets its exact posterior. With P(exon), P(gene) and the expected numbers
of right ones, the expected F1 of a chain is near

    (sum of 2 P(exon) + weight * sum of 2 P(gene)) / (exons + expected exons + weight * (genes + expected genes))

over what the chain holds. For a threshold t, the chain with the most of numerator - t * denominator is found exactly
(``gain_chain.py``). Its own ratio is the next t, until none is better (Dinkelbach 1967, Management Science 13:492). So
an exon is worth taking from P = t / 2 on. Legal chains are those that exons of the samples and of the best chain make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from genet5.crf.best_chain import LEAST_EXON_BP, Found, StrandPotentials, _marks, _overlaps, best_chain
from genet5.crf.chain_sums import NO_LENGTHS, strand_marginals
from genet5.crf.decoding import genes_of_both, settle_strands
from genet5.crf.exon_posterior import exon_posteriors
from genet5.crf.gain_chain import (
    BEGIN,
    CUT,
    END,
    FIRST,
    INNER,
    LAST,
    SPLICED,
    Listed,
    Room,
    best_by_gains,
    may_join,
)
from genet5.crf.posterior import gene_log_posteriors
from genet5.crf.sampled_genes import StrandGene, genes_of
from genet5.crf.sampling import Strand, sample_chains
from genet5.genome.sites import ACCEPTOR_SITE, START_SITE, StrandSites, WindowSites
from genet5.genome.window_genes import WindowGene

MOST_ROUNDS = 20  # of Dinkelbach's iteration; four are usual
Exon = tuple[int, int, int, int, int]  # columns of ``gain_chain``


@dataclass(frozen=True)
class ExpectedOptions:
    """How expected F1 is maximised.

    samples: chains of each strand whose exons and genes are on offer. temperature: divides the potentials.
    threshold: t above; 0: found for each window. gene_weight: of a gene beside an exon.
    """

    samples: int = 64
    temperature: float = 1.0
    threshold: float = 0.0
    gene_weight: float = 1.0
    seed: int = 42


class Offer(NamedTuple):
    """Exons and genes of a strand and their posteriors. exons: ends ascending. members: of each gene, their numbers."""

    exons: np.ndarray
    exon_share: np.ndarray
    genes: list[StrandGene]
    members: list[tuple[int, ...]]
    gene_share: np.ndarray
    expected: tuple[float, float]


def expected_genes(
    potentials: np.ndarray,
    site_potentials: np.ndarray,
    sites: WindowSites,
    gene_penalty: float,
    options: ExpectedOptions,
    introns: np.ndarray = NO_LENGTHS,
) -> list[WindowGene]:
    """The genes of a window, in the codec's order. Arguments as in ``best_genes``."""
    allowed, warmth = sites.allowed, options.temperature
    readers = [
        StrandReader(
            sites.strand(sign),
            Strand.of(potentials[row], site_potentials[row], allowed[row], gene_penalty, warmth, introns),
            options,
            row,
        )
        for row, sign in enumerate("+-")
    ]
    size = sites.window_bp
    threshold = options.threshold or 1.0
    found: list[list[Found]] = [[], []]
    for _ in range(MOST_ROUNDS):
        found = settle_strands(lambda row, taken, at=threshold: readers[row].read(at, taken), size)
        ratio = ratio_of(readers, found, options.gene_weight)
        if options.threshold or abs(ratio - threshold) < 1e-9:
            break
        threshold = ratio
    return [gene for gene, _ in genes_of_both(found, size)]


def ratio_of(readers: Sequence[StrandReader], found: Sequence[Sequence[Found]], gene_weight: float) -> float:
    """The expected F1 of the genes of strands, as the module defines it; 0 where nothing is expected nor found."""
    right = all_ = 0.0
    for reader, genes in zip(readers, found, strict=True):
        exons, whole = reader.offer.expected
        all_ += exons + gene_weight * whole
        for gene in genes:
            of_exons, of_gene = reader.shares(StrandGene(gene.segments, gene.phase, gene.partial3))
            right += 2 * (sum(of_exons) + gene_weight * of_gene)
            all_ += len(of_exons) + gene_weight
    return right / all_ if all_ > 0 else 0.0


class StrandRules:
    """What the rules of genes, which are stricter than the CRF, allow on a strand."""

    def __init__(self, sites: StrandSites) -> None:
        self.sites, rules = sites, sites.rules
        self.room = Room(
            rules.min_gene_bp,
            max(rules.min_exon_bp, LEAST_EXON_BP),
            rules.least_intron_bp,
            rules.max_intron_bp,
            rules.max_overlap_bp,
        )
        marks = _marks(sites, np.array(_overlaps(rules), dtype=np.int64))
        #: bases, stop codons, and dinucleotides of introns, as ``best_by_gains`` takes them
        self.dna = sites.codes, sites.stops, marks.donor, marks.acceptor

    def fits(self, exon: Exon) -> bool:
        """Not where an intron splits the stop codon: the CRF has no such gene."""
        if exon[3] == LAST:
            return bool(self.sites.stop_here[exon[END]])
        return exon[3] != SPLICED or exon[END] - exon[BEGIN] >= self.room.least_exon_bp

    def is_legal(self, gene: Sequence[Exon]) -> bool:
        """Whether a gene keeps all rules."""
        first, last, size = gene[0], gene[-1], self.sites.window_bp
        if not all(map(self.fits, gene)):
            return False
        if first[2] == INNER and first[BEGIN] > self.room.max_intron_bp:
            return False
        if last[3] == SPLICED and size - last[END] > self.room.max_intron_bp:
            return False
        if len(gene) == 1 and first[2] == FIRST and last[3] == LAST:
            return last[END] - first[BEGIN] >= self.room.min_gene_bp
        limits = self.room.min_intron_bp, self.room.max_intron_bp
        return all(may_join(np.array(one), np.array(other), *self.dna, *limits) for one, other in pairwise(gene))


class StrandReader:
    """What a strand offers, and its best chain at a threshold."""

    def __init__(self, sites: StrandSites, strand: Strand, options: ExpectedOptions, row: int = 0) -> None:
        self.sites, self.strand, self.options = sites, strand, options
        self.rules = StrandRules(sites)
        sums = strand.sums()
        chains = sample_chains(strand, sums, options.samples, 2 * options.seed + row)
        genes = {gene for chain in chains for gene in genes_of(chain, sites.stop_here)}
        scores = StrandPotentials.of(strand.potentials, strand.site, strand.introns)
        best = best_chain(sites, scores, strand.penalty)
        genes |= {StrandGene(gene.segments, gene.phase, gene.partial3) for gene in best}
        self.offer = self._offer(sorted(genes, key=_order))
        self.by_gene = dict(zip(self.offer.genes, self.offer.gene_share, strict=True))
        self.by_exon = {
            tuple(exon[:2]): share for exon, share in zip(self.offer.exons.tolist(), self.offer.exon_share, strict=True)
        }

    def _offer(self, genes: Sequence[StrandGene]) -> Offer:
        strand, size = self.strand, self.sites.window_bp
        split = [exons_of(gene, size) for gene in genes]
        legal = [self.rules.is_legal(gene) for gene in split]
        fitting = {exon for gene in split for exon in gene if self.rules.fits(exon)}
        exons = sorted(fitting, key=lambda exon: (exon[END], exon))
        number = {exon: place for place, exon in enumerate(exons)}
        table = np.array(exons, dtype=np.int64).reshape(-1, 5)
        sums = strand.sums()
        kept = [gene for gene, fine in zip(genes, legal, strict=True) if fine]
        members = [tuple(number[exon] for exon in one) for one, fine in zip(split, legal, strict=True) if fine]
        both = [np.stack([part, part]) for part in (strand.potentials, strand.site, strand.allowed)]
        shown = [gene.of_window("+", size) for gene in kept]
        shares = gene_log_posteriors(*both, strand.penalty, shown, strand.introns)
        marginals = strand_marginals(*strand)
        cut = np.exp(sums.before[0] + sums.after[0] - sums.total)
        starts = marginals.of_site[START_SITE].sum() - marginals.of_site[START_SITE, 0]
        expected = starts + cut[1:4].sum() + marginals.of_site[ACCEPTOR_SITE].sum(), starts + cut[1:].sum()
        return Offer(
            table, exon_posteriors(strand, sums, table[:, :2]), kept, members, np.exp(np.array(shares)), expected
        )

    def shares(self, gene: StrandGene) -> tuple[list[float], float]:
        """Posteriors of a gene's exons and of the gene; 0 of what is not on offer."""
        return [self.by_exon.get(segment, 0.0) for segment in gene.segments], self.by_gene.get(gene, 0.0)

    def read(self, threshold: float, taken: np.ndarray | None = None) -> list[Found]:
        """The best genes at a threshold, 5' to 3'; taken: bool [W], bases that are not coding."""
        offer, weight = self.offer, self.options.gene_weight
        free = np.ones(len(offer.exons), dtype=bool)
        if taken is not None and taken.any():
            before = np.append(0, np.cumsum(taken))
            free = before[offer.exons[:, END]] == before[offer.exons[:, BEGIN]]
        place = np.cumsum(free) - 1
        size = self.sites.window_bp
        genes = [
            (tuple(int(place[one]) for one in members), 2 * weight * share)
            for members, share in zip(offer.members, offer.gene_share, strict=True)
            if free[list(members)].all()
        ]
        exons, gains = offer.exons[free], (2 * offer.exon_share - threshold)[free]
        genes.sort(key=lambda gene: gene[0][-1])
        listed = Listed(
            np.array([one for members, _ in genes for one in members], dtype=np.int64),
            np.append(0, np.cumsum([len(members) for members, _ in genes])).astype(np.int64),
            np.array([exons[members[0], 2] != FIRST for members, _ in genes], dtype=bool),
            np.array([exons[members[-1], 3] != LAST for members, _ in genes], dtype=bool),
            np.array([gain for _, gain in genes], dtype=np.float64),
        )
        chosen, _ = best_by_gains(exons, gains, -weight * threshold, listed, self.rules.room, size, *self.rules.dna)
        found: list[Found] = []
        members: list[int] = []
        for number, ends in chosen[::-1].tolist():
            members.append(number)
            if ends:
                gene = gene_of([tuple(exons[one].tolist()) for one in members], size)
                _, share = self.shares(gene)
                score = gains[members].sum() + weight * (2 * share - threshold)
                found.append(Found(gene.segments, gene.phase, gene.partial3, float(score)))
                members = []
        return found


def exons_of(gene: StrandGene, size: int) -> list[Exon]:
    """The exons of a gene with their sides and frames, 5' to 3'."""
    found, position = [], 0 if gene.phase is None else (3 - gene.phase) % 3
    for number, (begin, end) in enumerate(gene.segments):
        left, right = INNER, SPLICED
        if number == 0:
            left = FIRST if gene.phase is None else (CUT if begin == 0 else INNER)
        if number == len(gene.segments) - 1:
            right = LAST if not gene.partial3 else (CUT if end == size else SPLICED)
        found.append((begin, end, left, right, position))
        position = (position + end - begin) % 3
    return found


def gene_of(exons: Sequence[Exon], size: int) -> StrandGene:
    """The gene that exons make; the inverse of ``exons_of``."""
    phase = None if exons[0][2] == FIRST else (3 - exons[0][4]) % 3
    return StrandGene(tuple(exon[:2] for exon in exons), phase, exons[-1][3] != LAST)


def _order(gene: StrandGene) -> tuple:
    return gene.segments, -1 if gene.phase is None else gene.phase, gene.partial3
