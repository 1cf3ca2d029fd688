"""A genome whose codons the networks do not know: adaptation finds its genes. Where there are none, the start stays."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from simulated_codons import DECODER, RULES, found_genes, right, simulated

from genet5.adapt import guard, rounds
from genet5.adapt.adaptation import Adaptation
from genet5.adapt.guard import gain, window_bits
from genet5.adapt.rounds import LEAST_WINDOWS, adapt, adapt_to_windows
from genet5.adapt.sampling import (
    REPEAT_BP,
    REPEAT_TIMES,
    SHORTEST_BP,
    WINDOW_BP,
    SampledWindow,
    find_repeats,
    sampled_regions,
)
from genet5.crf.annotating_network import WindowPotentials
from genet5.genome.genes import Interval, Region
from genet5.genome.sites import WindowSites
from genet5.genome.window_genes import WindowGene


def test_it_finds_genes_that_the_networks_miss_and_explains_new_dna_better() -> None:
    genome, held_back = simulated(16, True, 1), simulated(12, True, 2)
    adaptation = adapt_to_windows(DECODER, genome.windows, {})
    assert adaptation.about["adapted"] and adaptation.strength > 0
    start, adapted = (found_genes(held_back.windows, one) for one in (Adaptation.neutral(), adaptation))
    total = sum(map(len, held_back.genes))
    assert right(start, held_back.genes) <= total // 2 < 0.8 * total < right(adapted, held_back.genes)
    bases = np.full(len(held_back.windows), 6_000.0)
    better, worse = (window_bits(held_back.windows, genes) for genes in (adapted, start))
    assert gain(worse.total - better.total, bases).exceeds(2) and gain(better.coding, bases).exceeds(2)


class _Decoder:
    """Its networks see no gene at all. evidence: the potentials that hints make of each window, by its place."""

    gene_penalty, each, rules = DECODER.gene_penalty, staticmethod(map), RULES

    def __init__(self, evidence: dict[Region, WindowPotentials] | None = None) -> None:
        self.evidence = evidence

    def read_windows(self, sites: list[WindowSites]) -> list[WindowPotentials]:
        blind = WindowPotentials(np.full((2, 6_000, 4), -0.03, np.float32), np.zeros((2, 4, 6_001), np.float32))
        return [blind] * len(sites)

    def completed(self, sites: WindowSites, potentials: WindowPotentials, place: Region) -> WindowPotentials:
        return potentials if self.evidence is None else self.evidence[place]


def test_genes_with_evidence_teach_those_without() -> None:
    """The hints show every second gene of the sample, and none of the held-back DNA."""
    genome, held_back = simulated(16, True, 1), simulated(12, True, 2)
    regions = [Region(f"c{number}", 0, 6_000) for number in range(16)]
    codes = {region: window.sites.codes for region, window in zip(regions, genome.windows, strict=True)}
    dna = SimpleNamespace(sequence=lambda *region, keep_case: "".join("ACGTN"[code] for code in codes[Region(*region)]))
    hinted = {region: window.potentials for region, window in zip(regions, genome.windows, strict=True)}
    blind = adapt(_Decoder(), dna, regions, 10**9)
    taught = adapt(_Decoder(hinted), dna, regions, 10**9)
    assert not blind.about["evidence"] and not blind.about["adapted"]
    assert taught.about["evidence"] and taught.about["adapted"]
    unseen = [replace(window, potentials=_Decoder().read_windows([0])[0]) for window in held_back.windows]
    assert right(found_genes(unseen, blind), held_back.genes) == 0
    assert right(found_genes(unseen, taught), held_back.genes) > sum(map(len, held_back.genes)) // 2


def test_random_dna_keeps_the_start() -> None:
    for seed in range(3):
        adaptation = adapt_to_windows(DECODER, simulated(12, False, seed).windows, {})
        about = adaptation.about
        assert about["start"]["genes"] > 10, "the networks find genes that are none"
        assert not about["adapted"] and adaptation.strength == 0 and not adaptation.hexamers.any(), about


def test_the_same_dna_gives_the_same_adaptation() -> None:
    one, other = (adapt_to_windows(DECODER, simulated(10, True).windows, {}) for _ in range(2))
    assert one.about == other.about
    assert np.array_equal(one.hexamers, other.hexamers) and np.array_equal(one.sites, other.sites)


def test_true_genes_take_fewer_bits_than_others() -> None:
    genome = simulated(12, True)
    bases = np.full(12, 6_000.0)
    bits = window_bits(genome.windows, genome.genes)
    none = window_bits(genome.windows, [[]] * 12)
    assert not none.coding.any() and gain(bits.coding, bases).exceeds(2)
    shifted = [
        [WindowGene(gene.strand, (Interval(gene.start + 1, gene.end + 1),)) for gene in genes][::2] + genes[1::2]
        for genes in genome.genes
    ]
    assert gain(none.total - bits.total, bases).exceeds(2)
    assert gain(window_bits(genome.windows, shifted).total - bits.total, bases).exceeds(2)


def test_what_stands_before_every_start_saves_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine T before each start codon: told as a motif they are almost free, as other bases they take two bits each."""
    genome = simulated(12, True)
    for window, genes in zip(genome.windows, genome.genes, strict=True):
        for gene in genes:
            window.sites.codes[gene.start - 9 : gene.start] = 3
    windows = [
        replace(window, sites=WindowSites("".join("ACGTN"[code] for code in window.sites.codes), RULES))
        for window in genome.windows
    ]
    told = window_bits(windows, genome.genes).total.sum()
    monkeypatch.setattr(guard, "_around", lambda *_: None)
    assert window_bits(windows, genome.genes).total.sum() - told > 5 * sum(map(len, genome.genes))


def test_a_gain_is_a_mean_with_its_error() -> None:
    found = gain(np.array([2.0, 6.0, 1.0]), np.full(3, 1000.0))
    assert found.bits_per_kb == pytest.approx(3.0)
    assert found.error == pytest.approx(np.std([2, 6, 1], ddof=1) / np.sqrt(3))
    assert found.exceeds(1.9) and not found.exceeds(2.0)


def test_the_guard_is_asked_for_each_strength(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "LEAST_ERRORS", float("inf"))
    adaptation = adapt_to_windows(DECODER, simulated(8, True).windows, {})
    assert [row["strength"] for row in adaptation.about["tried"]] == list(rounds.STRENGTHS)
    assert not any(row["taken"] for row in adaptation.about["tried"]) and not adaptation.about["adapted"]


def test_no_window_is_judged_with_counts_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    windows, learnt, read = simulated(8, True).windows, {}, rounds._genes

    def learning(decoder, chosen, start, strength):
        made = Adaptation.neutral()
        learnt[id(made)] = made, chosen
        return made

    def reading(decoder, windows, halves):
        for number, window in enumerate(windows):
            _, seen = learnt.get(id(halves[number % rounds.FOLDS]), (None, []))
            assert not any(one is window for one in seen)
        return read(decoder, windows, halves)

    monkeypatch.setattr(rounds, "_learnt", learning)
    monkeypatch.setattr(rounds, "_genes", reading)
    adapt_to_windows(DECODER, windows, {})
    assert sorted(len(chosen) for _, chosen in learnt.values()) == [4] * (2 * len(rounds.STRENGTHS))


# -------------------------------------------------------------------- the sample


def test_windows_are_spread_over_the_genome() -> None:
    regions = [Region("one", 0, 10 * WINDOW_BP), Region("two", 500, 500 + SHORTEST_BP), Region("three", 0, 2_999)]
    everything = sampled_regions(regions, 10**9)
    assert sum(end - start for _, start, end in everything) == 10 * WINDOW_BP + SHORTEST_BP
    assert all(end - start <= WINDOW_BP for _, start, end in everything)
    some = sampled_regions(regions, 5 * WINDOW_BP)
    assert set(some) < set(everything) and sum(end - start for _, start, end in some) <= 5 * WINDOW_BP
    assert some[0].start < 3 * WINDOW_BP and some[-1] >= Region("one", 7 * WINDOW_BP, 0)
    assert sampled_regions([regions[2]], 10**9) == []


def test_too_little_dna_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    genome = SimpleNamespace()
    monkeypatch.setattr(rounds, "read_sample", lambda *_: simulated(1, True).windows)
    adaptation = adapt(DECODER, genome, [Region("one", 0, WINDOW_BP)], 10**9)
    assert adaptation.strength == 0
    assert adaptation.about["reason"] == f"1 windows of DNA are too few, at least {LEAST_WINDOWS} are needed"


def test_repeats_are_unknown_bases_on_both_strands() -> None:
    rng = np.random.default_rng(2)
    word = "".join(rng.choice(list("ACGT"), size=REPEAT_BP + 5))
    unique = ["".join(rng.choice(list("ACGT"), size=300)) for _ in range(REPEAT_TIMES + 1)]
    turned = word.translate(str.maketrans("ACGT", "TGCA"))[::-1]
    often = [unique[0] + turned, *(one + word for one in unique[1:-1]), unique[-1]]
    sites = [WindowSites(bases, RULES) for bases in often]
    masks = find_repeats(sites)
    for one, mask in zip(sites[:-1], masks[:-1], strict=True):
        assert np.flatnonzero(mask).tolist() == list(range(300, 300 + len(word)))
        window = SampledWindow(one, None, mask)
        assert (window.counted_codes == 4).sum(1).tolist() == [len(word)] * 2
        assert (window.counted_codes[1, : len(word)] == 4).all()
    assert not masks[-1].any()
    assert not any(mask.any() for mask in find_repeats(sites[1:]))
