"""Bootstrap intervals: blocks, seeds, and what they say about a known spread."""

from __future__ import annotations

import numpy as np

from genet5.evaluate.bootstrap import Blocks, f1_intervals
from genet5.evaluate.features import Axis
from genet5.evaluate.intervals import union
from genet5.evaluate.scores import score_annotation
from genet5.genome.genes import Annotation, Gene, Interval, Region, Transcript


def single(name, start, seqid="c"):
    return Gene(name, seqid, "+", (Transcript(name, (Interval(start, start + 300),), (0,)),))


def test_blocks_are_even_stay_on_one_sequence_and_join_both_strands():
    axis = Axis({"a": 2_500_000, "b": 40_000})
    blocks = Blocks.cut(axis, [Region("a", 0, 2_500_000), Region("b", 0, 40_000)])
    assert (blocks.block_bp, blocks.number) == (1_000_000, 4)
    places = [
        ("a", "+", 0),
        ("a", "-", 833_332),
        ("a", "+", 833_334),
        ("a", "-", 2_499_999),
        ("b", "+", 0),
        ("b", "-", 9),
    ]
    positions = np.array([axis.origin(seqid, strand) + base for seqid, strand, base in places])
    assert blocks.count(positions).tolist() == [2, 1, 1, 2]
    start = axis.origin("a", "+") + 833_300
    # Bases are counted where they lie: 33 before the border at 833,333 and 67 behind it.
    assert blocks.count_bases(union(np.array([start]), np.array([start + 100]))).tolist() == [33, 67, 0, 0]


def test_smaller_blocks_where_there_is_little_sequence():
    axis = Axis({"a": 500_000})
    assert Blocks.cut(axis, [Region("a", 0, 500_000)]).block_bp == 100_000
    assert Blocks.cut(axis, [Region("a", 0, 45_000)]).block_bp == 10_000
    tiny = Blocks.cut(axis, [Region("a", 0, 15_000)])
    assert tiny.number == 2
    report = f1_intervals({"gene": (np.ones(2), np.zeros(2), np.zeros(2))}, tiny, 100, 0)
    assert report["f1"]["gene"] == (None, None)


def test_intervals_depend_on_the_seed_only_and_hold_the_score():
    rng = np.random.default_rng(1)
    genes = [single(str(index), 5_000 * index) for index in range(2_000)]
    found = [gene for gene in genes if rng.random() < 0.6]
    reference, lengths = Annotation(tuple(genes), ()), {"c": 10_000_000}
    report = score_annotation(reference, found, lengths, bootstrap=500, seed=3)
    again = score_annotation(reference, found[::-1], lengths, bootstrap=500, seed=3)
    other = score_annotation(reference, found, lengths, bootstrap=500, seed=4)
    assert report["bootstrap"] == again["bootstrap"] != other["bootstrap"]
    assert (report["bootstrap"]["blocks"], report["bootstrap"]["block_bp"]) == (10, 1_000_000)
    low, high = report["bootstrap"]["f1"]["gene"]
    assert low < report["gene"]["f1"] < high
    # Recall .6 of 2,000 independent genes: standard error .011, of F1 about .0086; 95 % spans four of them.
    assert 0.02 < high - low < 0.05
    for level in ("exon", "stop", "nucleotide"):
        assert report["bootstrap"]["f1"][level][0] < report[level]["f1"] < report["bootstrap"]["f1"][level][1]


def test_an_interval_holds_95_of_100_resampled_genomes():
    right, missed = np.array([50, 9, 31, 44, 12, 27, 38, 5]), np.array([3, 30, 8, 1, 22, 17, 6, 25])
    blocks = Blocks.cut(Axis({"a": 800}), [Region("a", 0, 800)], sizes=(100,))
    counts = {"gene": (right, np.zeros(8, int), missed)}
    low, high = f1_intervals(counts, blocks, 20_000, 5)["f1"]["gene"]
    drawn = np.random.default_rng(11).integers(0, 8, size=(20_000, 8))
    f1 = 2 * right[drawn].sum(1) / (2 * right[drawn].sum(1) + missed[drawn].sum(1))
    assert 0.02 < (f1 < low).mean() < 0.03 and 0.02 < (f1 > high).mean() < 0.03


def test_one_bad_stretch_widens_the_interval():
    genes = [single(str(index), 5_000 * index) for index in range(2_000)]
    reference, lengths = Annotation(tuple(genes), ()), {"c": 10_000_000}
    clumped = score_annotation(reference, genes[200:], lengths, bootstrap=500)["bootstrap"]["f1"]["gene"]
    spread = score_annotation(
        reference, [gene for index, gene in enumerate(genes) if index % 10], lengths, bootstrap=500
    )["bootstrap"]["f1"]["gene"]
    assert clumped[1] - clumped[0] > 5 * (spread[1] - spread[0])
