"""What the CRF says along a few loci, for the report to draw."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from genet5.crf.model import Crf, score_codes, window_codes
from genet5.genome.fasta import Genome
from genet5.genome.genes import Region
from genet5.genome.sites import GeneRules, WindowSites

TRACK_BP = 12_000  # length of a locus


def crf_tracks(
    crf: Crf, rules: GeneRules, genome: Genome, loci: Sequence[Region], precision: str = "fp32"
) -> dict[str, np.ndarray]:
    """Per-base probabilities of coding and intron on either strand at ``loci``.

    ``names``: ``seqid:start-end`` (0-based half-open); ``locus_{i}_{coding,intron}_{plus,minus}``: float16 [end -
    start].
    """
    tracks: dict[str, np.ndarray] = {"names": np.array([f"{seqid}:{start}-{end}" for seqid, start, end in loci])}
    for number, (seqid, start, end) in enumerate(loci):
        codes = window_codes([WindowSites(genome.sequence(seqid, start, end).upper(), rules)]).to(crf.device)
        probabilities = score_codes(crf, codes, precision).class_logits[0].float().softmax(-1).cpu().numpy()
        for row, strand in enumerate(("plus", "minus")):
            values = probabilities[row] if row == 0 else probabilities[row, ::-1]
            tracks[f"locus_{number}_coding_{strand}"] = values[:, 1:4].sum(-1).astype(np.float16)
            tracks[f"locus_{number}_intron_{strand}"] = values[:, 4].astype(np.float16)
    return tracks


def spread_loci(regions: Sequence[Region], number: int, length_bp: int) -> list[Region]:
    """``number`` loci of at most ``length_bp``, evenly spread over the bases of ``regions``; each one once."""
    ends = list(accumulate(region.end - region.start for region in regions))
    chosen = set()
    for index in range(number if regions else 0):
        offset = (2 * index + 1) * ends[-1] // (2 * number)
        place = bisect_right(ends, offset)
        region, middle = regions[place], regions[place].end - (ends[place] - offset)
        start = max(region.start, min(middle - length_bp // 2, region.end - length_bp))
        chosen.add(Region(region.seqid, start, min(start + length_bp, region.end)))
    return sorted(chosen)
