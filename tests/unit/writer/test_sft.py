"""From baked shards to batches of the network: crops, lengths, scores while training, and the exported model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from bake_toy_genome import write_toy_genome
from toy_bacterium import CLADE, CODE, WINDOW_BP, ToyRun, make_tokenizer, write_run

from genet5.bake.crops import Window, crop, random_crop, read_eval_windows
from genet5.bake.manifest import shard_paths
from genet5.bake.shards import ShardReader, ShardSet
from genet5.bake.species import SpeciesSource, bake_species
from genet5.bake.training_inputs import find_inputs
from genet5.bake.windows import WindowRules
from genet5.clades import Clade, read_clades
from genet5.errors import InputError
from genet5.genome.genetic_code import GeneticCode, reverse_complement
from genet5.genome.window_genes import WindowGene, reverse_complement_genes
from genet5.tokens.grammars import Grammars
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.training import runs
from genet5.training.runs import export
from genet5.writer import windows as training_windows
from genet5.writer.building import load_model
from genet5.writer.options import SftOptions
from genet5.writer.sft import run_sft
from genet5.writer.windows import WindowData, WindowScorer


@pytest.fixture(scope="module")
def clades() -> dict[str, Clade]:
    return read_clades()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ToyRun:
    return write_run(tmp_path_factory.mktemp("toy") / "run", eval_samples=3)


@pytest.fixture(scope="module")
def shards(run: ToyRun) -> Iterator[ShardSet]:
    with ShardSet(shard_paths(run.manifest, "train")) as opened:
        yield opened


@pytest.fixture(scope="module")
def spliced_shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShardSet]:
    """Genes of one to three exons, dense, on a made-up genome."""
    folder = tmp_path_factory.mktemp("spliced")
    toy = write_toy_genome(folder, {"one": 60_000}, spacing_bp=400)
    source = SpeciesSource("T.splicus", toy.fasta, toy.gff, 1, "fungi", "train")
    manifest = bake_species(source, WindowRules(WINDOW_BP, 1500, flank_bp=500), 100, folder / "baked")
    with ShardSet(shard_paths(manifest, "train")) as opened:
        yield opened


def proteins(window: Window, code: GeneticCode) -> list[str]:
    """The genes translated from the window's own bases, from the first whole codon on."""
    found = []
    for gene in window.genes:
        text = "".join(window.bases[start:end] for start, end in gene.cds)
        text = text if gene.strand == "+" else reverse_complement(text)
        found.append(code.translate(text[gene.phase :], complete5=not gene.partial5))
    return found


# ---------------------------------------------------------------- crops


@pytest.mark.parametrize("kind", ["bacterium", "spliced"])
def test_genes_of_any_crop_read_on_either_strand(kind: str, shards: ShardSet, spliced_shards: ShardSet) -> None:
    rng = np.random.default_rng(3)
    kinds = set()
    for index in range(len(chosen := shards if kind == "bacterium" else spliced_shards)):
        sample = chosen.read(index)
        start, end = sorted(rng.choice(len(sample.bases) + 1, 2, replace=False).tolist())
        code = GeneticCode.from_table(sample.meta["genetic_code"])
        forward, backward = crop(sample, start, end), crop(sample, start, end, reverse=True)
        assert forward.bases == sample.bases[start:end].decode().upper()
        assert backward.bases == reverse_complement(forward.bases)
        assert backward.genes == reverse_complement_genes(forward.genes, end - start)
        assert sorted(proteins(forward, code)) == sorted(proteins(backward, code))
        for window in (forward, backward):
            for gene, protein in zip(window.genes, proteins(window, code), strict=True):
                assert "*" not in protein[:-1]
                assert gene.partial3 or protein.endswith("*")
                assert gene.partial5 or protein.startswith("M")
                kinds.add((gene.strand, gene.partial5, gene.partial3))
    assert {(strand, five, three) for strand in "+-" for five, three in ((0, 0), (0, 1), (1, 0))} <= kinds


def test_dont_care_turns_with_its_window(shards: ShardSet) -> None:
    sample = replace(shards.read(0), dont_care=((100, 160, "+"), (400, 420, ".")))
    assert crop(sample, 50, 450).dont_care[:2] == [(50, 110, "+"), (350, 370, ".")]
    turned = {tuple(span) for span in crop(sample, 50, 450, reverse=True).dont_care}
    assert {(290, 350, "-"), (30, 50, ".")} <= turned


def test_random_crops_are_as_long_as_the_core_and_reach_every_place_and_strand(shards: ShardSet) -> None:
    sample = shards.read(5)
    assert (len(sample.bases), sample.core.length) == (WINDOW_BP + 600, WINDOW_BP)
    rng = np.random.default_rng(0)
    starts, turned = set(), 0
    text = sample.bases.decode().upper()
    for _ in range(300):
        window = random_crop(sample, rng)
        assert len(window.bases) == WINDOW_BP
        place = text.find(window.bases)
        turned += place < 0
        starts.add(place if place >= 0 else text.find(reverse_complement(window.bases)))
    assert min(starts) < 20 and max(starts) > 580 and -1 not in starts
    assert 100 < turned < 200
    first, again = (random_crop(sample, np.random.default_rng(8)) for _ in range(2))
    assert first == again


# ---------------------------------------------------------------- batches


def tensors(part: object, name: str = "") -> dict[str, torch.Tensor]:
    """All tensors of a batch, by name."""
    if isinstance(part, torch.Tensor):
        return {name: part}
    inner = (tensors(value, f"{name}.{field}") for field, value in vars(part).items())
    return {place: tensor for found in inner for place, tensor in found.items()}


def test_a_batch_depends_on_its_generator_alone(shards: ShardSet, clades: dict[str, Clade]) -> None:
    data = WindowData(shards, Grammars(make_tokenizer(), clades))
    indices = np.array([2, 0, 7])
    first, again, other = (data.training_batch(indices, 0, np.random.default_rng(seed)) for seed in (5, 5, 6))
    for name, tensor in tensors(first).items():
        assert torch.equal(tensor, tensors(again)[name]), name
    assert not torch.equal(first.prompts.codes, other.prompts.codes)
    assert first.prompts.codes.shape == (3, 2, WINDOW_BP)
    plain = data.validation_batch(indices, 0, np.random.default_rng(5))
    sample = shards.read(7)
    assert "".join("ACGTN"[code] for code in plain.prompts.codes[2, 0].tolist()) == crop(sample, *sample.core).bases


def test_windows_longer_than_the_tokenizer_are_refused(shards: ShardSet, clades: dict[str, Clade]) -> None:
    grammars = Grammars(GeneTokenizer.build("kmer", segment_bp=60, max_window_bp=2400), clades)
    with pytest.raises(InputError, match=r"window of 3000 bp is longer than max_window_bp 2400 .*raise tokenizer\."):
        WindowData(shards, grammars)


# ---------------------------------------------------------------- grammars


def test_grammars_are_made_once_per_clade_and_code(clades: dict[str, Clade]) -> None:
    grammars = Grammars(make_tokenizer(), clades)
    bacteria = grammars.of("bacteria", 11)
    assert grammars.of("bacteria", 11) is bacteria and bacteria.rules.stops == {"TAA", "TAG", "TGA"}
    assert grammars.of("bacteria", 4).rules.stops == {"TAA", "TAG"}
    assert bacteria.rules.starts == ("ATG", "GTG", "TTG") and bacteria.rules.splice_pairs == ()
    with pytest.raises(InputError, match=r"^clade: no clade 'lichen'; known: alga, bacteria, ciliate, "):
        grammars.of("lichen", 1)


# ---------------------------------------------------------------- scores while training


def test_a_perfect_decoder_scores_one_and_a_silent_one_zero(run: ToyRun, clades: dict[str, Clade], monkeypatch) -> None:
    """``write_genes`` stands in: it looks windows up by their bases, so a mixed-up order would cost score."""
    with ShardReader(run.baked / "validation.tar") as held_out:
        windows = read_eval_windows(run.baked / "eval.json", held_out)
    assert len(windows) == 3 and all(window.clade == CLADE and window.genes for window in windows)
    # Another clade and code among them: each group is decoded with its own grammar.
    windows.insert(1, replace(windows[0], clade="fungi", genetic_code=1, bases=windows[0].bases[::-1]))
    truth = {window.bases: window for window in windows}
    calls: list[tuple[str, frozenset, int]] = []

    def perfect(_model, grammar, bases, clade):
        assert all(truth[text].clade == clade for text in bases)
        calls.append((clade, grammar.rules.stops, len(bases)))
        return [SimpleNamespace(genes=list(truth[text].genes)) for text in bases]

    scorer = WindowScorer(windows, Grammars(make_tokenizer(), clades), batch_size=2)
    monkeypatch.setattr(training_windows, "write_genes", perfect)
    assert scorer(None) == {"exon_f1": 1.0, "gene_f1": 1.0, "nucleotide_f1": 1.0}
    assert sorted((clade, size) for clade, _, size in calls) == [("bacteria", 1), ("bacteria", 2), ("fungi", 1)]

    def moved_once(model, grammar, bases, clade):
        """Right but for the fungal window, where the genes lie three bases off."""
        found = perfect(model, grammar, bases, clade)
        if clade == "fungi":
            for result in found:
                result.genes = [shifted(gene, 3) for gene in result.genes]
        return found

    monkeypatch.setattr(training_windows, "write_genes", moved_once)
    scores = scorer(None)
    assert scores["exon_f1"] == scores["gene_f1"] == 0.75 < scores["nucleotide_f1"] < 1.0

    monkeypatch.setattr(
        training_windows, "write_genes", lambda _m, _g, bases, _c: [SimpleNamespace(genes=[]) for _ in bases]
    )
    assert scorer(None) == {"exon_f1": 0.0, "gene_f1": 0.0, "nucleotide_f1": 0.0}


def shifted(gene: WindowGene, bases: int) -> WindowGene:
    return replace(gene, cds=tuple(type(cds)(cds.start + bases, cds.end + bases) for cds in gene.cds))


# ---------------------------------------------------------------- export


def test_an_exported_model_appears_with_its_weights_last(tmp_path: Path, monkeypatch) -> None:
    best, output = tmp_path / "best", tmp_path / "sft"
    best.mkdir()
    output.mkdir()
    names = ["config.json", "genet5_tokenizer.json", "model.safetensors", "tokenizer.json"]
    for name in names:
        (best / name).write_text(f"new {name}")
    seen: list[list[str]] = []
    real = shutil.copyfile

    def copy(source: Path, target: Path) -> None:
        seen.append(sorted(path.name for path in output.iterdir() if not path.name.startswith(".")))
        real(source, target)

    monkeypatch.setattr(runs.shutil, "copyfile", copy)
    export(best, output)
    assert len(seen) == 4 and seen[-1] == [name for name in names if name != "model.safetensors"]
    assert {path.name: path.read_text() for path in output.iterdir()} == {name: f"new {name}" for name in names}


def test_a_copy_that_fails_leaves_no_half_weights(tmp_path: Path, monkeypatch) -> None:
    best, output = tmp_path / "best", tmp_path / "sft"
    best.mkdir()
    output.mkdir()
    (best / "model.safetensors").write_text("new weights")
    (output / "model.safetensors").write_text("old weights")

    def fail(_source: Path, target: Path) -> None:
        target.write_text("new we")
        raise OSError("No space left on device")

    monkeypatch.setattr(runs.shutil, "copyfile", fail)
    with pytest.raises(OSError, match="No space left"):
        export(best, output)
    assert (output / "model.safetensors").read_text() == "old weights"


# ---------------------------------------------------------------- missing input


@pytest.fixture
def arguments(run: ToyRun, clades: dict[str, Clade], tmp_path: Path) -> dict:
    return {
        "model_dir": run.model,
        "manifests": [run.manifest],
        "validation": run.baked / "validation.tar",
        "eval_windows": run.baked / "eval.json",
        "clades": clades,
        "options": SftOptions(),
        "output_dir": tmp_path / "sft",
    }


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("validation", r"absent: no such file; run merge_validation first$"),
        ("eval_windows", r"absent: no such file; run merge_validation first$"),
        ("manifests", r"absent: no such manifest; bake the species first \(scripts/bake_shards.py\)$"),
        ("model_dir", r"absent/config.json: no such file, a model folder has config.json, model.safetensors, "),
    ],
)
def test_missing_input_is_one_line_and_nothing_is_written(
    argument: str, message: str, arguments: dict, tmp_path: Path
) -> None:
    absent = tmp_path / "absent"
    arguments[argument] = [absent] if argument == "manifests" else absent
    with pytest.raises(InputError, match=message) as error:
        run_sft(**arguments)
    assert "\n" not in str(error.value)
    assert not arguments["output_dir"].exists()


def test_a_folder_of_a_crf_is_no_language_model(arguments: dict, run: ToyRun) -> None:
    arguments["model_dir"] = run.crf
    with pytest.raises(InputError, match=r"tokenizer.json: no such file, a model folder has "):
        run_sft(**arguments)
    assert not arguments["output_dir"].exists()


def test_the_language_model_leaves_the_crf_as_it_is(arguments: dict) -> None:
    run_sft(**{**arguments, "options": SftOptions(max_steps=2, max_batch_size=2, windows_per_step=2, lr=1e-2)})
    before, after = (load_model(folder)[0].state_dict() for folder in (arguments["model_dir"], arguments["output_dir"]))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert len(moved) > 20 and not any(name.startswith("crf.") for name in moved)


def test_a_run_of_other_scored_windows_is_refused(arguments: dict, run: ToyRun, tmp_path: Path) -> None:
    arguments["options"] = SftOptions(max_steps=1, max_batch_size=2, windows_per_step=2)
    run_sft(**arguments)
    arguments["eval_windows"] = tmp_path / "eval.json"
    arguments["eval_windows"].write_bytes((run.baked / "eval.json").read_bytes() + b"\n")
    with pytest.raises(InputError, match=r"eval_windows is "):
        run_sft(**arguments)


def test_the_order_of_species_belongs_to_a_run(
    arguments: dict, run: ToyRun, tmp_path: Path, clades: dict[str, Clade]
) -> None:
    """It numbers the windows."""
    other = shutil.copytree(run.manifest.parent, tmp_path / "other") / "manifest.json"
    manifest = json.loads(other.read_text())
    manifest["parameters"]["species"] = "another"
    other.write_text(json.dumps(manifest))
    one, two = (
        find_inputs(manifests, arguments["validation"], clades).fingerprint
        for manifests in ([run.manifest, other], [other, run.manifest])
    )
    assert one != two and one["manifests"] == two["manifests"]


def test_a_missing_shard_and_an_empty_training_set_are_one_line(arguments: dict, run: ToyRun, tmp_path: Path) -> None:
    copied = shutil.copytree(run.manifest.parent, tmp_path / "baked")
    arguments["manifests"] = [copied / "manifest.json"]
    (copied / "train_001.tar").unlink()
    with pytest.raises(
        InputError, match=r"train_001.tar: is missing, .*manifest.json says \d+ bytes; bake the species"
    ):
        run_sft(**arguments)
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["shards"] = [shard for shard in manifest["shards"] if shard["split"] != "train"]
    (copied / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"^no training windows in .*manifest.json: bake a train species$"):
        run_sft(**arguments)
    assert CODE.table == 11 and not arguments["output_dir"].exists()
