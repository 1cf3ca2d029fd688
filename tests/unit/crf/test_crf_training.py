"""The reader's own training: what it is taught, its first weights, and the model it leaves."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_bacterium import ToyRun, make_tokenizer, write_model, write_run

from genet5.bake.crops import crop
from genet5.bake.manifest import shard_paths
from genet5.bake.shards import ShardSet
from genet5.configuration import read_grammar
from genet5.crf.chains import chain_loss
from genet5.crf.hexamer_counts import HexamerCounts
from genet5.crf.options import CrfOptions
from genet5.crf.training import CrfData, CrfTraining, run_crf_training
from genet5.errors import InputError
from genet5.tokens.grammars import Grammars
from genet5.writer.batch import make_example
from genet5.writer.building import load_model


@pytest.fixture(scope="module")
def table(repository: Path) -> dict:
    return read_grammar(repository / "resources/grammar.yaml")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ToyRun:
    return write_run(tmp_path_factory.mktemp("toy") / "run")


@pytest.fixture
def arguments(run: ToyRun, table: dict, tmp_path: Path) -> dict:
    return {
        "model_dir": write_model(tmp_path / "fresh", reader_trained=False),
        "manifests": [run.manifest],
        "validation": run.baked / "validation.tar",
        "grammar_table": table,
        "options": CrfOptions(max_steps=1, hexamer_windows=0, precision="fp32"),
        "output_dir": tmp_path / "crf",
    }


def log(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_batches_hold_the_labels_that_the_language_model_is_taught_with(run: ToyRun, table: dict) -> None:
    grammars = Grammars(make_tokenizer(), table)
    with ShardSet(shard_paths(run.manifest, "train")) as shards:
        data = CrfData(shards, grammars)
        batch = data.validation_batch(np.arange(4), 0, np.random.default_rng(0))
        assert data.lengths.tolist()[:4] == batch.lengths.tolist()
        for row in range(4):
            sample = shards.read(row)
            window = crop(sample, *sample.core)
            grammar = grammars.of(window.clade, window.genetic_code)
            example = make_example(window.bases, window.clade, window.genes, window.dont_care, grammar)
            size = len(window.bases)
            assert (batch.codes[row, :, :size].numpy() == example.prompt.codes).all()
            assert (batch.labels[row, :, :size].numpy() == example.base_labels).all()
            assert (batch.sites[row, :, :, : size + 1].numpy() == example.prompt.sites).all()
            assert (batch.labels[row, :, size:] == -100).all() and (batch.sites[row, :, :, size + 1 :] == -2).all()


def test_the_field_can_follow_every_window(run: ToyRun, table: dict) -> None:
    """Bacterial genes overlap by any number of bases; the field knows 1 and 4."""
    grammars = Grammars(make_tokenizer(), table)
    with ShardSet(shard_paths(run.manifest, "train")) as shards:
        data = CrfData(shards, grammars)
        batch = data.validation_batch(np.arange(len(data.lengths)), 0, np.random.default_rng(0))
    rows, width = 2 * len(batch.codes), batch.codes.shape[-1]
    flat = torch.zeros(rows, width, 4), torch.zeros(rows, 4, width + 1), torch.tensor(1.0)
    allowed, sizes = (batch.sites > -2).flatten(0, 1), batch.lengths.repeat_interleave(2)
    assert chain_loss(*flat, allowed, batch.labels.flatten(0, 1), sizes).refused.any()
    assert not chain_loss(*flat, allowed, batch.chains.flatten(0, 1), sizes).refused.any()
    differ = batch.labels != batch.chains
    assert 0 < float(differ.float().mean()) < 0.2 and (batch.chains[differ] != 0).all()


def test_every_parameter_of_the_reader_learns_and_losses_add_up(run: ToyRun, table: dict) -> None:
    model, tokenizer = load_model(run.model)
    options = CrfOptions(base_weight=2.0, soft_f1_weight=3.0, site_weight=5.0, chain_weight=7.0)
    training = CrfTraining(model.reader, options).train()
    with ShardSet(shard_paths(run.manifest, "train")) as shards:
        batch = CrfData(shards, Grammars(tokenizer, table)).training_batch(np.arange(3), 0, np.random.default_rng(0))
    losses = training.training_losses(batch)
    losses["sum"].backward()
    never = {"chain_scale"}  # of codon positions that no label shows
    silent = {n for n, p in model.reader.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    # The toy bacterium has no introns; coarse levels join in once their zero weights have moved.
    behind_zero = ("stem.codons.", "stem.to_codons", "stem.to_stretches", "stem.stretches", "stem.other_strand")
    behind_zero += ("stem.from_stretches", "stem.codons_again")
    assert not {name for name in silent if not name.startswith(behind_zero)} - never
    parts = {name: losses[name].item() for name in ("base", "soft_f1", "site", "chain")}
    total = 2 * parts["base"] + 3 * parts["soft_f1"] + 5 * parts["site"] + 7 * parts["chain"] / 1000
    assert losses["sum"].item() == pytest.approx(total, rel=1e-5)
    assert int(losses["weight"]) == int(batch.lengths.sum())


def test_windows_are_cropped_at_random_unless_told_otherwise(run: ToyRun, table: dict) -> None:
    grammars, indices = Grammars(make_tokenizer(), table), np.arange(4)
    with ShardSet(shard_paths(run.manifest, "train")) as shards:
        cropped, whole = (CrfData(shards, grammars, random_crops) for random_crops in (True, False))
        expected = whole.validation_batch(indices, 0, np.random.default_rng(0)).codes
        drawn = [cropped.training_batch(indices, 0, np.random.default_rng(seed)).codes for seed in (1, 2)]
        assert not torch.equal(*drawn) and not torch.equal(drawn[0], expected)
        assert torch.equal(whole.training_batch(indices, 0, np.random.default_rng(1)).codes, expected)


def test_training_improves_the_reader_and_leaves_the_rest(arguments: dict) -> None:
    arguments["options"] = CrfOptions(epochs=3, hexamer_windows=20, eval_steps=27, lr=3e-3, log_every=9)
    run_crf_training(**arguments)
    rows = log(arguments["output_dir"], "eval_log.csv")
    assert float(rows[-1]["val_loss"]) < 0.8 * float(rows[0]["val_loss"])
    assert float(rows[-1]["val_chain"]) < float(rows[0]["val_chain"])
    before, after = (load_model(folder)[0] for folder in (arguments["model_dir"], arguments["output_dir"]))
    assert (before.config.reader_trained, after.config.reader_trained) == (False, True)
    start, end = before.state_dict(), after.state_dict()
    moved = {name for name in start if not torch.equal(start[name], end[name])}
    assert moved and all(name.startswith("reader.") for name in moved)


def test_only_first_weights_are_counted(arguments: dict, tmp_path: Path, monkeypatch) -> None:
    counted = []
    count = CrfData.count_hexamers

    def watched(self: CrfData, number: int, seed: int) -> HexamerCounts:
        counted.append(number)
        return count(self, number, seed)

    monkeypatch.setattr(CrfData, "count_hexamers", watched)
    options = CrfOptions(max_steps=1, hexamer_windows=4, lr=1e-9)
    run_crf_training(**{**arguments, "options": options})
    assert counted == [4]
    before, after = (load_model(folder)[0] for folder in (arguments["model_dir"], arguments["output_dir"]))
    moved = (after.reader.stem.scores.weight - before.reader.stem.scores.weight).abs().amax(dim=0)
    assert (moved[:3] > 0.1).all()  # the three codon positions; there are no introns to count
    assert (moved[3:] < 1e-3).all()
    further = {**arguments, "model_dir": arguments["output_dir"], "output_dir": tmp_path / "further"}
    run_crf_training(**{**further, "options": options})
    run_crf_training(**{**arguments, "output_dir": tmp_path / "random", "options": replace(options, hexamer_windows=0)})
    assert counted == [4]


def test_joined_readers_are_not_trained(arguments: dict, tmp_path: Path) -> None:
    write_model(tmp_path / "joined", num_readers=2)
    with pytest.raises(InputError, match="joined: 2 joined readers; train each by itself"):
        run_crf_training(**{**arguments, "model_dir": tmp_path / "joined"})


def test_a_finished_run_is_exported_again_and_not_trained(arguments: dict, capsys) -> None:
    run_crf_training(**arguments)
    weights = arguments["output_dir"] / "model.safetensors"
    first = weights.read_bytes()
    weights.unlink()
    capsys.readouterr()
    run_crf_training(**arguments)
    assert weights.read_bytes() == first
    assert "already finished after 1 steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("validation", r"absent: no such file; run merge_validation first$"),
        ("manifests", r"absent: no such manifest; bake the species first \(scripts/bake_shards.py\)$"),
        ("model_dir", r"absent/config.json: no such file, a model folder has config.json, model.safetensors, "),
    ],
)
def test_missing_input_is_one_line(argument: str, message: str, arguments: dict, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    arguments[argument] = [absent] if argument == "manifests" else absent
    with pytest.raises(InputError, match=message):
        run_crf_training(**arguments)
    assert not arguments["output_dir"].exists()
