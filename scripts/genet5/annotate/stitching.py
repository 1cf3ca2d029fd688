"""Genes of overlapping tiles -> genes of the contig: merge copies, join what inner tile edges cut, settle conflicts.

All positions are genome coordinates on the forward strand; "left" and "right" are meant there, 5' and 3' on the gene's
strand. Nothing depends on the order of the tiles or of the genes in them, and the mirrored problem has the mirrored
result (the last resort among equals, the smaller start, excepted).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import exp

from genet5.annotate.joining import (
    Piece,
    Structure,
    coding_bp,
    common_segments,
    is_sound,
    join_pieces,
    left_margin,
    right_margin,
)
from genet5.annotate.tiling import Tile
from genet5.genome.genes import Gene, Interval, Transcript
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.window_genes import ScoredGene

COUNTS = {
    "complete": "genes that one tile shows whole",
    "partial_at_ends": "genes cut by an end of the region, shown by one tile",
    "joined": "genes joined from the pieces of several tiles",
    "duplicates": "further copies of a gene, merged",
    "conflicts": "genes dropped for a better one on the same bases",
    "invalid_joins": "joined genes dropped: no start, no stop, a stop in frame, or a length that is no whole codons",
    "pieces_explained": "pieces dropped because an accepted gene reads the same bases in the same frame",
    "pieces_unexplained": "pieces dropped without such a gene",
}
"""What ``StitchResult.counts`` counts. complete + partial_at_ends + joined - conflicts = genes returned."""

_SCORE_DECIMALS = 3  # what rounding in batches of another size changes shall not be seen


@dataclass(frozen=True, slots=True)
class StitchResult:
    """Genes in the order of (sequence as in the tiles, start, end, strand), and counts by the keys of ``COUNTS``."""

    genes: list[Gene]
    counts: dict[str, int]


def stitch(
    tiles: Sequence[Tile],
    windows: Sequence[Sequence[ScoredGene]],
    sequence: Callable[[str, int, int], str],
    code: GeneticCode,
    *,
    max_overlap_bp: int,
    min_intron_bp: int,
    score: Callable[[float], float] = exp,
) -> StitchResult:
    """One set of genes from what was written for each tile.

    ``windows[i]``: genes of ``tiles[i]``. ``sequence(seqid, start, end)``: bases of the forward strand.
    ``max_overlap_bp``: coding bases that two genes of one strand may share. ``min_intron_bp``: least length of an
    intron that is seen only by joining two tiles. ``score``: what a gene's log-probability is shown as.

    * Genes that a tile shows whole, and genes cut by a region end, are taken as they are; of equal ones the copy
      farthest from inner tile edges gives the score.
    * Genes cut by inner edges are joined, over any number of tiles, where two tiles agree: at a base of their overlap
      that both read in the same frame (of several, nearest to the middle: each tile is believed on its own side), or
      where both show only intron in the overlap and the frame goes on. A joined gene must be sound: a start, a stop
      (except at region ends), no stop in frame. Its log-probability is the sum of its pieces', times the part of their
      coding bases that is left when none counts twice.
    * Of two genes of one strand that share more than ``max_overlap_bp`` coding bases, the one farther from inner tile
      edges stays (as far as half the overlap of the tiles), then the more probable, the longer, the first.

    Genes have no id (see ``number_genes``). An intron that covers a whole tile is
    not joined across. Raises ValueError for genes outside their tile and for lists of different lengths.
    """
    by_sequence: dict[str, list[tuple[Tile, Sequence[ScoredGene]]]] = {}
    for tile, window in zip(tiles, windows, strict=True):
        by_sequence.setdefault(tile.seqid, []).append((tile, window))
    counts = dict.fromkeys(COUNTS, 0)
    genes: list[Gene] = []
    for seqid, written in by_sequence.items():
        written.sort(key=lambda pair: pair[0])
        ordered = [tile for tile, _ in written]
        found, pieces = _read_tiles(written)
        joined, used = join_pieces(ordered, pieces, min_intron_bp)
        sound = [gene for gene in joined if is_sound(gene, seqid, sequence, code)]
        distinct = _merge_copies(found + sound)
        kept = _settle_conflicts(distinct, max_overlap_bp, _half_overlap(ordered))
        left_over = [piece.shown for number, piece in enumerate(pieces) if number not in used]
        explained = _count_explained(left_over, kept)
        for gene in distinct:
            counts[gene.kind] += 1
        counts["duplicates"] += len(found) + len(sound) - len(distinct)
        counts["conflicts"] += len(distinct) - len(kept)
        counts["invalid_joins"] += len(joined) - len(sound)
        counts["pieces_explained"] += explained
        counts["pieces_unexplained"] += len(left_over) - explained
        genes += (_as_gene(seqid, gene, score) for gene in kept)
    return StitchResult(genes, counts)


def number_genes(genes: Iterable[Gene], prefix: str = "") -> list[Gene]:
    """The genes with ids ``{prefix}{seqid}.g00001`` and on, per sequence in genomic order; transcripts add ``.t1``."""
    by_sequence: dict[str, list[Gene]] = {}
    for gene in genes:
        by_sequence.setdefault(gene.seqid, []).append(gene)
    numbered = []
    for seqid, members in by_sequence.items():
        members.sort(key=lambda gene: (gene.start, gene.end, gene.strand, gene.canonical.cds))
        for number, gene in enumerate(members, 1):
            name = f"{prefix}{seqid}.g{number:05d}"
            transcripts = tuple(
                replace(transcript, id=f"{name}.t{place}") for place, transcript in enumerate(gene.transcripts, 1)
            )
            numbered.append(replace(gene, id=name, transcripts=transcripts))
    return numbered


def _read_tiles(written: Sequence[tuple[Tile, Sequence[ScoredGene]]]) -> tuple[list[Structure], list[Piece]]:
    """Genes that need no neighbour, and pieces that inner tile edges cut."""
    found: list[Structure] = []
    pieces: list[Piece] = []
    for number, (tile, window) in enumerate(written):
        for gene, log_probability in window:
            if gene.start < 0 or gene.end > tile.end - tile.start:
                raise ValueError(f"{gene} lies outside its tile {tile}")
            cds = tuple(Interval(start + tile.start, end + tile.start) for start, end in gene.cds)
            partial = (gene.partial5, gene.partial3) if gene.strand == "+" else (gene.partial3, gene.partial5)
            cut_left, cut_right = partial[0] and not tile.at_left_end, partial[1] and not tile.at_right_end
            shown = Structure(
                gene.strand,
                cds,
                gene.partial5,
                gene.partial3,
                gene.phase,
                log_probability,
                min(left_margin(tile, cds[0].start), right_margin(tile, cds[-1].end)),
                "partial_at_ends" if any(partial) else "complete",
            )
            if cut_left or cut_right:
                pieces.append(Piece(number, shown, cut_left, cut_right))
            else:
                found.append(shown)
    return found, pieces


def _half_overlap(tiles: Sequence[Tile]) -> int:
    """Half the least overlap of neighbouring tiles. Some tile shows every short gene with at least this margin."""
    overlaps = [
        left.end - right.start
        for left, right in pairwise(tiles)
        if not left.at_right_end and not right.at_left_end and left.end >= right.start
    ]
    return min(overlaps, default=0) // 2


def _merge_copies(genes: Iterable[Structure]) -> list[Structure]:
    """Of each structure the copy farthest from inner tile edges, then the most probable; sorted by position."""
    best: dict[tuple, Structure] = {}
    for gene in genes:
        key = gene.cds, gene.strand, gene.partial5, gene.partial3, gene.phase
        known = best.get(key)
        if known is None or (gene.margin, gene.log_probability) > (known.margin, known.log_probability):
            best[key] = gene
    return sorted(best.values(), key=_place)


def _place(gene: Structure) -> tuple:
    return gene.start, gene.end, gene.strand, gene.cds, gene.partial5, gene.partial3, gene.phase


def _settle_conflicts(genes: Sequence[Structure], max_overlap_bp: int, margin_cap_bp: int) -> list[Structure]:
    """The genes left when, best first, each is taken unless it shares too much with one already taken."""
    rivals: list[list[int]] = [[] for _ in genes]
    for one, other in _overlapping(genes):
        shared = sum(end - start for _, _, start, end in common_segments(genes[one].cds, genes[other].cds))
        if shared > max_overlap_bp:
            rivals[one].append(other)
            rivals[other].append(one)

    def order(number: int) -> tuple:
        # Beyond half the overlap every tile sees a gene equally well: more margin says nothing.
        gene = genes[number]
        return -min(gene.margin, margin_cap_bp), -gene.log_probability, -coding_bp(gene.cds), _place(gene)

    taken: set[int] = set()
    for number in sorted(range(len(genes)), key=order):
        if taken.isdisjoint(rivals[number]):
            taken.add(number)
    return [genes[number] for number in sorted(taken)]


def _overlapping(genes: Sequence[Structure]) -> Iterator[tuple[int, int]]:
    """Pairs of numbers of genes on the same strand whose spans overlap; ``genes`` ascend by start."""
    reaching: dict[str, list[int]] = {"+": [], "-": []}
    for number, gene in enumerate(genes):
        open_here = [other for other in reaching[gene.strand] if genes[other].end > gene.start]
        for other in open_here:
            yield other, number
        reaching[gene.strand] = [*open_here, number]


def _count_explained(pieces: Iterable[Structure], genes: Sequence[Structure]) -> int:
    """How many pieces share a base with one of ``genes`` in the same frame of the same strand."""
    both = sorted(
        [(piece, True) for piece in pieces] + [(gene, False) for gene in genes], key=lambda item: _place(item[0])
    )
    explained: set[int] = set()
    for one, other in _overlapping([item for item, _ in both]):
        if both[one][1] == both[other][1]:
            continue
        piece, gene = (one, other) if both[one][1] else (other, one)
        if piece not in explained:
            left, right = both[piece][0], both[gene][0]
            frames = left.frames, right.frames
            if any(frames[0][i] == frames[1][j] for i, j, _, _ in common_segments(left.cds, right.cds)):
                explained.add(piece)
    return len(explained)


def _as_gene(seqid: str, gene: Structure, score: Callable[[float], float]) -> Gene:
    transcript = Transcript("", gene.cds, gene.phases, not gene.partial5, not gene.partial3)
    return Gene("", seqid, gene.strand, (transcript,), score=round(score(gene.log_probability), _SCORE_DECIMALS))
