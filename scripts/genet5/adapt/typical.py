"""What is typical of a genome's relatives: the mean of the tables that its own codons are most like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from genet5.adapt.adaptation import Adaptation
from genet5.adapt.expected_counts import expected_counts
from genet5.adapt.own_introns import with_own_introns
from genet5.adapt.relatives import Relatives
from genet5.adapt.sampling import SampledWindow, read_sample
from genet5.crf.window_decoder import WindowDecoder
from genet5.genome.fasta import Genome
from genet5.genome.genes import Region

SAMPLE_BP = 300_000  # that say which relatives are near
MOST_READINGS = 4


def typical_of(relatives: Relatives, decoder: WindowDecoder, genome: Genome) -> Adaptation:
    """What the tables add to every window of a genome. ``about`` names the nearest species, where they are asked for.

    The sample is of the whole genome, so that jobs that share it, and those that annotate a part of it, agree.
    """
    if not relatives.asks_codons:
        return relatives.typical()
    everything = [Region(seqid, 0, length) for seqid, length in genome.lengths.items()]
    return typical_of_windows(relatives, decoder, read_sample(decoder, genome, everything, SAMPLE_BP))


def typical_of_windows(relatives: Relatives, decoder: WindowDecoder, windows: Sequence[SampledWindow]) -> Adaptation:
    """The same, of windows that are read.

    The network alone sees few genes of a genome far from its training, and their codons may mislead. So the windows are
    read again with the tables found, until these stay the same. Then the lengths of its own introns join theirs.
    """
    found, near = relatives.typical(), []
    if not relatives.asks_codons:
        return found
    read = Adaptation.neutral()
    for _ in range(MOST_READINGS):
        counts, before = expected_counts(decoder, windows, read), near
        read, near = relatives.typical(counts), relatives.nearest(counts, relatives.near)
        if set(near) == set(before):
            break
    return replace(with_own_introns(decoder, windows, read, read.lengths), about={"near": near}) if near else found
