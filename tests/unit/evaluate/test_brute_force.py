"""The array code against counting base by base and feature by feature, on random small genomes."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from work_done import lines_run

from genet5.evaluate import intervals
from genet5.evaluate.scores import score_annotation
from genet5.evaluate.window_scores import WindowScores, window_f1
from genet5.genome.genes import Annotation, DontCare, Gene, Interval, Transcript, phases_from_lengths

LENGTHS = {"one": 300, "two": 150}
spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda pair: (pair[0], sum(pair))), max_size=8)


def arrays(pairs):
    columns = np.array(pairs, np.int64).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]


def bases(pairs):
    return {base for start, end in pairs for base in range(start, end)}


def listed(interval_set):
    starts, ends = interval_set
    # The promise of a set: sorted, disjoint, not touching.
    assert (starts < ends).all() and (ends[:-1] < starts[1:]).all()
    return bases(zip(starts.tolist(), ends.tolist(), strict=True))


@given(spans, spans, spans)
def test_interval_algebra_equals_sets_of_bases(one, other, queries):
    first, second = intervals.union(*arrays(one)), intervals.union(*arrays(other))
    assert listed(first) == bases(one)
    assert listed(intervals.intersect(first, second)) == bases(one) & bases(other)
    assert listed(intervals.join(first, second)) == bases(one) | bases(other)
    assert listed(intervals.subtract(first, second)) == bases(one) - bases(other)
    assert intervals.size(first) == len(bases(one))
    inside = intervals.covered(first, *arrays(queries)).tolist()
    assert inside == [len(bases([query]) & bases(one)) for query in queries]
    pairs = set(
        zip(*(column.tolist() for column in intervals.overlapping_pairs(*arrays(one), *arrays(other))), strict=True)
    )
    assert pairs == {
        (left, right, len(bases([a]) & bases([b])))
        for left, a in enumerate(one)
        for right, b in enumerate(other)
        if bases([a]) & bases([b])
    }


def random_genes(rng, number, dont_care=()):
    genes = []
    for index in range(number):
        seqid = rng.choice(list(LENGTHS))
        transcripts = []
        for isoform in range(rng.choice((1, 1, 2))):
            # A coarse grid, so that borders and whole genes of two random sets often agree.
            cuts = sorted(rng.sample(range(0, LENGTHS[seqid] // 3, 10), 2 * rng.choice((1, 1, 2))))
            cds = tuple(Interval(start, end) for start, end in zip(cuts[::2], cuts[1::2], strict=True))
            transcripts.append(Transcript(f"{index}.{isoform}", cds, phases_from_lengths(cds, "+")))
        genes.append(Gene(str(index), seqid, rng.choice("+-"), tuple(transcripts)))
    return genes


def segments_of(genes):
    return {(gene.seqid, gene.strand, *cds) for gene in genes for tr in gene.transcripts for cds in tr.cds}


def introns_of(genes):
    return {(gene.seqid, gene.strand, *gap) for gene in genes for tr in gene.transcripts for gap in tr.introns}


def points_of(genes, at_right):
    return {
        (gene.seqid, gene.strand, tr.end - 1 if (gene.strand == "+") == at_right else tr.start)
        for gene in genes
        for tr in gene.transcripts
    }


def chains_of(gene):
    return {(gene.seqid, gene.strand, tr.cds) for tr in gene.transcripts}


def bases_of(segments):
    return {(seqid, strand, base) for seqid, strand, start, end in segments for base in range(start, end)}


def tally(truth, made):
    return len(truth & made), len(made - truth), len(truth - made)


@pytest.mark.parametrize("seed", range(60))
def test_every_level_equals_a_plain_count(seed):
    rng = random.Random(seed)
    reference, predicted = random_genes(rng, rng.randint(0, 12)), random_genes(rng, rng.randint(0, 12))
    predicted += rng.sample(reference, len(reference) // 3)
    seqid, strand, start = rng.choice(list(LENGTHS)), rng.choice("+-."), rng.randrange(60)
    spared_region = DontCare(seqid, start, start + 25, strand, "test")
    report = score_annotation(Annotation(tuple(reference), (spared_region,)), predicted, LENGTHS)
    spared = bases_of({(seqid, side, start, start + 25) for side in ("+-" if strand == "." else strand)})
    spared -= bases_of(segments_of(reference))

    def expect(level, truth, made):
        entry = report["without_dont_care"][level]
        assert (entry["tp"], entry["fp"], entry["fn"]) == tally(truth, made), level

    expect("exon", segments_of(reference), segments_of(predicted))
    expect("intron", introns_of(reference), introns_of(predicted))
    expect("start", points_of(reference, False), points_of(predicted, False))
    expect("stop", points_of(reference, True), points_of(predicted, True))
    truth_chains, made_chains = (set().union(*map(chains_of, genes)) for genes in (reference, predicted))
    expect("transcript", truth_chains, made_chains)
    expect("nucleotide", bases_of(segments_of(reference)), bases_of(segments_of(predicted)))
    # One to one: never more pairs than genes with a shared chain on either side.
    pairs = report["gene"]["tp"]
    assert pairs <= min(
        sum(bool(chains_of(gene) & made_chains) for gene in reference),
        sum(bool(chains_of(gene) & truth_chains) for gene in predicted),
    )
    assert pairs + report["gene"]["fn"] == len(reference)
    assert pairs + report["gene"]["fp"] + report["gene"]["ignored"] == len(predicted)

    truth, made = (bases_of(segments_of(genes)) - spared for genes in (reference, predicted))
    entry = report["nucleotide"]
    assert (entry["tp"], entry["fp"], entry["fn"]) == tally(truth, made)
    wrong = segments_of(predicted) - segments_of(reference)
    lost = {exon for exon in wrong if 2 * len(bases_of({exon}) & spared) > len(bases_of({exon}))}
    assert (report["exon"]["fp"], report["exon"]["ignored"]) == (len(wrong - lost), len(lost))


@pytest.mark.parametrize("seed", range(30))
def test_window_scores_equal_the_annotation_scores(seed):
    rng = random.Random(seed)

    def window(number):
        genes = [gene for gene in random_genes(rng, number) if gene.seqid == "one"]
        return [Gene(gene.id, "one", gene.strand, gene.transcripts[:1]) for gene in genes]

    reference, predicted = window(8), window(8)
    predicted += reference[:2] + predicted[:1]
    spared = [(40, 70, "-")] if seed % 2 else []
    annotation = Annotation(tuple(reference), tuple(DontCare("one", *item, "test") for item in spared))
    report = score_annotation(annotation, predicted, LENGTHS)
    fast = window_f1([Flat(gene) for gene in reference], [Flat(gene) for gene in predicted], spared)
    for level in ("exon", "gene", "nucleotide"):
        expected = report[level]["f1"]
        assert getattr(fast, f"{level}_f1") == pytest.approx(1.0 if expected is None else expected, abs=1e-5)


class Flat:
    """The least a gene of a window must have."""

    def __init__(self, gene):
        self.strand, self.cds = gene.strand, gene.canonical.cds


def test_window_scores_by_hand():
    left = Flat(Gene("a", "w", "+", (Transcript("a", (Interval(0, 30), Interval(50, 80)), (0, 0)),)))
    right = Flat(Gene("b", "w", "-", (Transcript("b", (Interval(100, 190),), (0,)),)))
    assert window_f1([], []) == WindowScores(1.0, 1.0, 1.0)
    assert window_f1([left], []) == window_f1([], [left]) == WindowScores(0.0, 0.0, 0.0)
    assert window_f1([left, right], [right, left]) == WindowScores(1.0, 1.0, 1.0)
    # Of 3 exons 2 are found and nothing else is said: 2*2/5; of 2 genes 1: 2/3; of 150 bases 60: 120/210.
    assert window_f1([left, right], [left]) == pytest.approx((4 / 5, 2 / 3, 120 / 210))
    # The same gene twice: exons and bases are sets, genes are not.
    assert window_f1([left], [left, left]) == pytest.approx((1.0, 2 / 3, 1.0))


@settings(max_examples=50)
@given(spans, spans)
def test_window_scores_stay_within_bounds(one, other):
    genes = [
        [
            Flat(Gene("g", "w", "+", (Transcript("t", (Interval(start, end),), (0,)),)))
            for start, end in side
            if start < end
        ]
        for side in (one, other)
    ]
    assert all(0 <= value <= 1 for value in window_f1(*genes))


def test_the_work_grows_as_the_number_of_genes():
    rng = random.Random(0)
    genes = []
    for index in range(2_000):
        start = 1_200 * index
        cds = (Interval(start, start + 300), Interval(start + 400, start + 700))
        genes.append(Gene(str(index), "big", rng.choice("+-"), (Transcript(str(index), cds, (0, 0)),)))

    def score(number: int) -> dict:
        some = genes[:number]
        return score_annotation(Annotation(tuple(some), ()), some, {"big": 2_400_000}, bootstrap=100)

    assert score(2_000)["gene"]["tp"] == 2_000
    assert lines_run(lambda: score(2_000)) < 2.5 * lines_run(lambda: score(1_000))
