"""A sample of a genome: pieces of its longest contigs, always the same ones, with few unknown bases."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from genet5.genome.fasta import Genome
from genet5.genome.genes import Region

SAMPLE_BP = 200_000
PIECE_BP = 25_000
#: The longest contigs that hold this many times the sample are looked at.
SPREAD = 20
#: Share of bases in lower case from which on it is no soft-masking.
MOST_MASKED = 0.95


def known_bp(genome: Genome, region: Region) -> int:
    """Number of A, C, G and T in a region."""
    bases = genome.sequence(*region)
    return sum(bases.count(letter) for letter in "ACGT")


def masked_cost_of(cost: float, genome: Genome) -> float:
    """``cost``, or 0 in a genome that is nearly all in lower case: then this says nothing of repeats."""
    if not cost:
        return 0.0
    everything = [Region(seqid, 0, length) for seqid, length in genome.lengths.items()]
    pieces = [genome.sequence(*piece, keep_case=True) for piece in sampled_regions(genome, everything)]
    lower, upper = (sum(piece.count(letter) for piece in pieces for letter in case) for case in ("acgt", "ACGT"))
    return cost if lower < MOST_MASKED * (lower + upper) else 0.0


def sampled_regions(
    genome: Genome, regions: Sequence[Region], sample_bp: int = SAMPLE_BP, piece_bp: int = PIECE_BP
) -> list[Region]:
    """Pieces of ``regions`` with ``sample_bp`` bases or less; all of them where they hold no more.

    Regions are taken longest first, cut into pieces of ``piece_bp``, and pieces at even distances are chosen. Of a
    piece and the two beside it, the one with fewest unknown bases is chosen. Pieces come in genomic order.
    """
    ordered = sorted(regions, key=lambda region: region.start - region.end)
    if sum(region.end - region.start for region in ordered) <= sample_bp:
        return list(regions)
    pieces: list[Region] = []
    total = 0
    for seqid, start, end in ordered:
        if total >= SPREAD * sample_bp:
            break
        count = -(-(end - start) // piece_bp)
        edges = [start + (end - start) * number // count for number in range(count + 1)]
        pieces += [Region(seqid, *pair) for pair in pairwise(edges)]
        total += end - start
    wanted = max(1, sample_bp * len(pieces) // total)
    chosen: list[int] = []
    for number in range(wanted):
        middle = (2 * number + 1) * len(pieces) // (2 * wanted)
        near = [at for at in (middle, middle - 1, middle + 1) if 0 <= at < len(pieces) and at not in chosen]
        unknown = {at: pieces[at].end - pieces[at].start - known_bp(genome, pieces[at]) for at in near}
        if near:
            chosen.append(min(near, key=unknown.__getitem__))
    places = {region: number for number, region in enumerate(regions)}
    order = {name: number for number, name in enumerate(dict.fromkeys(region.seqid for region in places))}
    return sorted((pieces[at] for at in chosen), key=lambda piece: (order[piece.seqid], piece.start))
