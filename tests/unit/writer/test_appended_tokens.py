"""Tokens appended to a tokenizer that is there: from a list to rows of a model that its prompts can use."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from model_toy import TOKENIZER, toy_batch, toy_model
from tokenizers import Tokenizer

from genet5.cli import commands, load_script
from genet5.errors import InputError
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.writer.building import load_model, save_model

NEW = ["<hint>", "[ATT]", "exon"]
Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture) -> Run:
    """Runs a command of ``genet5`` here; what it printed."""

    def command(name: str, *words: str | Path) -> str:
        load_script(name, commands()[name]).main([str(word) for word in words])
        return capsys.readouterr().out

    return command


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "new_tokens.txt"
    path.write_text("\n".join(NEW) + "\n")
    return path


def append(run: Run, source: Path, tokens: Path, output: Path) -> str:
    return run("append-tokens", "--tokenizer", source, "--tokens", tokens, "--output-dir", output)


def names(tokenizer: GeneTokenizer) -> list[str]:
    return [tokenizer.token(index) for index in range(tokenizer.size)]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_appended_tokens_come_last_and_move_no_id(run: Run, tokens: Path, tmp_path: Path) -> None:
    TOKENIZER.save(tmp_path / "old")
    before = content(tmp_path / "old")
    size = TOKENIZER.size
    assert (
        append(run, tmp_path / "old", tokens, tmp_path / "new") == f"{tmp_path / 'new'}: {size} -> {size + 3} tokens\n"
    )
    assert names(GeneTokenizer.load(tmp_path / "new")) == [*names(TOKENIZER), *NEW]
    assert content(tmp_path / "old") == before
    append(run, tmp_path / "old", tokens, tmp_path / "old")
    assert content(tmp_path / "old") == content(tmp_path / "new"), "a tokenizer may be replaced"


def test_tokens_that_exist_are_skipped_and_said(run: Run, tokens: Path, tmp_path: Path) -> None:
    """So a list that grows can be given again."""
    TOKENIZER.save(tmp_path / "t")
    append(run, tmp_path / "t", tokens, tmp_path / "t")
    tokens.write_text("<cds>\n<hint>\n<later>\n<loc_1>\n")
    size = TOKENIZER.size
    said = append(run, tmp_path / "t", tokens, tmp_path / "t")
    assert said.endswith(f": {size + 3} -> {size + 4} tokens; 3 were there already: <cds> <hint> <loc_1>\n")
    assert names(GeneTokenizer.load(tmp_path / "t"))[size:] == [*NEW, "<later>"]


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ("<a>\nACGT\n", r"new_tokens.txt:2: 'ACGT' is spelt with nucleotide letters only"),
        ("<a>\n<b>\n<a>\n", r"new_tokens.txt:3: token '<a>' stands on line 1 already"),
        ("<a>\n<loc_999>\n", r"<loc_999> follows from the segment and window lengths, remove it from the list"),
        ("<off_12>\n", r"<off_12> follows from the segment and window lengths"),
    ],
)
def test_a_list_with_a_mistake_changes_nothing(
    listed: str, message: str, run: Run, tokens: Path, tmp_path: Path
) -> None:
    TOKENIZER.save(tmp_path / "t")
    before = content(tmp_path / "t")
    tokens.write_text(listed)
    with pytest.raises(InputError, match=message):
        append(run, tmp_path / "t", tokens, tmp_path / "t")
    assert content(tmp_path / "t") == before


def test_a_tokenizer_without_structure_tokens_is_expanded_first(run: Run, tokens: Path, tmp_path: Path) -> None:
    TOKENIZER.dna_only().save(tmp_path / "dna")
    with pytest.raises(InputError, match=r"no structure tokens yet: expand it first \(expand_tokenizer.py\)"):
        append(run, tmp_path / "dna", tokens, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_folder_with_weights_is_not_written_to(run: Run, tokens: Path, tmp_path: Path) -> None:
    save_model(toy_model(), TOKENIZER, tmp_path / "model")
    before = content(tmp_path / "model")
    with pytest.raises(
        InputError, match=r"model: holds model.safetensors, .*; name another folder, .* resize_model.py$"
    ):
        append(run, tmp_path / "model", tokens, tmp_path / "model")
    assert content(tmp_path / "model") == before


def test_a_disk_that_fills_up_leaves_the_tokenizer_as_it_was(
    run: Run, tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TOKENIZER.save(tmp_path / "t")
    before, calls = content(tmp_path / "t"), []

    def full(_number: int) -> None:
        calls.append(0)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="cannot write the tokenizer here: No space left on device"):
        append(run, tmp_path / "t", tokens, tmp_path / "t")
    assert calls and content(tmp_path / "t") == before


def test_appended_tokens_reach_the_model(run: Run, tokens: Path, tmp_path: Path) -> None:
    model = toy_model(seed=4)
    save_model(model, TOKENIZER, tmp_path / "model")
    append(run, tmp_path / "model", tokens, tmp_path / "tokenizer")
    flags = ("--model", tmp_path / "model", "--tokenizer", tmp_path / "tokenizer", "--output-dir", tmp_path / "grown")
    assert run("resize-model", *flags) == f"{tmp_path / 'grown'}: {TOKENIZER.size} -> {TOKENIZER.size + 3} tokens\n"
    grown, tokenizer = load_model(tmp_path / "grown")
    old, rows = (one.get_input_embeddings().weight.detach() for one in (model, grown))
    assert torch.equal(rows[: len(old)], old)
    added = rows[len(old) :]
    assert len(added) == len(NEW) and len(torch.unique(added, dim=0)) == len(NEW)
    assert (((added - old.mean(0)) / old.std(0)).abs() < 6).all(), "drawn around the mean of the old rows"

    ids = [tokenizer.id(name) for name in NEW]
    assert ids == list(range(TOKENIZER.size, TOKENIZER.size + 3))
    text = Tokenizer.from_file(str(tmp_path / "grown/tokenizer.json"))
    for name, index in zip(NEW, ids, strict=True):
        spelt = text.encode(f"<bos>{name}<loc_0>ACGTTG", add_special_tokens=False).ids
        assert spelt == [tokenizer.bos, index, tokenizer.loc_base, *tokenizer.encode_dna("ACGTTG").ids[1:].tolist()]

    prompts = toy_batch((60,)).prompts
    with torch.no_grad():
        scores = grown.score(prompts)
        states = []
        for index in (*ids, tokenizer.clade("fungi")):
            prompts.ids[0, 1] = index
            states.append(grown.read_prompts(prompts, scores).posts)
        for one, other in pairwise(states):
            assert (one - other).abs().max() > 1e-3, "each token says something else"
        before = states[0]
        rows[ids[0]] += 1.0
        prompts.ids[0, 1] = ids[0]
        assert (grown.read_prompts(prompts, scores).posts - before).abs().max() > 1e-3
        prompts.ids[0, 1] = tokenizer.clade("fungi")
        assert torch.equal(grown.read_prompts(prompts, scores).posts, states[-1])


# ---------------------------------------------------------------- the list of tokens


def test_the_list_has_every_token_that_a_run_adds(run: Run, tmp_path: Path) -> None:
    flags = ("--kind", "kmer", "--k", "3", "--segment-bp", "12", "--max-window-bp", "120", "--extra-tokens", "<more>")
    assert run("expand-tokenizer", *flags, "--list", tmp_path / "list.txt").startswith(f"{tmp_path / 'list.txt'}: ")
    assert os.listdir(tmp_path) == ["list.txt"]
    run("expand-tokenizer", *flags, "--output-dir", tmp_path / "t", "--list", tmp_path / "again.txt")
    tokenizer = GeneTokenizer.load(tmp_path / "t")
    listed = (tmp_path / "list.txt").read_text().splitlines()
    assert listed == names(tokenizer)[tokenizer.dna_size :] == (tmp_path / "again.txt").read_text().splitlines()
    assert listed[0] == "<pad>" and listed[-1] == "<more>" and {"<loc_10>", "<off_11>", "<clade:fungi>"} < set(listed)
    said = append(run, tmp_path / "t", tmp_path / "list.txt", tmp_path / "t")
    assert (
        f"{tokenizer.size} -> {tokenizer.size} tokens; {len(listed)} were there already: <pad> " in said
        and said.endswith(" ...\n")
    )
    with pytest.raises(InputError, match="nothing to write: name a folder with --output-dir, a file with --list"):
        run("expand-tokenizer", *flags)


def test_extra_tokens_are_no_places() -> None:
    with pytest.raises(InputError, match="extra tokens: <loc_400> follows from the segment and window lengths"):
        GeneTokenizer.build("char", segment_bp=12, max_window_bp=120, extra=["<more>", "<loc_400>"])
