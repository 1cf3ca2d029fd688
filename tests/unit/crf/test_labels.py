"""Labels of bases, sites and chains against base-by-base loops, and the losses that are measured against them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from model_toy import GRAMMAR, PLAIN_GRAMMAR, random_bases, random_genes

from genet5.crf.labels import IGNORED, NOT_A_SITE, UNSCORED_SITE, chain_labels, label_window, site_labels
from genet5.crf.losses import base_losses
from genet5.genome.genes import Interval
from genet5.genome.genetic_code import reverse_complement
from genet5.genome.window_genes import WindowGene, reverse_complement_genes, transcript_order
from genet5.tokens.grammar import Grammar

DONT_CARE = ((20, 60, "+"), (55, 90, "-"), (150, 151, "."))


def drawn(grammar: Grammar, seed: int, size: int = 240) -> tuple[str, list[WindowGene]]:
    rng = np.random.default_rng(seed)
    bases = random_bases(rng, size, 0.01)
    return bases, random_genes(grammar, bases, rng)


def slow_labels(genes: list[WindowGene], size: int) -> np.ndarray:
    """Per-base classes, one base at a time, in forward coordinates turned into strand coordinates at the end."""
    labels = np.zeros((2, size), dtype=np.int8)

    def place(strand: str, forward_base: int) -> tuple[int, int]:
        return (0, forward_base) if strand == "+" else (1, size - 1 - forward_base)

    coding = []
    for gene in genes:
        step = 1 if gene.strand == "+" else -1
        bases = []  # coding bases, 5' to 3'
        for five, three in transcript_order(gene):
            bases += range(five, three) if step > 0 else range(five - 1, three - 1, -1)
        coding.append((place(gene.strand, bases[0]), gene, bases))
        covered = set(bases)
        first, last = bases[0], bases[-1]
        if gene.partial5:
            first = 0 if step > 0 else size - 1
        if gene.partial3:
            last = size - 1 if step > 0 else 0
        for base in range(first, last + step, step):
            if base not in covered:
                labels[place(gene.strand, base)] = 4
    # A base that is intron of one gene and coding in another is coding; where two genes share it the later one counts.
    for _, gene, bases in sorted(coding, key=lambda entry: entry[0]):
        for number, base in enumerate(bases):
            labels[place(gene.strand, base)] = 1 + (number - gene.phase) % 3
    return labels


def slow_sites(genes: list[WindowGene], size: int) -> set[tuple[int, int, int]]:
    """(strand row, kind of site, strand position) of every true site."""
    found = set()
    for gene in genes:
        row = int(gene.strand == "-")
        ends = [tuple(size - p if row else p for p in pair) for pair in transcript_order(gene)]
        for index, (five, three) in enumerate(ends):
            opens_complete = index == 0 and not gene.partial5
            closes_complete = index == len(ends) - 1 and not gene.partial3
            if opens_complete:
                found.add((row, 0, five))
            elif index or five > 0:
                found.add((row, 3, five))
            if closes_complete:
                found.add((row, 1, three))
            elif index < len(ends) - 1 or three < size:
                found.add((row, 2, three))
    return found


# ---------------------------------------------------------------- bases and sites


@pytest.mark.parametrize("grammar", [GRAMMAR, PLAIN_GRAMMAR])
@pytest.mark.parametrize("seed", range(6))
def test_labels_and_sites_say_what_the_genes_say(grammar: Grammar, seed: int):
    bases, genes = drawn(grammar, seed)
    window = grammar.sites(bases)
    labels, sites = label_window(window, genes, ())
    assert np.array_equal(labels, slow_labels(genes, len(bases)))
    true = {tuple(map(int, where)) for where in np.argwhere(sites == 1)}
    assert true == slow_sites(genes, len(bases))
    _, possible = label_window(window, [], ())
    assert ((sites >= 0) == (possible >= 0)).all()  # every site is either true or false
    assert ((possible >= 0) == window.allowed).all()


def test_nothing_is_labelled_where_nobody_cares():
    bases, _ = drawn(GRAMMAR, 3)
    window = GRAMMAR.sites(bases)
    _, plain = label_window(window, [], ())
    labels, sites = label_window(window, [], DONT_CARE)
    size = len(bases)
    ignored = np.zeros((2, size), dtype=bool)
    unscored = np.zeros((2, size + 1), dtype=bool)
    for start, end, strand in DONT_CARE:
        for base in range(start, end):
            ignored[0, base] |= strand != "-"
            ignored[1, size - 1 - base] |= strand != "+"
        for boundary in range(start, end + 1):
            unscored[0, boundary] |= strand != "-"
            unscored[1, size - boundary] |= strand != "+"
    assert np.array_equal(labels == IGNORED, ignored)
    assert np.array_equal(sites == UNSCORED_SITE, (plain >= 0) & unscored[:, None])
    assert np.array_equal(sites[:, :, ~unscored.any(0)], plain[:, :, ~unscored.any(0)])


@pytest.mark.parametrize("seed", range(4))
def test_the_other_strand_has_the_same_labels_turned(seed: int):
    bases, genes = drawn(GRAMMAR, seed)
    spans = [(240 - end, 240 - start, {"+": "-", "-": "+"}.get(strand, strand)) for start, end, strand in DONT_CARE]
    here, there = GRAMMAR.sites(bases), GRAMMAR.sites(reverse_complement(bases))
    turned = reverse_complement_genes(genes, 240)
    for one, other in zip(label_window(here, genes, DONT_CARE), label_window(there, turned, spans), strict=True):
        assert np.array_equal(one, other[::-1])
    assert np.array_equal(here.strand_codes, there.strand_codes[::-1])


def test_what_the_rules_refuse_is_no_site():
    """A gene without start, splice sites and stop: its bases are labelled, its boundaries are not."""
    bases = "C" * 200
    odd = [WindowGene("+", (Interval(11, 40), Interval(43, 77))), WindowGene("-", (Interval(90, 121),))]
    labels, sites = label_window(GRAMMAR.sites(bases), odd, ())
    assert np.array_equal(labels, slow_labels(odd, 200))
    assert (sites == NOT_A_SITE).all()


def test_sites_of_which_nothing_is_known():
    bases, genes = drawn(GRAMMAR, 3)
    window = GRAMMAR.sites(bases)
    found = site_labels(window.allowed)
    _, sites = label_window(window, genes, ((0, len(bases), "."),))
    assert np.array_equal(found == NOT_A_SITE, ~window.allowed) and (found[window.allowed] == UNSCORED_SITE).all()
    assert np.array_equal(found == NOT_A_SITE, sites == NOT_A_SITE)


# ---------------------------------------------------------------- chains


def test_labels_of_chains_leave_the_second_of_two_overlapping_genes_open():
    window = PLAIN_GRAMMAR.sites(random_bases(np.random.default_rng(0), 100))

    def gene(strand: str, *cds: tuple[int, int]) -> WindowGene:
        return WindowGene(strand, tuple(Interval(*segment) for segment in cds))

    def both(genes: list[WindowGene]) -> tuple[np.ndarray, np.ndarray]:
        labels, _ = label_window(window, genes, ())
        return labels, chain_labels(labels, genes)

    found = both([gene("+", (3, 33)), gene("+", (25, 55)), gene("+", (51, 81))])[1][0].tolist()
    assert found[3:33] == [1, 2, 3] * 10  # whole, to its stop
    assert found[33:55] == [-100] * 22  # shares eight bases
    assert found[55:81] == ([1, 2, 3] * 10)[4:]  # shares four
    assert found[:3] == [0] * 3 and found[81:] == [0] * 19
    _, turned = both([gene("-", (100 - 33, 100 - 3)), gene("-", (100 - 55, 100 - 25))])
    assert turned[1].tolist()[:55] == [0] * 3 + [1, 2, 3] * 10 + [-100] * 22
    labels, apart = both([gene("+", (3, 33)), gene("-", (20, 50)), gene("+", (33, 63))])
    assert (apart == labels).all()


# ---------------------------------------------------------------- losses


def test_soft_f1_by_hand():
    """Three bases on two strands: probabilities 1/2, 1/4, 1/4 of (neither, position 0, position 1) everywhere."""
    logits = torch.log(torch.tensor([0.5, 0.25, 0.25, 1e-30, 1e-30])).expand(1, 2, 3, 5)
    labels = torch.tensor([[[1, 2, 0], [-100, 0, 3]]], dtype=torch.int8)
    sites = torch.full((1, 2, 4, 4), -2, dtype=torch.int8)
    parts = base_losses(logits, torch.zeros(1, 2, 4, 4), labels, sites)
    overlap, predicted, wanted = 0.25 + 0.25, 5 * 0.5, 3  # the ignored base counts nowhere
    assert float(parts["soft_f1"]) == pytest.approx(1 - (2 * overlap + 1) / (predicted + wanted + 1))
    assert float(parts["base"]) == pytest.approx(-(2 * math.log(0.25) + 2 * math.log(0.5) + math.log(1e-30)) / 5)
    assert float(parts["site"]) == 0


def test_site_loss_counts_scored_sites_alone():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 2, 4, 9, generator=generator)
    sites = torch.randint(-2, 2, (1, 2, 4, 9), generator=generator, dtype=torch.int8)
    labels = torch.zeros(1, 2, 8, dtype=torch.int8)
    found = base_losses(torch.zeros(1, 2, 8, 5), logits, labels, sites)["site"]
    terms = []
    for value, site in zip(logits.flatten().tolist(), sites.flatten().tolist(), strict=True):
        if site >= 0:
            terms.append(math.log1p(math.exp(-value if site else value)))
    assert float(found) == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_everything_can_be_a_region_nobody_cares_about():
    window = GRAMMAR.sites(random_bases(np.random.default_rng(3), 90))
    labels, sites = label_window(window, [], ((0, 90, "."),))
    assert (labels == IGNORED).all() and (sites < 0).all()
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 2, 90, 5, generator=generator, requires_grad=True)
    site_logits = torch.randn(1, 2, 4, 91, generator=generator, requires_grad=True)
    parts = base_losses(logits, site_logits, torch.from_numpy(labels)[None], torch.from_numpy(sites)[None])
    assert {name: float(value.detach()) for name, value in parts.items()} == {"base": 0.0, "site": 0.0, "soft_f1": 0.0}
    sum(parts.values()).backward()
    assert not logits.grad.any() and (site_logits.grad is None or not site_logits.grad.any())
