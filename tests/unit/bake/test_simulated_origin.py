"""Baked windows of a simulated genome say that they are, and trainings know which part of theirs is."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from augustus_folder import MadeParameters

from genet5.bake.manifest import NAME, read_manifest
from genet5.bake.samples import META_FIELDS, SIMULATED_META_FIELDS
from genet5.bake.shards import ShardSet
from genet5.bake.species import SpeciesSource, bake_species
from genet5.bake.training_inputs import find_inputs
from genet5.bake.windows import WindowRules
from genet5.clades import read_clades
from genet5.errors import InputError
from genet5.genome.fasta import decompress_genome
from genet5.genome.simulate import simulate_genome, write_simulated
from genet5.genome.simulation_options import SimulateOptions
from genet5.genome.simulation_origin import simulated_from, simulated_in_words
from genet5.report.build import _by_species
from genet5.report.datacard import data_card, read_data_card
from genet5.sources.augustus_parameters import read_parameters

RULES = WindowRules(
    window_bp=6000, stride_bp=6000, flank_bp=0, empty_share=0.5, max_windows=None, max_validation_windows=None, seed=1
)


@pytest.fixture(scope="module")
def baked(tmp_path_factory) -> list[Path]:
    """Manifests of one genome as it was drawn, and of the same without the comment that says so."""
    folder = tmp_path_factory.mktemp("baked")
    MadeParameters().write(folder)
    simulated = simulate_genome(
        read_parameters(folder, "made"), 60_000, "S.made", SimulateOptions(intergenic_bp=400, contig_bp=30_000)
    )
    write_simulated(simulated, folder / "fna.gz", folder / "gff.gz")
    decompress_genome(folder / "fna.gz", folder / "fna")
    rows = gzip.decompress((folder / "gff.gz").read_bytes()).decode().splitlines(keepends=True)
    (folder / "plain.gff").write_text("".join(row for row in rows if not row.startswith("#!")))
    manifests = []
    for name, annotation in (("S.made", "gff.gz"), ("S.plain", "plain.gff")):
        source = SpeciesSource(name, folder / "fna", folder / annotation, 1, "fungi", "train")
        bake_species(source, RULES, 100, folder / name)
        manifests.append(folder / name / NAME)
    return manifests


def test_manifest_and_samples_name_the_origin(baked) -> None:
    simulated, plain = (read_manifest(path) for path in baked)
    assert simulated["parameters"].pop("simulated_from") == "made"
    assert set(simulated["parameters"]) == set(plain["parameters"])
    assert simulated["counts"] == plain["counts"]
    for path, fields in zip(baked, (META_FIELDS | SIMULATED_META_FIELDS, META_FIELDS), strict=True):
        shards = ShardSet(sorted(path.parent.glob("train_*.tar")))
        assert {frozenset(shards.meta(index)) for index in range(len(shards))} == {frozenset(fields)}


def test_other_annotations_are_of_no_parameters(tmp_path) -> None:
    for name, text in (("note", "#!simulated\n# by nobody\n"), ("rows", "##gff-version 3\nc1\tx\tgene\t1\t9\n")):
        (tmp_path / name).write_text(text)
        assert simulated_from(tmp_path / name) == ""


def test_trainings_say_which_part_was_simulated(baked, tmp_path) -> None:
    clades = read_clades()
    validation = tmp_path / "validation.tar"
    validation.write_bytes(b"")
    both, one, none = (find_inputs(paths, validation, clades) for paths in (baked, baked[:1], baked[1:]))
    assert both.simulated.startswith("50.0% of the training bases were simulated") and both.simulated.endswith("made.")
    assert one.simulated.startswith("100.0%") and none.simulated == ""


def test_streamed_inputs_are_the_same_inputs(baked, tmp_path) -> None:
    validation = tmp_path / "validation.tar"
    validation.write_bytes(b"")
    local = find_inputs(baked, validation, read_clades())
    streamed = find_inputs(baked, validation, read_clades(), "")
    assert [Path(shard.address) for shard in streamed.stream()] == local.shards
    for name in ("manifests", "species", "fingerprint", "simulated"):
        assert getattr(streamed, name) == getattr(local, name)
    with pytest.raises(InputError, match="no training windows in"):
        streamed.windows()


def test_the_data_card_names_it(baked) -> None:
    simulated = _by_species(baked, "simulated_from")
    assert simulated == {"S.made": "made"} and _by_species(baked, "clade") == {"S.made": "fungi", "S.plain": "fungi"}
    cards = [read_data_card(path.parent / "stats.json", {}, {"simulated_from": simulated}) for path in baked]
    assert [card.simulated_from for card in cards] == ["made", None]
    said = "simulated from AUGUSTUS"
    assert said in str(data_card(cards[0])) and said not in str(data_card(cards[1]))


def test_shares_of_training_bases_in_words() -> None:
    assert simulated_in_words([("", 10)]) == simulated_in_words([]) == simulated_in_words([("fly", 0), ("", 5)]) == ""
    assert simulated_in_words([("", 300), ("human", 50), ("fly", 50)]) == (
        "25.0% of the training bases were simulated, drawn from AUGUSTUS's published parameters of fly, human."
    )
