"""Tables of species with known genes: what is counted, which are near, and that an adaptation begins with one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from approved import check_approved
from simulated_codons import DECODER, counted, found_genes, known, right, simulated

from genet5.adapt.adaptation import Adaptation
from genet5.adapt.relatives import MOST, STEP, Relatives, load_relatives, save_relatives
from genet5.adapt.rounds import RELATIVE_STRENGTH, STRENGTHS, adapt_to_windows
from genet5.adapt.sampling import SampledWindow
from genet5.crf.annotating_network import WindowPotentials
from genet5.crf.hexamer_loops import HEXAMERS
from genet5.errors import InputError
from genet5.genome.genes import Interval
from genet5.genome.sites import START_SITE, STOP_SITE
from genet5.genome.window_genes import WindowGene

APPROVED = Path(__file__).parent / "approved/adaptation.txt"


def blind(windows: list[SampledWindow]) -> list[SampledWindow]:
    """The same DNA, of which the networks see nothing."""
    size = windows[0].sites.window_bp
    seen = WindowPotentials(np.full((2, size, 4), -0.03, np.float32), np.zeros((2, 4, size + 1), np.float32))
    return [SampledWindow(window.sites, seen, window.repeats) for window in windows]


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Bits and their errors to a tenth: the last digits are the processor's."""
    found = {}
    for name, value in row.items():
        if isinstance(value, dict):
            value = rounded(value)
        elif "bits" in name or "error" in name:
            value = round(value, 1)
        found[name] = value
    return found


def test_what_is_known_counts_and_nothing_else() -> None:
    """ATG AAA x 3 TAA at 20, by hand: 15 coding bases, five of each codon position, and their hexamers."""
    dna = "CCCCCCCCCCCCCCCCCCCC" + "ATGAAAAAAAAATAA" + "CCCCCCCCCCCCCCCCCCCC"
    counts = counted(dna, [WindowGene("+", (Interval(20, 35),))], [])
    assert counts.bases.sum(1).tolist() == [40 + 55, 5, 5, 5, 0], "the other strand has no gene"
    hexamer = sum("ACGT".index(base) * 4 ** (5 - place) for place, base in enumerate("AAAAAA"))
    assert counts.bases[1:4, hexamer].tolist() == [1, 1, 2], "AAAAAA ends at bases 28 to 31: positions 2, 0, 1, 2"
    assert counts.sites[1, START_SITE].sum(1).tolist() == [1.0] * 30
    assert counts.sites[1, STOP_SITE].sum(1).tolist() == [1.0] * 30
    none, hidden = counted(dna, [], []), counted(dna, [], [(18, 40, "+")])
    assert none.bases.sum(1).tolist() == [110, 0, 0, 0, 0] and none.sites[0, START_SITE].sum() == 2 * 30
    assert hidden.bases.sum(1).tolist() == [110 - 22, 0, 0, 0, 0] and hidden.sites[:, START_SITE].sum() == 30, (
        "one on each strand"
    )


def test_the_species_of_the_same_codons_is_the_nearest() -> None:
    relatives = Relatives.of({str(usage): known(6, 1, usage) for usage in (5, 99, 7)})
    assert relatives.nearest(known(3, 2), 2)[0] == "99"
    assert sorted(relatives.nearest(known(3, 2), 9)) == ["5", "7", "99"]
    assert relatives.nearest(known(3, 2, 7), 1) == ["7"]


def test_an_adaptation_begins_with_the_relative_that_explains_the_genome() -> None:
    """The networks see no gene at all: without the right relative, there is nothing to begin with."""
    genome, held_back = simulated(16, True, 1), simulated(12, True, 2)
    right_one, wrong_one = ({str(usage): known(20, 3, usage)} for usage in (99, 5))
    unseen, truth = blind(genome.windows), sum(map(len, held_back.genes))
    alone = adapt_to_windows(DECODER, unseen, {})
    wrong = adapt_to_windows(DECODER, unseen, {}, Relatives.of(wrong_one))
    seen_less = {"99 of one window": known(1, 4, 99)}
    found = adapt_to_windows(DECODER, unseen, {}, Relatives.of(wrong_one | seen_less | right_one))
    assert not alone.about["adapted"] and not wrong.about["adapted"] and wrong.about["relative"] is None
    assert found.about["adapted"] and found.about["relative"] == "99"
    tried = [row for row in found.about["tried"] if "relative" in row]
    assert {row["relative"]: row["taken"] for row in tried} == {"5": False, "99 of one window": False, "99": True}
    gains = {row["relative"]: row["gain_bits_per_kb"] for row in tried}
    assert gains["99"] > gains["99 of one window"] > 2 * max(row["error"] for row in tried), (
        "both pass, the better is taken"
    )
    begun = [row["begun_with"] for row in found.about["tried"] if "begun_with" in row]
    assert begun == [None] * len(STRENGTHS) + ["99"] * len(STRENGTHS), "rounds begin with each"
    rest = {name: value for name, value in found.about.items() if name != "tried"}
    check_approved([json.dumps(rounded(one)) for one in (*found.about["tried"], rest)], APPROVED)
    assert found.strength >= RELATIVE_STRENGTH
    assert right(found_genes(blind(held_back.windows), found), held_back.genes) > 0.8 * truth


def test_a_file_comes_back(tmp_path: Path) -> None:
    path, counts = tmp_path / "relatives.npz", {"A.b": known(2, 1), "C.d": known(2, 1, 7)}
    save_relatives(path, Relatives.of(counts))
    found = load_relatives(path)
    assert found.names == ("A.b", "C.d")
    for name, one in counts.items():
        exact, stored = Adaptation.of(one, 0.3), found.adaptation(name, 0.3)
        assert stored.strength == 0.3 and stored.hexamers.shape == (4, HEXAMERS) and exact.hexamers.any()
        for kept, whole in ((stored.hexamers, exact.hexamers), (stored.sites, exact.sites)):
            assert np.abs(kept - np.clip(whole, -MOST, MOST)).max() <= STEP / 2


def test_a_stored_number_is_sixteenths_of_a_nat(tmp_path: Path) -> None:
    """Files that are shipped were written so."""
    stored = Relatives.of({"A": known(2, 1)})
    hexamers = np.full_like(stored.hexamers, 24)
    save_relatives(tmp_path / "relatives.npz", Relatives(stored.names, hexamers, stored.sites))
    found = load_relatives(tmp_path / "relatives.npz").adaptation("A", 1.0)
    assert (found.hexamers == 1.5).all() and np.array_equal(found.sites * 16, stored.sites[0])


def test_numbers_too_large_for_a_byte_are_stored_as_the_largest() -> None:
    never = known(2, 1)
    real = never.hexamer_log_odds()
    real[:] = -50.0
    real[0, 0], real[0, 1] = 50.0, 7.9
    never.hexamer_log_odds = lambda: real
    assert Relatives.of({"A": never}).hexamers[0, :2, :2].tolist() == [[127, 126], [-127, -127]]


def test_a_wrong_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "relatives.npz"
    path.write_text("no archive")
    with pytest.raises(InputError, match=r"no tables of relatives .*; make it with genet5 count-relatives"):
        load_relatives(path)
    good = Relatives.of({"A": known(1, 1), "B": known(1, 2)})
    for wrong, said in (
        (Relatives(("A", "A"), good.hexamers, good.sites), "a species has no name, or stands there twice"),
        (
            Relatives(("A",), good.hexamers, good.sites),
            r"int8 \[2, 4, 4097\], allowed: int8 \[1, 4, 4097\]",
        ),
        (Relatives(good.names, good.hexamers.astype(np.int16), good.sites), "hexamers is int16"),
        (Relatives(good.names, good.hexamers, good.sites[..., :4]), r"sites is int8 \[2, 4, 30, 4\]"),
    ):
        save_relatives(path, wrong)
        with pytest.raises(InputError, match=said):
            load_relatives(path)
