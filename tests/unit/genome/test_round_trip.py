"""Any gene structure, written as GFF3 or as GTF with the stop codon outside, is read back as it was."""

from __future__ import annotations

import tempfile
from pathlib import Path

from genome_hand_made import HandMadeGenome
from hypothesis import given, settings
from hypothesis import strategies as st

from genet5.genome.genes import phases_from_lengths

GENES = st.lists(
    st.tuples(
        st.sampled_from("+-"),
        st.lists(st.tuples(st.integers(4, 80), st.integers(1, 70)), min_size=1, max_size=5),  # intron, segment
        st.integers(3, 60),  # bases of the last segment, before it is filled to whole codons
    ),
    min_size=1,
    max_size=6,
)


def laid_out(genes) -> list[tuple[str, list[tuple[int, int]]]]:
    """Segments of the drawn genes one after another, each gene at least 9 bases and whole codons long."""
    at, placed = 5, []
    for strand, parts, last in genes:
        segments = []
        for intron, length in [*parts, (10, last)]:
            segments.append((at + intron, at + intron + length))
            at += intron + length
        missing = -sum(end - start for start, end in segments) % 3 + 6
        segments[-1] = (segments[-1][0], segments[-1][1] + missing)
        at += missing + 5
        placed.append((strand, segments))
    return placed


@settings(max_examples=60, deadline=None)
@given(GENES)
def test_gff3_and_gtf_give_back_the_structures(genes) -> None:
    placed = laid_out(genes)
    with tempfile.TemporaryDirectory() as folder:
        made = HandMadeGenome(Path(folder), chr1=placed[-1][1][-1][1] + 10)
        gff, gtf = "##gff-version 3\n", ""
        for number, (strand, segments) in enumerate(placed):
            made.put(segments, strand)
            names = f'gene_id "g{number}"; transcript_id "t{number}";'
            last = len(segments) - 1 if strand == "+" else 0
            left = 3  # bases of the stop codon still to be taken out of the GTF's CDS
            order = range(last, -1, -1) if strand == "+" else range(len(segments))
            for index in order:
                start, end = segments[index]
                gff += f"chr1|x|CDS|{start + 1}|{end}|.|{strand}|.|ID=g{number}\n"
                stop = min(left, end - start)
                left -= stop
                stop_start, stop_end = (end - stop, end) if strand == "+" else (start, start + stop)
                cds_start, cds_end = (start, end - stop) if strand == "+" else (start + stop, end)
                if stop:
                    gtf += f"chr1|x|stop_codon|{stop_start + 1}|{stop_end}|.|{strand}|0|{names}\n"
                if cds_start < cds_end:
                    gtf += f"chr1|x|CDS|{cds_start + 1}|{cds_end}|.|{strand}|0|{names}\n"
        for text in (gff, gtf):
            annotation = made.read(text)
            assert [gene.strand for gene in annotation.trusted] == [strand for strand, _ in placed]
            for gene, (strand, segments) in zip(annotation.genes, placed, strict=True):
                assert [tuple(segment) for segment in gene.canonical.cds] == segments
                assert gene.canonical.phases == phases_from_lengths(gene.canonical.cds, strand)
