"""Which stop codons DNA has: made-up genes under codes 1, 4 and 6 between random DNA, and DNA that does not say."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from genet5.annotate.choosing_code import StopEvidence, _evidence, code_for, stops_of_dna
from genet5.annotate.coding_by_codons import (
    OPPOSITE,
    STOP_NUMBERS,
    STOPS,
    CodonModel,
    _scores,
    codons_at,
    learn_codons,
)
from genet5.clades import read_clades
from genet5.genome.genetic_code import GeneticCode, reverse_complement

CODONS = np.array(["".join(letters) for letters in product("ACGT", repeat=3)])
BASES = np.array(list("ACGT"))
GENE_CODONS, GENES = 300, 60


def genome(code: int, seed: int = 1) -> str:
    """Genes of both strands with a codon usage of their own, between random DNA. All codons that are no stops occur."""
    rng = np.random.default_rng(seed)
    stops = GeneticCode.from_table(code).stops
    usage = np.where(np.isin(CODONS, sorted(stops)), 0.0, rng.gamma(1.0, size=64) + 0.1)
    # Codons that are stops elsewhere are as common as the average one.
    others = np.isin(CODONS, sorted({"TAA", "TAG", "TGA"} - stops))
    usage[others] = usage.mean()
    usage /= usage.sum()
    parts = []
    for number in range(GENES):
        gene = "ATG" + "".join(rng.choice(CODONS, GENE_CODONS, p=usage)) + sorted(stops)[number % len(stops)]
        parts += ["".join(rng.choice(BASES, 500)), gene if rng.random() < 0.5 else reverse_complement(gene)]
    return "".join(parts)


@pytest.mark.parametrize("code", [1, 4, 6])
def test_the_stops_of_made_up_genes_are_seen(code: int) -> None:
    found = stops_of_dna([genome(code)])
    assert found.stops == GeneticCode.from_table(code).stops
    assert max(found.in_frame[stop] for stop in found.stops) < 0.1
    for codon in {"TAA", "TAG", "TGA"} - found.stops:  # as often in frame as anywhere, about
        assert 0.3 < found.in_frame[codon] < 3
    assert code_for(read_clades()["protist"], found).table == code


@pytest.mark.parametrize("code", [1, 4, 6])
def test_several_windows_with_unknown_bases_say_the_same(code: int) -> None:
    bases = genome(code, seed=2)
    cuts = [bases[:10_000], "N" * 5_000 + bases[10_000:40_000], bases[40_000:]]
    assert stops_of_dna(cuts).stops == GeneticCode.from_table(code).stops
    assert stops_of_dna(cuts) == stops_of_dna(cuts)


def test_the_other_strand_says_the_same() -> None:
    bases = genome(6)
    assert stops_of_dna([reverse_complement(bases)]).stops == frozenset({"TGA"})


@pytest.mark.parametrize(
    "bases",
    ["", "ACGT", "N" * 3_000, "".join(np.random.default_rng(3).choice(BASES, 60_000)), "CAG" * 20_000],
    ids=["nothing", "four bases", "unknown", "random", "repeat"],
)
def test_dna_without_genes_is_not_clear(bases: str) -> None:
    found = stops_of_dna([bases])
    assert found.stops is None
    clade = read_clades()["bacteria"]
    chosen = code_for(clade, found)
    assert chosen.table == clade.genetic_code and "not clear" in chosen.reason and "\n" not in chosen.reason


def evidence(stops: set[str] | None) -> StopEvidence:
    ratios = {codon: 0.01 if stops is None or codon in stops else 0.6 for codon in ("TAA", "TAG", "TGA")}
    return StopEvidence(None if stops is None else frozenset(stops), ratios, 1000)


@pytest.mark.parametrize(
    ("clade", "stops", "code"),
    [
        ("bacteria", {"TAA", "TAG", "TGA"}, 11),
        ("bacteria", {"TAA", "TAG"}, 4),
        ("bacteria", {"TGA"}, 11),  # code 6 starts no gene with GTG
        ("bacteria", None, 11),
        ("fungi", {"TAA", "TAG", "TGA"}, 1),
        ("fungi", {"TAA", "TAG"}, 4),
        ("fungi", {"TGA"}, 6),
        ("ciliate", {"TGA"}, 6),
        ("ciliate", {"TAA", "TAG", "TGA"}, 1),
        ("ciliate", None, 6),
    ],
)
def test_a_clade_keeps_its_code_unless_the_dna_has_other_stops(clade: str, stops: set[str] | None, code: int) -> None:
    found = code_for(read_clades()[clade], evidence(stops))
    assert found.table == code
    assert clade in found.reason or stops == GeneticCode.from_table(code).stops
    assert ("12 and 26" in found.reason) == (clade == "fungi" and code == 1)


def test_the_three_stops_have_no_score_of_their_own_and_the_others_share_the_rest() -> None:
    """Whatever the counts say of the stops, in frame or absent."""
    rng = np.random.default_rng(5)
    counts, share = rng.integers(0, 900, 64).astype(float), rng.dirichlet(np.ones(64))
    stops = np.isin(CODONS, ["TAA", "TAG", "TGA"])
    found = _scores(counts, share)
    assert (found[stops] == 0).all() and (found[~stops] != 0).all()
    assert np.exp(found) @ share == pytest.approx(1)  # of all codons in frame
    for changed in (0.0, 10_000.0):
        assert np.array_equal(_scores(np.where(stops, changed, counts), share), found)


@pytest.mark.parametrize("code", [1, 6])
def test_a_learned_model_says_nothing_of_stops(code: int) -> None:
    ends = frozenset(STOP_NUMBERS[STOPS.index(stop)] for stop in GeneticCode.from_table(code).stops)
    found = learn_codons([codons_at(genome(code))], ends)
    assert found is not None and (found.scores[list(STOP_NUMBERS)] == 0).all()
    assert abs(found.scores).max() > 0.5


def test_codons_are_numbered_on_both_strands() -> None:
    bases = "".join(np.random.default_rng(4).choice(list("ACGTN"), 200))
    found = codons_at(bases)
    for at in range(len(bases) - 2):
        codon = bases[at : at + 3]
        assert (found[at] == -1) == ("N" in codon)
        if found[at] >= 0:
            assert CODONS[found[at]] == codon
            assert CODONS[OPPOSITE[found[at]]] == reverse_complement(codon)
    assert found[-2:].tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("in_frame", "stops"),
    [
        ((15, 15, 120), {"TAA", "TAG"}),
        ((15, 15, 119), None),  # a meaning is eight times as frequent as a stop
        ((0, 0, 20), {"TAA", "TAG"}),
        ((0, 0, 19), None),
        ((16, 0, 100), None),
        ((100, 100, 0), {"TGA"}),
        ((0, 0, 0), {"TAA", "TAG", "TGA"}),
        ((100, 100, 100), None),
        ((0, 100, 100), None),  # no code has TAA alone
    ],
)
def test_a_stop_has_little_of_what_is_expected_in_frame(in_frame: tuple[int, ...], stops: set[str] | None) -> None:
    """Of 6,400 codons in frame each would be 100."""
    counts = np.zeros(64)
    counts[list(STOP_NUMBERS)] = in_frame
    counts[0] = 6400 - sum(in_frame)
    found = _evidence(CodonModel(np.zeros(64), 0.0, counts, np.full(64, 1 / 64)), 7)
    ratios = dict(zip(STOPS, (number / 100 for number in in_frame), strict=True))
    assert found == StopEvidence(None if stops is None else frozenset(stops), ratios, 7)


def test_thirty_of_each_stop_are_expected_at_least() -> None:
    def evidence_of(codons: int) -> StopEvidence:
        return _evidence(CodonModel(np.zeros(64), 0.0, np.eye(64)[0] * codons, np.full(64, 1 / 64)), 7)

    assert evidence_of(64 * 30).stops == frozenset(STOPS)
    assert evidence_of(64 * 30 - 1) == StopEvidence(None, {}, 7)
    assert evidence_of(64 * 30).text == "TAA 0.00, TAG 0.00, TGA 0.00"
    assert evidence_of(0).text == "too little coding DNA to see"


def test_known_codons_are_counted() -> None:
    assert stops_of_dna(["ACGTNACG", "AC"]) == StopEvidence(None, {}, 3)
