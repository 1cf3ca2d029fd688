"""Sampled chains of genes: as often as a list of all chains says, and as the marginals say where none is possible."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from all_chains import PENALTY, RULES, WINDOWS, Case, Path, all_paths, case, genes_of, log_sum

from genet5.crf import sampled_genes
from genet5.crf.chain_sums import strand_marginals
from genet5.crf.posterior import gene_log_posteriors
from genet5.crf.sampled_genes import sample_genes
from genet5.crf.sampling import (
    AT,
    CUT3,
    CUT5,
    KIND,
    STATE,
    Chain,
    Features,
    Strand,
    add_features,
    chain_score,
    count_features,
    sample_chains,
)
from genet5.genome.sites import ACCEPTOR_SITE, DONOR_SITE, START_SITE, STOP_SITE, WindowSites
from genet5.genome.window_genes import WindowGene, gene_order_key

TEMPERATURES = (1.0, 0.5, 2.5)
DRAWS = 6_000


def strand_of(given: Case, temperature: float = 1.0) -> Strand:
    potentials, site, allowed = (part[0].numpy() for part in given)
    return Strand.of(potentials, site, allowed, PENALTY, temperature)


def drawn(given: Case, number: int, temperature: float = 1.0, seed: int = 1) -> list[Chain]:
    strand = strand_of(given, temperature)
    return sample_chains(strand, strand.sums(), number, seed)


def states_of(chain: Chain, size: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """States of all bases and the starts of genes, as ``Path`` has them; written apart from the code under test."""
    states, starts = [0] * size, []
    events = chain.events.tolist()
    for number, (kind, at, state) in enumerate(events):
        if kind in (CUT3, STOP_SITE):
            continue
        following = events[number + 1][AT]
        if number + 2 < len(events) and events[number + 2][KIND] == START_SITE:
            following = min(following, events[number + 2][AT])
        first = {CUT5: state, START_SITE: 1}.get(kind)
        if first is None:
            before = states[at - 1]
            first = 4 + before % 3 if kind == DONOR_SITE else before - 3
        starts += [at] * (kind == START_SITE)
        for base in range(at, following):
            states[base] = first if first > 3 else (first - 1 + base - at) % 3 + 1
    return tuple(states), tuple(starts)


def shares(paths: list[Path], temperature: float) -> dict[tuple, float]:
    """Probability of each path; those that differ only in which stop codon a gene shares are one."""
    found: dict[tuple, list[float]] = defaultdict(list)
    for path in paths:
        found[path.states, path.starts].append(path.score / temperature)
    total = log_sum([path.score / temperature for path in paths])
    return {key: math.exp(log_sum(scores) - total) for key, scores in found.items()}


def chi_square_z(counts: Counter, expected: dict[tuple, float]) -> float:
    """How far counts are from what is expected of them, in standard deviations (Wilson and Hilferty 1931).

    What is expected fewer than ten times is one class.
    """
    total = sum(counts.values())
    often = [key for key, share in expected.items() if share * total >= 10]
    seen = np.array([counts[key] for key in often] + [total - sum(counts[key] for key in often)], dtype=float)
    wanted = np.array([expected[key] * total for key in often])
    wanted = np.append(wanted, total - wanted.sum())
    kept = wanted > 1e-6 * total
    square, degrees = ((seen - wanted)[kept] ** 2 / wanted[kept]).sum(), max(kept.sum() - 1, 1)
    spread = 2 / (9 * degrees)
    return ((square / degrees) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("bases", WINDOWS)
def test_chains_are_drawn_as_often_as_they_are_probable(bases, temperature):
    given = case(bases)
    expected = shares(all_paths(given), temperature)
    counts = Counter(states_of(chain, len(bases)) for chain in drawn(given, DRAWS, temperature))
    assert not set(counts) - set(expected)
    assert chi_square_z(counts, expected) < 3.5


def test_the_check_of_frequencies_sees_another_temperature():
    given = case(WINDOWS[0])
    counts = Counter(states_of(chain, len(WINDOWS[0])) for chain in drawn(given, DRAWS, 1.1))
    assert chi_square_z(counts, shares(all_paths(given), 1.0)) > 5


@pytest.mark.parametrize("bases", WINDOWS)
def test_the_score_of_a_chain_less_log_z_is_its_log_probability(bases):
    given = case(bases, 2)
    strand = strand_of(given)
    total, paths = strand.sums().total, all_paths(given)
    assert total == pytest.approx(log_sum([path.score for path in paths]), abs=1e-9)
    by_key: dict[tuple, set[float]] = defaultdict(set)
    for chain in drawn(given, 300):
        by_key[states_of(chain, len(bases))].add(round(chain_score(chain, strand), 9))
    for key, scores in by_key.items():  # two ways to share a stop codon are two chains
        possible = [path.score for path in paths if (path.states, path.starts) == key]
        assert all(min(abs(score - one) for one in possible) < 1e-7 for score in scores)


@pytest.mark.parametrize("bases", [*WINDOWS[:3], *WINDOWS[4:], "ATGGTAGTGACATGTAA", "CATGAGTCCAGTAGATGA", "TATGACGAC"])
def test_genes_of_a_chain_are_those_of_its_path(bases):
    given = case(bases, 3)
    allowed, size = given.allowed[0].numpy(), len(bases)
    paths = {(path.states, path.starts): path for path in all_paths(given)}
    chains = list(drawn(given, 200))
    assert len(chains) == 200
    for chain in chains:
        found = [gene.of_window("+", size) for gene in sampled_genes.genes_of(chain, allowed[STOP_SITE])]
        assert found == genes_of(paths[states_of(chain, size)], allowed)


def test_a_gene_that_could_share_two_stop_codons_in_a_row_ends_with_the_first():
    bases, ends = "ATGTAATGACC", set()  # TAA ends at 6, TGA at 9; the next gene starts at 5
    given = case(bases)
    given.site[0, STOP_SITE, 6:10] = given.site[0, START_SITE, :6] = 2.0
    for chain in drawn(given, 4000):
        stops = [at for kind, at, _ in chain.events.tolist() if kind == STOP_SITE and at in (6, 9)]
        starts = [at for kind, at, _ in chain.events.tolist() if kind == START_SITE]
        if starts == [0, 5] and stops:
            genes = sampled_genes.genes_of(chain, given.allowed[0, STOP_SITE].numpy())
            ends.add((stops[0], genes[0].segments[-1][1]))
    assert {(6, 6), (9, 6)} <= ends


# ---------------------------------------------------------------- long strands


@pytest.fixture(scope="module")
def long_case() -> Case:
    rng = np.random.default_rng(7)
    return case("".join(rng.choice(list("ACGT"), size=900)), 7, 0.3)


@pytest.mark.parametrize("temperature", [1.0, 1.7])
def test_bases_and_sites_are_sampled_as_the_marginals_say(long_case, temperature):
    strand, number = strand_of(long_case, temperature), 4000
    exact = strand_marginals(*strand)
    found = count_features(
        sample_chains(strand, strand.sums(), number, 3), np.full(number, 1 / number), len(strand.potentials)
    )
    for share, wanted in ((found.of_base, exact.of_base), (found.of_site, exact.of_site)):
        deviation = np.sqrt(wanted * (1 - wanted) / number) + 1e-4
        assert (np.abs(share - wanted) < 5.5 * deviation).all()
    wanted = exact.of_site[START_SITE].sum() + exact.of_base[0].sum()
    assert found.genes == pytest.approx(wanted, rel=0.05)


def test_genes_are_sampled_as_their_posteriors_say(long_case):
    """Of both strands; the reverse one has the same potentials, so that genes mirror each other."""
    both = [np.stack([part[0].numpy()] * 2) for part in long_case]
    samples = sample_genes(*both, PENALTY, 3000, 5)
    counts: Counter[WindowGene] = Counter(gene for genes in samples for gene in set(genes))
    often = [gene for gene, _ in counts.most_common(20)]
    assert min(counts[gene] for gene in often) > 3
    assert {gene.strand for gene in often} == {"+", "-"} and any(len(gene.cds) > 1 for gene in counts)
    for gene, log_share in zip(often, gene_log_posteriors(*both, PENALTY, often), strict=True):
        share = math.exp(log_share)
        assert counts[gene] / 3000 == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / 3000))
    assert all(genes == sorted(genes, key=gene_order_key) for genes in samples)


def test_a_seed_and_a_number_fix_a_chain(long_case):
    few, many, other = (drawn(long_case, number, seed=seed) for number, seed in ((3, 1), (8, 1), (8, 2)))
    assert all((one.events == two.events).all() for one, two in zip(few, many, strict=False))
    assert len({chain.events.tobytes() for chain in [*many, *other]}) > 8


def test_features_of_a_stretch_are_those_that_lie_in_it(long_case):
    size = len(long_case.potentials[0])
    chain = drawn(long_case, 1)[0]
    whole = count_features([chain], np.ones(1), size)
    halves = [np.zeros_like(whole.of_base), np.zeros_like(whole.of_site), 0.0]
    for low, high in ((0, 400), (400, size + 1)):
        part = Features(np.zeros_like(halves[0]), np.zeros_like(halves[1]), 0.0)
        halves[2] += add_features(chain, 1.0, low, high, part)
        assert not part.of_base[:low].any() and not part.of_base[high:].any()
        halves[0] += part.of_base
        halves[1] += part.of_site
    assert (halves[0] == whole.of_base).all() and (halves[1] == whole.of_site).all() and halves[2] == whole.genes
    assert whole.of_site[ACCEPTOR_SITE].sum() >= 1 and whole.genes >= 1


def test_what_no_rule_allows_is_never_sampled(long_case):
    rng = np.random.default_rng(7)
    allowed = WindowSites("".join(rng.choice(list("ACGT"), size=900)), RULES).allowed[0]
    chains = list(drawn(long_case, 50))
    assert len(chains) == 50 and any(len(chain.events) for chain in chains)
    for chain in chains:
        for kind, at, _ in chain.events.tolist():
            assert kind >= CUT5 or allowed[kind, at]
        assert (chain.events[:, STATE] > 0).sum() == (chain.events[:, KIND] >= CUT5).sum()
