"""DNA with mile-posts as ids: spans, ids that never move, files that give the same ids again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from genet5.errors import InputError
from genet5.tokens import dna
from genet5.tokens.tokenizer import SETTINGS_FILE, TOKENIZER_FILE, GeneTokenizer

SEGMENT_BP = 24
MAX_WINDOW_BP = 200  # on purpose no multiple of the segment
LENGTHS = {"segment_bp": SEGMENT_BP, "max_window_bp": MAX_WINDOW_BP}
WINDOWS = st.text(alphabet="ACGTACGTACGTacgtNnR", max_size=MAX_WINDOW_BP)

CLADES = tuple(
    (
        "alga bacteria ciliate eukaryote filamentous_fungi fungi invertebrate kinetoplastid nematode plant "
        "plasmodium protist vertebrate"
    ).split()
)
STRUCTURE = [
    *("<pad>", "<bos>", "<eos>", "<sep>"),
    *("<+>", "<->", "<cds>", "<end>", "<partial5>", "<partial3>", "<phase_0>", "<phase_1>", "<phase_2>"),
    *(f"<clade:{name}>" for name in CLADES),
]


def random_bases(length: int, seed: int = 0, letters: str = "ACGT") -> str:
    return "".join(np.random.default_rng(seed).choice(list(letters), length))


@pytest.fixture(scope="module")
def learnt() -> Tokenizer:
    """A small BPE vocabulary learnt from repetitive DNA, so that its words are of many lengths."""
    return dna.train_bpe([random_bases(300, seed) * 4 for seed in range(20)], vocab_size=150)


@pytest.fixture(scope="module")
def tokenizers(learnt: Tokenizer) -> dict[str, GeneTokenizer]:
    return {
        "kmer": GeneTokenizer.build("kmer", 6, **LENGTHS),
        "kmer3": GeneTokenizer.build("kmer", 3, **LENGTHS),
        "char": GeneTokenizer.build("char", **LENGTHS),
        "bpe": GeneTokenizer.build("bpe", base=learnt, **LENGTHS),
    }


KINDS = pytest.mark.parametrize("name", ["kmer", "kmer3", "char", "bpe"])


def as_text(bases: str) -> str:
    """The window written out, for the ``tokenizers`` library to read."""
    posts = range(len(bases) // SEGMENT_BP + 1)
    return "".join(f"<loc_{index}>{bases[index * SEGMENT_BP : (index + 1) * SEGMENT_BP]}" for index in posts)


# Encoding DNA


@KINDS
@settings(max_examples=60, deadline=None)
@given(bases=WINDOWS)
def test_every_token_stands_for_the_bases_of_its_span(
    tokenizers: dict[str, GeneTokenizer], name: str, bases: str
) -> None:
    tokenizer = tokenizers[name]
    ids, start, end = tokenizer.encode_dna(bases)
    assert ids.dtype == start.dtype == end.dtype == np.int32
    posts = tokenizer.is_loc(ids)
    # Mile-posts: one per segment boundary reached, in order, with an empty span at its base.
    assert [tokenizer.token(id) for id in ids[posts]] == [f"<loc_{i}>" for i in range(len(bases) // SEGMENT_BP + 1)]
    assert start[posts].tolist() == end[posts].tolist() == list(range(0, len(bases) + 1, SEGMENT_BP))
    # DNA tokens tile the window and stay within a segment.
    first, last = start[~posts], end[~posts]
    assert first.tolist() == [0, *last.tolist()][: len(first)]
    assert (last[-1] if len(last) else 0) == len(bases)
    assert (first < last).all()
    assert (first // SEGMENT_BP == (last - 1) // SEGMENT_BP).all()
    for id, left, right in zip(ids[~posts].tolist(), first, last, strict=True):
        assert id < tokenizer.dna_size
        covered = bases[left:right].upper()
        if id == tokenizer.n_id:
            assert set(covered) - set("ACGT")
        else:
            assert tokenizer.token(id) == covered
    # Tokens of a window and mile-posts are in the order of their bases.
    assert start[0] == 0
    assert (start[1:] == end[:-1]).all()


@KINDS
@settings(max_examples=40, deadline=None)
@given(bases=WINDOWS)
def test_stored_form_reads_text_as_the_same_ids(tokenizers: dict[str, GeneTokenizer], name: str, bases: str) -> None:
    tokenizer = tokenizers[name]
    stored = tokenizer._tokenizer
    assert stored.encode(as_text(bases), add_special_tokens=False).ids == tokenizer.encode_dna(bases).ids.tolist()


def test_kmer_ids_are_the_lexicographic_numbers(tokenizers: dict[str, GeneTokenizer]) -> None:
    tokenizer = tokenizers["kmer"]
    ids, start, end = tokenizer.encode_dna("AAAAAA" + "AAAAAC" + "TTTTTT" + "CAAAAA" + "ACNTAA" + "GT")
    loc = tokenizer.loc_base
    assert ids.tolist() == [loc, 6, 7, 6 + 4**6 - 1, 6 + 4**5, loc + 1, 1, 4, 5]
    assert start.tolist() == [0, 0, 6, 12, 18, 24, 24, 30, 31]
    assert end.tolist() == [0, 6, 12, 18, 24, 24, 30, 31, 32]


def test_largest_kmers_do_not_wrap_around() -> None:
    tokenizer = GeneTokenizer.build("kmer", 8, segment_bp=16, max_window_bp=64)
    assert tokenizer.encode_dna("T" * 8).ids[1] == tokenizer.dna_size - 1 == 6 + 4**8 - 1
    assert tokenizer.token(int(tokenizer.encode_dna("TGCATGCA").ids[1])) == "TGCATGCA"


@KINDS
def test_bytes_and_text_give_the_same_ids(tokenizers: dict[str, GeneTokenizer], name: str) -> None:
    bases = random_bases(100, letters="ACGTNacgt")
    from_text, from_bytes = (tokenizers[name].encode_dna(window) for window in (bases, bases.encode()))
    assert all((left == right).all() for left, right in zip(from_text, from_bytes, strict=True))


@KINDS
def test_empty_window_is_its_first_milepost(tokenizers: dict[str, GeneTokenizer], name: str) -> None:
    tokens = tokenizers[name].encode_dna("")
    assert [column.tolist() for column in tokens] == [[tokenizers[name].loc_base], [0], [0]]


def test_too_long_window_is_refused_with_both_lengths(tokenizers: dict[str, GeneTokenizer]) -> None:
    assert len(tokenizers["char"].encode_dna("A" * MAX_WINDOW_BP).ids) == MAX_WINDOW_BP + 9
    with pytest.raises(ValueError, match=r"201 bp.*200"):
        tokenizers["char"].encode_dna("A" * (MAX_WINDOW_BP + 1))


def test_run_of_unknown_bases_is_one_bpe_token_per_segment(tokenizers: dict[str, GeneTokenizer]) -> None:
    tokenizer = tokenizers["bpe"]
    ids, start, end = tokenizer.encode_dna("ACGT" + "N" * 30 + "R" * 2 + "ACGT")
    unknown = ids == tokenizer.n_id
    assert list(zip(start[unknown].tolist(), end[unknown].tolist(), strict=True)) == [(4, 24), (24, 36)]


def test_prompt_frames_the_window(tokenizers: dict[str, GeneTokenizer]) -> None:
    tokenizer = tokenizers["kmer"]
    bases = random_bases(50)
    prompt, body = tokenizer.prompt_ids(bases, "plant"), tokenizer.encode_dna(bases)
    assert prompt.ids.tolist() == [tokenizer.bos, tokenizer.clade("plant"), *body.ids.tolist(), tokenizer.sep]
    assert prompt.start.tolist() == [0, 0, *body.start.tolist(), 50]
    assert prompt.end.tolist() == [0, 0, *body.end.tolist(), 50]


# Vocabulary


def test_golden_ids() -> None:
    base = GeneTokenizer.base("kmer", 6)
    assert base.size == base.dna_size == 4102
    dna_tokens = [base.token(id) for id in range(base.size)]
    assert dna_tokens[:8] == ["<unk>", "N", "A", "C", "G", "T", "AAAAAA", "AAAAAC"]
    base.expand(segment_bp=96, max_window_bp=45000, extra=["<hint>"])
    assert [base.token(id) for id in range(4102)] == dna_tokens
    assert [base.token(id) for id in range(4102, 4128)] == STRUCTURE
    assert (base.loc_base, base.num_loc, base.off_base) == (4128, 469, 4597)
    assert base.token(4596) == "<loc_468>"
    assert base.token(4692) == "<off_95>"
    assert (base.id("<hint>"), base.size) == (4693, 4694)
    named = (base.pad, base.bos, base.eos, base.sep, base.plus, base.minus, base.cds, base.end, base.partial5)
    assert named == tuple(range(4102, 4111))
    assert (base.partial3, base.phase(0), base.phase(2), base.clade("fungi")) == (4111, 4112, 4114, 4120)
    assert base.append_tokens(["<later>", "[HIT]"]) == [4694, 4695]
    assert [base.token(id) for id in range(4102)] == dna_tokens
    assert (base.id("<off_0>"), base.id("<hint>"), base.token(4695)) == (4597, 4693, "[HIT]")


@KINDS
def test_expanding_and_appending_move_no_id(tokenizers: dict[str, GeneTokenizer], name: str, learnt: Tokenizer) -> None:
    full = tokenizers[name]
    again = GeneTokenizer.base(full.kind, full.k or 6, learnt if name == "bpe" else None)
    before = [again.token(id) for id in range(again.size)]
    assert again.size == full.dna_size
    again.expand(**LENGTHS)
    assert [full.token(id) for id in range(full.dna_size)] == before
    ids = again.encode_dna(random_bases(100)).ids
    expanded = [again.token(id) for id in range(again.size)]
    assert again.append_tokens(["<x>", "<y>"]) == [full.size, full.size + 1]
    assert [again.token(id) for id in range(again.size)] == [*expanded, "<x>", "<y>"]
    assert (again.encode_dna(random_bases(100)).ids == ids).all()


def test_building_from_one_base_twice_leaves_the_base_alone(learnt: Tokenizer) -> None:
    size = learnt.get_vocab_size()
    one, two = (GeneTokenizer.build("bpe", base=learnt, **LENGTHS) for _ in range(2))
    assert learnt.get_vocab_size() == size == one.dna_size == two.dna_size


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["<cds>"], "'<cds>' exists"),
        (["<a>", "<a>"], "'<a>' exists"),
        (["ACGTAC"], "exists|nucleotide"),
        (["acgt"], "nucleotide letters"),
        (["<a b>"], "white space"),
        ([""], "empty"),
    ],
)
def test_bad_tokens_are_refused_and_nothing_is_added(tokens: list[str], words: str) -> None:
    tokenizer = GeneTokenizer.build("char", **LENGTHS)
    size = tokenizer.size
    with pytest.raises(InputError, match=words):
        tokenizer.append_tokens(["<fine>", *tokens])
    assert tokenizer.size == size


def test_unknown_names_list_what_there_is(tokenizers: dict[str, GeneTokenizer]) -> None:
    with pytest.raises(InputError, match=rf"'archaea', allowed {', '.join(CLADES)}$"):
        tokenizers["char"].clade("archaea")
    with pytest.raises(InputError, match="<nope>"):
        tokenizers["char"].id("<nope>")
    with pytest.raises(InputError, match="no token with id -1"):
        tokenizers["char"].token(-1)


def test_clade_added_later_can_be_used() -> None:
    tokenizer = GeneTokenizer.build("char", **LENGTHS, extra=["<clade:archaea>"])
    assert tokenizer.clade("archaea") == tokenizer.size - 1
    assert tokenizer.clades[-1] == "archaea"


def test_unexpanded_tokenizer_says_what_to_do() -> None:
    base = GeneTokenizer.base("char")
    for use in (lambda: base.bos, lambda: base.encode_dna("A"), lambda: base.boundary_ids(0), lambda: base.is_loc(3)):
        with pytest.raises(InputError, match="expand"):
            use()
    base.expand(**LENGTHS)
    with pytest.raises(InputError, match="already"):
        base.expand(**LENGTHS)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "word"}, "kmer, char, bpe"),
        ({"kind": "bpe"}, "needs a tokenizer.json"),
        ({"kind": "char", "base": "x"}, "takes none"),
        ({"kind": "kmer", "k": 9}, "k: 9, allowed 2 to 8"),
        ({"kind": "kmer", "k": 5}, "24, must be a multiple of k"),
        ({"kind": "char", "segment_bp": 0}, "segment_bp: 0"),
        ({"kind": "char", "max_window_bp": 23}, "max_window_bp: 23"),
        ({"kind": "char", "structure_tokens": STRUCTURE[1:]}, "missing <pad>"),
        ({"kind": "char", "structure_tokens": [t for t in STRUCTURE if "clade" not in t]}, "clade"),
        ({"kind": "char", "structure_tokens": [*STRUCTURE, "<loc_3>"]}, "<loc_3>"),
    ],
)
def test_bad_settings_name_the_value(options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        GeneTokenizer.build(**{**LENGTHS, **options})


# Places


def test_boundaries_and_ids_are_inverse(tokenizers: dict[str, GeneTokenizer]) -> None:
    tokenizer = tokenizers["kmer"]
    for position in range(MAX_WINDOW_BP + 1):
        loc, off = tokenizer.boundary_ids(position)
        assert (tokenizer.token(loc), tokenizer.token(off)) == (f"<loc_{position // 24}>", f"<off_{position % 24}>")
        assert tokenizer.position(loc, off) == position
    for position in (-1, MAX_WINDOW_BP + 1):
        with pytest.raises(ValueError, match="outside"):
            tokenizer.boundary_ids(position)
    with pytest.raises(ValueError, match="not a mile-post"):
        tokenizer.position(tokenizer.off_base, tokenizer.loc_base)


def test_places_are_told_from_other_tokens(tokenizers: dict[str, GeneTokenizer]) -> None:
    tokenizer = tokenizers["bpe"]
    names = [tokenizer.token(id) for id in range(tokenizer.size)]
    ids = np.arange(tokenizer.size)
    assert tokenizer.is_loc(ids).tolist() == [name.startswith("<loc_") for name in names]
    assert tokenizer.is_off(ids).tolist() == [name.startswith("<off_") for name in names]


# Files


@KINDS
def test_loaded_tokenizer_gives_the_same_ids_and_bytes(
    tokenizers: dict[str, GeneTokenizer], name: str, tmp_path: Path
) -> None:
    tokenizer = tokenizers[name]
    tokenizer.save(tmp_path / "one")
    loaded = GeneTokenizer.load(tmp_path / "one")
    loaded.save(tmp_path / "two")
    for file in (TOKENIZER_FILE, SETTINGS_FILE):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    bases = random_bases(MAX_WINDOW_BP, letters="ACGTACGTacgtN")
    for left, right in zip(tokenizer.prompt_ids(bases, "fungi"), loaded.prompt_ids(bases, "fungi"), strict=True):
        assert (left == right).all()
    attributes = ("kind", "k", "dna_size", "size", "segment_bp", "max_window_bp", "loc_base", "num_loc", "off_base")
    for attribute in (*attributes, "clades", "n_id"):
        assert getattr(loaded, attribute) == getattr(tokenizer, attribute)
    assert loaded.append_tokens(["<new>"]) == [tokenizer.size]


def test_base_tokenizer_can_be_saved_and_expanded_after_loading(tmp_path: Path) -> None:
    GeneTokenizer.base("kmer", 4).save(tmp_path)
    loaded = GeneTokenizer.load(tmp_path)
    assert not loaded.is_expanded
    loaded.expand(**LENGTHS)
    direct = GeneTokenizer.build("kmer", 4, **LENGTHS)
    assert [loaded.token(id) for id in range(loaded.size)] == [direct.token(id) for id in range(direct.size)]


@pytest.mark.parametrize("name", ["kmer", "char", "bpe", "vq"])
def test_the_dna_part_can_be_saved_and_expanded_again(
    tokenizers: dict[str, GeneTokenizer], name: str, tmp_path: Path
) -> None:
    """A model's first weights come with it, and `resize_model` reads it."""
    full = tokenizers.get(name)
    if full is None:
        table = {"format_version": 1, "k": 3, "size": 9, "codes": [code % 9 for code in range(64)]}
        (tmp_path / "codes.json").write_text(json.dumps(table))
        full = GeneTokenizer.build("vq", base=tmp_path / "codes.json", **LENGTHS)
    full.dna_only().save(tmp_path / "dna")
    loaded = GeneTokenizer.load(tmp_path / "dna")
    assert loaded.size == loaded.dna_size == full.dna_size and not loaded.is_expanded
    loaded.expand(**LENGTHS)
    bases = random_bases(150, letters="ACGTN")
    assert loaded.encode_dna(bases).ids.tolist() == full.encode_dna(bases).ids.tolist()


def test_transformers_reads_the_stored_file(tokenizers: dict[str, GeneTokenizer], tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    tokenizers["kmer"].save(tmp_path)
    fast = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / TOKENIZER_FILE))
    bases = random_bases(101)
    assert fast(as_text(bases))["input_ids"] == tokenizers["kmer"].encode_dna(bases).ids.tolist()
    assert len(fast) == tokenizers["kmer"].size


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "word"}, "kind 'word'"),
        ({"format_version": 99}, "format_version 99"),
        ({"k": None}, "k None"),
        ({"k": 5}, "not those of kind kmer"),
        ({"size": 7}, "need 33 tokens, it has 7"),
        ({"segment_bp": "24"}, "segment_bp '24'"),
        ({"segment_bp": 48}, "<off_0> .. <off_47>"),
        ({"max_window_bp": 2000}, "<loc_0> .. <loc_83>"),
        ({"max_window_bp": 10**12}, "max_window_bp"),
        ({"max_window_bp": 10**400}, "max_window_bp"),
        ({"segment_bp": 10**12}, "segment_bp"),
    ],
)
def test_settings_that_do_not_fit_the_file_are_refused(tmp_path: Path, change: dict, words: str) -> None:
    GeneTokenizer.build("kmer", 4, **LENGTHS).save(tmp_path)
    stored = json.loads((tmp_path / SETTINGS_FILE).read_text())
    (tmp_path / SETTINGS_FILE).write_text(json.dumps({**stored, **change}))
    with pytest.raises(InputError, match=words):
        GeneTokenizer.load(tmp_path)


def test_a_table_of_codes_of_another_k_is_refused(tmp_path: Path) -> None:
    table = {"format_version": 1, "k": 3, "size": 9, "codes": [code % 9 for code in range(64)]}
    (tmp_path / "codes.json").write_text(json.dumps(table))
    GeneTokenizer.build("vq", base=tmp_path / "codes.json", **LENGTHS).save(tmp_path)
    stored = json.loads((tmp_path / SETTINGS_FILE).read_text())
    (tmp_path / SETTINGS_FILE).write_text(json.dumps({**stored, "k": 4}))
    with pytest.raises(InputError, match="k 4, its table of codes says 3"):
        GeneTokenizer.load(tmp_path)


def test_a_file_without_a_token_that_genes_need_is_refused(tmp_path: Path) -> None:
    GeneTokenizer.build("kmer", 4, **LENGTHS).save(tmp_path)
    path = tmp_path / TOKENIZER_FILE
    path.write_text(path.read_text().replace('"<cds>"', '"<other>"'))
    with pytest.raises(InputError, match=r"tokenizer\.json: missing <cds>"):
        GeneTokenizer.load(tmp_path)


def test_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tokenizer.json: no such file"):
        GeneTokenizer.load(tmp_path)
    GeneTokenizer.base("char").save(tmp_path)
    (tmp_path / TOKENIZER_FILE).write_text("{}")
    with pytest.raises(InputError, match=r"not a tokenizer.json"):
        GeneTokenizer.load(tmp_path)
    (tmp_path / SETTINGS_FILE).write_text("{")
    with pytest.raises(InputError, match=f"{SETTINGS_FILE}: not JSON"):
        GeneTokenizer.load(tmp_path)
