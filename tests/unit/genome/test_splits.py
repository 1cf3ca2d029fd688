"""Regions in text, the division of a genome into splits, and genes by region."""

from __future__ import annotations

import random

import pytest

from genet5.errors import InputError
from genet5.genome.genes import Annotation, Gene, Interval, Region, Transcript
from genet5.genome.splits import (
    GeneIndex,
    complement,
    format_regions,
    genes_in_region,
    parse_regions,
    split_regions,
)

LENGTHS = {"chrI": 1000, "chrII": 500, "HLA*01:01-02": 90}


def gene(name: str, seqid: str, *segments: tuple[int, int]) -> Gene:
    cds = tuple(Interval(*segment) for segment in segments)
    return Gene(name, seqid, "+", (Transcript(f"{name}.t1", cds, (0,) * len(cds)),))


def test_text_is_one_based_and_closed() -> None:
    assert parse_regions("chrI:1-50", LENGTHS) == (Region("chrI", 0, 50),)
    assert parse_regions("chrI:1000-1000", LENGTHS) == (Region("chrI", 999, 1000),)
    assert parse_regions("chrII", LENGTHS) == (Region("chrII", 0, 500),)


def test_lists_come_in_genome_order_and_blanks_do_not_matter() -> None:
    regions = parse_regions(" chrII , chrI:500-600,chrI:1-10 ", LENGTHS)
    assert regions == (Region("chrI", 0, 10), Region("chrI", 499, 600), Region("chrII", 0, 500))
    assert parse_regions("", LENGTHS) == parse_regions("  ", LENGTHS) == ()


def test_a_contig_name_that_looks_like_a_range_is_a_name() -> None:
    assert parse_regions("HLA*01:01-02", LENGTHS) == (Region("HLA*01:01-02", 0, 90),)
    assert parse_regions("HLA*01:01-02:5-6", LENGTHS) == (Region("HLA*01:01-02", 4, 6),)


def test_a_star_stands_for_any_part_of_a_name() -> None:
    assert parse_regions("chr*", LENGTHS) == (Region("chrI", 0, 1000), Region("chrII", 0, 500))
    assert parse_regions("HLA*,chrI:1-5", LENGTHS) == (Region("chrI", 0, 5), Region("HLA*01:01-02", 0, 90))
    with pytest.raises(InputError, match="excluded_regions: no contig 'NT_\\*'; the genome has"):
        parse_regions("NT_*", LENGTHS, key="excluded_regions")
    with pytest.raises(InputError, match="chrI:1-5 and chrI:1-1000 overlap"):
        parse_regions("chr*,chrI:1-5", LENGTHS)


def test_text_round_trip() -> None:
    text = "chrI:1-10,chrI:500-600,chrII"
    assert format_regions(parse_regions(text, LENGTHS), LENGTHS) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chrIII", "test_regions: no contig 'chrIII'; the genome has 'chrI', 'chrII', 'HLA*01:01-02'"),
        ("chrIII:1-5", "no contig 'chrIII'; the genome has 'chrI', "),
        ("chrI:0-5", "'chrI:0-5' is not within 1-1000 of chrI"),
        ("chrI:5-1001", "'chrI:5-1001' is not within 1-1000 of chrI"),
        ("chrI:9-5", "'chrI:9-5' is not within"),
        ("chrI:a-5", "'chrI:a-5' is not NAME:START-END with whole numbers"),
        ("chrI:1_0-50", "'chrI:1_0-50' is not NAME:START-END with whole numbers"),
        ("chrI:+1-50", "'chrI:+1-50' is not NAME:START-END with whole numbers"),
        ("chrI:٣-50", "'chrI:٣-50' is not NAME:START-END with whole numbers"),
        ("chrI:1-" + "9" * 5000, "'chrI:1-9999"),
        ("chrI,,chrII", "an empty item between commas"),
        ("chrI:1-10,chrI:10-20", "test_regions: chrI:1-10 and chrI:10-20 overlap"),
        ("chrI,chrI", "chrI:1-1000 and chrI:1-1000 overlap"),
    ],
)
def test_wrong_text_is_one_line_with_the_legal_names(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        parse_regions(text, LENGTHS, key="test_regions")
    assert message in str(error.value)
    assert str(error.value).startswith("test_regions: ")
    assert "\n" not in str(error.value)


def test_a_train_species_keeps_the_remainder() -> None:
    regions = split_regions("train", "chrI:101-200", "chrII,chrI:901-1000", LENGTHS)
    assert regions["validation"] == (Region("chrI", 100, 200),)
    assert regions["test"] == (Region("chrI", 900, 1000), Region("chrII", 0, 500))
    assert regions["train"] == (Region("chrI", 0, 100), Region("chrI", 200, 900), Region("HLA*01:01-02", 0, 90))


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_base_is_in_exactly_one_split(split: str) -> None:
    other = {"train": ("chrI:5-9", "chrII:1-400"), "validation": ("", "chrII:1-400"), "test": ("chrI:5-9", "")}[split]
    regions = split_regions(split, *other, LENGTHS)
    assert sorted(regions) == ["test", "train", "validation"]
    bases = [(r.seqid, position) for part in regions.values() for r in part for position in range(r.start, r.end)]
    assert len(bases) == len(set(bases)) == sum(LENGTHS.values())


def test_whole_genome_test_species() -> None:
    regions = split_regions("test", "", "", LENGTHS)
    assert regions["test"] == tuple(Region(seqid, 0, length) for seqid, length in LENGTHS.items())
    assert regions["train"] == regions["validation"] == ()


def test_own_regions_narrow_a_test_species() -> None:
    regions = split_regions("test", "", "chrII", LENGTHS)
    assert regions == {"train": (), "validation": (), "test": (Region("chrII", 0, 500),)}


def test_excluded_regions_are_in_no_split() -> None:
    regions = split_regions("train", "chrI:1-100", "chrII", LENGTHS, "chrI:51-500,chrII:1-400")
    assert regions == {
        "train": (Region("chrI", 500, 1000), Region("HLA*01:01-02", 0, 90)),
        "validation": (Region("chrI", 0, 50),),
        "test": (Region("chrII", 400, 500),),
    }
    with pytest.raises(InputError, match=r"excluded_regions: chrI,HLA.* leave no base for split train"):
        split_regions("train", "", "chrII", LENGTHS, "HLA*01:01-02,chrI")


def test_regions_may_come_as_regions() -> None:
    assert split_regions("train", [Region("chrII", 0, 500)], (), LENGTHS) == split_regions(
        "train", "chrII", "", LENGTHS
    )
    with pytest.raises(InputError, match="validation_regions: no contig 'chrX'"):
        split_regions("train", [Region("chrX", 0, 500)], (), LENGTHS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("eval", "", ""), "split: 'eval' is not a split, allowed: train, validation, test"),
        (("train", "chrI", "chrI:5-6"), "validation_regions and test_regions: chrI:1-1000 and chrI:5-6 overlap"),
        (("train", "chrI,HLA*01:01-02", "chrII"), "no base is left for train"),
        (("test", "chrI,chrII,HLA*01:01-02", ""), "no base is left for test"),
        (("train", "chrX", ""), "validation_regions: no contig 'chrX'"),
    ],
)
def test_impossible_splits_are_refused(arguments: tuple[str, str, str], message: str) -> None:
    with pytest.raises(InputError) as error:
        split_regions(*arguments, LENGTHS)
    assert message in str(error.value)


def test_complement_of_nothing_and_of_everything() -> None:
    whole = complement([], LENGTHS)
    assert whole == tuple(Region(seqid, 0, length) for seqid, length in LENGTHS.items())
    assert complement(whole, LENGTHS) == ()


def test_genes_whole_and_cut() -> None:
    genes = (
        gene("before", "chrI", (0, 99)),
        gene("touching", "chrI", (50, 100)),
        gene("cut", "chrI", (60, 70), (99, 120)),
        gene("inside", "chrI", (100, 130), (190, 200)),
        gene("intron_over_it", "chrI", (10, 20), (900, 930)),
        gene("cut_right", "chrI", (150, 201)),
        gene("after", "chrI", (200, 300)),
        gene("elsewhere", "chrII", (100, 130)),
    )
    inside, cut = genes_in_region(Annotation(genes, ()), Region("chrI", 100, 200))
    assert [g.id for g in inside] == ["inside"]
    assert {g.id for g in cut} == {"cut", "intron_over_it", "cut_right"}
    assert genes_in_region(Annotation(genes, ()), Region("chrIX", 0, 10)) == ((), ())


def test_the_index_finds_what_a_scan_finds() -> None:
    draw = random.Random(3)
    genes = []
    for number in range(400):
        start = draw.randrange(100_000)
        genes.append(gene(f"g{number}", draw.choice("AB"), (start, start + draw.choice([30, 300, 20_000]))))
    index = GeneIndex(genes)
    for _ in range(300):
        start = draw.randrange(100_000)
        region = Region(draw.choice("AB"), start, start + draw.choice([1, 500, 9_000]))
        inside, cut = genes_in_region(index, region)
        scanned = [g for g in genes if g.seqid == region.seqid and g.start < region.end and g.end > region.start]
        whole = {g.id for g in scanned if region.start <= g.start and g.end <= region.end}
        assert {g.id for g in inside} == whole
        assert {g.id for g in cut} == {g.id for g in scanned} - whole
