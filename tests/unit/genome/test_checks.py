"""Flags, the choice of canonical transcripts, and what becomes a don't-care region."""

from __future__ import annotations

from pathlib import Path

import pytest
from genome_hand_made import HandMadeGenome, coding_sequence, gff_rows

from genet5.genome.genes import DontCare


@pytest.fixture
def made(tmp_path: Path) -> HandMadeGenome:
    return HandMadeGenome(tmp_path)


GOOD = coding_sequence(300, seed=1)

BROKEN = {
    "no_start": "GCC" + GOOD[3:],
    "no_stop": GOOD[:-3] + "GCC",
    "in_frame_stop": GOOD[:150] + "TGA" + GOOD[153:],
    "length_not_multiple_of_3": GOOD[:150] + GOOD[151:],
    "contains_n": GOOD[:150] + "N" + GOOD[151:],
}


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize("flag", BROKEN)
def test_each_fault_is_flagged_and_becomes_dont_care(made: HandMadeGenome, flag: str, strand: str) -> None:
    cds = BROKEN[flag]
    segments = [(99, 199), (300, 300 + len(cds) - 100)]
    made.put(segments, strand, cds)
    annotation = made.read(gff_rows("g1", segments, strand))
    assert flag in annotation.genes[0].flags
    if flag != "length_not_multiple_of_3":  # which shifts the frame, so that other faults may follow
        assert annotation.genes[0].flags == {flag}
    assert annotation.counts[f"flag_{flag}"] == 1
    assert annotation.trusted == ()
    assert annotation.dont_care[0][:4] == ("chr1", 99, segments[-1][1], strand)


def test_lower_case_and_alternative_starts_are_sound(made: HandMadeGenome) -> None:
    made.put([(99, 399)], cds="GTG" + GOOD[3:].lower())
    assert made.read(gff_rows("g1", [(99, 399)]), table=11).trusted
    assert made.read(gff_rows("g1", [(99, 399)]), table=1).genes[0].flags == {"no_start"}


@pytest.mark.parametrize(
    ("segments", "flags"),
    [
        ([(99, 199), (200, 400)], {"frameshift"}),
        ([(99, 199), (202, 402)], {"frameshift"}),
        ([(99, 199), (203, 403)], set()),
        ([(99, 199), (199, 399)], set()),
    ],
)
def test_gaps_of_up_to_three_bases_are_frameshifts(made: HandMadeGenome, segments, flags) -> None:
    made.put(segments)
    annotation = made.read(gff_rows("g1", segments))
    assert annotation.genes[0].flags == flags
    if segments[1][0] == 199:
        assert [tuple(segment) for segment in annotation.genes[0].canonical.cds] == [(99, 399)]
        assert annotation.counts["touching_segments_joined"] == 1


def test_overlapping_segments_and_repeated_rows(made: HandMadeGenome) -> None:
    made.put([(99, 399)])
    assert "overlaps_itself" in made.read(gff_rows("g1", [(99, 200), (199, 399)])).genes[0].flags
    rows = gff_rows("g1", [(99, 399)])
    annotation = made.read(rows + rows.splitlines()[-1] + "\n")
    assert annotation.trusted and annotation.counts["cds_rows_repeated"] == 1


def test_trans_splicing_is_dont_care_piece_by_piece(made: HandMadeGenome) -> None:
    rows = gff_rows("g1", [(99, 199), (2000, 2200)])
    rows = rows.replace("chr1|x|CDS|100|199|.|+|", "chr1|x|CDS|100|199|.|-|")
    annotation = made.read(rows)
    assert annotation.genes[0].flags == {"trans_spliced"}
    assert annotation.dont_care == (
        DontCare("chr1", 99, 199, "-", "trans_spliced"),
        DontCare("chr1", 2000, 2200, "+", "trans_spliced"),
    )
    marked = gff_rows("g1", [(99, 199), (2000, 2200)]).replace(
        "Parent=g1.t1\n", "Parent=g1.t1;exception=trans-splicing\n"
    )
    assert [region[1:4] for region in made.read(marked).dont_care] == [(99, 199, "+"), (2000, 2200, "+")]


def test_gene_over_the_origin_of_a_circle(made: HandMadeGenome) -> None:
    rows = "chr1|x|region|1|3000|.|+|.|ID=chr1;Is_circular=true\n" + gff_rows("g1", [(2800, 3100)])
    annotation = made.read(rows)
    (gene,) = annotation.genes
    assert gene.flags == {"beyond_contig"}
    assert [tuple(segment) for segment in gene.canonical.cds] == [(2800, 3000)]
    assert [region[1:4] for region in annotation.dont_care] == [(0, 100, "+"), (2800, 3000, "+")]


def test_strandless_cds_is_left_out_and_dont_care(made: HandMadeGenome) -> None:
    made.put([(99, 399)])
    annotation = made.read(gff_rows("g1", [(99, 399)]) + gff_rows("g2", [(600, 900)], strand="."))
    assert [gene.id for gene in annotation.genes] == ["g1"]
    assert annotation.dont_care == (DontCare("chr1", 600, 900, ".", "no_strand"),)


def test_incomplete_ends_marked_by_the_file(made: HandMadeGenome) -> None:
    made.put([(99, 200), (300, 498)], "-", cds="GC" + GOOD[2:150] + GOOD[151:])
    rows = gff_rows("g1", [(99, 200), (300, 498)], "-").replace(
        "Parent=g1.t1\n", "Parent=g1.t1;partial=true;end_range=498,.\n"
    )
    rows = rows.replace("|498|.|-|0|", "|498|.|-|2|")
    (gene,) = made.read(rows).genes
    assert "partial" in gene.flags
    assert (gene.canonical.complete5, gene.canonical.complete3) == (False, True)
    assert gene.canonical.phases[1] == 2


def test_partial_without_a_phase_is_read_in_the_open_frame(made: HandMadeGenome) -> None:
    made.put([(99, 398)], cds=GOOD[1:150] + "C" + GOOD[151:])
    rows = (
        gff_rows("g1", [(99, 398)])
        .replace("|0|ID=cds", "|.|ID=cds")
        .replace("Parent=g1.t1\n", "Parent=g1.t1;partial=true\n")
    )
    (gene,) = made.read(rows).genes
    assert gene.flags == {"partial"}
    assert gene.canonical.phases == (2,)


def test_no_start_at_the_edge_of_a_contig_is_partial(made: HandMadeGenome) -> None:
    made.put([(2, 299)], cds="GCC" + GOOD[6:])
    made.put([(2702, 2999)], cds=GOOD[:-3])
    annotation = made.read(gff_rows("left", [(2, 299)]) + gff_rows("right", [(2702, 2999)]))
    assert [(gene.flags, gene.canonical.complete5, gene.canonical.complete3) for gene in annotation.genes] == [
        ({"partial"}, False, True),
        ({"partial"}, True, False),
    ]


def isoforms(made: HandMadeGenome, **attributes: str) -> str:
    """A gene of four isoforms: long (300), mid (240), broken (330, no start) and short (180 bases)."""
    made.put([(99, 429)], cds="GCC" * 10 + GOOD)
    made.put([(189, 192)], cds="ATG")
    made.put([(249, 252)], cds="ATG")
    rows = "chr1|x|gene|100|429|.|+|.|ID=g1\n"
    for name, start in {"broken": 99, "long": 129, "mid": 189, "short": 249}.items():
        more = attributes.get(name, "")
        rows += f"chr1|x|mRNA|{start + 1}|429|.|+|.|ID={name};Parent=g1{more}\n"
        rows += f"chr1|x|CDS|{start + 1}|429|.|+|0|Parent={name}\n"
    return rows


@pytest.mark.parametrize(
    ("attributes", "canonical", "replaced"),
    [
        ({}, "long", 1),
        ({"short": ";tag=basic,MANE_Select", "mid": ";tag=Ensembl_canonical"}, "short", 0),
        ({"mid": ";tag=Ensembl_canonical"}, "mid", 0),
        ({"mid": ";tag=RefSeq Select"}, "mid", 0),
        ({"mid": ";tag=MANE Plus Clinical"}, "long", 1),
        ({"broken": ";tag=MANE_Select"}, "long", 1),
        ({"long": ";biotype=nonsense_mediated_decay"}, "mid", 1),
    ],
)
def test_canonical_transcript(made: HandMadeGenome, attributes: dict[str, str], canonical: str, replaced: int) -> None:
    annotation = made.read(isoforms(made, **attributes))
    (gene,) = annotation.trusted
    assert gene.canonical.id == canonical
    assert {transcript.id for transcript in gene.transcripts} == {"long", "mid", "short"}
    assert annotation.counts["isoforms_dropped"] == 1
    assert annotation.counts.get("canonical_replaced", 0) == replaced
    assert annotation.dont_care == ()


def test_equal_isoforms_go_by_smallest_id(made: HandMadeGenome) -> None:
    made.put([(99, 399)])
    rows = "chr1|x|gene|100|399|.|+|.|ID=g1\n"
    for name in ("t2", "t1", "t3"):
        rows += f"chr1|x|mRNA|100|399|.|+|.|ID={name};Parent=g1\nchr1|x|CDS|100|399|.|+|0|Parent={name}\n"
    assert [transcript.id for transcript in made.read(rows).genes[0].transcripts] == ["t1", "t2", "t3"]
