"""Scores against values worked out by hand, on a made-up annotation with both strands, isoforms and nested genes."""

from __future__ import annotations

import dataclasses

import pytest

from genet5.errors import InputError
from genet5.evaluate.scores import LEVELS, score_annotation
from genet5.genome.genes import Annotation, DontCare, Gene, Interval, Region, Transcript, phases_from_lengths

LENGTHS = {"chr1": 10_000, "chr2": 5_000}


def gene(name, seqid, strand, *isoforms, flags=(), complete5=True, complete3=True):
    transcripts = []
    for number, cds in enumerate(isoforms, 1):
        cds = tuple(Interval(*segment) for segment in cds)
        phases = phases_from_lengths(cds, strand)
        transcripts.append(Transcript(f"{name}.{number}", cds, phases, complete5, complete3))
    return Gene(name, seqid, strand, tuple(transcripts), flags=frozenset(flags))


A = gene("A", "chr1", "+", [(100, 400)])
B = gene("B", "chr1", "-", [(1000, 1200), (1300, 1450), (1600, 1700)])
D = gene("D", "chr1", "+", [(1210, 1288)])  # inside an intron of B, other strand
C = gene("C", "chr1", "+", [(2000, 2150), (2300, 2400)], [(2000, 2150), (2500, 2600)])
F = gene("F", "chr2", "+", [(500, 600), (1000, 1100)])
E = gene("E", "chr2", "+", [(700, 790)])  # inside the intron of F, same strand
G = gene("G", "chr2", "-", [(2000, 2300)])
GENES = (A, B, D, C, F, E, G)
# Bases: A 300, B 200 + 150 + 100 = 450, C 150 + 100 + 100 = 350 (shared first exon once), D 78, E 90, F 200, G 300.
ALL_BASES = 300 + 450 + 350 + 78 + 90 + 200 + 300
# Distinct: exons A1 B3 C3 D1 E1 F2 G1 = 12; introns B2 C2 F1 = 5; starts 7 (C's isoforms share one);
# last bases 8 (C has two); transcripts 8; genes 7.
ALL = {"nucleotide": ALL_BASES, "exon": 12, "intron": 5, "start": 7, "stop": 8, "transcript": 8, "gene": 7}
REFERENCE = Annotation(GENES, ())


def replaced(old, *new):
    return [item for kept in GENES for item in (new if kept is old else (kept,))]


def counts(report):
    return {level: (report[level]["tp"], report[level]["fp"], report[level]["fn"]) for level in LEVELS}


def expect(report, **changed):
    """All levels perfect but the ones given as (tp, fp, fn)."""
    expected = {level: (number, 0, 0) for level, number in ALL.items()} | changed
    assert counts(report) == expected


def test_the_reference_scores_one_against_itself():
    report = score_annotation(REFERENCE, GENES, LENGTHS, bootstrap=20, block_bp=(2_500,))
    expect(report)
    for level in LEVELS:
        assert (report[level]["precision"], report[level]["recall"], report[level]["f1"]) == (1.0, 1.0, 1.0)
        assert report[level]["ignored"] == 0
    single, multi = report["gene_single_exon"], report["gene_multi_exon"]
    assert (single["found"], single["reference"], single["right"], single["predicted"], single["f1"]) == (4, 4, 4, 4, 1)
    assert (multi["found"], multi["reference"], multi["right"], multi["predicted"], multi["f1"]) == (3, 3, 3, 3, 1)
    near = report["near_misses"]
    assert {name: near["gene"][name] for name in ("missed", "wrong", "split", "fused")} == dict.fromkeys(
        ("missed", "wrong", "split", "fused"), 0
    )
    assert near["exon"]["exact"] == 12 and near["exon"]["offset_5prime"]["0"] == 12
    assert report["bootstrap"]["f1"]["gene"] == (1.0, 1.0)
    assert report["without_dont_care"]["gene"]["f1"] == 1.0
    assert "bootstrap" not in score_annotation(REFERENCE, GENES, LENGTHS), "intervals are made when asked for"


def test_order_of_genes_and_isoforms_does_not_matter():
    shuffled = [dataclasses.replace(item, transcripts=item.transcripts[::-1]) for item in reversed(GENES)]
    expect(score_annotation(REFERENCE, shuffled, LENGTHS))


def test_one_exon_shifted_by_one_base():
    moved = gene("p", "chr1", "-", [(1000, 1200), (1301, 1451), (1600, 1700)])
    report = score_annotation(REFERENCE, replaced(B, moved), LENGTHS)
    # One exon and both of its introns are off; the ends stay; base 1300 is missed and base 1450 is wrong.
    expect(
        report,
        nucleotide=(ALL_BASES - 1, 1, 1),
        exon=(11, 1, 1),
        intron=(3, 2, 2),
        transcript=(7, 1, 1),
        gene=(6, 1, 1),
    )
    # exon F1 = 2 * 11 / (2 * 11 + 1 + 1)
    assert report["exon"]["f1"] == pytest.approx(22 / 24, abs=1e-6)
    near = report["near_misses"]
    # 449 shared of 450 and 450 bases: F1 .998, so all 7 genes are nearly right on both sides.
    assert near["gene"]["base_f1_95"] == {"found": 7, "right": 7, "recall": 1.0, "precision": 1.0}
    assert (near["exon"]["one_border"], near["exon"]["overlap_only"], near["exon"]["missed"]) == (0, 1, 0)
    # The gene reads right to left: both borders moved one base towards its 5' end.
    assert near["exon"]["offset_5prime"]["-1"] == near["exon"]["offset_3prime"]["-1"] == 1
    assert report["gene_multi_exon"]["f1"] == pytest.approx(2 / 3, abs=1e-6)
    assert report["gene_single_exon"]["f1"] == 1.0


def test_start_codon_downstream_of_the_true_one():
    late = gene("p", "chr2", "-", [(2000, 2270)])
    report = score_annotation(REFERENCE, replaced(G, late), LENGTHS)
    # The stop side stays right: what tells a wrong start codon from a wrong gene.
    expect(
        report,
        nucleotide=(ALL_BASES - 30, 0, 30),
        exon=(11, 1, 1),
        start=(6, 1, 1),
        transcript=(7, 1, 1),
        gene=(6, 1, 1),
    )
    assert report["near_misses"]["exon"]["one_border"] == 1
    assert report["near_misses"]["exon"]["offset_5prime"]["10..30"] == 1
    assert report["near_misses"]["exon"]["offset_3prime"]["0"] == 12


def test_strand_flip():
    flipped = gene("p", "chr1", "-", [(100, 400)])
    report = score_annotation(REFERENCE, replaced(A, flipped), LENGTHS)
    expect(
        report,
        nucleotide=(ALL_BASES - 300, 300, 300),
        exon=(11, 1, 1),
        start=(6, 1, 1),
        stop=(7, 1, 1),
        transcript=(7, 1, 1),
        gene=(6, 1, 1),
    )
    assert (report["near_misses"]["gene"]["missed"], report["near_misses"]["gene"]["wrong"]) == (1, 1)


def test_dropped_exon():
    short = gene("p", "chr1", "-", [(1000, 1200), (1600, 1700)])
    report = score_annotation(REFERENCE, replaced(B, short), LENGTHS)
    # Introns 1200-1300 and 1450-1600 are missed, 1200-1600 is made up.
    expect(
        report,
        nucleotide=(ALL_BASES - 150, 0, 150),
        exon=(11, 0, 1),
        intron=(3, 1, 2),
        transcript=(7, 1, 1),
        gene=(6, 1, 1),
    )
    ladder = report["near_misses"]["gene"]
    # 300 shared bases of 450 and 300: F1 = 600 / 750 = .80.
    assert (ladder["base_f1_95"]["found"], ladder["base_f1_80"]["found"]) == (6, 7)


def test_gene_predicted_twice_is_right_once():
    report = score_annotation(REFERENCE, [*GENES, dataclasses.replace(A, id="again")], LENGTHS)
    expect(report, gene=(7, 1, 0))
    assert report["gene"]["precision"] == pytest.approx(7 / 8)
    assert report["near_misses"]["gene"]["split"] == 0


def test_fused_genes():
    fused = gene("p", "chr1", "+", [(100, 400), (2000, 2150), (2300, 2400)])
    report = score_annotation(REFERENCE, [fused, *(item for item in GENES if item not in (A, C))], LENGTHS)
    # Exon 2500-2600 of C.2 is missed, and with it its intron; intron 400-2000 is made up; start 2000 is missed;
    # ends 399 (A) and 2599 (C.2) are missed; transcripts A, C.1 and C.2 are missed.
    expect(
        report,
        nucleotide=(ALL_BASES - 100, 0, 100),
        exon=(11, 0, 1),
        intron=(4, 1, 1),
        start=(6, 0, 1),
        stop=(6, 0, 2),
        transcript=(5, 1, 3),
        gene=(5, 1, 2),
    )
    ladder = report["near_misses"]["gene"]
    assert (ladder["fused"], ladder["split"], ladder["missed"], ladder["wrong"]) == (1, 0, 0, 0)
    # The fused gene is predicted as multi-exon: it costs precision there, A costs recall among single-exon genes.
    assert (report["gene_single_exon"]["found"], report["gene_single_exon"]["reference"]) == (3, 4)
    assert (report["gene_multi_exon"]["right"], report["gene_multi_exon"]["predicted"]) == (2, 3)


def test_split_gene():
    halves = gene("p", "chr2", "+", [(500, 600)]), gene("q", "chr2", "+", [(1000, 1100)])
    report = score_annotation(REFERENCE, replaced(F, *halves), LENGTHS)
    expect(
        report,
        intron=(4, 0, 1),
        start=(7, 1, 0),
        stop=(8, 1, 0),
        transcript=(7, 2, 1),
        gene=(6, 2, 1),
    )
    ladder = report["near_misses"]["gene"]
    assert (ladder["split"], ladder["fused"], ladder["missed"], ladder["wrong"]) == (1, 0, 0, 0)


def test_any_isoform_makes_a_gene_right_and_canonical_only_is_stricter():
    second = gene("p", "chr1", "+", [(2000, 2150), (2500, 2600)])
    report = score_annotation(REFERENCE, replaced(C, second), LENGTHS)
    assert report["gene"]["f1"] == 1.0
    assert counts(report)["transcript"] == (7, 0, 1)
    strict = score_annotation(REFERENCE, replaced(C, second), LENGTHS, isoforms="canonical")
    assert counts(strict)["gene"] == (6, 1, 1)
    assert counts(strict)["exon"] == (10, 1, 1)


def test_genes_are_paired_one_to_one_and_as_many_as_possible():
    shared = [(100, 400)]
    other = [(100, 700)]
    # The first prediction fits both references, the second only the first: pairing greedily would lose one.
    reference = Annotation((gene("r1", "chr1", "+", shared, other), gene("r2", "chr1", "+", shared)), ())
    crossed = [gene("p1", "chr1", "+", shared), gene("p2", "chr1", "+", other)]
    for order in (crossed, crossed[::-1]):
        assert counts(score_annotation(reference, order, LENGTHS))["gene"] == (2, 0, 0)
    twice = [gene("p1", "chr1", "+", other), gene("p2", "chr1", "+", other)]
    assert counts(score_annotation(reference, twice, LENGTHS))["gene"] == (1, 1, 1)


def test_flagged_genes_earn_neither_credit_nor_blame():
    broken = gene("X", "chr2", "-", [(3000, 3100), (3200, 3400)], flags={"in_frame_stop"})
    reference = Annotation((*GENES, broken), (DontCare("chr2", 3000, 3400, "-", "in_frame_stop"),))
    silent = score_annotation(reference, GENES, LENGTHS)
    expect(silent)
    assert silent["reference"]["genes_flagged"] == 1 and silent["reference"]["dont_care_bp"] == 400
    same = score_annotation(reference, [*GENES, broken], LENGTHS)
    expect(same)
    assert {level: same[level]["ignored"] for level in LEVELS} == {
        "nucleotide": 300, "exon": 2, "intron": 1, "start": 1, "stop": 1, "transcript": 1, "gene": 1
    }  # fmt: skip
    # Without don't-care regions the flagged gene is a gene like any other: missed by one, found by the other.
    assert counts(silent["without_dont_care"])["gene"] == (7, 0, 1)
    assert counts(same["without_dont_care"])["gene"] == (8, 0, 0)
    plain = score_annotation(reference, GENES, LENGTHS, ignore_dont_care=True)
    assert counts(plain) == counts(silent["without_dont_care"])
    assert "without_dont_care" not in plain


def test_a_prediction_is_ignored_only_when_most_of_it_is_dont_care_on_its_strand():
    reference = Annotation(GENES, (DontCare("chr2", 3000, 3300, "-", "pseudogene"),))

    def wrong(strand, start, end):
        report = score_annotation(reference, [*GENES, gene("p", "chr2", strand, [(start, end)])], LENGTHS)
        return report["gene"]["fp"], report["exon"]["fp"], report["nucleotide"]["fp"]

    assert wrong("-", 3150, 3450) == (1, 1, 150)  # exactly half
    assert wrong("-", 3149, 3449) == (0, 0, 149)  # a base more
    assert wrong("+", 3000, 3300) == (1, 1, 300)  # the other strand
    both = Annotation(GENES, (DontCare("chr2", 3000, 3300, ".", "assembly"),))
    report = score_annotation(both, [*GENES, gene("p", "chr2", "+", [(3000, 3300)])], LENGTHS)
    assert counts(report)["gene"] == (7, 0, 0)


def test_a_right_gene_on_dont_care_still_counts():
    reference = Annotation(GENES, (DontCare("chr2", 1900, 2400, "-", "pseudogene"),))
    report = score_annotation(reference, GENES, LENGTHS)
    assert counts(report)["gene"] == (7, 0, 0)
    assert counts(report)["nucleotide"] == (ALL_BASES, 0, 0)
    # Where a scored gene is, it counts: what overlaps it is judged as anywhere else.
    late = gene("p", "chr2", "-", [(2000, 2270)])
    report = score_annotation(reference, replaced(G, late), LENGTHS)
    assert (counts(report)["gene"], counts(report)["nucleotide"]) == ((6, 1, 1), (ALL_BASES - 30, 0, 30))


def test_isoforms_cut_short_are_optional():
    whole = gene("H", "chr2", "+", [(3000, 3090), (3200, 3290)])
    cut = Transcript("H.2", (Interval(3020, 3090), Interval(3400, 3460)), (0, 1), complete5=False)
    both = dataclasses.replace(whole, transcripts=(*whole.transcripts, cut))
    reference = Annotation((both,), ())
    for predicted in ([whole], [both]):
        report = score_annotation(reference, predicted, LENGTHS)
        assert counts(report) == {
            "nucleotide": (180, 0, 0), "exon": (2, 0, 0), "intron": (1, 0, 0), "start": (1, 0, 0),
            "stop": (1, 0, 0), "transcript": (1, 0, 0), "gene": (1, 0, 0),
        }  # fmt: skip
    # 3020-3090 lies inside an exon of H.1; 60 new bases are spared.
    assert report["nucleotide"]["ignored"] == 60 and report["exon"]["ignored"] == 2
    assert report["reference"]["transcripts_optional"] == 1


def test_regions_count_what_lies_inside_and_spare_what_their_edges_cut():
    # B (1000-1700) is cut at 1100, A is inside, D and C are outside.
    report = score_annotation(REFERENCE, GENES, LENGTHS, regions=[Region("chr1", 0, 1100)])
    assert counts(report) == {
        "nucleotide": (300, 0, 0), "exon": (1, 0, 0), "intron": (0, 0, 0), "start": (1, 0, 0),
        "stop": (1, 0, 0), "transcript": (1, 0, 0), "gene": (1, 0, 0),
    }  # fmt: skip
    assert report["reference"]["genes_cut_by_region"] == report["predicted"]["genes_cut_by_region"] == 1
    assert report["predicted"]["genes_outside_regions"] == 5
    assert report["intron"]["f1"] is None
    # A prediction inside the region, made of the visible part of the cut gene, is not wrong; one elsewhere is.
    part = gene("p", "chr1", "-", [(1000, 1080)])
    elsewhere = gene("q", "chr1", "-", [(500, 800)])
    report = score_annotation(REFERENCE, [A, part, elsewhere], LENGTHS, regions=[Region("chr1", 0, 1100)])
    assert counts(report)["gene"] == (1, 1, 0)
    # A prediction that runs over the edge is neither right nor wrong, and finds nothing.
    beyond = gene("p", "chr1", "+", [(100, 400), (1050, 1200)])
    report = score_annotation(REFERENCE, [beyond], LENGTHS, regions=[Region("chr1", 0, 1100)])
    assert counts(report)["gene"] == (0, 0, 1)


def test_touching_regions_are_one():
    halves = [Region("chr1", 1350, 10_000), Region("chr1", 0, 1350), Region("chr2", 0, 5_000)]
    expect(score_annotation(REFERENCE, GENES, LENGTHS, regions=halves))


def test_empty_sides_are_undefined_or_zero_never_one():
    nothing = Annotation((), ())
    silent = score_annotation(REFERENCE, [], LENGTHS, bootstrap=10)
    for level in LEVELS:
        entry = silent[level]
        assert (entry["precision"], entry["recall"], entry["f1"]) == (None, 0.0, 0.0)
    inventive = score_annotation(nothing, GENES, LENGTHS)
    for level in LEVELS:
        entry = inventive[level]
        assert (entry["precision"], entry["recall"], entry["f1"]) == (0.0, None, 0.0)
    both = score_annotation(nothing, [], LENGTHS, bootstrap=10, block_bp=(2_500,))
    for level in LEVELS:
        assert (both[level]["precision"], both[level]["recall"], both[level]["f1"]) == (None, None, None)
    assert both["bootstrap"]["f1"]["gene"] == (None, None)


def test_predictions_for_another_genome_are_refused():
    with pytest.raises(InputError, match=r"prediction: .*'I'.*chr1"):
        score_annotation(REFERENCE, [dataclasses.replace(A, seqid="I")], LENGTHS)
    with pytest.raises(InputError, match="regions: sequence 'chr9'"):
        score_annotation(REFERENCE, GENES, LENGTHS, regions=[Region("chr9", 0, 5)])
    with pytest.raises(InputError, match="regions: an empty list"):
        score_annotation(REFERENCE, GENES, LENGTHS, regions=[])
    with pytest.raises(InputError, match=r"isoforms: 'longest'; allowed: all, canonical"):
        score_annotation(REFERENCE, GENES, LENGTHS, isoforms="longest")
