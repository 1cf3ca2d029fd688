"""Annotations that name only some of the genes in their DNA, such as single-gene loci with their neighbourhood.

The bases around the named genes are intergenic; what lies further away is unknown, so it becomes don't-care.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from genet5.genome.genes import Annotation, DontCare, Region
from genet5.genome.splits import complement

KNOWN_FLANK_BP = 200
"""Bases on either side of a named gene that are taken as intergenic."""


def only_near_genes(annotation: Annotation, lengths: Mapping[str, int]) -> Annotation:
    """The annotation with all DNA further than ``KNOWN_FLANK_BP`` from its genes as don't-care, on both strands.

    lengths: bases of each contig.
    """
    known = [
        Region(gene.seqid, max(gene.start - KNOWN_FLANK_BP, 0), min(gene.end + KNOWN_FLANK_BP, lengths[gene.seqid]))
        for gene in annotation.genes
    ]
    unknown = [DontCare(seqid, start, end, ".", "not_annotated") for seqid, start, end in complement(known, lengths)]
    order = {seqid: number for number, seqid in enumerate(lengths)}
    dont_care = sorted((*annotation.dont_care, *unknown), key=lambda region: (order[region.seqid], *region[1:]))
    counts = {**annotation.counts, "not_annotated": len(unknown)}
    return replace(annotation, dont_care=tuple(dont_care), counts=counts)
