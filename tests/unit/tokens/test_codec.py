"""Genes of a window as ids and back: exact inverses, and nothing but what is written is read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genet5.errors import InputError
from genet5.genome.genes import Interval
from genet5.genome.window_genes import WindowGene, gene_order_key, reverse_complement_genes, transcript_order
from genet5.tokens.codec import GrammarError, decode_genes, encode_genes
from genet5.tokens.tokenizer import GeneTokenizer

MAX_WINDOW_BP = 1000
TOKENIZER = GeneTokenizer.build("char", segment_bp=96, max_window_bp=MAX_WINDOW_BP)
WINDOW_LENGTHS = st.integers(2, MAX_WINDOW_BP)


def names(ids: np.ndarray) -> str:
    return " ".join(TOKENIZER.token(int(id)) for id in ids)


def ids_of(text: str) -> list[int]:
    return [TOKENIZER.id(token) for token in text.split()]


@st.composite
def window_genes(draw: st.DrawFn, window_bp: int) -> WindowGene:
    """Any gene the format can say: 1 to 8 segments, gaps of 0 bp up, either strand, partial or complete."""
    steps = draw(st.lists(st.integers(0, window_bp), min_size=2, max_size=16).filter(lambda steps: len(steps) % 2 == 0))
    positions = sorted(steps)
    cds = tuple(Interval(*pair) for pair in zip(positions[::2], positions[1::2], strict=True) if pair[0] < pair[1])
    cds = cds or (Interval(0, window_bp),)
    partial5 = draw(st.booleans())
    phase = draw(st.integers(0, 2)) if partial5 else 0
    return WindowGene(draw(st.sampled_from("+-")), cds, partial5, draw(st.booleans()), phase)


@st.composite
def windows(draw: st.DrawFn) -> tuple[int, list[WindowGene]]:
    window_bp = draw(WINDOW_LENGTHS)
    return window_bp, draw(st.lists(window_genes(window_bp), max_size=8))


# Round trips


@settings(max_examples=300, deadline=None)
@given(windows())
def test_decoding_gives_back_the_genes_in_order(window: tuple[int, list[WindowGene]]) -> None:
    window_bp, genes = window
    ids = encode_genes(genes, window_bp, TOKENIZER)
    assert ids.dtype == np.int32
    assert decode_genes(ids, window_bp, TOKENIZER) == sorted(genes, key=gene_order_key)


@settings(max_examples=100, deadline=None)
@given(windows(), st.randoms())
def test_ids_do_not_depend_on_the_order_given(window: tuple[int, list[WindowGene]], random) -> None:
    window_bp, genes = window
    shuffled = random.sample(genes, len(genes))
    assert (encode_genes(shuffled, window_bp, TOKENIZER) == encode_genes(genes, window_bp, TOKENIZER)).all()


@settings(max_examples=400, deadline=None)
@given(windows(), st.data())
def test_changed_ids_are_refused_or_spell_other_genes(
    window: tuple[int, list[WindowGene]], data: st.DataObject
) -> None:
    """Two different lists of ids never mean the same genes; leniently, only whole genes before the fault are read."""
    window_bp, genes = window
    ids = encode_genes(genes, window_bp, TOKENIZER).tolist()
    at = data.draw(st.integers(0, len(ids) - 1))
    change = data.draw(st.sampled_from(["drop", "double", "replace", "swap", "cut"]))
    if change == "drop":
        del ids[at]
    elif change == "double":
        ids.insert(at, ids[at])
    elif change == "replace":
        ids[at] = data.draw(st.sampled_from(ids) | st.integers(-2, TOKENIZER.size + 1))
    elif change == "swap":
        ids[at - 1], ids[at] = ids[at], ids[at - 1]
    else:
        del ids[at:]
    lenient = decode_genes(ids, window_bp, TOKENIZER, strict=False)
    try:
        strict = decode_genes(ids, window_bp, TOKENIZER)
    except GrammarError as error:
        assert 0 <= error.position <= len(ids)
        read = encode_genes(lenient, window_bp, TOKENIZER).tolist()[:-1]
        assert ids[: len(read)] == read
    else:
        assert lenient == strict
        assert encode_genes(strict, window_bp, TOKENIZER).tolist() == ids


@settings(max_examples=200, deadline=None)
@given(windows())
def test_reverse_complement_is_its_own_inverse(window: tuple[int, list[WindowGene]]) -> None:
    window_bp, genes = window
    turned = reverse_complement_genes(genes, window_bp)
    assert reverse_complement_genes(turned, window_bp) == sorted(genes, key=gene_order_key)
    assert decode_genes(encode_genes(turned, window_bp, TOKENIZER), window_bp, TOKENIZER) == turned
    # The distance from the 5' end of the strand is what both strands agree on.
    there = sorted(_strand_coordinates(gene, window_bp) for gene in genes)
    assert sorted(_strand_coordinates(gene, window_bp, flipped=True) for gene in turned) == there


def _strand_coordinates(gene: WindowGene, window_bp: int, flipped: bool = False) -> tuple:
    positions = [position for pair in transcript_order(gene) for position in pair]
    forward = (gene.strand == "+") != flipped
    same = [position if gene.strand == "+" else window_bp - position for position in positions]
    return forward, same, gene.partial5, gene.partial3, gene.phase


# The structure sequence itself


def test_no_genes_are_written_as_the_end_alone() -> None:
    assert encode_genes([], 500, TOKENIZER).tolist() == [TOKENIZER.eos]
    assert decode_genes([TOKENIZER.eos], 500, TOKENIZER) == []


def test_genes_read_in_transcript_order() -> None:
    genes = [
        WindowGene("-", (Interval(0, 50), Interval(97, 500)), partial5=True, partial3=True, phase=2),
        WindowGene("+", (Interval(95, 97), Interval(192, 288))),
    ]
    assert names(encode_genes(genes, 500, TOKENIZER)) == (
        "<+> <cds> <loc_0> <off_95> <loc_1> <off_1> <cds> <loc_2> <off_0> <loc_3> <off_0> <end> "
        "<-> <partial5> <phase_2> <cds> <loc_5> <off_20> <loc_1> <off_1> <cds> <loc_0> <off_50> <loc_0> <off_0> "
        "<partial3> <end> <eos>"
    )


def test_order_is_that_of_the_first_boundary_written() -> None:
    long_minus = WindowGene("-", (Interval(0, 400),))  # written from 400 down
    nested = WindowGene("+", (Interval(100, 130),))
    back_to_back = WindowGene("+", (Interval(400, 460),))  # same 5' boundary as the gene on the other strand
    twice_plus = WindowGene("+", (Interval(400, 430), Interval(440, 460)))
    cut = WindowGene("+", (Interval(400, 406),), partial5=True)
    expected = [nested, twice_plus, back_to_back, cut, long_minus]
    assert sorted(set(expected), key=gene_order_key) == expected
    assert decode_genes(encode_genes(expected[::-1], 500, TOKENIZER), 500, TOKENIZER) == expected


def test_genes_with_the_same_structure_are_all_kept() -> None:
    genes = [WindowGene("+", (Interval(3, 9),))] * 2
    assert decode_genes(encode_genes(genes, 10, TOKENIZER), 10, TOKENIZER) == genes


def test_any_sequence_of_ids_can_be_decoded() -> None:
    genes = [WindowGene("+", (Interval(3, 9),))]
    ids = encode_genes(genes, 10, TOKENIZER)
    assert decode_genes(ids.tolist(), 10, TOKENIZER) == decode_genes(ids.astype(np.int64), 10, TOKENIZER) == genes


# What cannot be written


@pytest.mark.parametrize(
    ("gene", "words"),
    [
        (WindowGene("*", (Interval(0, 3),)), "strand"),
        (WindowGene("+", ()), "no CDS"),
        (WindowGene("+", (Interval(3, 3),)), "segment 3..3"),
        (WindowGene("+", (Interval(5, 3),)), "segment 5..3"),
        (WindowGene("+", (Interval(-1, 3),)), "segment -1..3"),
        (WindowGene("-", (Interval(90, 101),)), "segment 90..101"),
        (WindowGene("+", (Interval(0, 5), Interval(4, 8))), "segment 4..8"),
        (WindowGene("-", (Interval(10, 15), Interval(0, 5))), "segment 0..5"),
        (WindowGene("+", (Interval(0, 5),), phase=1), "phase 1"),
        (WindowGene("+", (Interval(0, 5),), partial5=True, phase=3), "phase 3"),
    ],
)
def test_genes_the_format_cannot_say_are_refused(gene: WindowGene, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        encode_genes([gene], 100, TOKENIZER)


def test_window_beyond_the_tokenizer_is_refused() -> None:
    for window_bp in (-1, MAX_WINDOW_BP + 1):
        with pytest.raises(ValueError, match="max_window_bp, 1000"):
            encode_genes([], window_bp, TOKENIZER)
        with pytest.raises(ValueError, match="max_window_bp, 1000"):
            decode_genes([TOKENIZER.eos], window_bp, TOKENIZER)


def test_unexpanded_tokenizer_says_what_to_do() -> None:
    with pytest.raises(InputError, match="expand"):
        encode_genes([], 10, GeneTokenizer.base("char"))


# What cannot be read

GOOD = "<+> <cds> <loc_0> <off_3> <loc_0> <off_9>"


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 0, r"the ids end, expected <\+>, <-> or <eos>"),
        ("<cds>", 0, r"<cds>, expected <\+>"),
        (f"{GOOD} <end>", 7, "the ids end, expected"),
        (f"{GOOD} <eos>", 6, "<eos>, expected <end>"),
        (f"{GOOD} <+>", 6, r"<\+>, expected <end>"),
        (f"{GOOD} <end> <eos> <pad>", 8, "<pad> after <eos>"),
        ("<+> <end>", 1, "<end>, expected <cds>"),
        ("<-> <partial5> <cds>", 2, "<cds>, expected <phase_0>"),
        ("<-> <phase_1>", 1, "<phase_1>, expected <cds>"),
        ("<-> <partial3> <cds>", 1, "<partial3>, expected <cds>"),
        ("<+> <cds> <off_3>", 2, "<off_3>, expected a mile-post"),
        ("<+> <cds> <loc_0> <loc_0>", 3, "<loc_0>, expected an offset"),
        ("<+> <cds> <loc_0>", 3, "the ids end, expected an offset"),
        ("<+> <cds> <loc_0> <off_3> <cds>", 4, "<cds>, expected a mile-post"),
        ("<+> <cds> <loc_0> <off_9> <loc_0> <off_9>", 4, "empty segment: 5' boundary 9, 3' boundary 9"),
        ("<+> <cds> <loc_0> <off_9> <loc_0> <off_3>", 4, "empty segment"),
        ("<-> <cds> <loc_0> <off_3> <loc_0> <off_9>", 4, "empty segment"),
        ("<+> <cds> <loc_0> <off_3> <loc_1> <off_5>", 4, "boundary 101 is outside the window of 100 bp"),
        ("<-> <cds> <loc_8> <off_0>", 2, "boundary 768 is outside"),
        (f"{GOOD} <cds> <loc_0> <off_8> <loc_0> <off_20>", 7, "5' boundary 8 lies before the end"),
        ("<-> <cds> <loc_0> <off_9> <loc_0> <off_3> <cds> <loc_0> <off_4>", 7, "5' boundary 4 lies before the end"),
        (f"{GOOD} <end> <+> <cds> <loc_0> <off_2> <loc_0> <off_9> <end> <eos>", 7, "starting at 2 is out of order"),
        (
            "<-> <cds> <loc_0> <off_3> <loc_0> <off_0> <end> " + GOOD + " <end> <eos>",
            7,
            "starting at 3 is out of order",
        ),
        ("A", 0, r"A, expected <\+>"),
    ],
)
def test_malformed_ids_are_placed_and_explained(text: str, position: int, message: str) -> None:
    with pytest.raises(GrammarError, match=message) as caught:
        decode_genes(ids_of(text), 100, TOKENIZER)
    assert caught.value.position == position
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("unknown", [-1, TOKENIZER.size])
def test_ids_outside_the_vocabulary_are_malformed(unknown: int) -> None:
    with pytest.raises(GrammarError, match=f"unknown id {unknown}"):
        decode_genes([unknown], 100, TOKENIZER)


@pytest.mark.parametrize(
    "rest",
    ["", "<+>", "<+> <cds> <loc_0> <off_9> <loc_0> <off_5>", "<pad> <pad>", "<eos> <pad> <+>", "<+> <+> " + GOOD],
)
def test_lenient_decoding_keeps_the_genes_before_the_fault(rest: str) -> None:
    ids = ids_of(f"{GOOD} <end> {rest}")
    assert decode_genes(ids, 100, TOKENIZER, strict=False) == [WindowGene("+", (Interval(3, 9),))]
    with pytest.raises(GrammarError):
        decode_genes(ids, 100, TOKENIZER)
