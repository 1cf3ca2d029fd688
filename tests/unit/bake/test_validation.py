"""The merged validation set and the samples scored while training."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path

import pytest
from bake_toy_genome import write_toy_genome

from genet5.bake.choosing import choose_samples
from genet5.bake.crops import read_eval_windows
from genet5.bake.manifest import NAME
from genet5.bake.samples import Sample
from genet5.bake.shards import ShardReader, write_shard
from genet5.bake.species import SpeciesSource, bake_species
from genet5.bake.validation import BAKE_CONFIG_FIELDS, EVAL_FIELDS, merge_validation
from genet5.bake.windows import WindowRules
from genet5.errors import InputError


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three baked species: one with a validation contig, one all validation, one without."""
    folder = tmp_path_factory.mktemp("run")
    rules = WindowRules(2000, 1000, 200, seed=1)
    result = {}
    for number, (species, split, regions) in enumerate(
        [("B.two", "train", "c2"), ("A.one", "validation", ""), ("C.none", "train", "")]
    ):
        toy = write_toy_genome(folder / "raw" / species, {"c1": 20_000, "c2": 12_000}, seed=number, spacing_bp=2500)
        source = SpeciesSource(species, toy.fasta, toy.gff, 1, "fungi", split, validation_regions=regions)
        result[species] = bake_species(source, rules, 7, folder / species)
    return result


def test_all_validation_windows_under_unique_keys(manifests: dict[str, Path], tmp_path: Path) -> None:
    merge_validation(list(manifests.values()), 10, 42, tmp_path)
    expected: list[Sample] = []
    for species in sorted(manifests):
        for shard in sorted(manifests[species].parent.glob("validation_*.tar")):
            with ShardReader(shard) as reader:
                expected += [reader.read(number) for number in range(len(reader))]
    with ShardReader(tmp_path / "validation.tar") as reader:
        merged = [reader.read(number) for number in range(len(reader))]
    assert len({sample.key for sample in merged}) == len(merged) == len(expected) > 20
    for sample, original in zip(merged, expected, strict=True):
        assert sample.key == f"{original.meta['species'].replace('.', '-')}-{original.key}"
        assert (sample.bases, sample.genes, sample.meta) == (original.bases, original.genes, original.meta)
    described = json.loads((tmp_path / "bake_config.json").read_text())
    assert set(described) == set(BAKE_CONFIG_FIELDS)
    assert described["totals"]["validation"]["samples"] == len(merged) == described["validation"]["samples"]
    digest = hashlib.sha256((tmp_path / "validation.tar").read_bytes()).hexdigest()
    assert described["validation"]["sha256"] == digest
    assert described["species"]["C.none"]["parameters"]["window_bp"] == 2000
    assert set(json.loads((tmp_path / "eval.json").read_text())) == set(EVAL_FIELDS)


def test_the_order_of_manifests_does_not_matter(manifests: dict[str, Path], tmp_path: Path) -> None:
    for name, paths in (("a", list(manifests.values())), ("b", list(manifests.values())[::-1])):
        merge_validation(paths, 10, 42, tmp_path / name)
    for file in ("validation.tar", "eval.json", "bake_config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def write_tar(path: Path, windows: list[tuple[str, int, int]]) -> Path:
    """A tar of tiny samples: (species, start, genes); windows are 100 bp."""
    records = [
        Sample(
            f"{species}-{number:03d}",
            b"ACGT",
            (),
            (),
            {
                "species": species,
                "seqid": "c",
                "start": start,
                "end": start + 100,
                "num_genes": genes,
                "num_introns": 2 * genes,
            },
        ).to_members()
        for number, (species, start, genes) in enumerate(windows)
    ]
    write_shard(path, records, "validation")
    return path


def test_scored_samples_are_balanced_and_a_tenth_is_empty(tmp_path: Path) -> None:
    windows = [("big", 100 * i, int(i % 4 > 0)) for i in range(200)] + [("small", 100 * i, 1) for i in range(3)]
    tar = write_tar(tmp_path / "v.tar", windows)
    content = choose_samples(ShardReader(tar), 20, 42, "eval")
    chosen = content["samples"]
    assert len(chosen) == len({entry["index"] for entry in chosen}) == 20
    assert content["counts"] == {"big": 17, "small": 3}
    assert [entry["species"] for entry in chosen[:6]] == ["big", "small"] * 3, "any beginning is balanced"
    assert [entry["num_genes"] == 0 for entry in chosen] == [False] * 18 + [True] * 2
    for entry in chosen:
        species, start, genes = windows[entry["index"]]
        assert (entry["species"], entry["start"], entry["num_genes"]) == (species, start, genes)
        assert entry["key"] == f"{species}-{entry['index']:03d}"
    assert choose_samples(ShardReader(tar), 20, 42, "eval") == content
    assert choose_samples(ShardReader(tar), 20, 43, "eval") != content


def test_overlapping_windows_are_scored_only_when_needed(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "v.tar", [("a", 50 * i, 1) for i in range(40)])
    starts = sorted(entry["start"] for entry in choose_samples(ShardReader(tar), 10, 1, "eval")["samples"])
    assert all(right - left >= 100 for left, right in pairwise(starts))
    assert len(choose_samples(ShardReader(tar), 100, 1, "eval")["samples"]) == 40


def test_what_is_missing_of_one_kind_the_other_gives(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "v.tar", [("a", 100 * i, int(i < 4)) for i in range(30)])
    counts = [entry["num_genes"] for entry in choose_samples(ShardReader(tar), 20, 1, "eval")["samples"]]
    assert (sum(counts), len(counts)) == (4, 20)
    assert choose_samples(ShardReader(tar), 0, 1, "eval")["samples"] == []


def test_without_validation_windows_it_says_what_gives_some(manifests: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"C\.none.*species_sheet.*split validation.*validation_regions"):
        merge_validation([manifests["C.none"]], 10, 42, tmp_path)


def test_the_same_species_twice_is_refused(manifests: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"species A\.one again"):
        merge_validation([manifests["A.one"], manifests["A.one"]], 10, 42, tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "key samples: expected a list of windows"),
        ({"samples": 3}, "key samples: expected a list of windows"),
        ({"samples": ["x"]}, "key samples: expected a list of windows"),
        ({"samples": [{"key": "a"}]}, r"key samples\[0\].index: None, but .*validation.tar has the samples 0 to"),
        ({"samples": [{"index": 0}, {"index": 10**40}]}, r"key samples\[1\].index: 10*, but .*validation.tar has"),
        ({"samples": [{"index": -1}]}, r"key samples\[0\].index: -1, but"),
        ({"samples": [{"index": True}]}, r"key samples\[0\].index: True, but"),
    ],
)
def test_a_damaged_list_of_windows_is_one_line(
    manifests: dict[str, Path], tmp_path: Path, content: dict, said: str
) -> None:
    merge_validation(list(manifests.values()), 10, 42, tmp_path)
    path = tmp_path / "eval.json"
    with ShardReader(tmp_path / "validation.tar") as reader:
        assert len(read_eval_windows(path, reader)) == 10
        path.write_text(json.dumps(content))
        with pytest.raises(InputError, match=f"eval.json, {said}"):
            read_eval_windows(path, reader)


def test_a_changed_shard_is_refused_and_nothing_is_left(manifests: dict[str, Path], tmp_path: Path) -> None:
    merge_validation(list(manifests.values()), 10, 42, tmp_path / "out")
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in manifests["A.one"].parent.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    shard = folder / "validation_000.tar"
    content = bytearray(shard.read_bytes())
    content[600] ^= 1
    shard.write_bytes(content)
    with pytest.raises(InputError, match=r"validation_000\.tar: its sha256 is not that of"):
        merge_validation([folder / NAME], 10, 42, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_windows_can_be_asked_to_show_introns(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "v.tar", [("a", 100 * i, i % 3) for i in range(30)])
    chosen = choose_samples(ShardReader(tar), 10, 1, "prompts", min_introns=4)["samples"]
    assert sorted({entry["num_genes"] for entry in chosen}) == [0, 2], "two introns a gene; empty ones stay"
