"""What is typical of a genome's relatives: the mean of the tables that its own codons are most like."""

from __future__ import annotations

from dataclasses import replace

from genet5.adapt.adaptation import Adaptation
from genet5.adapt.expected_counts import expected_counts
from genet5.adapt.relatives import Relatives
from genet5.adapt.sampling import read_sample
from genet5.crf.window_decoder import WindowDecoder
from genet5.genome.fasta import Genome
from genet5.genome.genes import Region

SAMPLE_BP = 300_000  # that say which relatives are near


def typical_of(relatives: Relatives, decoder: WindowDecoder, genome: Genome) -> Adaptation:
    """What the tables add to every window of a genome. ``about`` names the nearest species, where they are asked for.

    The sample is of the whole genome, so that jobs that share it, and those that annotate a part of it, agree.
    """
    if not relatives.asks_codons:
        return relatives.typical()
    everything = [Region(seqid, 0, length) for seqid, length in genome.lengths.items()]
    counts = expected_counts(decoder, read_sample(decoder, genome, everything, SAMPLE_BP), Adaptation.neutral())
    near = relatives.nearest(counts, relatives.near)
    return replace(relatives.typical(counts), about={"near": near} if near else {})
