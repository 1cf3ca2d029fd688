"""The stretches of a genome that are drawn, and the CRF scores that came with the annotation."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genet5.arrays import FLOATS, INTEGERS, TEXT, read_arrays
from genet5.errors import InputError
from genet5.evaluate.verdicts import EXACT, UNJUDGED, WRONG
from genet5.genome.genes import Annotation, Gene, Region
from genet5.tables import whole_number

GENES_PER_LOCUS = 12
SHORTEST_LOCUS_BP = 6_000
LONGEST_LOCUS_BP = 120_000
TRACK_NAMES = ("coding_plus", "coding_minus", "intron_plus", "intron_minus")
LOCUS_NAME = re.compile(r"(.+):(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Locus:
    """A stretch to draw, why it was chosen, and its tracks (maybe none): name -> probabilities, one per base.

    hints: hinted introns, int64 [N, 4]: start, end, 1 if on the reverse strand, counts; None without evidence.
    """

    region: Region
    reason: str
    tracks: Mapping[str, np.ndarray]
    hints: np.ndarray | None = None


def read_tracks(path: str | Path) -> list[Locus]:
    """The loci of a ``{species}.tracks.npz``: ``names`` ('seqid:start-end', 0-based half-open) and four arrays each.

    Raises InputError when the file is no such archive, a name is malformed or a track's length is not its locus's.
    """
    arrays = read_arrays(path, "not a readable .npz of tracks", "annotate writes one")
    if "names" not in arrays:
        raise InputError(f"{path}: has no array 'names'; found {', '.join(sorted(arrays)) or 'nothing'}")
    loci = []
    if arrays["names"].dtype.kind not in TEXT + FLOATS or arrays["names"].ndim != 1:
        raise InputError(f"{path}: its array 'names' is no list of names")
    for index, name in enumerate(arrays["names"].astype(str).tolist()):
        match = LOCUS_NAME.fullmatch(name)
        start, end = (whole_number(match[2]), whole_number(match[3])) if match else (None, None)
        if start is None or end is None or start >= end:
            raise InputError(f"{path}: locus name {name!r} is not 'seqid:start-end'")
        region = Region(match[1], start, end)
        tracks = {}
        for track in TRACK_NAMES:
            values = arrays.get(f"locus_{index}_{track}")
            if values is None:
                continue
            if values.dtype.kind not in FLOATS + INTEGERS or values.shape != (region.end - region.start,):
                shape, bases = values.shape, region.end - region.start
                raise InputError(f"{path}: locus_{index}_{track} has shape {shape}, the locus {name} has {bases} bases")
            tracks[track] = np.nan_to_num(values.astype(np.float32), nan=0.0).clip(0.0, 1.0)
        loci.append(Locus(region, "with CRF scores", tracks, arrays.get(f"locus_{index}_hints")))
    return loci


def choose_loci(
    reference: Annotation,
    predicted: Sequence[Gene],
    verdicts: tuple[Sequence[str], Sequence[str]],
    regions: Sequence[Region],
) -> list[Locus]:
    """A good, a typical and a bad stretch of the scored regions, without tracks; fewer when there are too few genes.

    The regions are cut into pieces of about a dozen reference genes. Of the pieces with enough genes, the one with the
    most exact genes (multi-exon ones first), the one whose share of exact genes is nearest the mean, and the one with
    the most errors are taken, ties by position.
    """
    genes = [*reference.genes, *predicted]
    labels = np.array([*verdicts[0], *verdicts[1]], dtype=object)
    if not genes or not regions:
        return []
    regions = sorted(regions)
    total = sum(region.end - region.start for region in regions)
    here = int((_piece_of(genes, regions) >= 0)[: len(reference.genes)].sum())
    pieces = _pieces(regions, total, here)
    home = _piece_of(genes, pieces)
    judged = (home >= 0) & (labels != UNJUDGED)
    from_reference = np.arange(len(genes)) < len(reference.genes)
    spliced = np.array([len(gene.canonical.cds) > 1 for gene in genes])

    def tally(chosen: np.ndarray) -> np.ndarray:
        return np.bincount(home[judged & chosen], minlength=len(pieces))

    known = tally(from_reference)
    exact = tally(from_reference & (labels == EXACT))
    exact_spliced = tally(from_reference & (labels == EXACT) & spliced)
    errors = tally(from_reference & (labels != EXACT)) + tally(~from_reference & (labels == WRONG))
    enough = np.flatnonzero(known >= max(1, min(3, known.max(initial=0))))
    if not len(enough):
        return []
    mean = exact.sum() / max(known.sum(), 1)
    orders = (
        ("many exact genes", lambda piece: (-exact_spliced[piece], -exact[piece])),
        ("typical", lambda piece: (abs(exact[piece] / known[piece] - mean), -known[piece])),
        ("many errors", lambda piece: (-errors[piece],)),
    )
    loci: list[Locus] = []
    taken: set[int] = set()
    for reason, order in orders:
        left = [int(piece) for piece in enough if int(piece) not in taken]
        if left:
            best = min(left, key=lambda piece: (*order(piece), piece))
            taken.add(best)
            loci.append(Locus(pieces[best], reason, {}))
    return loci


def _pieces(regions: Sequence[Region], total_bp: int, genes: int) -> list[Region]:
    wanted = int(np.clip(GENES_PER_LOCUS * total_bp / max(genes, 1), SHORTEST_LOCUS_BP, LONGEST_LOCUS_BP))
    pieces = []
    for seqid, start, end in regions:
        number = max(1, round((end - start) / wanted))
        edges = np.linspace(start, end, number + 1).astype(int).tolist()
        pieces += [Region(seqid, left, right) for left, right in itertools.pairwise(edges) if right > left]
    return pieces


def _piece_of(genes: Sequence[Gene], pieces: Sequence[Region]) -> np.ndarray:
    """Index of the piece that holds each gene's middle, -1 for none. Pieces ascend by (seqid, start) and lie apart."""
    by_sequence: dict[str, tuple[list[int], np.ndarray]] = {}
    for seqid in {piece.seqid for piece in pieces}:
        indices = [index for index, piece in enumerate(pieces) if piece.seqid == seqid]
        by_sequence[seqid] = indices, np.array([pieces[index].start for index in indices])
    home = np.full(len(genes), -1)
    for number, gene in enumerate(genes):
        if gene.seqid in by_sequence:
            indices, starts = by_sequence[gene.seqid]
            middle = (gene.start + gene.end) // 2
            slot = int(np.searchsorted(starts, middle, side="right")) - 1
            if slot >= 0 and middle < pieces[indices[slot]].end:
                home[number] = indices[slot]
    return home


def overlapping(genes: Sequence[Gene], region: Region) -> list[int]:
    """Indices of the genes that reach into ``region``."""
    return [
        index
        for index, gene in enumerate(genes)
        if gene.seqid == region.seqid and gene.start < region.end and gene.end > region.start
    ]
