"""What is typical of a model's species is added to every annotation, and bits choose what an intron costs."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from simulated_codons import DECODER, known, simulated

from genet5.adapt import rounds, typical
from genet5.adapt.adaptation import Adaptation, adaptation_line
from genet5.adapt.counting import Counts
from genet5.adapt.guard import FOLDS
from genet5.adapt.relatives import FILE, STEP, TYPICAL_HEXAMERS, Relatives, load_relatives, save_relatives
from genet5.adapt.rounds import adapt_to_windows
from genet5.adapt.typical import MOST_READINGS, typical_of, typical_of_windows
from genet5.annotate.adapting import typical_adaptation
from genet5.annotate.models import load_annotator
from genet5.annotate.shipped import load_shipped
from genet5.clades import read_clades
from genet5.errors import InputError
from genet5.genome.fasta import Genome
from genet5.genome.genes import Region


def test_it_is_the_mean_of_the_tables() -> None:
    relatives = Relatives.of({"A": known(2, 1), "B": known(2, 1, 7)}, 0.3, 1.5)
    found, apart = relatives.typical(), [relatives.adaptation(name, 0.3) for name in "AB"]
    assert (found.strength, found.intron_cost) == (0.3, 1.5)
    for one, share in (("hexamers", TYPICAL_HEXAMERS), ("sites", 1.0)):
        first, second = (getattr(table, one) for table in apart)
        assert not np.array_equal(first, second)
        np.testing.assert_allclose(getattr(found, one), share * (first + second) / 2, atol=STEP / 100)


def test_nothing_is_added_where_validation_has_chosen_nothing() -> None:
    alone = Relatives.of({"A": known(2, 1)})
    plain = Relatives(alone.names, alone.hexamers, alone.sites)
    assert plain.near == plain.strength == plain.intron_cost == 0
    for relatives in (alone, Relatives.of({}, 0.3, 1.0)):
        found = relatives.typical()
        assert found.strength == found.intron_cost == 0 and not found.hexamers.any() and not found.sites.any()


def test_of_some_it_is_the_mean_of_those_nearest_to_the_genome() -> None:
    """The codons of the genome are those of ``99``; much more was counted of the others."""
    counts = {str(usage): known(windows, 1, usage) for usage, windows in ((5, 30), (99, 4), (7, 30))}
    relatives = Relatives.of(counts, 0.3, 1.5, near=1)
    assert relatives.asks_codons and relatives.nearest(known(3, 2), 3)[0] == "99"
    found, alone = relatives.typical(known(3, 2)), relatives.adaptation("99", 0.3)
    assert np.array_equal(found.hexamers, alone.hexamers) and np.array_equal(found.sites, alone.sites)
    assert (found.strength, found.intron_cost) == (0.3, 1.5)
    two, other = replace(relatives, near=2).typical(known(3, 2)), relatives.nearest(known(3, 2), 2)[1]
    np.testing.assert_allclose(two.sites, (alone.sites + relatives.adaptation(other, 0.3).sites) / 2, atol=STEP / 100)
    everyone = replace(relatives, near=0).typical()
    for near in (0, 3, 4):
        same = replace(relatives, near=near)
        assert not same.asks_codons and np.array_equal(same.typical(known(3, 2)).hexamers, everyone.hexamers)
    assert np.array_equal(relatives.typical().hexamers, everyone.hexamers), "nothing is known of the genome"
    assert not replace(relatives, strength=0.0, intron_cost=0.0).asks_codons


def test_windows_are_read_again_with_the_tables_that_were_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first reading misleads; the tables it chose show codons of another species, and then these stay."""
    relatives = Relatives.of({str(usage): known(4, 1, usage) for usage in (5, 99, 7)}, 0.3, 1.5, near=1)
    seen: list[Adaptation] = []

    def counts(_decoder, _windows, adaptation: Adaptation) -> Counts:
        seen.append(adaptation)
        return known(3, 2, 5 if len(seen) == 1 else 7)

    monkeypatch.setattr(typical, "expected_counts", counts)
    found = typical_of_windows(relatives, DECODER, [])
    assert found.about == {"near": ["7"]} and np.array_equal(found.sites, relatives.adaptation("7", 0.3).sites)
    assert not seen[0].sites.any()
    for read, name in zip(seen[1:], ("5", "7"), strict=True):
        assert np.array_equal(read.sites, relatives.adaptation(name, 0.3).sites)
    seen.clear()
    turns = iter([5, 7] * 9)
    monkeypatch.setattr(typical, "expected_counts", lambda *_: seen.append(_) or known(3, 2, next(turns)))
    typical_of_windows(relatives, DECODER, [])
    assert len(seen) == MOST_READINGS, "one that never stays is left"


def test_tables_of_two_files_join_and_can_be_left_out() -> None:
    one = Relatives.of({"A": known(2, 1), "B": known(2, 1, 7)}, 0.3, 1.5, near=1)
    other = Relatives.of({"B": known(2, 1, 5), "C": known(2, 1)})
    both = one.joined(other)
    assert both.names == ("A", "B", "C") and (both.strength, both.intron_cost, both.near) == (0.3, 1.5, 1)
    for name, of in (("A", one), ("B", other), ("C", other)):
        found, expected = both.adaptation(name, 1.0), of.adaptation(name, 1.0)
        assert np.array_equal(found.hexamers, expected.hexamers) and np.array_equal(found.sites, expected.sites)
    assert both.without(["A", "C", "D"]).names == ("B",)
    assert Relatives.of({}).joined(one).names == one.names and one.joined(Relatives.of({})).names == one.names


def test_of_a_genome_without_coding_bases_all_are_as_near(tmp_path: Path) -> None:
    relatives = Relatives.of({"A": known(2, 1), "B": known(2, 1, 7)}, 0.3, 1.5, near=1)
    assert relatives.nearest(Counts(), 2) == []
    (tmp_path / "my.fa").write_text(">c1\nACGT\n")
    with Genome(tmp_path / "my.fa") as genome:
        found = typical_of(relatives, DECODER, genome)
    assert np.array_equal(found.sites, relatives.typical().sites) and found.strength == 0.3 and not found.about


def test_the_sample_is_of_every_contig_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[Region]] = []

    def sample(_decoder, _genome, regions: list[Region], most_bp: int) -> list:
        seen.append(regions)
        assert most_bp == typical.SAMPLE_BP
        return []

    monkeypatch.setattr(typical, "read_sample", sample)
    (tmp_path / "my.fa").write_text(">c1\nACGT\n>c2\nAC\n")
    with Genome(tmp_path / "my.fa") as genome:
        typical_of(Relatives.of({"A": known(2, 1), "B": known(2, 1, 7)}, 0.3, 1.5, near=1), DECODER, genome)
    assert seen == [[Region("c1", 0, 4), Region("c2", 0, 2)]]


def test_rounds_begin_with_the_nearest() -> None:
    counts = {str(usage): known(20, 3, usage) for usage in (5, 99)}
    relatives = Relatives.of(counts, 0.3, 1.0, near=1)
    found = adapt_to_windows(DECODER, simulated(16, True, 1).windows, {}, relatives)
    kept = adapt_to_windows(DECODER, simulated(16, True, 1).windows[:2], {}, relatives)
    assert found.about["start"]["genes"] >= kept.about["start"]["genes"] > 0
    assert not kept.about["adapted"] and np.array_equal(kept.sites, relatives.adaptation("99", 0.3).sites)


@pytest.mark.parametrize(
    "head",
    ["4", "4 0.3", "4 0.3 1.0", "4 x 1.0 0", "4 nan 1.0 0", "4 -0.1 1.0 0", "4 0.3 inf 0", "4 0.3 1.0 -1",
     "4 0.3 1.0 2.5", "4 0.3 1.0 2 4"],
)  # fmt: skip
def test_a_file_with_other_numbers_is_one_line(tmp_path: Path, head: str) -> None:
    path, good = tmp_path / FILE, Relatives.of({"A": known(1, 1)}, 0.3, 1.0, 4)
    save_relatives(path, good)
    found = load_relatives(path)
    assert (found.strength, found.intron_cost, found.near) == (0.3, 1.0, 4)
    with np.load(path) as stored:
        np.savez(path, **{**stored, "relatives": np.array(f"{head}\nA")})
    with pytest.raises(
        InputError, match=r"relatives\.npz: strength, cost of an intron and near species are .*: 0 or more"
    ):
        load_relatives(path)


def test_a_shipped_model_annotates_with_what_is_typical(tmp_path: Path) -> None:
    """Beside the weights of the fly's clade lie tables; of a copy without them, the network speaks alone."""
    fasta = tmp_path / "my.fa"
    fasta.write_text(">c1\n" + "ACGT" * 2_000 + "\n")
    shipped = load_shipped(read_clades(), "invertebrate")
    rules = shipped.clade.gene_rules(1)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((shipped.model.folder / name).read_bytes())
    with Genome(fasta) as genome:
        typical = typical_adaptation(shipped.model, rules, genome)
        assert typical is not None and typical.strength > 0 and typical.intron_cost > 0 and typical.hexamers.any()
        assert typical_adaptation(load_annotator(tmp_path), rules, genome) is None


def test_fungi_are_read_with_the_tables_of_their_relatives(shared_data: Path, tmp_path: Path) -> None:
    """*S. cryophilus* is like *S. pombe*, and like no filamentous fungus."""
    with gzip.open(shared_data / "S.cryophilus/fna.gz", "rt") as stream:
        name, *lines = stream.read(400_000).split("\n")
    (tmp_path / "my.fa").write_text("\n".join([name, *lines]) + "\n")
    shipped = load_shipped(read_clades(), "fungi")
    with Genome(tmp_path / "my.fa") as genome:
        found = typical_adaptation(shipped.model, shipped.clade.gene_rules(1), genome)
    relatives = shipped.model.relatives()
    assert found is not None and relatives is not None and relatives.asks_codons
    assert found.about["near"][0] == "S.pombe" and len(found.about["near"]) == relatives.near
    assert adaptation_line(found.about).startswith(
        "codons, sites and introns of the nearest relatives join the network: S.pombe, "
    )


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
