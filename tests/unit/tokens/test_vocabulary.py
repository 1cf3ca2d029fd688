"""Byte-pair vocabularies, token lists and the command that makes a tokenizer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from file_servers import Hub
from tokenizers import Tokenizer

from genet5.clades import read_clades
from genet5.errors import InputError
from genet5.tokens import dna, vocabulary
from genet5.tokens.tokenizer import GeneTokenizer

FIXED = [
    *("<pad>", "<bos>", "<eos>", "<sep>"),
    *("<+>", "<->", "<cds>", "<end>", "<partial5>", "<partial3>", "<phase_0>", "<phase_1>", "<phase_2>"),
]
CLADES = (
    "alga bacteria ciliate eukaryote filamentous_fungi fungi invertebrate kinetoplastid nematode plant plasmodium "
    "protist vertebrate"
).split()


def random_bases(length: int, seed: int = 0, letters: str = "ACGT") -> str:
    return "".join(np.random.default_rng(seed).choice(list(letters), length))


# Byte-pair vocabularies


def test_training_is_repeatable_and_of_the_size_asked() -> None:
    sequences = [random_bases(2000, seed, "ACGTN") for seed in range(3)]
    one, two = (dna.train_bpe(iter(sequences), vocab_size=200) for _ in range(2))
    assert one.to_str() == two.to_str()
    assert one.get_vocab_size() == 200
    assert all(set(token) <= set("ACGT") for token in one.get_vocab() if token != "<unk>")


def test_training_needs_bases_and_room() -> None:
    with pytest.raises(InputError, match="no A, C, G or T"):
        dna.train_bpe(["NNNN", b""], vocab_size=50)
    with pytest.raises(InputError, match="vocab_size: 5"):
        dna.train_bpe(["ACGT"], vocab_size=5)


def test_dnabert2_vocabulary_keeps_its_ids(shared_data: Path) -> None:
    path = shared_data / "tokenizer" / "DNABERT-2" / "tokenizer.json"
    original = Tokenizer.from_file(str(path))
    original.no_truncation()
    original.no_padding()
    tokenizer = GeneTokenizer.build("bpe", base=path, segment_bp=96, max_window_bp=9600)
    assert tokenizer.dna_size == 4096
    assert tokenizer.loc_base == 4096 + len(FIXED) + len(CLADES)
    assert all(tokenizer.token(id) == original.id_to_token(id) for id in range(4096))
    bases = random_bases(1000)
    ids = tokenizer.encode_dna(bases).ids
    segments = [bases[start : start + 96] for start in range(0, 1000, 96)]
    expected = [id for segment in segments for id in original.encode(segment, add_special_tokens=False).ids]
    assert ids[ids < 4096].tolist() == expected


def test_base_that_is_no_dna_bpe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    good = dna.train_bpe([random_bases(2000)], vocab_size=100).to_str()
    cases = {
        "WordLevel, must be BPE": lambda stored: json.loads(dna.char_tokenizer().to_str()),
        "no token for base G": lambda stored: _without_g(stored),
        "ids have gaps": lambda stored: _with_last_id_moved(stored),
        "dropout is set": lambda stored: {**stored, "model": {**stored["model"], "dropout": 0.1}},
        "pre-tokenizer Bert": lambda stored: {**stored, "pre_tokenizer": {"type": "BertPreTokenizer"}},
        "no unknown token": lambda stored: {**stored, "model": {**stored["model"], "unk_token": None}},
        "not a tokenizer.json": lambda stored: [],
    }
    for words, change in cases.items():
        path.write_text(json.dumps(change(json.loads(good))))
        with pytest.raises(InputError, match=words):
            dna.bpe_tokenizer(tmp_path)


def _with_last_id_moved(stored: dict) -> dict:
    words = stored["model"]["vocab"]
    last = max(words, key=words.get)
    return {**stored, "model": {**stored["model"], "vocab": {**words, last: words[last] + 7}}}


def _without_g(stored: dict) -> dict:
    words = [token for token in stored["model"]["vocab"] if "G" not in token]
    model = {**stored["model"], "vocab": {token: id for id, token in enumerate(words)}, "merges": []}
    return {**stored, "model": model}


# Token lists and the command


def test_token_lists_are_read_and_their_mistakes_placed(tmp_path: Path) -> None:
    path = tmp_path / "tokens.txt"
    path.write_text("<a>\n\n  <b>  \n")
    assert vocabulary.read_tokens(path) == ["<a>", "<b>"]
    path.write_text("<a>\n<b>\n<a>\n")
    with pytest.raises(InputError, match=r"tokens.txt:3: .*line 1"):
        vocabulary.read_tokens(path)
    path.write_text("<a>\n<b c>\n")
    with pytest.raises(InputError, match=r"tokens.txt:2: .*white space"):
        vocabulary.read_tokens(path)
    with pytest.raises(InputError, match=r"nowhere\.txt: cannot read"):
        vocabulary.read_tokens(tmp_path / "nowhere.txt")


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("", "'' is not a token: it must not be empty"),
        ("<a b>", "'<a b>' is not a token: it must not be empty or contain white space"),
        ("ACGTN", "'ACGTN' is spelt with nucleotide letters only and would be found inside DNA"),
    ],
)
def test_what_dna_could_contain_is_no_token(token: str, said: str) -> None:
    vocabulary.check_tokens(["<gene>", "ACGTN>"])
    with pytest.raises(InputError, match=f"^mine: {said}"):
        vocabulary.check_tokens(["<gene>", token], where="mine")


def test_shipped_structure_tokens() -> None:
    assert vocabulary.read_tokens(vocabulary.STRUCTURE_TOKENS_FILE) == FIXED
    assert vocabulary.clade_tokens(reversed(CLADES)) == [f"<clade:{name}>" for name in CLADES]
    tokenizer = GeneTokenizer.build("char", segment_bp=24, max_window_bp=200)
    assert tokenizer.clades == tuple(CLADES) == tuple(read_clades())
    names = [tokenizer.token(id) for id in range(tokenizer.dna_size, tokenizer.loc_base)]
    assert names == [*FIXED, *vocabulary.clade_tokens(CLADES)]


def expand(repository: Path, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess:
    command = [sys.executable, repository / "scripts" / "expand_tokenizer.py", *arguments]
    environment = os.environ | variables
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, env=environment)


def test_command_writes_a_tokenizer(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "extra.txt").write_text("<hint>\n")
    result = expand(
        *(repository, "--kind", "kmer", "--k", "4", "--segment-bp", "24", "--max-window-bp", "200", "--base", ""),
        *("--extra", tmp_path / "extra.txt", "--extra-tokens", "<more>", "<last>", "--output-dir", tmp_path / "out"),
    )
    assert result.returncode == 0, result.stderr
    tokenizer = GeneTokenizer.load(tmp_path / "out")
    direct = GeneTokenizer.build("kmer", 4, segment_bp=24, max_window_bp=200, extra=["<hint>", "<more>", "<last>"])
    assert [tokenizer.token(id) for id in range(tokenizer.size)] == [direct.token(id) for id in range(direct.size)]


def test_command_gives_own_clades_a_token(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "clades").mkdir()
    rules, _, _ = (repository / "resources/clades/eukaryote.yaml").read_text().partition("model:")
    (tmp_path / "clades/oomycete.yaml").write_text(rules)
    result = expand(
        *(repository, "--kind", "char", "--segment-bp", "24", "--max-window-bp", "200"),
        *("--clade-folder", tmp_path / "clades", "--output-dir", tmp_path / "out"),
    )
    assert result.returncode == 0, result.stderr
    tokenizer = GeneTokenizer.load(tmp_path / "out")
    assert list(tokenizer.clades) == sorted([*CLADES, "oomycete"])
    assert tokenizer.clade("oomycete") == tokenizer.dna_size + len(FIXED) + CLADES.index("plant")


def test_command_takes_its_base_from_a_path_a_folder_or_the_hub(repository: Path, tmp_path: Path) -> None:
    """All three give the same tokenizer; without the hub it is one line, and nothing is written."""
    folder = tmp_path / "dna" / "bert"
    folder.mkdir(parents=True)
    dna.train_bpe([random_bases(2000)], vocab_size=100).save(str(folder / "tokenizer.json"))
    files = {"tokenizer.json": (folder / "tokenizer.json").read_bytes(), "pytorch_model.bin": b"not asked for"}
    made = set()
    with Hub(files) as hub:
        for base in (folder / "tokenizer.json", folder, "owner/model", "owner/model@v2"):
            output = tmp_path / f"out{len(made)}"
            flags = ["--kind", "bpe", "--segment-bp", "24", "--max-window-bp", "200", "--output-dir", output]
            result = expand(repository, *flags, "--base", base, **hub.environment(tmp_path / "cache"))
            assert result.returncode == 0, result.stderr
            made.add((output / "tokenizer.json").read_bytes())
        assert len(made) == 1 and hub.sent == ["tokenizer.json"]
        hub.status = 404
        result = expand(repository, *flags, "--base", "owner/else", **hub.environment(tmp_path / "cache"))
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("error: tokenizer.base: 'owner/else' is no path here, and not from the hub (")
    result = expand(repository, *flags, "--base", folder / "gone.json")
    assert result.stderr == (
        f"error: {folder / 'gone.json'}: no such file (the base of a bpe tokenizer is a tokenizer.json, a folder or a "
        "hub id)\n"
    )


def test_command_reports_a_mistake_in_one_line(repository: Path, tmp_path: Path) -> None:
    result = expand(
        *(repository, "--kind", "kmer", "--k", "5", "--segment-bp", "24", "--max-window-bp", "200"),
        *("--output-dir", tmp_path / "out"),
    )
    assert result.returncode == 1
    assert result.stderr.splitlines() == ["error: segment_bp: 24, must be a multiple of k (5) for kmer tokens"]
    assert not (tmp_path / "out").exists()


def test_a_token_list_that_is_no_text_names_the_byte(tmp_path: Path) -> None:
    (tmp_path / "tokens.txt").write_bytes(b"<a>\n<\xff>\n")
    with pytest.raises(InputError) as caught:
        vocabulary.read_tokens(tmp_path / "tokens.txt")
    assert str(caught.value) == (
        f"{tmp_path / 'tokens.txt'}: not UTF-8 text at byte 5, a token list has one token a line"
    )


@pytest.mark.parametrize(("max_window_bp", "last"), [(3, 1), (5, 1), (6, 2)])
def test_each_boundary_of_the_longest_window_has_a_mile_post(max_window_bp: int, last: int) -> None:
    """Its last base may end a gene, so that a window of two whole segments has three mile-posts."""
    assert vocabulary.location_tokens(3, max_window_bp) == ["<loc_0>", "<loc_1>", "<loc_2>"][: last + 1]
    assert vocabulary.offset_tokens(3) == ["<off_0>", "<off_1>", "<off_2>"]
