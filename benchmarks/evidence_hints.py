"""Hints made on purpose: real ones with some left out and false ones added, and those that proteins would give.

False introns lie where the bases allow an intron and no gene has it. Their lengths are those of true introns, and their
counts are low, as those of wrong alignments are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genet5.evidence.hints import CDS_PART, INTRON, PROTEINS, START, STOP, Hint
from genet5.genome.fasta import Genome
from genet5.genome.genes import Annotation, Region
from genet5.genome.sites import ACCEPTOR_SITE, DONOR_SITE, START_SITE, STOP_SITE, GeneRules, WindowSites

RECALL, FALSE_SHARE = (0.60, 0.95), (0.10, 0.60)
TRIMMED_BP = 9


def thinned(hints: Sequence[Hint], rng: np.random.Generator, recall: float) -> list[Hint]:
    """A hint stays with the probability ``recall``."""
    return [hint for hint, kept in zip(hints, rng.random(len(hints)) < recall, strict=True) if kept]


def false_introns(
    genome: Genome,
    regions: Sequence[Region],
    rules: GeneRules,
    rng: np.random.Generator,
    number: int,
    source: str,
    lengths: Sequence[int],
    true: set[tuple[str, int, int, str]],
) -> list[Hint]:
    """``number`` introns in ``regions`` from GT to AG that no gene has."""
    found: list[Hint] = []
    sizes = np.array([region.end - region.start for region in regions])
    per_region = rng.multinomial(number, sizes / sizes.sum())
    for region, wanted in zip(regions, per_region.tolist(), strict=True):
        sites = WindowSites(genome.sequence(*region).upper(), rules)
        places = [np.flatnonzero(sites.strand(sign).allowed[DONOR_SITE]) for sign in "+-"]
        ends = [np.flatnonzero(sites.strand(sign).allowed[ACCEPTOR_SITE]) for sign in "+-"]
        for _ in range(wanted):
            side = int(rng.integers(2))
            if not len(places[side]) or not len(ends[side]):
                continue
            begin = int(rng.choice(places[side]))
            at = int(np.searchsorted(ends[side], begin + int(rng.choice(lengths))))
            if at == len(ends[side]):
                continue
            end = int(ends[side][at])
            if not rules.least_intron_bp <= end - begin <= rules.max_intron_bp:
                continue
            strand = "+-"[side]
            first, last = (begin, end) if strand == "+" else (sites.window_bp - end, sites.window_bp - begin)
            place = region.seqid, region.start + first, region.start + last, strand
            if place not in true:
                found.append(Hint(source, INTRON, *place, false_counts(rng)))
    return found


def false_counts(rng: np.random.Generator) -> int:
    """Mostly one, sometimes dozens."""
    return 1 + int(np.exp(rng.normal(0.3, 1.2)) // 1.5)


def protein_hints(
    annotation: Annotation,
    genome: Genome,
    regions: Sequence[Region],
    rules: GeneRules,
    rng: np.random.Generator,
    recall: float,
    false_share: float,
) -> list[Hint]:
    """What proteins of relatives would show of annotated genes: a gene is hit or not, and so is each of its parts."""
    found: list[Hint] = []
    spans = {region.seqid: region for region in regions}
    lengths = [80]
    true: set[tuple[str, int, int, str]] = set()
    for gene in annotation.trusted:
        region = spans.get(gene.seqid)
        if region is None or gene.start < region.start or gene.end > region.end:
            continue
        transcript, strand = gene.canonical, gene.strand
        true |= {(gene.seqid, *intron, strand) for one in gene.transcripts for intron in one.introns}
        if rng.random() > recall**0.5:
            continue
        relatives = 1 + int(np.exp(rng.normal(2.0, 1.0)))
        parts: list[tuple[str, int, int, int]] = []
        for start, end in transcript.introns:
            parts.append((INTRON, start, end, -1))
            lengths.append(end - start)
        first, last = (
            (transcript.start, transcript.end - 3) if strand == "+" else (transcript.end - 3, transcript.start)
        )
        parts += [(START, first, first + 3, -1), (STOP, last, last + 3, -1)]
        for (start, end), phase in zip(transcript.cds, transcript.phases, strict=True):
            if end - start > 2 * TRIMMED_BP + 3:
                parts.append((CDS_PART, start + TRIMMED_BP, end - TRIMMED_BP, (phase - TRIMMED_BP) % 3))
        for kind, start, end, frame in parts:
            if rng.random() < recall**0.5 * (0.7 if kind == START else 1.0):
                mult = 1 + int(rng.binomial(relatives, 0.6))
                found.append(Hint(PROTEINS, kind, gene.seqid, start, end, strand, mult, frame))
    number = int(false_share / (1 - false_share) * sum(hint.kind == INTRON for hint in found))
    found += false_introns(genome, regions, rules, rng, number, PROTEINS, lengths, true)
    found += _false_codons(genome, regions, rules, rng, false_share, found)
    return found


def _false_codons(
    genome: Genome,
    regions: Sequence[Region],
    rules: GeneRules,
    rng: np.random.Generator,
    false_share: float,
    true: Sequence[Hint],
) -> list[Hint]:
    """Start codons, stop codons and open stretches anywhere."""
    found: list[Hint] = []
    sizes = np.array([region.end - region.start for region in regions])
    for kind, site in ((START, START_SITE), (STOP, STOP_SITE), (CDS_PART, START_SITE)):
        number = int(false_share / (1 - false_share) * sum(hint.kind == kind for hint in true))
        for region, wanted in zip(regions, rng.multinomial(number, sizes / sizes.sum()).tolist(), strict=True):
            sites = WindowSites(genome.sequence(*region).upper(), rules)
            for _ in range(wanted):
                strand = "+-"[int(rng.integers(2))]
                places = np.flatnonzero(sites.strand(strand).allowed[site])
                if not len(places):
                    continue
                at = int(rng.choice(places))
                begin, end = (at, at + 3) if kind == START else (at - 3, at)
                if kind == CDS_PART:
                    end = min(int(sites.strand(strand).stop_end[at]) - 3, at + 150, sites.window_bp)
                    begin = at
                    if end - begin < 30:
                        continue
                if strand == "-":
                    begin, end = sites.window_bp - end, sites.window_bp - begin
                frame = 0 if kind == CDS_PART else -1
                place = region.seqid, region.start + begin, region.start + end, strand
                found.append(Hint(PROTEINS, kind, *place, false_counts(rng), frame))
    return found
