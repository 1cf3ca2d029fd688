"""The published genes that BUSCO counts beside the predicted ones: those of the same held-out DNA."""

from __future__ import annotations

from collections.abc import Iterable

from genet5.genome.genes import Annotation, Gene, Region
from genet5.genome.splits import GeneIndex, genes_in_region

# Of these a transcript holds only a part, so its protein is not the published one.
_NOT_WHOLE = frozenset({"trans_spliced", "beyond_contig"})


def reference_genes(annotation: Annotation, regions: Iterable[Region]) -> list[Gene]:
    """Genes that lie whole in one of ``regions``, in their order.

    Genes with other faults than a missing part stay: a published protein with a frameshift or a selenocysteine is one.
    """
    index = GeneIndex(annotation.genes)
    inside = [gene for region in regions for gene in genes_in_region(index, region)[0]]
    return [gene for gene in inside if not gene.flags & _NOT_WHOLE]
