"""Baking a species: what is in the folder afterwards, twice the same, and after a kill."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import patience
import pytest
from bake_toy_genome import ToyGenome, write_toy_genome
from patience import killed_at_rename

from genet5.bake.manifest import LOCK, NAME, clear_folder, held_alone, read_manifest, shard_paths
from genet5.bake.samples import GENE_FIELDS, META_FIELDS, Sample, window_genes
from genet5.bake.shards import ShardReader, ShardSet
from genet5.bake.species import SpeciesSource, bake_species
from genet5.bake.stats import GENE_INDEX_FIELDS, SPLIT_FIELDS, STATS_FIELDS
from genet5.bake.windows import WindowRules
from genet5.errors import InputError
from genet5.genome.fasta import decompress_genome
from genet5.genome.genetic_code import reverse_complement

RULES = WindowRules(window_bp=2000, stride_bp=1000, flank_bp=300, seed=5)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> ToyGenome:
    return write_toy_genome(tmp_path_factory.mktemp("toy"), {"chr.I": 40_000, "chrII": 30_000, "short": 900})


def source(toy: ToyGenome, **changes: object) -> SpeciesSource:
    options = {"species": "Toy.fungus", "genetic_code": 1, "clade": "fungi", "split": "train", **changes}
    return SpeciesSource(genome=toy.fasta, annotation=toy.gff, **options)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def baked(folder: Path, split: str) -> list[Sample]:
    shards = ShardSet(shard_paths(folder / NAME, split))
    return [shards.read(number) for number in range(len(shards))]


def held_genes(toy: ToyGenome, sample: Sample) -> dict[str, list[tuple[int, int]]]:
    """Genes of the sample in contig coordinates."""
    offset = sample.meta["start"] - sample.meta["flank5"]
    return {gene.id: [(start + offset, end + offset) for start, end in gene.cds] for gene in sample.genes}


def test_where_some_genes_are_annotated_the_rest_is_dont_care(toy: ToyGenome, tmp_path: Path) -> None:
    bake_species(source(toy, annotated="some"), RULES, 20, tmp_path)
    samples = baked(tmp_path, "train")
    assert samples and all(sample.meta["num_genes"] for sample in samples)
    for sample in samples:
        unknown = np.zeros(len(sample.bases), bool)
        for span in sample.dont_care:
            unknown[span.start : span.end] = True
        expected = np.ones(len(sample.bases), bool)
        for gene in sample.genes:
            expected[max(gene.cds[0][0] - 200, 0) : gene.cds[-1][1] + 200] = False
        inside = slice(220, len(sample.bases) - 220)  # genes beyond the sample have a neighbourhood too
        assert np.array_equal(unknown[inside], expected[inside])
    manifest = json.loads((tmp_path / NAME).read_text())
    assert manifest["parameters"]["annotated"] == "some"
    with pytest.raises(InputError, match="annotated: 'few' is not allowed, allowed: all, some"):
        bake_species(source(toy, annotated="few"), RULES, 20, tmp_path)


def test_samples_hold_the_genome_and_its_genes(toy: ToyGenome, tmp_path: Path) -> None:
    bake_species(source(toy), RULES, 20, tmp_path)
    samples = baked(tmp_path, "train")
    assert len({sample.key for sample in samples}) == len(samples) > 60
    for sample in samples:
        meta = sample.meta
        left, right = meta["start"] - meta["flank5"], meta["end"] + meta["flank3"]
        contig = toy.sequences[meta["seqid"]]
        assert sample.bases.decode() == contig[left:right]
        assert meta["flank5"] == min(300, meta["start"]) and meta["flank3"] == min(300, len(contig) - meta["end"])
        touching = {
            name: segments
            for name, (seqid, _, segments) in toy.genes.items()
            if seqid == meta["seqid"] and segments[0][0] < right and segments[-1][1] > left
        }
        assert held_genes(toy, sample) == touching
        shown, _ = window_genes(sample, *sample.core)
        assert meta["num_genes"] == len(shown) and meta["num_partial"] == sum(g.partial5 or g.partial3 for g in shown)
        for gene in shown:
            if not (gene.partial5 or gene.partial3):
                first = sample.core.start
                text = b"".join(sample.bases[s + first : e + first] for s, e in gene.cds).decode()
                text = text if gene.strand == "+" else reverse_complement(text)
                assert text.startswith("ATG") and text[-3:] in ("TAA", "TAG", "TGA") and len(text) % 3 == 0


def test_the_gene_index_points_at_samples_that_hold_the_gene_whole(toy: ToyGenome, tmp_path: Path) -> None:
    bake_species(source(toy), RULES, 20, tmp_path)
    index = json.loads((tmp_path / "gene_index.json").read_text())
    assert set(index) == set(toy.genes)
    samples = baked(tmp_path, "train")
    for name, entry in index.items():
        assert set(entry) == set(GENE_INDEX_FIELDS)
        assert entry["split"] == "train" and entry["windows"], f"{name} fits, so it is whole somewhere"
        assert entry["num_exons"] == len(toy.genes[name][2])
        holding = [
            number
            for number, sample in enumerate(samples)
            if sample.meta["seqid"] == entry["seqid"]
            and sample.meta["start"] <= entry["start"]
            and entry["end"] <= sample.meta["end"]
        ]
        assert entry["windows"] == holding


def test_nothing_crosses_a_boundary_of_splits(toy: ToyGenome, tmp_path: Path) -> None:
    # Boundaries through the middle of two genes.
    inner = [segments for seqid, _, segments in toy.genes.values() if seqid == "chr.I"]
    low, high = ((segments[0][0] + segments[-1][1]) // 2 for segments in (inner[3], inner[-4]))
    bake_species(source(toy, validation_regions=f"chr.I:{low + 1}-{high}", test_regions="chrII"), RULES, 50, tmp_path)
    index = json.loads((tmp_path / "gene_index.json").read_text())
    cut = {name for name, (seqid, _, s) in toy.genes.items() if seqid == "chr.I" and s in (inner[3], inner[-4])}
    assert {name for name, entry in index.items() if entry["split"] is None} == cut
    regions = {"validation": [(low, high)], "train": [(0, low), (high, 40_000)]}
    for split, parts in regions.items():
        samples = baked(tmp_path, split)
        assert samples
        for sample in samples:
            meta = sample.meta
            assert meta["split"] == split and meta["seqid"] != "chrII"
            left, right = meta["start"] - meta["flank5"], meta["end"] + meta["flank3"]
            if meta["seqid"] == "chr.I":
                assert any(start <= left and right <= end for start, end in parts)
            assert not cut & {gene.id for gene in sample.genes}
            stumps = {
                (max(start, left), min(end, right), strand)
                for name in cut
                for _, strand, segments in [toy.genes[name]]
                for start, end in segments
                if meta["seqid"] == "chr.I" and start < right and end > left
            }
            assert {(span.start + left, span.end + left, span.strand) for span in sample.dont_care} == stumps
    stats = json.loads((tmp_path / "stats.json").read_text())["splits"]
    assert stats["train"]["genes_cut"] == stats["validation"]["genes_cut"] == 2
    assert stats["test"]["genes"] == sum(seqid == "chrII" for seqid, _, _ in toy.genes.values())
    assert stats["test"]["windows"]["scanned"] == 0
    assert sum(stats[split]["genes"] for split in stats) == len(toy.genes) - 2


def test_excluded_regions_are_in_no_split(toy: ToyGenome, tmp_path: Path) -> None:
    bake_species(source(toy, test_regions="short", excluded_regions="chrII,chr.I:1-10000"), RULES, 50, tmp_path)
    samples = baked(tmp_path, "train")
    assert {sample.meta["seqid"] for sample in samples} == {"chr.I"}
    assert min(sample.meta["start"] - sample.meta["flank5"] for sample in samples) == 10_000
    with pytest.raises(InputError, match=r"excluded_regions: .* leaves no base for split train"):
        bake_species(source(toy, excluded_regions="chr.I,chrII,short"), RULES, 50, tmp_path)


def test_the_numbers_add_up(toy: ToyGenome, tmp_path: Path) -> None:
    rules = WindowRules(window_bp=700, stride_bp=700, flank_bp=50, empty_share=0.02, max_windows=40, seed=5)
    bake_species(source(toy, validation_regions="chrII"), rules, 15, tmp_path)
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert set(stats) == set(STATS_FIELDS)
    assert stats["genes"] == {"total": len(toy.genes), "trusted": len(toy.genes), "flagged": 0}
    manifest = read_manifest(tmp_path / NAME)
    for split in ("train", "validation"):
        numbers = stats["splits"][split]
        assert set(numbers) == set(SPLIT_FIELDS)
        windows, samples = numbers["windows"], baked(tmp_path, split)
        assert windows["scanned"] == windows["grid"] + windows["moved"] + windows["narrowed"]
        assert windows["scanned"] == windows["kept"] + sum(windows["dropped"].values())
        assert windows["kept"] == len(samples) == manifest["counts"][split]["samples"]
        assert windows["kept_empty"] == sum(sample.meta["num_genes"] == 0 for sample in samples)
        assert numbers["bases_written"] == sum(len(sample.bases) for sample in samples)
        seqids = {"chrII"} if split == "validation" else {"chr.I", "short"}
        structures = [segments for seqid, _, segments in toy.genes.values() if seqid in seqids]
        assert numbers["genes"] == len(structures)
        assert numbers["introns"] == sum(len(segments) - 1 for segments in structures)
        assert numbers["coding_bases"] == sum(end - start for segments in structures for start, end in segments)
        spans = sorted(segments[-1][1] - segments[0][0] for segments in structures)
        assert numbers["genes_longer_than_window"] == sum(span > 700 for span in spans)
        gone = numbers["genes_left_out"] + numbers["genes_lost_to_n"] + numbers["genes_longer_than_window"]
        assert numbers["genes_whole"] == numbers["genes"] - gone
        assert numbers["quantiles"]["gene_bp"]["p50"] in spans
        assert (numbers["quantiles"]["gene_bp"]["min"], numbers["quantiles"]["gene_bp"]["max"]) == (spans[0], spans[-1])
    train, validation = stats["splits"]["train"], stats["splits"]["validation"]
    assert train["windows"]["kept"] == 40 and train["genes_left_out"] > 0
    assert validation["windows"]["dropped"]["over_cap"] == validation["genes_left_out"] == 0


def test_validation_windows_have_a_cap_of_their_own(toy: ToyGenome, tmp_path: Path) -> None:
    where = source(toy, validation_regions="chrII")
    capped = dataclasses.replace(RULES, max_validation_windows=7)
    for name, rules in (("all", RULES), ("capped", capped)):
        bake_species(where, rules, 50, tmp_path / name)
    counts = {name: read_manifest(tmp_path / name / NAME)["counts"] for name in ("all", "capped")}
    assert counts["capped"]["validation"]["samples"] == 7 < counts["all"]["validation"]["samples"]
    assert counts["capped"]["train"] == counts["all"]["train"]
    stats = json.loads((tmp_path / "capped/stats.json").read_text())["splits"]["validation"]["windows"]
    assert stats["dropped"]["over_cap"] == counts["all"]["validation"]["samples"] - 7


def test_members_have_the_documented_fields(toy: ToyGenome, tmp_path: Path) -> None:
    bake_species(source(toy), RULES, 500, tmp_path)
    with ShardReader(tmp_path / "train_000.tar") as reader:
        members = reader.members(1)
    assert set(json.loads(members["json"])) == set(META_FIELDS)
    structures = json.loads(members["genes.json"])
    assert set(structures) == {"genes", "dont_care"}
    assert structures["genes"] and all(set(gene) == set(GENE_FIELDS) for gene in structures["genes"])


def test_case_is_kept_and_mostly_n_is_dropped(toy: ToyGenome, tmp_path: Path) -> None:
    text = toy.sequences["chr.I"]
    text = text[:20_000].lower() + "N" * 7000 + text[27_000:]
    (tmp_path / "masked.fna").write_text(f">chr.I\n{text}\n")
    (tmp_path / "masked.gff").write_text(
        "".join(
            line + "\n" for line in toy.gff.read_text().splitlines() if line[0] == "#" or line.startswith("chr.I\t")
        )
    )
    masked = ToyGenome(tmp_path / "masked.fna", tmp_path / "masked.gff", {}, {})
    bake_species(source(masked), RULES, 500, tmp_path / "out")
    samples = baked(tmp_path / "out", "train")
    for sample in samples:
        left = sample.meta["start"] - sample.meta["flank5"]
        assert sample.bases.decode() == text[left : left + len(sample.bases)]
        core = sample.bases[slice(*sample.core)]
        assert core.count(b"N") <= len(core) / 2
    numbers = json.loads((tmp_path / "out" / "stats.json").read_text())["splits"]["train"]
    assert numbers["windows"]["dropped"]["mostly_n"] >= 5 and numbers["n_bases"] == 7000


def test_a_test_species_has_statistics_and_no_shards(toy: ToyGenome, tmp_path: Path) -> None:
    bake_species(source(toy, split="test"), RULES, 20, tmp_path)
    assert sorted(digests(tmp_path)) == ["bake.lock", "gene_index.json", "manifest.json", "stats.json"]
    assert read_manifest(tmp_path / NAME)["shards"] == []
    assert json.loads((tmp_path / "stats.json").read_text())["splits"]["test"]["genes"] == len(toy.genes)


def test_another_bake_replaces_the_old_one_and_leaves_other_files(toy: ToyGenome, tmp_path: Path) -> None:
    folder, fresh = tmp_path / "used", tmp_path / "fresh"
    bake_species(source(toy, validation_regions="chrII"), RULES, 5, folder)
    ShardReader(folder / "validation_000.tar").close()
    (folder / ".train_000.tar.k1ll.tmp").write_bytes(b"left by a killed run")
    (folder / "notes.txt").write_text("mine")
    bake_species(source(toy), RULES, 50, folder)
    bake_species(source(toy), RULES, 50, fresh)
    assert (folder / "notes.txt").read_text() == "mine"
    (folder / "notes.txt").unlink()
    assert digests(folder) == digests(fresh)
    assert str(tmp_path) not in (folder / NAME).read_text()


def test_a_failed_bake_leaves_no_manifest(toy: ToyGenome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bake_species(source(toy), RULES, 50, tmp_path)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("genet5.bake.species.write_gene_index", fail)
    with pytest.raises(OSError, match="No space"):
        bake_species(source(toy), RULES, 50, tmp_path)
    assert not (tmp_path / NAME).exists()
    with pytest.raises(InputError, match="bake the species first"):
        shard_paths(tmp_path / NAME, "train")


def test_a_shard_that_is_not_the_manifests_is_noticed(toy: ToyGenome, tmp_path: Path) -> None:
    bake_species(source(toy), RULES, 50, tmp_path)
    (tmp_path / "train_001.tar").write_bytes(b"")
    with pytest.raises(InputError, match=r"train_001\.tar: has 0 bytes, .* says \d+ bytes"):
        shard_paths(tmp_path / NAME, "train")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"species": "../up"}, r"species: '\.\./up' is not allowed"),
        ({"split": "training"}, "split: 'training' is not a split"),
        ({"validation_regions": "chrX"}, "validation_regions.*'chrX'"),
        ({"genetic_code": 99}, "unknown NCBI translation table 99"),
    ],
)
def test_bad_input_is_one_line(toy: ToyGenome, tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        bake_species(source(toy, **changes), RULES, 20, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_species_without_a_gene_to_learn_from_is_refused(toy: ToyGenome, tmp_path: Path) -> None:
    gene_free = tmp_path / "short.fna"
    gene_free.write_text(f">short\n{toy.sequences['short']}\n>other\n{toy.sequences['chrII']}\n")
    empty = ToyGenome(gene_free, tmp_path / "few.gff", {}, {})
    empty.gff.write_text(
        "##gff-version 3\n"
        + "".join(f"other\t{line[6:]}\n" for line in toy.gff.read_text().splitlines() if "chrII\t" in line)
    )
    with pytest.raises(InputError, match="no window has a gene"):
        bake_species(source(empty, test_regions="other"), RULES, 20, tmp_path / "out")


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_byte(toy: ToyGenome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    regions = {"validation_regions": "chrII:1-9000", "test_regions": "chrII:20001-30000"}
    bake_species(source(toy, **regions), RULES, 20, tmp_path / "one")
    monkeypatch.setattr("genet5.bake.species._STRETCH_BP", 1000)
    monkeypatch.setattr("genet5.bake.species._TASK_WINDOWS", 7)
    bake_species(source(toy, **regions), RULES, 20, tmp_path / "more", threads)
    assert digests(tmp_path / "one") == digests(tmp_path / "more")


def test_an_error_in_a_worker_is_raised(toy: ToyGenome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise InputError("no such window")

    monkeypatch.setattr("genet5.bake.species._STRETCH_BP", 1000)
    monkeypatch.setattr("genet5.bake.species.plan_region", fail)
    with pytest.raises(InputError, match="no such window"):
        bake_species(source(toy), RULES, 20, tmp_path, threads=2)
    with pytest.raises(InputError, match="threads: 0 is not allowed"):
        bake_species(source(toy), RULES, 20, tmp_path, threads=0)


def test_a_second_process_in_the_folder_is_refused_and_harms_nothing(
    repository: Path, toy: ToyGenome, tmp_path: Path
) -> None:
    bake_species(source(toy), RULES, 20, tmp_path)
    before = digests(tmp_path)
    words = "--species Toy --clade fungi --genetic-code 1 --split train --window-bp 2000 --stride-bp 1000".split()
    files = ["--genome", toy.fasta, "--annotation", toy.gff, "--output-dir", tmp_path]
    command = [sys.executable, repository / "scripts/bake_shards.py", *words, *files]
    with held_alone(tmp_path):
        refused = patience.run(command)
    expected = f"error: {tmp_path}: another process is baking here; wait for it or choose another folder\n"
    assert (refused.returncode, refused.stdout) == (1, expected)
    assert digests(tmp_path) == before
    assert patience.run(command).returncode == 0, "the lock is given back"


def test_the_manifest_goes_before_all_other_files(
    toy: ToyGenome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill in between must not leave a manifest beside shards that are gone."""
    bake_species(source(toy), RULES, 20, tmp_path)
    gone: list[str] = []
    unlink = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda path, **words: (gone.append(path.name), unlink(path, **words))[1])
    clear_folder(tmp_path)
    assert gone[0] == NAME and len(gone) > 3
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


@pytest.mark.parametrize("shards_before_kill", [1, 30])
def test_killed_and_run_again_gives_the_same_bytes(repository: Path, tmp_path: Path, shards_before_kill: int) -> None:
    toy = write_toy_genome(tmp_path / "raw", {"chrI": 300_000, "chrII": 200_000})
    command = [sys.executable, str(repository / "scripts" / "bake_shards.py"), "--species", "Toy", "--clade", "fungi"]
    command += ["--genome", str(toy.fasta), "--annotation", str(toy.gff), "--genetic-code", "1", "--split", "train"]
    command += ["--validation-regions", "chrI:1-50000", "--window-bp", "2000", "--stride-bp", "1000"]
    command += ["--flank-bp", "300", "--samples-per-shard", "4", "--output-dir"]
    folder = tmp_path / "killed"
    last = f"train_{shards_before_kill - 1:03d}.tar"
    dead = patience.run([*command, folder], env=killed_at_rename(last))
    assert dead.returncode == -signal.SIGKILL, dead.stdout
    assert (folder / last).exists() and not (folder / NAME).exists()
    for shard in folder.glob("*.tar"):
        assert len(ShardReader(shard)) == 4, "a shard under its name is whole"
    for target in (folder, tmp_path / "whole"):
        subprocess.run([*command, str(target)], check=True, stderr=subprocess.DEVNULL)
    assert digests(folder) == digests(tmp_path / "whole")


@pytest.mark.parametrize(
    ("species", "genetic_code", "genes", "window_bp"),
    [("S.cerevisiae", 1, 5983, 15_000), ("A.thaliana", 1, None, 30_000)],
)
def test_real_genomes(
    shared_data: Path, tmp_path: Path, species: str, genetic_code: int, genes: int | None, window_bp: int
) -> None:
    decompress_genome(shared_data / species / "fna.gz", tmp_path / "fna")
    toy = ToyGenome(tmp_path / "fna", shared_data / species / "gff.gz", {}, {})
    rules = WindowRules(window_bp, window_bp // 2, 1000)
    bake_species(source(toy, species=species, genetic_code=genetic_code), rules, 1000, tmp_path / "out")
    stats = json.loads((tmp_path / "out" / "stats.json").read_text())
    train = stats["splits"]["train"]
    assert genes is None or stats["genes"]["total"] == genes
    assert train["genes_whole"] == train["genes"] - train["genes_longer_than_window"] - train["genes_lost_to_n"]
    assert train["genes"] == stats["genes"]["trusted"] and train["genes_lost_to_n"] == 0
    assert (tmp_path / "out" / NAME).stat().st_size < 1_000_000
