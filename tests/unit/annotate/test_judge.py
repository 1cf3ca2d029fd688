"""The writer as a judge: it gives to an annotation what it gives when it writes it, and the best gene is taken."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
from annotate_toy_genome import train_tiny_model
from toy_bacterium import CLADE, CODE, chromosome

from genet5.annotate import judge as room
from genet5.annotate.decoders import DecodingOptions, make_decoder
from genet5.annotate.judge import WRITER_WEIGHT, Judge
from genet5.annotate.models import Model, load_annotator
from genet5.clades import read_clades
from genet5.genome.genes import Interval
from genet5.genome.window_genes import ScoredGene, WindowGene
from genet5.tokens.grammar import Grammar
from genet5.writer.decoding import write_genes

WINDOWS = [chromosome()[start : start + 2400] for start in (2_000, 40_000, 300_000)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_annotator(train_tiny_model(tmp_path_factory.mktemp("toy")))


@pytest.fixture(scope="module")
def judge(model: Model) -> Judge:
    rules = read_clades()[CLADE].gene_rules(CODE.table)
    return Judge(model.writer, Grammar(model.tokenizer, rules), CLADE, "fp32")


def test_an_annotation_has_the_probability_of_its_tokens(judge: Judge) -> None:
    """As the writer gives it while it writes: of three beams each, in one pass, together and alone."""
    seen = 0
    for window in WINDOWS:
        sites, written = judge.grammar.sites(window), []
        for beam in (1, 3, 6):
            written += write_genes(judge.writer, judge.grammar, [window], CLADE, beam_width=beam)
        annotations = [one.genes for one in written]
        found = judge.log_probabilities(window, sites, annotations)
        assert found == pytest.approx([sum(one.log_probabilities) for one in written], abs=2e-3)
        alone = [judge.log_probabilities(window, sites, [genes])[0] for genes in annotations]
        assert found == pytest.approx(alone, abs=1e-3)
        seen += sum(map(len, annotations))
    assert seen > 5


def test_what_breaks_the_grammar_has_none(judge: Judge) -> None:
    window = WINDOWS[0]
    sites = judge.grammar.sites(window)
    wrong = WindowGene("+", (Interval(1, 100),))
    found = judge.log_probabilities(window, sites, [[wrong], []])
    assert found[0] == -np.inf and np.isfinite(found[1])
    assert judge.log_probabilities(window, sites, [[wrong]]).tolist() == [-np.inf]


#: A place with three genes, and one that has none but its own.
OWN, NEAR, FAR = (WindowGene("+", (Interval(start, 99),)) for start in (30, 33, 60))
LONE = WindowGene("-", (Interval(300, 360),))
GENES = [ScoredGene(OWN, log(0.5)), ScoredGene(LONE, log(0.8))]
OTHERS = {OWN: [ScoredGene(NEAR, log(0.3)), ScoredGene(FAR, log(0.1))]}


def chosen(judge: Judge, monkeypatch: pytest.MonkeyPatch, told: Sequence[float]) -> list[ScoredGene]:
    """What is chosen where the writer gives ``told`` to the annotation, with NEAR, and with FAR."""
    asked = []

    def log_probabilities(_self, _window, _sites, annotations) -> np.ndarray:
        asked.extend(annotations)
        return np.array(told)

    monkeypatch.setattr(Judge, "log_probabilities", log_probabilities)
    monkeypatch.setattr(room, "written_steps", lambda *_: (None, None, 0))
    found = judge.choose("A" * 400, GENES, OTHERS)
    assert asked == [[OWN, LONE], [NEAR, LONE], [FAR, LONE]]
    return found


def test_the_gene_that_both_prefer_is_taken(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """NEAR needs log(5 / 3) from the writer. The place keeps its .9; shares of it are the products of both."""
    gain = log(5 / 3) / WRITER_WEIGHT
    kept, lone = chosen(judge, monkeypatch, [-7.0, -7.0 + gain - 0.01, -20.0])
    assert kept.gene == OWN and lone == GENES[1]
    taken, lone = chosen(judge, monkeypatch, [-7.0, -7.0 + gain + 0.01, -20.0])
    assert taken.gene == NEAR and lone == GENES[1]
    by_hand = [0.5, 0.3 * exp(WRITER_WEIGHT * (gain + 0.01)), 0.1 * exp(WRITER_WEIGHT * -13.0)]
    assert exp(taken.log_probability) == pytest.approx(0.9 * by_hand[1] / sum(by_hand))


def test_a_writer_that_prefers_none_leaves_the_probabilities(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    found = chosen(judge, monkeypatch, [-3.0, -3.0, -3.0])
    assert [gene for gene, _ in found] == [OWN, LONE]
    assert [exp(one) for _, one in found] == pytest.approx([0.5, 0.8])


def test_what_cannot_be_written_is_not_taken(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    illegal = chosen(judge, monkeypatch, [-7.0, -np.inf, -np.inf])
    assert [gene for gene, _ in illegal] == [OWN, LONE] and exp(illegal[0].log_probability) == pytest.approx(0.5)
    assert chosen(judge, monkeypatch, [-np.inf, -1.0, -1.0]) == GENES


def test_of_two_changes_that_do_not_go_together_the_first_is_made(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = WindowGene("-", (Interval(90, 360),))
    others = {**OTHERS, LONE: [ScoredGene(wide, log(0.1))]}
    monkeypatch.setattr(Judge, "log_probabilities", lambda *_: np.array([-30.0, -30.0, -1.0, -1.0]))
    monkeypatch.setattr(room, "written_steps", lambda genes, *_: (None, None, int(genes[0].end > genes[1].start)))
    found = judge.choose("A" * 400, GENES, others)
    assert [gene for gene, _ in found] == [FAR, LONE] and found[1] == GENES[1]


def test_a_window_without_rivals_is_not_read_by_the_writer(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Judge, "log_probabilities", lambda *_: pytest.fail("nothing to judge"))
    assert judge.choose("A" * 400, GENES, {}) == GENES


def test_the_decoder_changes_genes_at_their_places_alone(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that loves the last rival of each place: viterbi's genes there give way to genes that overlap them."""
    monkeypatch.setattr(
        Judge, "log_probabilities", lambda _self, _window, _sites, all_: np.arange(len(all_), dtype=float) * 50
    )
    viterbi, reranked = (
        make_decoder(name, model, read_clades(), CLADE, CODE.table, DecodingOptions()).decode(WINDOWS)
        for name in ("viterbi", "reranked")
    )
    changes = 0
    for before, after in zip(viterbi, reranked, strict=True):
        old, new = ([gene for gene, _ in window.genes] for window in (before, after))
        assert len(old) == len(new)
        for gene in set(new) - set(old):
            assert any(gene.strand == one.strand and gene.start < one.end and one.start < gene.end for one in old)
            changes += 1
    assert changes > 0


def test_the_folder_of_a_crf_alone_has_no_judge(model: Model, tmp_path: Path) -> None:
    from genet5.crf.folder import save_crf
    from genet5.errors import InputError

    save_crf(model.crf, tmp_path)
    with pytest.raises(InputError, match="decoder reranked: the model is a CRF without a language model, allowed: vit"):
        make_decoder("reranked", load_annotator(tmp_path), read_clades(), CLADE, CODE.table, DecodingOptions())
