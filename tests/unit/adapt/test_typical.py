"""What is typical of a model's species is added to every annotation, and bits choose what an intron costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from simulated_codons import DECODER, known, simulated

from genet5.adapt import rounds
from genet5.adapt.adaptation import Adaptation
from genet5.adapt.guard import FOLDS
from genet5.adapt.relatives import FILE, STEP, TYPICAL_HEXAMERS, Relatives, load_relatives, save_relatives
from genet5.adapt.rounds import adapt_to_windows
from genet5.annotate.models import load_annotator
from genet5.annotate.shipped import load_shipped
from genet5.clades import read_clades
from genet5.errors import InputError


def test_it_is_the_mean_of_the_tables() -> None:
    relatives = Relatives.of({"A": known(2, 1), "B": known(2, 1, 7)}, 0.3, 1.5)
    found, apart = relatives.typical(), [relatives.adaptation(name, 0.3) for name in "AB"]
    assert (found.strength, found.intron_cost) == (0.3, 1.5)
    for one, share in (("hexamers", TYPICAL_HEXAMERS), ("sites", 1.0)):
        first, second = (getattr(table, one) for table in apart)
        assert not np.array_equal(first, second)
        np.testing.assert_allclose(getattr(found, one), share * (first + second) / 2, atol=STEP / 100)


def test_nothing_is_added_where_validation_has_chosen_nothing() -> None:
    for relatives in (Relatives.of({"A": known(2, 1)}), Relatives.of({}, 0.3, 1.0)):
        found = relatives.typical()
        assert found.strength == found.intron_cost == 0 and not found.hexamers.any() and not found.sites.any()


@pytest.mark.parametrize("head", ["2", "2 0.3", "2 x 1.0", "2 nan 1.0", "2 -0.1 1.0", "2 0.3 inf", "2 0.3 1.0 2.0"])
def test_a_file_with_other_numbers_is_one_line(tmp_path: Path, head: str) -> None:
    path, good = tmp_path / FILE, Relatives.of({"A": known(1, 1)}, 0.3, 1.0)
    save_relatives(path, good)
    assert (load_relatives(path).strength, load_relatives(path).intron_cost) == (0.3, 1.0)
    np.savez(path, relatives=np.array(f"{head}\nA"), hexamers=good.hexamers, sites=good.sites)
    with pytest.raises(InputError, match=r"relatives\.npz: strength and cost of an intron are .*, allowed: 0 or more"):
        load_relatives(path)


def test_a_shipped_model_annotates_with_what_is_typical(tmp_path: Path) -> None:
    """Beside the weights of the fly's clade lie tables; of a copy without them, the network speaks alone."""
    typical = load_shipped(read_clades(), "invertebrate").model.typical()
    assert typical is not None and typical.strength > 0 and typical.intron_cost > 0 and typical.hexamers.any()
    folder = load_shipped(read_clades(), "invertebrate").model.folder
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert load_annotator(tmp_path).typical() is None


def test_rounds_begin_with_what_is_typical() -> None:
    """Of other codons than the genome's: the guard finds better ones; where it may not, the start stays."""
    genome = simulated(16, True, 1)
    relatives = Relatives.of({"wrong": known(20, 3, 5)}, 0.3, 1.0)
    found = adapt_to_windows(DECODER, genome.windows, {}, relatives)
    assert found.about["adapted"] and found.about["rounds"] > 0
    few = adapt_to_windows(DECODER, simulated(16, False, 1).windows, {}, relatives)
    assert not few.about["adapted"] and few.about["strength"] == 0.3 and few.about["intron_cost"] == 1.0
    assert np.array_equal(few.hexamers, relatives.typical().hexamers)


@pytest.mark.parametrize(
    ("begun", "cheapest"), [(0.0, 3.0), (4.0, 3.0), (3.0, 3.0), (1.0, 0.0), (2.0, 4.0), (1.5, 1.5), (1.5, 3.0)]
)
def test_bits_choose_the_cost_of_an_intron(begun: float, cheapest: float) -> None:
    """Each reading takes as many bits as its cost is away from the cheapest one; readings further on are not made."""
    read = []

    def bits(halves: list[Adaptation]) -> SimpleNamespace:
        costs = {half.intron_cost for half in halves}
        assert len(costs) == 1
        read.append(costs.pop())
        return SimpleNamespace(bits=SimpleNamespace(total=np.array([abs(read[-1] - cheapest), 7.0])))

    halves, found = rounds._with_best_cost(
        SimpleNamespace(read=bits), [replace(Adaptation.neutral(), intron_cost=begun)] * FOLDS
    )
    assert [half.intron_cost for half in halves] == [cheapest] * FOLDS and found.bits.total[0] == 0
    assert len(read) == len(set(read)) and all(abs(one - cheapest) <= abs(begun - cheapest) + 1 for one in read)


def test_counts_of_the_genome_must_save_a_bit_in_a_kilobase(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = simulated(16, True, 1).windows
    assert adapt_to_windows(DECODER, windows, {}).about["rounds"] > 0
    monkeypatch.setattr(rounds, "LEAST_BITS", 1e9)
    about = adapt_to_windows(DECODER, windows, {}).about
    assert not about["adapted"] and not any(row["taken"] for row in about["tried"])
