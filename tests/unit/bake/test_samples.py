"""Samples: members and back, genes in crops, and the other strand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genet5.bake.samples import (
    Sample,
    SampleGene,
    Span,
    clip_gene,
    gene_key,
    reverse_complement,
    stored_meta,
    window_genes,
)
from genet5.errors import InputError
from genet5.genome.genes import Interval, phases_from_lengths
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.genetic_code import reverse_complement as turn
from genet5.genome.window_genes import WindowGene, gene_order_key, reverse_complement_genes

SAMPLE_BP = 240


def positions(strand: str, cds: tuple[Interval, ...]) -> list[int]:
    """Coding positions in transcript order."""
    ascending = [position for start, end in cds for position in range(start, end)]
    return ascending if strand == "+" else ascending[::-1]


def codons(strand: str, cds: tuple[Interval, ...], phase: int) -> list[tuple[int, ...]]:
    coding = positions(strand, cds)[phase:]
    return [tuple(coding[i : i + 3]) for i in range(0, len(coding) - 2, 3)]


def spliced(bases: bytes, strand: str, cds: tuple[Interval, ...]) -> str:
    text = b"".join(bases[start:end] for start, end in cds).decode()
    return text if strand == "+" else turn(text)


@st.composite
def genes(draw: st.DrawFn, low: int = 0, high: int = SAMPLE_BP) -> SampleGene:
    """A complete gene of 1 to 5 segments between ``low`` and ``high``."""
    count = draw(st.integers(1, 5))
    bounds = sorted(draw(st.sets(st.integers(low, high), min_size=2 * count, max_size=2 * count)))
    cds = [Interval(start, end) for start, end in zip(bounds[::2], bounds[1::2], strict=True)]
    strand = draw(st.sampled_from("+-"))
    # A whole number of codons, by shortening the 3' end; too short genes get one codon.
    spare = sum(end - start for start, end in cds) % 3
    while spare and cds:
        side = -1 if strand == "+" else 0
        start, end = cds[side]
        cut = min(spare, end - start)
        spare -= cut
        cds[side] = Interval(start, end - cut) if strand == "+" else Interval(start + cut, end)
        if cds[side].start == cds[side].end:
            del cds[side]
    cds = tuple(cds) or (Interval(low, low + 3),)
    name = f"g{draw(st.integers(0, 10**6))}"
    return SampleGene(name, strand, cds, phases_from_lengths(cds, strand))


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """A sample whose genes may reach beyond it on either side."""
    bases = draw(st.text("ACGTacgtN", min_size=SAMPLE_BP, max_size=SAMPLE_BP)).encode()
    held = draw(st.lists(genes(-100, SAMPLE_BP + 100), max_size=4))
    bounds = st.tuples(st.integers(0, SAMPLE_BP), st.integers(0, SAMPLE_BP), st.sampled_from("+-."))
    spans = {Span(min(a, b), max(a, b), strand) for a, b, strand in draw(st.lists(bounds, max_size=3)) if a != b}
    touching = [gene for gene in held if gene.start < SAMPLE_BP and gene.end > 0]
    return Sample("k", bases, tuple(sorted(touching, key=gene_key)), tuple(sorted(spans)), {"flank5": 20, "flank3": 10})


crops = st.tuples(st.integers(0, SAMPLE_BP), st.integers(0, SAMPLE_BP)).filter(lambda pair: pair[0] < pair[1])


@given(samples())
def test_members_and_back(sample: Sample) -> None:
    members = sample.to_members()
    assert Sample.from_members(members) == sample
    assert Sample.from_members(members).to_members() == members


def test_members_of_another_kind_name_the_sample() -> None:
    members = Sample("chr1-7", b"ACGT", (), ()).to_members()
    del members["genes.json"]
    with pytest.raises(InputError, match=r"'chr1-7'.*genes\.json"):
        Sample.from_members(members)
    with pytest.raises(InputError, match="'chr1-7'"):
        Sample.from_members({**members, "genes.json": b'{"genes":[{"id":"a"}],"dont_care":[]}'})


@settings(max_examples=300)
@given(genes(), crops)
def test_a_clipped_gene_reads_in_the_frame_of_the_whole(gene: SampleGene, crop: tuple[int, int]) -> None:
    start, end = crop
    bases = bytes("ACGT"[(7 * i + i * i // 5) % 4].encode()[0] for i in range(SAMPLE_BP))
    clipped = clip_gene(gene, start, end)
    inside = [position for position in positions(gene.strand, gene.cds) if start <= position < end]
    if clipped is None:
        assert not inside
        return
    assert [position + start for position in positions(clipped.strand, clipped.cds)] == inside
    shown = codons(clipped.strand, tuple(Interval(s + start, e + start) for s, e in clipped.cds), clipped.phase)
    whole = codons(gene.strand, gene.cds, 0)
    assert shown == [codon for codon in whole if all(start <= position < end for position in codon)]
    code = GeneticCode.from_table(1)
    protein = code.translate(spliced(bases, gene.strand, gene.cds), complete5=False)
    part = code.translate(spliced(bases[start:end], clipped.strand, clipped.cds)[clipped.phase :], complete5=False)
    assert part in protein
    # Partial exactly where coding bases are lost, whatever the cut falls into.
    order = positions(gene.strand, gene.cds)
    assert clipped.partial5 == (order[0] != inside[0])
    assert clipped.partial3 == (order[-1] != inside[-1])


@settings(max_examples=200)
@given(samples(), crops)
def test_turning_and_cropping_commute(sample: Sample, crop: tuple[int, int]) -> None:
    start, end = crop
    turned = reverse_complement(sample)
    shown, spans = window_genes(sample, start, end)
    turned_shown, turned_spans = window_genes(turned, SAMPLE_BP - end, SAMPLE_BP - start)
    assert turned.bases[SAMPLE_BP - end : SAMPLE_BP - start] == turn(sample.bases[start:end])
    assert turned_shown == reverse_complement_genes(shown, end - start)
    flip = {"+": "-", "-": "+", ".": "."}
    length = end - start
    assert turned_spans == sorted(Span(length - right, length - left, flip[strand]) for left, right, strand in spans)
    assert reverse_complement(turned) == sample


def test_turning_swaps_the_flanks() -> None:
    sample = Sample("k", b"AACCGGTTNN", (), (), {"flank5": 1, "flank3": 3})
    turned = reverse_complement(sample)
    assert sample.core == (1, 7) and turned.core == (3, 9)
    assert turned.bases[3:9] == turn(sample.bases[1:7])
    assert turned.meta["strand"] == "-" and "strand" not in reverse_complement(turned).meta


def whole_gene(strand: str = "+") -> SampleGene:
    cds = (Interval(100, 140), Interval(150, 200))
    return SampleGene("g", strand, cds, phases_from_lengths(cds, strand))


def sample_with(*held: SampleGene, dont_care: tuple[Span, ...] = ()) -> Sample:
    return Sample("k", b"A" * 400, held, dont_care)


def test_a_gene_at_the_crop_edges_is_whole() -> None:
    shown, spans = window_genes(sample_with(whole_gene()), 100, 200)
    assert shown == [WindowGene("+", (Interval(0, 40), Interval(50, 100)))] and not spans


@pytest.mark.parametrize(
    ("strand", "crop", "expected"),
    [
        # Cut in the first exon: 40 bases minus 3 lost, in frame again; minus 4: two bases left of a codon.
        ("+", (103, 400), WindowGene("+", (Interval(0, 37), Interval(47, 97)), True, False, 0)),
        ("+", (104, 400), WindowGene("+", (Interval(0, 36), Interval(46, 96)), True, False, 2)),
        # Cut in the intron: the last visible boundary is the acceptor or the donor.
        ("+", (145, 400), WindowGene("+", (Interval(5, 55),), True, False, 2)),
        ("+", (0, 145), WindowGene("+", (Interval(100, 140),), False, True, 0)),
        ("-", (145, 400), WindowGene("-", (Interval(5, 55),), False, True, 0)),
        ("-", (0, 145), WindowGene("-", (Interval(100, 140),), True, False, 1)),
        ("-", (120, 198), WindowGene("-", (Interval(0, 20), Interval(30, 78)), True, True, 1)),
    ],
)
def test_cut_genes(strand: str, crop: tuple[int, int], expected: WindowGene) -> None:
    assert window_genes(sample_with(whole_gene(strand)), *crop) == ([expected], [])


def test_a_stump_is_dont_care_and_an_intron_is_nothing() -> None:
    sample = sample_with(whole_gene(), dont_care=(Span(10, 175, "."),))
    assert window_genes(sample, 171, 400) == ([], [Span(0, 4, "."), Span(0, 29, "+")])
    assert window_genes(sample, 170, 400)[0], "30 visible bases are a partial gene"
    assert window_genes(sample, 170, 400, min_visible_bp=31)[0] == []
    assert window_genes(sample_with(whole_gene()), 141, 149) == ([], [])
    tiny = SampleGene("t", "+", (Interval(10, 19),), (0,))
    assert window_genes(sample_with(tiny), 0, 50)[0], "a whole gene is kept however short"


def test_genes_come_in_the_order_in_which_they_are_written() -> None:
    plus = SampleGene("p", "+", (Interval(50, 200),), (0,))
    minus = SampleGene("m", "-", (Interval(20, 110),), (0,))
    shown, _ = window_genes(sample_with(minus, plus), 0, 400)
    assert [gene.strand for gene in shown] == ["+", "-"]
    assert shown == sorted(shown, key=gene_order_key)


@pytest.mark.parametrize("crop", [(-1, 10), (0, 401), (10, 10)])
def test_crops_outside_the_sample_are_refused(crop: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"allowed: within 0\.\.400"):
        window_genes(sample_with(), *crop)


@pytest.mark.parametrize("value", ["-1", "1.0", "true", '"1"', str(10**19)])
def test_numbers_of_a_sample_are_whole_and_not_negative(value: str) -> None:
    assert stored_meta(b'{"start": 5}', "here")["start"] == 5
    with pytest.raises(InputError, match=r"here: start is .*, expected a whole number; bake again"):
        stored_meta(f'{{"start": {value}}}', "here")
