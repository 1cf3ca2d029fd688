"""Models are made, grown, saved and loaded without a weight lost or a token moved; mistakes are one clear line."""

from __future__ import annotations

import csv
import json
import os
import runpy
from pathlib import Path

import pytest
import torch
from model_toy import SHAPE, TOKENIZER, toy_batch, toy_crf, toy_model
from safetensors.torch import load_file, save_file

from genet5.crf.folder import load_crf, save_crf
from genet5.errors import InputError
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.writer.building import load_model, new_model, resize_model, save_model
from genet5.writer.network import GeneT5Model


def tokenizer_of(segment_bp: int = 12, k: int = 3, extra: tuple[str, ...] = ()) -> GeneTokenizer:
    return GeneTokenizer.build("kmer", k=k, segment_bp=segment_bp, max_window_bp=1200, extra=extra)


def fresh(tokenizer: GeneTokenizer = TOKENIZER, seed: int = 0) -> GeneT5Model:
    """A model that knows the DNA vocabulary alone."""
    return new_model("demo", tokenizer, toy_crf(), seed, SHAPE)


def losses(model: GeneT5Model) -> dict[str, float]:
    with torch.no_grad():
        return {name: float(value) for name, value in model.eval().training_losses(toy_batch((90, 200))).items()}


def one_line(action, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        action(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def run_script(repository, monkeypatch, capfd):
    """Runs a script of the repository in this process; what it printed."""

    def run(name: str, *arguments: object) -> str:
        monkeypatch.setattr("sys.argv", [name, *map(str, arguments)])
        capfd.readouterr()
        runpy.run_path(str(repository / "scripts" / name), run_name="__main__")
        output, errors = capfd.readouterr()
        assert errors == ""
        return output

    return run


@pytest.fixture
def folder(tmp_path) -> Path:
    save_model(toy_model(), TOKENIZER, tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors is a no-op")  # from_pretrained's
@pytest.mark.parametrize("experts", [0, 3])
def test_a_saved_model_computes_the_same_bit_for_bit(tmp_path, capfd, experts):
    model = toy_model(num_experts=experts)
    save_model(model, TOKENIZER, tmp_path / "m")
    loaded, tokenizer = load_model(tmp_path / "m")
    assert losses(loaded) == losses(model)
    assert tokenizer.size == TOKENIZER.size
    official = GeneT5Model.from_pretrained(tmp_path / "m")
    capfd.readouterr()
    assert losses(official) == losses(model)
    assert loaded.config.to_diff_dict() == official.config.to_diff_dict()
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        "config.json", "genet5_tokenizer.json", "model.safetensors", "tokenizer.json"
    ]  # fmt: skip


def test_saving_and_loading_say_nothing(tmp_path, capfd, recwarn):
    save_model(toy_model(num_experts=2), TOKENIZER, tmp_path / "m")
    load_model(tmp_path / "m")
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_fresh_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = fresh(seed=7).state_dict()
    state = torch.get_rng_state()
    second = fresh(seed=7).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    other = fresh(seed=8).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["backbone.embed_tokens.weight"], other["backbone.embed_tokens.weight"])
    assert len(first["backbone.embed_tokens.weight"]) == TOKENIZER.dna_size


def test_a_model_is_made_around_a_copy_of_the_trained_crf():
    crf = toy_crf(seed=5)
    model = new_model("demo", TOKENIZER, crf, 0, SHAPE)
    assert model.config.crf_config == crf.config
    assert model.crf.state_dict().keys() == crf.state_dict().keys()
    for name, tensor in crf.state_dict().items():
        mine = model.crf.state_dict()[name]
        assert torch.equal(mine, tensor) and mine.data_ptr() != tensor.data_ptr(), name
    assert not any(parameter.requires_grad for parameter in model.crf.parameters())
    assert all(parameter.requires_grad for parameter in crf.parameters())
    other = new_model("demo", TOKENIZER, toy_crf(seed=6), 0, SHAPE).state_dict()
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(other[name], tensor)}
    assert changed and all(name.startswith("crf.") for name in changed), "the rest depends on the seed alone"


def test_resizing_keeps_old_rows_and_draws_new_ones_around_their_mean():
    model = fresh()
    with torch.no_grad():
        model.get_input_embeddings().weight.add_(3.0).mul_(torch.linspace(0.5, 2, SHAPE["hidden_size"]))
    old = model.get_input_embeddings().weight.detach().clone()
    rest = {name: tensor.clone() for name, tensor in model.state_dict().items() if "embed_tokens" not in name}
    resize_model(model, TOKENIZER)
    rows = model.get_input_embeddings().weight.detach()
    assert rows.shape == (TOKENIZER.size, SHAPE["hidden_size"])
    assert torch.equal(rows[: len(old)], old)
    added = rows[len(old) :]
    assert len(added) > 100
    error = old.std(0) / len(added) ** 0.5
    assert ((added.mean(0) - old.mean(0)).abs() < 5 * error).all()
    assert ((added.std(0) / old.std(0) - 1).abs() < 0.3).all()
    assert len(torch.unique(added, dim=0)) == len(added)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in rest.items())
    again = resize_model(fresh(), TOKENIZER).get_input_embeddings().weight
    twice = resize_model(fresh(), TOKENIZER).get_input_embeddings().weight
    assert torch.equal(again, twice)


def test_resizing_says_where_structure_tokens_lie():
    tokenizer = tokenizer_of(extra=("<extra>",))
    config = resize_model(fresh(tokenizer), tokenizer).config
    names = [tokenizer.token(index) for index in config.structure_ids]
    assert {"<+>", "<->", "<cds>", "<end>", "<eos>", "<clade:fungi>", "<extra>"} <= set(names)
    assert not [name for name in names if name.startswith(("<loc_", "<off_"))]
    assert len(names) == tokenizer.size - tokenizer.dna_size - tokenizer.num_loc - tokenizer.segment_bp
    assert config.vocab_size == tokenizer.size
    assert [config.loc_base, config.num_loc] == [tokenizer.id("<loc_0>"), 101]
    assert [config.off_base, config.segment_bp] == [tokenizer.id("<off_0>"), 12]


def test_a_model_grows_again_after_tokens_are_appended(tmp_path):
    tokenizer = tokenizer_of()
    model = resize_model(fresh(tokenizer), tokenizer)
    before, known = losses(model), model.get_input_embeddings().weight.detach().clone()
    (new,) = tokenizer.append_tokens(["<later>"])
    resize_model(model, tokenizer)
    assert new in model.config.structure_ids
    assert torch.equal(model.get_input_embeddings().weight[:-1], known)
    assert losses(model) == before
    save_model(model, tokenizer, tmp_path / "m")
    loaded, found = load_model(tmp_path / "m")
    assert found.token(found.size - 1) == "<later>" and losses(loaded) == before


def test_a_tokenizer_that_does_not_continue_the_models_is_refused():
    model = toy_model(tokenizer=tokenizer_of(extra=("<extra>",)))
    assert "a model can only grow" in one_line(resize_model, model, tokenizer_of())
    other = tokenizer_of(extra=("<another>", "<extra>"))
    assert "are not those the model was made for" in one_line(resize_model, model, other)
    small = fresh(tokenizer_of(k=3))
    assert "are not those the model was made for" in one_line(resize_model, small, tokenizer_of(k=4))
    assert "no structure tokens yet" in one_line(resize_model, small, GeneTokenizer.base("kmer", k=3))
    assert small.config.vocab_size == len(small.get_input_embeddings().weight) == TOKENIZER.dna_size


def test_saving_with_another_tokenizer_is_refused(tmp_path):
    assert "run resize_model.py" in one_line(save_model, toy_model(), tokenizer_of(extra=("<x>",)), tmp_path / "m")
    unexpanded = fresh()
    assert "run resize_model.py" in one_line(save_model, unexpanded, TOKENIZER, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_broken_model_folders_are_one_clear_line(folder, tmp_path):
    def broken(change) -> str:
        change()
        return one_line(load_model, folder)

    weights, config = load_file(folder / "model.safetensors"), json.loads((folder / "config.json").read_text())

    def with_weights(**changed: torch.Tensor | None) -> None:
        found = {**weights, **changed}
        save_file({name: tensor for name, tensor in found.items() if tensor is not None}, folder / "model.safetensors")

    def with_config(**changed: object) -> None:
        (folder / "config.json").write_text(json.dumps({**config, **changed}))

    assert "no tensor head.option_weight (1 missing, 0 unknown)" in broken(
        lambda: with_weights(**{"head.option_weight": None})
    )
    assert "unknown tensor extra (0 missing, 1 unknown)" in broken(lambda: with_weights(extra=torch.zeros(2)))
    shape = broken(lambda: with_weights(**{"crf.networks.0.class_head.bias": torch.zeros(4)}))
    assert "crf.networks.0.class_head.bias has shape (4,), config.json asks for (5,)" in shape
    with_weights()
    assert "model_type 'bert', must be 'genet5'" in broken(lambda: with_config(model_type="bert"))
    assert "must be an even multiple of 5 heads" in broken(lambda: with_config(num_heads=5))
    assert "is not a power of two" in broken(lambda: with_config(dna_block_size=17, dna_window_size=34))
    assert "the tokenizer beside it has" in broken(lambda: with_config(vocab_size=9))
    assert "segment_bp is 24, in the tokenizer beside it 12" in broken(lambda: with_config(segment_bp=24))
    assert "are not those the model was made for" in broken(lambda: with_config(tokenizer_sha256="0"))
    assert "not a configuration of this version" in broken(lambda: with_config(crf={"depth": 3}))
    assert "not JSON" in broken(lambda: (folder / "config.json").write_text("{"))
    with_config()
    load_model(folder)
    assert "not a safetensors file" in broken(lambda: (folder / "model.safetensors").write_bytes(b"123"))
    for name in ("model.safetensors", "config.json", "tokenizer.json", "genet5_tokenizer.json"):
        save_model(toy_model(), TOKENIZER, folder)
        assert f"{name}: no such file, a model folder has" in broken((folder / name).unlink)
    assert "no such file" in one_line(load_model, tmp_path / "nowhere")


def test_a_save_that_dies_leaves_no_model_that_looks_complete(folder, monkeypatch):
    """Whatever file could not be moved into place, the folder has no weights or the old model."""
    before = losses(load_model(folder)[0])
    changed = toy_model(seed=3)

    def killed(self, *_arguments, **_options) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(GeneT5Model, "save_pretrained", killed)
        with pytest.raises(KeyboardInterrupt):
            save_model(changed, TOKENIZER, folder)
    assert losses(load_model(folder)[0]) == before
    moves = 0
    rename = os.rename

    def killed_at_second_move(source: str, target: str) -> None:
        nonlocal moves
        moves += 1
        if moves == 2:
            raise KeyboardInterrupt
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed_at_second_move)
        with pytest.raises(KeyboardInterrupt):
            save_model(changed, TOKENIZER, folder)
    assert not (folder / "model.safetensors").exists()
    save_model(changed, TOKENIZER, folder)
    assert losses(load_model(folder)[0]) == losses(changed)
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"hidden_size": 30}, "writer.overrides.hidden_size: 30, must be an even multiple of 4 heads"),
        ({"hidden_size": 36}, "writer.overrides.hidden_size: 36, must be an even multiple of 4 heads"),
        ({"num_kv_heads": 3}, "writer.overrides.num_kv_heads: 3 does not divide num_heads (4)"),
        (
            {"num_experts": 2, "experts_per_token": 3},
            "writer.overrides.experts_per_token: 3, must be at most num_experts (2)",
        ),
        ({"num_layers": 0}, "writer.overrides: num_layers: found 0, allowed: at least 1"),
        (
            {"dna_block_size": 8, "dna_window_size": 64},
            "writer.overrides.dna_block_size: 8 is not a power of two of at least 16",
        ),
        (
            {"dna_block_size": 48, "dna_window_size": 96},
            "writer.overrides.dna_block_size: 48 is not a power of two of at least 16",
        ),
        (
            {"dna_block_size": 16, "dna_window_size": 40},
            "writer.overrides.dna_window_size: 40 is not a positive multiple of dna_block_size 16",
        ),
        ({"dna_block_size": 16}, "writer.overrides.dna_window_size: 0 is not a positive multiple of dna_block_size 16"),
        ({"dna_window_size": 64}, "writer.overrides.dna_block_size: 0 is not a power of two of at least 16"),
    ],
)
def test_sizes_that_no_network_can_have_are_refused(overrides, expected):
    assert expected in one_line(new_model, "demo", TOKENIZER, toy_crf(), 0, {**SHAPE, **overrides})


def test_every_named_size_is_a_network():
    for size in ("demo", "small", "base", "recipe"):
        shape = {"num_layers": 1, "num_experts": 2} if size in ("base", "recipe") else {}
        model = new_model(size, TOKENIZER, toy_crf(), 0, shape)
        assert model.config.vocab_size == TOKENIZER.dna_size
    assert "'huge' is unknown, allowed: demo, small, base, recipe" in one_line(
        new_model, "huge", TOKENIZER, toy_crf(), 0
    )


def test_the_commands_make_and_grow_a_model(tmp_path, run_script):
    TOKENIZER.save(tmp_path / "tokenizer")
    save_crf(toy_crf(seed=4), tmp_path / "crf")
    run_script("init_model.py", "--size", "demo", "--tokenizer", tmp_path / "tokenizer", "--crf", tmp_path / "crf",
               "--init-from", "scratch", "--seed", 3, "--overrides", "num_layers=1",
               "--output-dir", tmp_path / "init")  # fmt: skip
    grown = run_script("resize_model.py", "--model", tmp_path / "init", "--tokenizer", tmp_path / "tokenizer",
                       "--output-dir", tmp_path / "resized")  # fmt: skip
    assert grown == f"{tmp_path / 'resized'}: {TOKENIZER.dna_size} -> {TOKENIZER.size} tokens\n"
    model, _ = load_model(tmp_path / "resized")
    assert model.config.num_layers == 1
    crf = load_crf(tmp_path / "crf")
    wanted = resize_model(new_model("demo", TOKENIZER, crf, 3, {"num_layers": 1}), TOKENIZER).state_dict()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in model.state_dict().items())
    with pytest.raises(SystemExit, match=r"^error: .*config.json: no such file, a model folder has config.json, model"):
        run_script("resize_model.py", "--model", tmp_path / "tokenizer", "--tokenizer", tmp_path,
                   "--output-dir", tmp_path / "x")  # fmt: skip
    with pytest.raises(SystemExit, match=r"^error: .*config.json: no such file, a CRF's folder has config.json and m"):
        run_script("init_model.py", "--size", "demo", "--tokenizer", tmp_path / "tokenizer", "--crf", tmp_path,
                   "--output-dir", tmp_path / "x")  # fmt: skip


def test_the_report_says_that_the_crf_is_copied_and_the_rest_is_fresh(tmp_path, run_script):
    TOKENIZER.save(tmp_path / "tokenizer")
    save_crf(toy_crf(seed=4), tmp_path / "crf")
    printed = run_script("init_model.py", "--size", "demo", "--tokenizer", tmp_path / "tokenizer", "--crf",
                         tmp_path / "crf", "--output-dir", tmp_path / "init")  # fmt: skip
    with open(tmp_path / "init" / "init_report.tsv") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    model, _ = load_model(tmp_path / "init")
    shapes = {name: "x".join(map(str, tensor.shape)) or "scalar" for name, tensor in model.named_parameters()}
    assert {row["target"]: row["shape"] for row in rows} == shapes and len(rows) == len(shapes)
    for row in rows:
        part, _, name = row["target"].partition(".")
        expected = ("copied", name, "of the trained CRF") if part == "crf" else ("new", "", "fresh")
        assert (row["action"], row["source"], row["note"]) == expected
    copied = sum(row["action"] == "copied" for row in rows)
    assert copied == len(toy_crf().state_dict())
    assert printed.endswith(f"tensors: {copied} copied, {len(rows) - copied} new\n")
