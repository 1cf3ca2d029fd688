"""Training of the CRF: what it is taught, its first weights, and the folder it leaves."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_bacterium import CRF_SHAPE, ToyRun, make_tokenizer, toy_crf, write_crf, write_run

from genet5.bake.crops import crop
from genet5.bake.manifest import shard_paths
from genet5.bake.shards import ShardSet
from genet5.clades import Clade, read_clades
from genet5.crf.chains import chain_loss
from genet5.crf.data import CrfData
from genet5.crf.folder import load_crf
from genet5.crf.hexamer_counts import HexamerCounts
from genet5.crf.labels import NOT_A_SITE, site_labels
from genet5.crf.options import CrfOptions
from genet5.crf.training import CrfTraining, first_crf, run_crf_training
from genet5.errors import InputError
from genet5.tokens.grammars import Grammars
from genet5.writer.batch import make_example


@pytest.fixture(scope="module")
def clades() -> dict[str, Clade]:
    return read_clades()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ToyRun:
    return write_run(tmp_path_factory.mktemp("toy") / "run")


@pytest.fixture
def arguments(run: ToyRun, clades: dict[str, Clade], tmp_path: Path) -> dict:
    return {
        "manifests": [run.manifest],
        "validation": run.baked / "validation.tar",
        "clades": clades,
        "options": CrfOptions(size="demo", overrides=CRF_SHAPE, max_steps=1, hexamer_windows=0, precision="fp32"),
        "output_dir": tmp_path / "crf",
    }


def log(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_batches_hold_what_the_language_model_is_taught_with(run: ToyRun, clades: dict[str, Clade]) -> None:
    """The same bases on both strands, and the same places where a site can be."""
    grammars = Grammars(make_tokenizer(), clades)
    with ShardSet(shard_paths(run.manifest, "train")) as shards:
        data = CrfData(shards, clades)
        batch = data.validation_batch(np.arange(4), 0, np.random.default_rng(0))
        assert data.lengths.tolist()[:4] == batch.lengths.tolist()
        for row in range(4):
            sample = shards.read(row)
            window = crop(sample, *sample.core)
            grammar = grammars.of(window.clade, window.genetic_code)
            example = make_example(window.bases, window.clade, window.genes, grammar)
            size = len(window.bases)
            assert (batch.codes[row, :, :size].numpy() == example.prompt.codes).all()
            sites = batch.sites[row, :, :, : size + 1].numpy()
            assert (site_labels(sites > NOT_A_SITE) == example.prompt.sites).all()
            assert (batch.labels[row, :, size:] == -100).all() and (batch.sites[row, :, :, size + 1 :] == -2).all()


def test_batches_hold_the_labels_of_every_gene(run: ToyRun, clades: dict[str, Clade]) -> None:
    """Counted out for bacterial genes: codon positions from start to stop, a start and a stop, nothing elsewhere."""
    with ShardSet(shard_paths(run.manifest, "train")) as shards:
        data, checked = CrfData(shards, clades), 0
        for index in range(len(shards)):
            sample = shards.read(index)
            window = crop(sample, *sample.core)
            if window.dont_care:
                continue
            batch = data.validation_batch(np.array([index]), 0, np.random.default_rng(0))
            size = len(window.bases)
            labels, sites = np.zeros((2, size), dtype=int), np.zeros((2, 4, size + 1), dtype=bool)
            for gene in sorted(window.genes, key=lambda gene: gene.on_strand(size)):
                strand = int(gene.strand == "-")
                ((begin, end),) = gene.on_strand(size)
                labels[strand, begin:end] = 1 + (np.arange(end - begin) - gene.phase) % 3
                sites[strand, 0, begin] |= not gene.partial5
                sites[strand, 1, end] |= not gene.partial3
            assert (batch.labels[0].numpy() == labels).all()
            assert ((batch.sites[0].numpy() == 1) == sites).all()
            checked += len(window.genes)
    assert checked > 20


def test_the_crf_can_follow_every_window(run: ToyRun, clades: dict[str, Clade]) -> None:
    """Bacterial genes overlap by any number of bases; the CRF knows 1 and 4."""
    with ShardSet(shard_paths(run.manifest, "train")) as shards:
        data = CrfData(shards, clades)
        batch = data.validation_batch(np.arange(len(data.lengths)), 0, np.random.default_rng(0))
    rows, width = 2 * len(batch.codes), batch.codes.shape[-1]
    flat = torch.zeros(rows, width, 4), torch.zeros(rows, 4, width + 1), torch.tensor(1.0)
    allowed, sizes = (batch.sites > -2).flatten(0, 1), batch.lengths.repeat_interleave(2)
    assert chain_loss(*flat, allowed, batch.labels.flatten(0, 1), sizes).refused.any()
    assert not chain_loss(*flat, allowed, batch.chains.flatten(0, 1), sizes).refused.any()
    differ = batch.labels != batch.chains
    assert 0 < float(differ.float().mean()) < 0.2 and (batch.chains[differ] != 0).all()


def test_every_parameter_of_the_network_learns_and_losses_add_up(run: ToyRun, clades: dict[str, Clade]) -> None:
    options = CrfOptions(base_weight=2.0, soft_f1_weight=3.0, site_weight=5.0, chain_weight=7.0)
    training = CrfTraining(toy_crf(), options).train()
    with ShardSet(shard_paths(run.manifest, "train")) as shards:
        batch = CrfData(shards, clades).training_batch(np.arange(3), 0, np.random.default_rng(0))
    losses = training.training_losses(batch)
    losses["sum"].backward()
    never = {"chain_scale"}  # of codon positions that no label shows
    silent = {n for n, p in training.network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    # The toy bacterium has no introns; coarse levels join in once their zero weights have moved.
    behind_zero = ("stem.codons.", "stem.to_codons", "stem.to_stretches", "stem.stretches", "stem.other_strand")
    behind_zero += ("stem.from_stretches", "stem.codons_again")
    assert not {name for name in silent if not name.startswith(behind_zero)} - never
    parts = {name: losses[name].item() for name in ("base", "soft_f1", "site", "chain")}
    total = 2 * parts["base"] + 3 * parts["soft_f1"] + 5 * parts["site"] + 7 * parts["chain"] / 1000
    assert losses["sum"].item() == pytest.approx(total, rel=1e-5)
    assert int(losses["weight"]) == int(batch.lengths.sum())


def test_recomputed_activations_change_no_gradient(run: ToyRun, clades: dict[str, Clade]) -> None:
    with ShardSet(shard_paths(run.manifest, "train")) as shards:
        batch = CrfData(shards, clades).training_batch(np.arange(2), 0, np.random.default_rng(0))

    def gradients(recompute: bool) -> tuple[list[torch.Tensor], int]:
        """Gradients, and how many numbers the forward pass keeps for them."""
        training = CrfTraining(toy_crf(stem_dropout=0.5), CrfOptions()).train()
        if recompute:
            training.recompute_activations()
        kept: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda one: kept.append(one.numel()) or one, lambda one: one):
            torch.manual_seed(0)
            loss = training.training_losses(batch)["sum"]
        loss.backward()
        return [parameter.grad for parameter in training.parameters()], sum(kept)

    (usual, usual_kept), (recomputed, recomputed_kept) = gradients(False), gradients(True)
    assert recomputed_kept < 0.8 * usual_kept
    assert all(torch.equal(one, two) for one, two in zip(usual, recomputed, strict=True))


def test_windows_are_cropped_at_random_unless_told_otherwise(run: ToyRun, clades: dict[str, Clade]) -> None:
    indices = np.arange(4)
    with ShardSet(shard_paths(run.manifest, "train")) as shards:
        cropped, whole = (CrfData(shards, clades, random_crops) for random_crops in (True, False))
        expected = whole.validation_batch(indices, 0, np.random.default_rng(0)).codes
        drawn = [cropped.training_batch(indices, 0, np.random.default_rng(seed)).codes for seed in (1, 2)]
        assert not torch.equal(*drawn) and not torch.equal(drawn[0], expected)
        assert torch.equal(whole.training_batch(indices, 0, np.random.default_rng(1)).codes, expected)


def test_training_improves_the_crf_and_leaves_a_folder_of_its_own(arguments: dict) -> None:
    arguments["options"] = CrfOptions(
        size="demo",
        overrides=CRF_SHAPE,
        seed=1,
        epochs=3,
        hexamer_windows=20,
        eval_steps=27,
        lr=3e-3,
        log_every=9,
        max_grad_norm=1.0,
        betas=(0.9, 0.95),
    )
    run_crf_training(**arguments)
    rows = log(arguments["output_dir"], "eval_log.csv")
    assert float(rows[-1]["val_loss"]) < 0.8 * float(rows[0]["val_loss"])
    assert float(rows[-1]["val_chain"]) < float(rows[0]["val_chain"])
    trained, fresh = load_crf(arguments["output_dir"]), toy_crf(arguments["options"].seed)
    assert trained.config == fresh.config
    start, end = fresh.state_dict(), trained.state_dict()
    assert {name for name in start if not torch.equal(start[name], end[name])}
    models = {path.name for path in arguments["output_dir"].iterdir() if "token" in path.name}
    assert not models  # a CRF has no tokenizer


def test_the_shape_is_the_sizes_but_for_what_is_set(arguments: dict) -> None:
    shape = {**CRF_SHAPE, "stem_channels": 24}
    run_crf_training(**{**arguments, "options": replace(arguments["options"], overrides=shape)})
    assert load_crf(arguments["output_dir"]).config == toy_crf(**shape).config


def test_only_first_weights_are_counted(arguments: dict, tmp_path: Path, monkeypatch) -> None:
    counted = []
    count = CrfData.count_hexamers

    def watched(self: CrfData, number: int, seed: int) -> HexamerCounts:
        counted.append(number)
        return count(self, number, seed)

    monkeypatch.setattr(CrfData, "count_hexamers", watched)
    options = CrfOptions(size="demo", overrides=CRF_SHAPE, max_steps=1, hexamer_windows=4, lr=1e-9)
    run_crf_training(**{**arguments, "options": options})
    assert counted == [4]
    before, after = toy_crf(options.seed), load_crf(arguments["output_dir"])
    moved = (after.networks[0].stem.scores.weight - before.networks[0].stem.scores.weight).abs().amax(dim=0)
    assert (moved[:3] > 0.1).all()  # the three codon positions; there are no introns to count
    assert (moved[3:] < 1e-3).all()
    further = {**arguments, "output_dir": tmp_path / "further"}
    run_crf_training(**{**further, "options": replace(options, init_from=str(arguments["output_dir"]))})
    run_crf_training(**{**arguments, "output_dir": tmp_path / "random", "options": replace(options, hexamer_windows=0)})
    assert counted == [4]


def test_training_goes_on_from_a_trained_crf(arguments: dict, tmp_path: Path) -> None:
    start = write_crf(tmp_path / "start", seed=7)
    options = replace(arguments["options"], init_from=str(start), lr=1e-9)
    run_crf_training(**{**arguments, "options": options})
    first, last = (load_crf(folder).state_dict() for folder in (start, arguments["output_dir"]))
    assert first.keys() == last.keys() and len(first) > 10
    for name, tensor in first.items():
        torch.testing.assert_close(last[name], tensor, atol=1e-6, rtol=0)


def test_dropout_may_differ_from_the_crf_that_training_starts_from(arguments: dict, tmp_path: Path) -> None:
    start = write_crf(tmp_path / "start", seed=7)
    shape = {**CRF_SHAPE, "stem_dropout": 0.0}
    options = replace(arguments["options"], init_from=str(start), overrides=shape)
    run_crf_training(**{**arguments, "options": options})
    assert load_crf(arguments["output_dir"]).config.stem_dropout == 0.0


def test_layers_of_sites_are_added_and_change_nothing_before_they_learn(arguments: dict, tmp_path: Path) -> None:
    start = write_crf(tmp_path / "start", seed=8)
    shape = CRF_SHAPE | {"site_dilations": (1, 1, 1, 2)}
    options = replace(arguments["options"], init_from=str(start), overrides=shape)
    codes = torch.randint(0, 5, (1, 2, 300), generator=torch.Generator().manual_seed(4))
    wanted, found = load_crf(start)(codes), first_crf(options).eval()(codes)
    for one, other in zip(wanted, found, strict=True):
        assert torch.equal(one, other)
    run_crf_training(**{**arguments, "options": options})
    added = load_crf(arguments["output_dir"]).networks[0].site_convolutions[3].conv
    assert added.weight.abs().max() > 0
    assert added.dilation == (2,)


@pytest.mark.parametrize("dilations", [(1, 1), (2, 1, 1, 1)])
def test_layers_of_sites_that_the_start_has_are_kept(dilations: tuple, arguments: dict, tmp_path: Path) -> None:
    start = write_crf(tmp_path / "start")
    shape = CRF_SHAPE | {"site_dilations": dilations}
    with pytest.raises(InputError) as error:
        first_crf(replace(arguments["options"], init_from=str(start), overrides=shape))
    assert f"site_dilations is (1, 1, 1), asked for is {dilations}" in str(error.value)


def test_joined_crfs_are_not_trained(arguments: dict, tmp_path: Path) -> None:
    joined = write_crf(tmp_path / "joined", num_networks=2)
    options = replace(arguments["options"], init_from=str(joined))
    with pytest.raises(InputError, match="joined: 2 joined networks; train each by itself"):
        run_crf_training(**{**arguments, "options": options})


def test_a_start_of_another_shape_is_one_line(arguments: dict, tmp_path: Path) -> None:
    wide = write_crf(tmp_path / "wide", codon_channels=24)
    options = replace(arguments["options"], init_from=str(wide))
    with pytest.raises(InputError) as error:
        run_crf_training(**{**arguments, "options": options})
    assert str(error.value) == (f"{wide}: codon_channels is 24, asked for is 16; set crf.size and crf.overrides alike")


def test_a_finished_run_is_exported_again_and_not_trained(arguments: dict, capsys) -> None:
    run_crf_training(**arguments)
    weights = arguments["output_dir"] / "model.safetensors"
    first = weights.read_bytes()
    weights.unlink()
    capsys.readouterr()
    run_crf_training(**arguments)
    assert weights.read_bytes() == first
    assert "already finished after 1 steps" in capsys.readouterr().out


@pytest.mark.parametrize("changed", ["overrides", "init_from"])
def test_a_run_with_another_network_is_not_gone_on_with(arguments: dict, changed: str, tmp_path: Path) -> None:
    run_crf_training(**arguments)
    if changed == "overrides":
        arguments["options"] = replace(arguments["options"], overrides={**CRF_SHAPE, "site_channels": 12})
    else:
        start = write_crf(tmp_path / "start")
        arguments["options"] = replace(arguments["options"], init_from=str(start))
    with pytest.raises(InputError, match="crf") as error:
        run_crf_training(**arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("validation", r"absent: no such file; run merge_validation first$"),
        ("manifests", r"absent: no such manifest; bake the species first \(scripts/bake_shards.py\)$"),
        ("init_from", r"absent/model.safetensors: no such file; init_from must be the folder of a trained CRF$"),
    ],
)
def test_missing_input_is_one_line(argument: str, message: str, arguments: dict, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    if argument == "init_from":
        arguments["options"] = replace(arguments["options"], init_from=str(absent))
    else:
        arguments[argument] = [absent] if argument == "manifests" else absent
    with pytest.raises(InputError, match=message):
        run_crf_training(**arguments)
    assert not arguments["output_dir"].exists()
