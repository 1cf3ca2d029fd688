"""Windows: every gene that fits is whole in one, none holds mostly N, and draws do not depend on the machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genet5.bake.chosen_windows import choose_windows, draw
from genet5.bake.samples import SampleGene, count_introns, gene_key, visible_genes
from genet5.bake.windows import (
    AnnotationIndex,
    RegionGenes,
    RegionPlan,
    SpanIndex,
    WindowRules,
    count_n,
    grid_starts,
    n_runs,
    plan_region,
)
from genet5.errors import InputError
from genet5.genome.fasta import Genome
from genet5.genome.genes import Annotation, DontCare, Gene, Interval, Region, Transcript

SMALL = WindowRules(window_bp=100, stride_bp=50, flank_bp=10)
COUNTS = ("num_genes", "num_partial", "num_introns", "coding_bp")
NO_N = np.zeros((0, 2), dtype=np.int64)


def gene(name: str, start: int, end: int, strand: str = "+") -> SampleGene:
    return SampleGene(name, strand, (Interval(start, end),), (0,))


def content(region: Region, *genes: SampleGene) -> RegionGenes:
    return RegionGenes(region, tuple(sorted(genes, key=gene_key)), (), 0, ())


def bounds(plan: RegionPlan) -> list[tuple[int, int]]:
    return list(zip(plan.start.tolist(), plan.end.tolist(), strict=True))


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        (Region("c", 0, 300), [0, 50, 100, 150, 200]),
        (Region("c", 7, 300), [7, 57, 107, 157, 200]),
        (Region("c", 40, 140), [40]),
        (Region("c", 40, 90), [40]),
        (Region("c", 40, 141), [40, 41]),
    ],
)
def test_the_grid_ends_with_the_region(region: Region, expected: list[int]) -> None:
    assert grid_starts(region, 100, 50).tolist() == expected


def test_a_short_region_is_one_window() -> None:
    plan = plan_region(content(Region("c", 40, 90), gene("a", 41, 89)), NO_N, SMALL)
    assert bounds(plan) == [(40, 90)] and plan.num_genes.tolist() == [1]


def test_a_gene_that_the_grid_cuts_gets_a_window_around_it() -> None:
    region = Region("c", 0, 1000)
    plan = plan_region(content(region, gene("a", 420, 480), gene("long", 600, 800)), NO_N, SMALL)
    assert plan.moved == 0, "60 bp at 420: whole in the window at 400"
    plan = plan_region(content(region, gene("a", 411, 489), gene("b", 505, 508), gene("long", 600, 701)), NO_N, SMALL)
    assert plan.moved == 0
    plan = plan_region(content(region, gene("a", 420, 510), gene("long", 600, 701)), NO_N, SMALL)
    assert plan.moved == 1
    assert (415, 515) in bounds(plan), "centred on the gene"
    assert plan.num_partial[bounds(plan).index((600, 700))] == 1, "the long gene is partial"


def test_neighbours_that_fit_together_share_a_moved_window() -> None:
    genes = (gene("a", 405, 470), gene("b", 439, 504), gene("c", 435, 507, "-"))
    plan = plan_region(content(Region("c", 0, 1000), *genes), NO_N, WindowRules(110, 110, 10))
    assert plan.moved == 1
    (added,) = set(bounds(plan)) - {(start, start + 110) for start in grid_starts(Region("c", 0, 1000), 110, 110)}
    assert added[0] <= 405 and added[1] >= 507


def test_a_window_around_a_gene_in_n_is_no_longer_than_others() -> None:
    """The gene fills its window, so there is no room for a margin."""
    plan = plan_region(content(Region("c", 0, 44), gene("a", 0, 31)), np.array([[0, 18]]), WindowRules(31, 1, 0))
    assert plan.narrowed + plan.moved + plan.grid == plan.scanned
    assert all(end - start <= 31 for start, end in bounds(plan))


regions = st.tuples(st.integers(0, 50), st.integers(1, 700)).map(lambda pair: Region("c", pair[0], pair[0] + pair[1]))


@settings(max_examples=200)
@given(regions, st.integers(1, 120), st.integers(1, 120), st.data())
def test_every_gene_that_fits_is_whole_in_a_window(
    region: Region, window: int, stride: int, data: st.DataObject
) -> None:
    rules = WindowRules(window, min(stride, window), 0)
    positions = st.integers(region.start, region.end)
    pairs = data.draw(st.lists(st.tuples(positions, positions).filter(lambda p: p[0] != p[1]), max_size=12))
    genes = [gene(f"g{number}", min(pair), max(pair)) for number, pair in enumerate(pairs)]
    n_pairs = data.draw(st.lists(st.tuples(positions, positions), max_size=3))
    is_n = np.zeros(region.end, dtype=bool)
    for pair in n_pairs:
        is_n[min(pair) : max(pair)] = True
    edges = np.flatnonzero(np.diff(is_n.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    plan = plan_region(content(region, *genes), edges, rules)
    windows = bounds(plan)
    assert windows == sorted(set(windows))
    assert plan.scanned == plan.mostly_n + len(windows)
    for start, end in windows:
        assert region.start <= start < end <= region.end and end - start <= window
        assert is_n[start:end].mean() <= 0.5
    homeless = [
        held
        for held in genes
        if held.end - held.start <= window
        and not any(start <= held.start and held.end <= end for start, end in windows)
    ]
    assert len(homeless) == plan.lost_to_n
    # Only N inside the gene itself can keep it out: around it a window may be as narrow as it needs.
    assert all(is_n[held.start : held.end].any() for held in homeless)
    if not n_pairs:
        assert plan.mostly_n == 0
        covered = np.zeros(region.end, dtype=bool)
        for start, end in windows:
            covered[start:end] = True
        assert covered[region.start :].all(), "every base is in a window"


@settings(max_examples=200)
@given(regions, st.integers(1, 150), st.data())
def test_what_a_window_shows_is_counted(region: Region, window: int, data: st.DataObject) -> None:
    """Genes with introns, nested and cut: the counts are those of every gene clipped to the window."""
    genes = []
    for number in range(data.draw(st.integers(0, 8))):
        edges = sorted(data.draw(st.sets(st.integers(region.start, region.end), min_size=2, max_size=8)))
        cds = tuple(map(Interval, edges[0::2], edges[1::2]))
        whole = data.draw(st.tuples(st.booleans(), st.booleans()))
        genes.append(SampleGene(f"g{number}", data.draw(st.sampled_from("+-")), cds, (0,) * len(cds), *whole))
    plan = plan_region(content(region, *genes), NO_N, WindowRules(window, max(1, window // 2), 0))
    assert len(bounds(plan)) > 0
    for row, (start, end) in enumerate(bounds(plan)):
        shown, _ = visible_genes(sorted(genes, key=gene_key), start, end)
        assert [int(getattr(plan, name)[row]) for name in COUNTS] == [
            len(shown),
            sum(gene.partial5 or gene.partial3 for gene in shown),
            count_introns(shown),
            sum(right - left for gene in shown for left, right in gene.cds),
        ]


@given(
    st.lists(st.tuples(st.integers(1, 4), st.lists(st.booleans(), min_size=0, max_size=4)), max_size=8),
    st.sampled_from([0.0, 0.1, 0.5, 0.9]),
    st.none() | st.integers(1, 9),
)
def test_the_smallest_draws_are_kept(contigs: list[tuple[int, list[bool]]], share: float, cap: int | None) -> None:
    rules = WindowRules(100, 100, 0, empty_share=share, seed=7)
    region_list = [Region(f"c{number}", 0, 400) for number in range(len(contigs))]
    plans, expected = [], []
    for region, (length, filled) in zip(region_list, contigs, strict=True):
        if length < 4 and not any(filled):
            region = Region(region.seqid, 0, 25 * length)
        genes = [gene(f"{region.seqid}.{at}", 100 * at + 20, 100 * at + 80) for at, has in enumerate(filled) if has]
        plans.append(plan_region(content(region, *genes), NO_N, rules))
        rows = zip(plans[-1].start.tolist(), plans[-1].end.tolist(), plans[-1].num_genes.tolist(), strict=True)
        expected += [(region.seqid, *row) for row in rows]
    empty = sorted((draw(7, "empty", *w[:3]), w) for w in expected if not w[3])
    allowed = int((len(expected) - len(empty)) * share / (1 - share) + 1e-9)
    kept = [w for w in expected if w[3] or (draw(7, "empty", *w[:3]), w) in empty[:allowed]]
    if cap is not None:
        capped = sorted((draw(7, "cap", *w[:3]), w) for w in kept)[:cap]
        kept = [w for w in kept if (draw(7, "cap", *w[:3]), w) in capped]
    chosen = choose_windows(plans, region_list, rules, max_windows=cap)
    assert kept == [
        (region.seqid, start, end, number)
        for region, plan in zip(region_list, chosen.regions, strict=True)
        for start, end, number in zip(plan.start.tolist(), plan.end.tolist(), plan.num_genes.tolist(), strict=True)
    ]


def test_a_gene_in_a_sea_of_n_gets_a_narrow_window() -> None:
    runs = np.array([[0, 500], [520, 1000]])
    plan = plan_region(content(Region("c", 0, 1000), gene("a", 502, 518)), runs, SMALL)
    assert bounds(plan) == [(498, 522)]
    assert (plan.narrowed, plan.lost_to_n) == (1, 0) and plan.mostly_n == plan.scanned - 1


@given(st.lists(st.integers(0, 60), max_size=8, unique=True), st.integers(0, 60), st.integers(0, 60))
def test_counting_n(edges: list[int], first: int, second: int) -> None:
    edges = sorted(edges)[: len(edges) // 2 * 2]
    runs = np.array(edges, dtype=np.int64).reshape(-1, 2)
    start, end = min(first, second), max(first, second)
    expected = sum(any(a <= position < b for a, b in runs.tolist()) for position in range(start, end))
    assert count_n(runs, np.array([start]), np.array([end])).tolist() == [expected]


def test_runs_of_n_across_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genet5.bake.windows._SCAN_BP", 7)
    text = "NNACGTnnnnnnnnnnnnACGTNACGN"
    (tmp_path / "a.fna").write_text(f">c\n{text}\n")
    with Genome(tmp_path / "a.fna") as genome:
        runs = n_runs(genome, Region("c", 1, len(text)))
    found = [position for start, end in runs.tolist() for position in range(start, end)]
    assert found == [position for position in range(1, len(text)) if text[position] in "Nn"]


@given(st.lists(st.tuples(st.integers(0, 80), st.integers(1, 40)), max_size=15), st.integers(0, 90), st.integers(1, 40))
def test_spans_that_touch_a_window(pairs: list[tuple[int, int]], start: int, length: int) -> None:
    spans = sorted((left, left + size) for left, size in pairs)
    index = SpanIndex((span[0] for span in spans), (span[1] for span in spans))
    expected = [i for i, (left, right) in enumerate(spans) if left < start + length and right > start]
    assert index.overlapping(start, start + length) == expected


def annotated(name: str, flags: frozenset[str], *segments: tuple[int, int]) -> Gene:
    cds = tuple(Interval(*segment) for segment in segments)
    return Gene(name, "c", "-", (Transcript(f"{name}.1", cds, (0,) * len(cds)),), flags=flags)


def test_genes_cut_by_a_boundary_become_dont_care() -> None:
    annotation = Annotation(
        (
            annotated("whole", frozenset(), (10, 40)),
            annotated("cut", frozenset(), (80, 95), (98, 120)),
            annotated("flagged", frozenset({"no_start"}), (50, 60)),
        ),
        (
            DontCare("c", 50, 60, "-", "no_start"),
            DontCare("c", 90, 130, ".", "pseudogene"),
            DontCare("d", 1, 2, "+", ""),
        ),
    )
    index = AnnotationIndex(annotation)
    left = index.content(Region("c", 0, 100))
    assert [held.id for held in left.genes] == ["whole"]
    assert left.dont_care == ((50, 60, "-"), (80, 95, "-"), (90, 100, "."), (98, 100, "-"))
    assert (left.cut, left.flags) == (1, (frozenset({"no_start"}),))
    right = index.content(Region("c", 100, 200))
    assert right.genes == () and right.dont_care == ((100, 120, "-"), (100, 130, ".")) and right.cut == 1


def planned(region: Region, *genes: SampleGene) -> RegionPlan:
    return plan_region(content(region, *genes), NO_N, SMALL)


def test_a_share_of_the_empty_windows_is_kept() -> None:
    region_list = [Region("a", 0, 2000), Region("b", 0, 5000)]
    genes = [gene(f"g{i}", 100 * i + 20, 100 * i + 60) for i in range(15)]
    plans = [planned(region_list[0], *genes), planned(region_list[1])]
    holding = int(sum((plan.num_genes > 0).sum() for plan in plans))
    for share in (0.0, 0.1, 0.25):
        rules = WindowRules(100, 50, 10, empty_share=share, seed=3)
        chosen = choose_windows(plans, region_list, rules, max_windows=None)
        empty = sum(int((plan.num_genes == 0).sum()) for plan in chosen.regions)
        assert chosen.kept == holding + empty
        assert empty / chosen.kept <= share < (empty + 1) / (chosen.kept + 1)
        assert chosen.dropped_empty == sum(len(plan.start) for plan in plans) - chosen.kept
    other = choose_windows(plans, region_list, WindowRules(100, 50, 10, seed=4), max_windows=None)
    same = choose_windows(plans, region_list, WindowRules(100, 50, 10, seed=3), max_windows=None)
    assert bounds(other.regions[1]) != bounds(same.regions[1])


def test_the_cap_draws_from_all_windows_and_larger_caps_hold_smaller_ones() -> None:
    region_list = [Region("a", 0, 6000)]
    plans = [planned(region_list[0], *(gene(f"g{i}", 100 * i + 20, 100 * i + 60) for i in range(55)))]
    everything = choose_windows(plans, region_list, SMALL, max_windows=None)
    few, more = (choose_windows(plans, region_list, SMALL, max_windows=cap) for cap in (10, 30))
    assert (few.kept, more.kept) == (10, 30)
    assert few.dropped_over_cap == everything.kept - 10
    assert set(bounds(few.regions[0])) < set(bounds(more.regions[0])) < set(bounds(everything.regions[0]))
    assert bounds(few.regions[0]) == sorted(bounds(few.regions[0]))


def test_draws_are_the_same_everywhere() -> None:
    assert draw(42, "empty", "chrI", 0, 100) == 4465013834196691895
    assert draw(42, "empty", "chrI", 0, 100) != draw(42, "empty", "chrI", 0, 101)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window_bp": 0}, "window_bp: 0"),
        ({"stride_bp": 101}, "stride_bp: 101 .* from 1 to window_bp, 100"),
        ({"flank_bp": -1}, "flank_bp: -1"),
        ({"empty_share": 1.0}, "empty_share: 1.0"),
        ({"max_windows": 0}, "max_windows: 0"),
        ({"max_validation_windows": 0}, "max_validation_windows: 0"),
    ],
)
def test_impossible_rules_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        WindowRules(**{"window_bp": 100, "stride_bp": 50, "flank_bp": 10, **options})
