"""A made-up checkpoint in DNABERT-2's format is imported tensor by tensor, and the report says what became of each."""

from __future__ import annotations

import csv
import json
import runpy
from pathlib import Path

import pytest
import torch
from file_servers import Hub
from model_toy import SHAPE, TOKENIZER, random_bases, toy_crf, toy_model
from numpy.random import default_rng
from safetensors.torch import save_file
from torch import Tensor

from genet5.crf.folder import save_crf
from genet5.errors import InputError
from genet5.tokens.dna import train_bpe
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.writer.building import load_model, new_model, save_model
from genet5.writer.first_weights import first_weights
from genet5.writer.import_dnabert import import_dnabert, read_checkpoint

HIDDEN, LAYERS, HEADS, FEED_FORWARD, ROWS = 48, 2, 4, 96, 60
SIZES = {
    **SHAPE, "hidden_size": HIDDEN, "num_layers": LAYERS, "num_heads": HEADS, "num_kv_heads": 2,
    "feed_forward_size": FEED_FORWARD,
}  # fmt: skip
SETTINGS = {
    "model_type": "bert", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
    "intermediate_size": FEED_FORWARD, "vocab_size": ROWS,
}  # fmt: skip
Checkpoint = dict[str, Tensor]


@pytest.fixture(scope="module")
def bpe() -> GeneTokenizer:
    base = train_bpe([random_bases(default_rng(0), 4000)], ROWS)
    return GeneTokenizer.build("bpe", base=base, segment_bp=12, max_window_bp=240)


@pytest.fixture(scope="module")
def tensors() -> Checkpoint:
    """All tensors of the format, with values that tell them apart."""
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    found = {
        "bert.embeddings.word_embeddings.weight": draw(ROWS, HIDDEN),
        "bert.embeddings.token_type_embeddings.weight": draw(2, HIDDEN),
        "bert.embeddings.LayerNorm.weight": draw(HIDDEN),
        "bert.embeddings.LayerNorm.bias": draw(HIDDEN),
        "cls.predictions.transform.dense.weight": draw(HIDDEN, HIDDEN),
        "cls.predictions.decoder.weight": draw(ROWS, HIDDEN),
    }
    for layer in range(LAYERS):
        at = f"bert.encoder.layer.{layer}"
        found |= {
            f"{at}.attention.self.Wqkv.weight": draw(3 * HIDDEN, HIDDEN),
            f"{at}.attention.self.Wqkv.bias": draw(3 * HIDDEN),
            f"{at}.attention.output.dense.weight": draw(HIDDEN, HIDDEN),
            f"{at}.attention.output.dense.bias": draw(HIDDEN),
            f"{at}.attention.output.LayerNorm.weight": draw(HIDDEN),
            f"{at}.attention.output.LayerNorm.bias": draw(HIDDEN),
            f"{at}.mlp.gated_layers.weight": draw(2 * FEED_FORWARD, HIDDEN),
            f"{at}.mlp.wo.weight": draw(HIDDEN, FEED_FORWARD),
            f"{at}.mlp.wo.bias": draw(HIDDEN),
            f"{at}.mlp.layernorm.weight": draw(HIDDEN),
            f"{at}.mlp.layernorm.bias": draw(HIDDEN),
        }
    return found


def write(folder: Path, tensors: Checkpoint, tokenizer: GeneTokenizer | None = None, **settings: object) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**SETTINGS, **settings}))
    save_file(tensors, folder / "model.safetensors")
    if tokenizer is not None:
        tokenizer.dna_only().save(folder)
    return folder


def imported(folder: Path, tokenizer: GeneTokenizer, **overrides: int):
    model = new_model("demo", tokenizer, toy_crf(), 0, {**SIZES, **overrides})
    fresh = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    rows = import_dnabert(model, tokenizer, read_checkpoint(folder))
    return model.state_dict(), fresh, rows


def test_every_tensor_goes_where_it_belongs(tmp_path, tensors, bpe):
    ours, fresh, _ = imported(write(tmp_path / "c", tensors, bpe), bpe)
    bert = {name.removeprefix("bert."): tensor for name, tensor in tensors.items()}
    words = bert["embeddings.word_embeddings.weight"] + bert["embeddings.token_type_embeddings.weight"][0]
    assert torch.equal(ours["backbone.embed_tokens.weight"], words)
    produced_by = ["embeddings.LayerNorm", "encoder.layer.0.mlp.layernorm", "encoder.layer.1.mlp.layernorm"]
    consumed_by = ["layers.0.input_layernorm", "layers.1.input_layernorm", "norm"]
    for theirs, mine in zip(produced_by, consumed_by, strict=True):
        assert torch.equal(ours[f"backbone.{mine}.weight"], bert[f"{theirs}.weight"])
    for layer in range(LAYERS):
        mine, theirs = f"backbone.layers.{layer}", f"encoder.layer.{layer}"
        for kind in ("weight", "bias"):
            fused = bert[f"{theirs}.attention.self.Wqkv.{kind}"]
            assert torch.equal(ours[f"{mine}.self_attn.q_proj.{kind}"], fused[:HIDDEN])
            for number, name in ((1, "k_proj"), (2, "v_proj")):
                heads = [fused[number * HIDDEN + 12 * head : number * HIDDEN + 12 * head + 12] for head in range(HEADS)]
                means = torch.cat([(heads[0] + heads[1]) / 2, (heads[2] + heads[3]) / 2])
                torch.testing.assert_close(ours[f"{mine}.self_attn.{name}.{kind}"], means)
        assert torch.equal(ours[f"{mine}.self_attn.o_proj.weight"], bert[f"{theirs}.attention.output.dense.weight"])
        norm = bert[f"{theirs}.attention.output.LayerNorm.weight"]
        assert torch.equal(ours[f"{mine}.post_attention_layernorm.weight"], norm)
        gated = bert[f"{theirs}.mlp.gated_layers.weight"]
        assert torch.equal(ours[f"{mine}.mlp.gate_proj.weight"], gated[:FEED_FORWARD])
        assert torch.equal(ours[f"{mine}.mlp.up_proj.weight"], gated[FEED_FORWARD:])
        assert torch.equal(ours[f"{mine}.mlp.down_proj.weight"], bert[f"{theirs}.mlp.wo.weight"])
    for name in ours:
        if not name.startswith("backbone."):
            assert torch.equal(ours[name], fresh[name]), name


def test_the_feed_forward_computes_what_the_checkpoint_computes(tmp_path, tensors, bpe):
    folder = write(tmp_path / "c", tensors, bpe)
    states = torch.randn(5, 7, HIDDEN, generator=torch.Generator().manual_seed(2))
    gate, up = (states @ tensors["bert.encoder.layer.1.mlp.gated_layers.weight"].T).split(FEED_FORWARD, dim=-1)
    wanted = (torch.nn.functional.gelu(gate) * up) @ tensors["bert.encoder.layer.1.mlp.wo.weight"].T
    for experts in (0, 4):
        model = new_model("demo", bpe, toy_crf(), 0, {**SIZES, "num_experts": experts})
        import_dnabert(model, bpe, read_checkpoint(folder))
        found = model.backbone.layers[1].mlp(states)  # whatever experts are chosen, all hold the same
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_each_tensor_of_either_side_stands_in_the_report(tmp_path, tensors, bpe):
    for experts in (0, 2):
        ours, fresh, rows = imported(write(tmp_path / f"c{experts}", tensors, bpe), bpe, num_experts=experts)
        assert sorted(row.target for row in rows if row.target) == sorted(ours)  # each once
        of_crf = [row for row in rows if row.target.startswith("crf.")]
        rows = [row for row in rows if row not in of_crf]
        assert {row.source for row in rows} - {""} == {name.removeprefix("bert.") for name in tensors}
        for row in rows:
            assert (row.action == "dropped") == (row.target == "") and (row.action == "new") == (row.source == "")
            if row.action == "new":
                assert torch.equal(ours[row.target], fresh[row.target])
            elif row.target:
                assert not torch.equal(ours[row.target], fresh[row.target])
        dropped = {row.source for row in rows if row.action == "dropped"}
        assert "cls.predictions.decoder.weight" in dropped and "encoder.layer.0.mlp.wo.bias" in dropped
        assert [f"crf.{name}" for name in toy_crf().state_dict()] == [row.target for row in of_crf]
        for row in of_crf:
            assert (row.action, f"crf.{row.source}", row.note) == ("copied", row.target, "of the trained CRF")
            assert torch.equal(ours[row.target], toy_crf().state_dict()[row.source])


def test_tokens_are_matched_by_their_spelling(tmp_path, tensors, bpe):
    """A k-mer vocabulary takes the rows of the words it shares with the checkpoint, whatever their ids."""
    kmer = GeneTokenizer.build("kmer", k=3, segment_bp=12, max_window_bp=240)
    ours, fresh, rows = imported(write(tmp_path / "c", tensors, bpe), kmer)
    theirs = (
        tensors["bert.embeddings.word_embeddings.weight"] + tensors["bert.embeddings.token_type_embeddings.weight"][0]
    )
    shared = 0
    known = {bpe.token(index): index for index in range(bpe.dna_size)}
    for index in range(kmer.dna_size):
        word, row = kmer.token(index), ours["backbone.embed_tokens.weight"][index]
        if word in known:
            shared += 1
            assert torch.equal(row, theirs[known[word]])
        else:
            assert torch.equal(row, fresh["backbone.embed_tokens.weight"][index])
    assert 4 < shared < kmer.dna_size
    (note,) = [row.note for row in rows if row.target == "backbone.embed_tokens.weight"]
    assert note.startswith(f"{shared} of {kmer.dna_size} tokens")


def test_without_names_rows_go_by_id_or_are_left_out(tmp_path, tensors, bpe):
    ours, _, _ = imported(write(tmp_path / "c", tensors), bpe)
    row = (
        tensors["bert.embeddings.word_embeddings.weight"][7]
        + tensors["bert.embeddings.token_type_embeddings.weight"][0]
    )
    assert torch.equal(ours["backbone.embed_tokens.weight"][7], row)
    char = GeneTokenizer.build("char", segment_bp=12, max_window_bp=240)
    ours, fresh, rows = imported(tmp_path / "c", char)
    assert torch.equal(ours["backbone.embed_tokens.weight"], fresh["backbone.embed_tokens.weight"])
    (dropped,) = [row for row in rows if row.source == "embeddings.word_embeddings.weight"]
    assert dropped.action == "dropped" and "kind char" in dropped.note


def test_weights_of_both_kinds_of_files_are_the_same(tmp_path, tensors, bpe):
    first = write(tmp_path / "a", tensors, bpe)
    second = write(tmp_path / "b", tensors, bpe)
    (second / "model.safetensors").unlink()
    torch.save(tensors, second / "pytorch_model.bin")
    one, two = (read_checkpoint(folder).tensors for folder in (first, second))
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_broken_checkpoints_are_one_clear_line(tmp_path, tensors, bpe):
    def error(folder: Path, **overrides: int) -> str:
        with pytest.raises(InputError) as caught:
            first_weights("demo", bpe, toy_crf(), str(folder), 0, {**SIZES, **overrides})
        assert "\n" not in str(caught.value)
        return str(caught.value)

    good = write(tmp_path / "good", tensors, bpe)
    assert error(good, num_layers=3).endswith(
        "the model has num_layers 3, the checkpoint needs writer.overrides {num_layers: 2}"
    )
    assert "no whole number num_hidden_layers" in error(write(tmp_path / "a", tensors, num_hidden_layers=None))
    short = {name: tensor for name, tensor in tensors.items() if "1.mlp.wo.weight" not in name}
    assert "no tensor encoder.layer.1.mlp.wo.weight" in error(write(tmp_path / "b", short))
    odd = {**tensors, "bert.encoder.layer.0.mlp.wo.weight": torch.zeros(HIDDEN, 5)}
    assert "encoder.layer.0.mlp.wo.weight has shape (48, 5)" in error(write(tmp_path / "c", odd))
    bare = write(tmp_path / "d", tensors)
    (bare / "model.safetensors").unlink()
    assert "no weights" in error(bare)
    (bare / "pytorch_model.bin").write_bytes(b"not a pickle")
    assert "not a file of weights" in error(bare)
    torch.save({"run": print}, bare / "pytorch_model.bin")  # code in a pickle is refused, not run
    assert "not a file of weights" in error(bare)
    (good / "config.json").unlink()
    assert "config.json: cannot be read" in error(good)
    assert "is neither scratch, nor a folder, nor a hub id" in error(tmp_path / "nowhere")


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_hub_id_is_fetched_or_one_clear_line(tmp_path, tensors, bpe, monkeypatch):
    """As published: a pickle, and Python code that nobody runs."""
    folder = write(tmp_path / "c", tensors, bpe)
    wanted = first_weights("demo", bpe, toy_crf(), str(folder), 0, SIZES).model.state_dict()
    for name in ("model.safetensors", "genet5_tokenizer.json"):
        (folder / name).unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "bert_layers.py").write_text("raise SystemExit('run')")
    with Hub(read_files(folder)) as hub:
        hub.meet(monkeypatch, tmp_path / "cache")
        found = first_weights("demo", bpe, toy_crf(), "owner/model", 0, SIZES).model.state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())
        assert sorted(hub.sent) == ["config.json", "pytorch_model.bin", "tokenizer.json"]
        hub.status = 401
        message = r"^config key writer.init_from: 'owner/other' is no path here.*; put "
        with pytest.raises(InputError, match=message) as error:
            first_weights("demo", bpe, toy_crf(), "owner/other", 0, SIZES)
        assert "\n" not in str(error.value)


def test_tokenizer_and_weights_of_one_hub_id_belong_together(tmp_path, tensors, bpe, monkeypatch):
    with Hub(read_files(write(tmp_path / "c", tensors, bpe))) as hub:
        hub.meet(monkeypatch, tmp_path / "cache")
        tokenizer = GeneTokenizer.build("bpe", base="owner/model", segment_bp=12, max_window_bp=240)
        assert hub.sent == ["tokenizer.json"]
        first = first_weights("demo", tokenizer, toy_crf(), "owner/model@v2", 0, SIZES)
    (row,) = [row for row in first.report if row.target == "backbone.embed_tokens.weight"]
    assert row.action != "new" and first.model.config.vocab_size == bpe.dna_size


def test_a_genet5_model_from_the_hub_comes_with_all_its_files(tmp_path, monkeypatch):
    save_model(toy_model(seed=5), TOKENIZER, tmp_path / "m")
    with Hub(read_files(tmp_path / "m")) as hub:
        hub.meet(monkeypatch, tmp_path / "cache")
        first = first_weights("demo", TOKENIZER, toy_crf(), "owner/model", 1, SHAPE)
    assert {row.action for row in first.report} == {"copied"}


def test_a_genet5_model_is_copied_around_the_new_crf(tmp_path):
    source, crf = toy_model(seed=5), toy_crf(seed=7, stretch_channels=24)
    tokenizer = GeneTokenizer.build("kmer", k=3, segment_bp=12, max_window_bp=1200)
    save_model(source, tokenizer, tmp_path / "m")
    tokenizer.append_tokens(["<new>"])
    changed = {**SHAPE, "router_loss_weight": 0.5}
    first = first_weights("demo", tokenizer, crf, str(tmp_path / "m"), 1, changed)
    assert first.model.config.router_loss_weight == 0.5 and first.tokenizer.size == tokenizer.size - 1
    assert first.model.config.crf_config == crf.config != source.config.crf_config
    assert {row.action for row in first.report} == {"copied"}
    rows = {row.target: row for row in first.report}
    ours = first.model.state_dict()
    assert sorted(rows) == sorted(name for name, _ in first.model.named_parameters()) and len(rows) == len(first.report)
    wanted = {f"crf.{name}": tensor for name, tensor in crf.state_dict().items()}
    wanted |= {name: tensor for name, tensor in source.state_dict().items() if not name.startswith("crf.")}
    assert ours.keys() == wanted.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, wanted[name]), name
        if name in rows:
            assert (rows[name].note == "of the trained CRF") == name.startswith("crf.")
    assert not any(parameter.requires_grad for parameter in first.model.crf.parameters())


def test_a_genet5_model_of_another_shape_or_vocabulary_is_refused(tmp_path):
    save_model(toy_model(seed=5), TOKENIZER, tmp_path / "m")

    def first(tokenizer: GeneTokenizer = TOKENIZER, stem_channels: int = 16, **overrides: int) -> None:
        crf = toy_crf(stem_channels=stem_channels)
        first_weights("demo", tokenizer, crf, str(tmp_path / "m"), 1, {**SHAPE, **overrides})

    first()
    with pytest.raises(InputError, match=r"writer.overrides.num_layers: 3, the weights in .* have 2; set writer"):
        first(num_layers=3)
    with pytest.raises(InputError, match=r"was made around a CRF with stem_channels 16, the CRF here has 24$"):
        first(stem_channels=24)  # features of bases enter the language model
    with pytest.raises(InputError, match="are not those the model was made for"):
        first(GeneTokenizer.build("kmer", k=4, segment_bp=12, max_window_bp=2400))


def test_the_command_reports_and_saves(tmp_path, tensors, bpe, repository, monkeypatch, capsys):
    folder = write(tmp_path / "c", tensors, bpe)
    bpe.save(tmp_path / "tokenizer")
    save_crf(toy_crf(), tmp_path / "crf")
    overrides = [f"{key}={value}" for key, value in SIZES.items()]
    words = ["init_model.py", "--size", "demo", "--overrides", *overrides, "--tokenizer", tmp_path / "tokenizer"]
    words += ["--crf", tmp_path / "crf", "--init-from", folder, "--output-dir", tmp_path / "init"]
    monkeypatch.setattr("sys.argv", [str(word) for word in words])
    runpy.run_path(str(repository / "scripts" / "init_model.py"), run_name="__main__")
    printed = capsys.readouterr()
    assert printed.err == ""
    with open(tmp_path / "init" / "init_report.tsv") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert len(printed.out.splitlines()) == len(rows) + 2  # a header before them, a summary after them
    model, tokenizer = load_model(tmp_path / "init")
    assert tokenizer.size == bpe.dna_size == model.config.vocab_size
    wanted = tensors["bert.encoder.layer.0.mlp.wo.weight"]
    assert torch.equal(model.state_dict()["backbone.layers.0.mlp.down_proj.weight"], wanted)
