"""Prompts of reinforcement learning: which windows, in which order, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from bake_toy_genome import write_toy_genome

from genet5.bake.crops import crop
from genet5.bake.manifest import NAME, file_sha256, shard_paths
from genet5.bake.samples import Sample
from genet5.bake.shards import ShardReader, ShardSet
from genet5.bake.species import SpeciesSource, bake_species
from genet5.bake.windows import WindowRules
from genet5.errors import InputError
from genet5.grpo.prompts import PROMPT_FIELDS, TAR_NAME, write_prompts

SPECIES = {
    "B.two": ("train", "c2", 60_000),
    "A.one": ("train", "", 14_000),
    "C.held": ("validation", "", 20_000),
}


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A large species with a validation contig, a small one, and one that is all validation."""
    folder = tmp_path_factory.mktemp("run")
    result = {}
    for number, (species, (split, regions, length)) in enumerate(SPECIES.items()):
        toy = write_toy_genome(folder / "raw" / species, {"c1": length, "c2": 12_000}, seed=number, spacing_bp=2500)
        source = SpeciesSource(species, toy.fasta, toy.gff, 1, "fungi", split, validation_regions=regions)
        result[species] = bake_species(source, WindowRules(1500, 750, 200, seed=1), 9, folder / species)
    return result


@pytest.fixture
def train(manifests: dict[str, Path]) -> list[Path]:
    return [manifests["B.two"], manifests["A.one"]]


def written(folder: Path) -> tuple[dict[str, Any], list[Sample]]:
    described = json.loads((folder / "grpo_prompts.json").read_text())
    with ShardReader(folder / TAR_NAME) as reader:
        return described, [reader.read(number) for number in range(len(reader))]


def train_samples(manifests: list[Path]) -> list[Sample]:
    """All training samples, species by species as their names sort."""
    paths = [path for manifest in sorted(manifests) for path in shard_paths(manifest, "train")]
    with ShardSet(paths) as shards:
        return [shards.read(number) for number in range(len(shards))]


def refusal(manifests: list[Path], folder: Path, count: int = 10, min_introns: int = 0) -> str:
    with pytest.raises(InputError) as caught:
        write_prompts(manifests, count, min_introns, 42, folder)
    assert "\n" not in str(caught.value)
    assert not (folder / "grpo_prompts.json").exists() and not (folder / TAR_NAME).exists()
    return str(caught.value)


# ---------------------------------------------------------------- which windows


def test_prompts_are_training_windows_whole_and_unchanged(
    manifests: dict[str, Path], train: list[Path], tmp_path: Path
):
    write_prompts(list(manifests.values()), 30, 0, 42, tmp_path)
    described, samples = written(tmp_path)
    assert set(described) == set(PROMPT_FIELDS)
    known = train_samples(train)
    assert len(samples) == len(described["samples"]) == 30 < len(known)
    for sample, entry in zip(samples, described["samples"], strict=True):
        original = known[entry["index"]]
        assert sample.meta == original.meta and sample.meta["split"] == "train"
        assert (sample.bases, sample.genes, sample.dont_care) == (original.bases, original.genes, original.dont_care)
        assert sample.key == f"{entry['species'].replace('.', '-')}-{original.key}" and entry["key"] == original.key
        assert {name: sample.meta[name] for name in ("species", "seqid", "start", "end", "num_genes")} == {
            name: entry[name] for name in ("species", "seqid", "start", "end", "num_genes")
        }
        window = crop(sample, *sample.core)
        assert len(window.bases) == 1500 and len(window.genes) == entry["num_genes"]
    assert len({sample.key for sample in samples}) == 30
    assert {(sample.meta["species"], sample.meta["seqid"]) for sample in samples} == {
        ("A.one", "c1"), ("A.one", "c2"), ("B.two", "c1")
    }  # fmt: skip
    tar = described["tar"]
    assert (tar["name"], tar["samples"]) == (TAR_NAME, 30)
    assert (tar["size"], tar["sha256"]) == (
        (tmp_path / TAR_NAME).stat().st_size,
        file_sha256(tmp_path / TAR_NAME),
    )


def test_prompts_are_balanced_and_a_tenth_has_no_gene(train: list[Path], tmp_path: Path):
    write_prompts(train, 20, 0, 42, tmp_path)
    described, samples = written(tmp_path)
    genes = [sample.meta["num_genes"] for sample in samples]
    assert [count == 0 for count in genes] == [False] * 18 + [True] * 2, "those without a gene come last"
    assert Counter(sample.meta["species"] for sample in samples) == described["counts"] == {"A.one": 10, "B.two": 10}
    assert [sample.meta["species"] for sample in samples[:18]] == ["A.one", "B.two"] * 9, "any beginning is balanced"
    spans = sorted(tuple(s.meta[name] for name in ("species", "seqid", "start", "end")) for s in samples[:18])
    assert all(one[:2] != two[:2] or one[3] <= two[2] for one, two in pairwise(spans)), "few windows: none overlap"


def test_as_many_as_there_are(train: list[Path], tmp_path: Path):
    write_prompts(train, 10_000, 0, 42, tmp_path)
    known = train_samples(train)
    described, samples = written(tmp_path)
    assert sorted(entry["index"] for entry in described["samples"]) == list(range(len(known)))
    assert len({sample.key for sample in samples}) == len(known) > 60


def test_windows_with_genes_show_introns_where_asked(train: list[Path], tmp_path: Path):
    known = train_samples(train)
    for number in (1, 2):
        write_prompts(train, 10_000, number, 42, tmp_path / str(number))
        described, samples = written(tmp_path / str(number))
        shown = [sample.meta["num_introns"] for sample in samples if sample.meta["num_genes"]]
        allowed = [sample.meta["num_introns"] for sample in known if sample.meta["num_introns"] >= number]
        assert sorted(shown) == sorted(allowed) and len(shown) > 3
        assert described["min_introns"] == number
        assert any(sample.meta["num_genes"] == 0 for sample in samples), "windows without genes stay"


def test_the_same_draw_twice_and_in_any_order_of_species(train: list[Path], tmp_path: Path):
    for name, paths, seed in (("a", train, 42), ("b", train[::-1], 42), ("c", train, 43)):
        write_prompts(paths, 25, 0, seed, tmp_path / name)
    for file in (TAR_NAME, "grpo_prompts.json"):
        first = (tmp_path / "a" / file).read_bytes()
        assert first == (tmp_path / "b" / file).read_bytes()
        assert first != (tmp_path / "c" / file).read_bytes()
    again = (tmp_path / "a" / TAR_NAME).read_bytes()
    write_prompts(train, 25, 0, 42, tmp_path / "a")
    assert (tmp_path / "a" / TAR_NAME).read_bytes() == again


# ---------------------------------------------------------------- what is refused


def test_without_training_windows_it_says_so(manifests: dict[str, Path], train: list[Path], tmp_path: Path):
    message = "no windows to choose prompts from: none in 1 species"
    assert refusal([manifests["C.held"]], tmp_path) == message
    assert refusal([], tmp_path) == "no windows to choose prompts from: none in 0 species"
    assert refusal(train, tmp_path, count=0).startswith("prompts: 0 windows with 0 introns asked for, at least 1 and 0")
    assert refusal(train, tmp_path, min_introns=-1).startswith("prompts: 10 windows with -1 introns asked for")


def test_too_many_introns_asked_for(tmp_path: Path):
    """Genes so dense that no window is empty, and none with a hundred introns."""
    toy = write_toy_genome(tmp_path / "raw", {"c1": 12_000}, spacing_bp=300)
    source = SpeciesSource("D.ense", toy.fasta, toy.gff, 1, "fungi", "train")
    manifest = bake_species(source, WindowRules(3000, 1500, 0, seed=1), 9, tmp_path / "baked")
    assert all(sample.meta["num_genes"] for sample in train_samples([manifest]))
    found = refusal([manifest], tmp_path / "out", min_introns=100)
    assert found.endswith("training windows, none with 100 introns in 1 species")


def test_a_damaged_or_missing_shard(train: list[Path], tmp_path: Path):
    copied = shutil.copytree(train[1].parent, tmp_path / "copied")
    shard = copied / "train_001.tar"
    content = bytearray(shard.read_bytes())
    content[700] ^= 1
    shard.write_bytes(content)
    message = refusal([train[0], copied / NAME], tmp_path / "out")
    assert message == f"{shard}: its sha256 is not that of {copied / NAME}; bake the species again"
    shard.unlink()
    assert "train_001.tar: is missing" in refusal([train[0], copied / NAME], tmp_path / "out")
    absent = tmp_path / "absent" / NAME
    assert refusal([absent], tmp_path / "out").startswith(f"{absent}: no such manifest; bake the species first")


def test_a_shard_of_another_split_under_the_name_of_training_data(manifests: dict[str, Path], tmp_path: Path):
    """Every sample is asked for its split: no validation window gets in by a wrong manifest."""
    copied = shutil.copytree(manifests["C.held"].parent, tmp_path / "copied")
    content = json.loads((copied / NAME).read_text())
    for shard in content["shards"]:
        shard["split"] = "train"
    (copied / NAME).write_text(json.dumps(content))
    message = refusal([copied / NAME], tmp_path / "out")
    assert "is of split 'validation', prompts need 'train'" in message
    assert "validation_00" in message


def test_the_same_species_twice(train: list[Path], tmp_path: Path):
    message = refusal([train[0], train[1], train[0]], tmp_path)
    assert message == f"{train[0]}: species B.two again, {train[0]} is of it too; give each once"
