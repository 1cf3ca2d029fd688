"""Decoders: one table of objects behind one interface, what cannot work is one line, and who decides what is taken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from annotate_toy_genome import toy_rules, train_tiny_model, write_three_contigs
from toy_bacterium import CLADE, CODE, WINDOW_BP, chromosome, write_genome

import annotate_genome
from genet5.annotate.decoders import (
    DECODERS,
    DecodedWindow,
    DecoderKind,
    DecodingOptions,
    Expected,
    LanguageModel,
    Reranked,
    Viterbi,
    check_decoder,
    make_decoder,
)
from genet5.annotate.genomes import Tiling, annotate_regions
from genet5.annotate.models import Model, load_annotator
from genet5.annotate.options import OVERLAP_BP, AnnotateOptions
from genet5.clades import Clade, ShippedModel, read_clades
from genet5.crf.folder import save_crf
from genet5.errors import InputError
from genet5.genome.genes import Interval, Region
from genet5.genome.sites import WindowSites
from genet5.genome.window_genes import ScoredGene, WindowGene

WINDOWS = [chromosome()[start : start + 2400] for start in (2_000, 40_000, 300_000)]


@pytest.fixture(scope="module")
def clades() -> dict[str, Clade]:
    return read_clades()


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a language model."""
    return train_tiny_model(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def crf(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of its CRF alone."""
    folder = tmp_path_factory.mktemp("crf")
    save_crf(model.crf, folder)
    return folder


@pytest.fixture(scope="module")
def model(writer: Path) -> Model:
    return load_annotator(writer)


def made(name: str, model: Model, clade: str = CLADE, table: int = CODE.table, **options: object):
    return make_decoder(name, model, read_clades(), clade, table, DecodingOptions(**options))


def failure(call: object) -> str:
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


# ---------------------------------------------------------------- the table


def test_the_table_says_what_each_decoder_needs() -> None:
    assert list(DECODERS) == ["viterbi", "expected", "lm", "joint", "reranked"]
    assert {name: (kind.needs_writer, kind.spliced) for name, kind in DECODERS.items()} == {
        "viterbi": (False, True),
        "expected": (False, True),
        "reranked": (True, True),
        "lm": (True, True),
        "joint": (True, False),
    }


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_turns_each_window_into_genes_that_lie_in_it(name: str, model: Model) -> None:
    decoder = made(name, model)
    found = decoder.decode(WINDOWS)
    assert len(found) == len(WINDOWS) and any(window.genes for window in found)
    for bases, window in zip(WINDOWS, found, strict=True):
        assert isinstance(window, DecodedWindow) and window.truncated is False
        for gene, log_probability in window.genes:
            assert 0 <= gene.start < gene.end <= len(bases) and log_probability <= 0
    alone = [decoder.decode([bases])[0].genes for bases in WINDOWS]
    for one, other in zip(alone, (window.genes for window in found), strict=True):
        assert [gene for gene, _ in one] == [gene for gene, _ in other]
        assert [score for _, score in one] == pytest.approx([score for _, score in other], abs=1e-4)


def test_decoders_are_objects_of_their_kind(model: Model) -> None:
    viterbi, expected, lm, joint, reranked = (made(name, model) for name in DECODERS)
    assert isinstance(viterbi, Viterbi) and viterbi.crf is model.crf
    assert isinstance(expected, Expected) and expected.decoder.crf is model.crf
    assert isinstance(reranked, Reranked) and reranked.judge.writer is model.writer
    assert isinstance(lm, LanguageModel) and lm.frames is None
    assert isinstance(joint, LanguageModel) and isinstance(joint.frames, Viterbi)


def stops(gene: WindowGene, size: int) -> tuple[str, int] | None:
    """The stop that ends a complete gene: its strand and place there."""
    return None if gene.partial3 else (gene.strand, gene.on_strand(size)[-1].end)


def test_joint_writes_in_the_reading_frames_that_viterbi_takes(model: Model) -> None:
    frames, free, both = (made(name, model).decode(WINDOWS) for name in ("viterbi", "lm", "joint"))
    wider = 0
    for bases, taken, lm, joint in zip(WINDOWS, frames, free, both, strict=True):
        allowed = {stops(gene, len(bases)) for gene, _ in taken.genes} - {None}
        # A gene that the window's edge cuts has no start, and starts are what the frames limit.
        written = {stops(gene, len(bases)) for gene, _ in joint.genes if not gene.partial5} - {None}
        assert written <= allowed
        wider += bool({stops(gene, len(bases)) for gene, _ in lm.genes if not gene.partial5} - {None} - allowed)
    assert wider  # left alone, the language model takes others, too


def test_a_decoder_heeds_its_options(model: Model) -> None:
    greedy, beam = (made("lm", model, beam_width=width).decode(WINDOWS) for width in (1, 4))
    assert [window.genes for window in greedy] != [window.genes for window in beam]
    exact, rounded = (made("viterbi", model, precision=precision).decode(WINDOWS) for precision in ("fp32", "bf16"))
    assert [window.genes for window in exact] != [window.genes for window in rounded]


def test_a_decoder_takes_the_rules_of_clade_and_genetic_code(model: Model) -> None:
    found = made("viterbi", model, "protist", 4).decode(WINDOWS)
    rules = read_clades()["protist"].gene_rules(4)
    for bases, window in zip(WINDOWS, found, strict=True):
        sites = WindowSites(bases, rules)
        for gene, _ in window.genes:
            first, last = gene.on_strand(len(bases))[0].start, gene.on_strand(len(bases))[-1].end
            assert gene.partial5 or sites.strand(gene.strand).start[first]
            assert gene.partial3 or sites.strand(gene.strand).stop_here[last]
    assert rules.stops == {"TAA", "TAG"} and rules.starts == ("ATG",)


def test_a_decoder_in_the_table_is_all_that_a_new_one_needs(model: Model, tmp_path: Path, monkeypatch) -> None:
    class FirstCodons:
        """One gene a window, cut by its 5' edge."""

        def decode(self, windows: Sequence[str]) -> list[DecodedWindow]:
            gene = WindowGene("+", (Interval(0, 9),), partial5=True, partial3=True)
            return [DecodedWindow([ScoredGene(gene, -1.0)], truncated=True) for _ in windows]

    monkeypatch.setitem(DECODERS, "first", DecoderKind(lambda model, organism, options: FirstCodons()))
    decoder = made("first", model, "plant", 1)
    genome = write_three_contigs(tmp_path)
    tiling = Tiling(1500, 0, 2)
    found = annotate_regions(decoder, toy_rules(), genome, [Region("short", 0, 1_500)], CODE, tiling)
    assert found.counts["sequences_truncated"] == found.counts["tiles"] == 1
    assert check_decoder("first", read_clades()["plant"], has_writer=False) is None


# ---------------------------------------------------------------- what cannot work


def test_an_unknown_decoder_is_one_line(model: Model, clades: dict[str, Clade]) -> None:
    expected = "decoder 'vitrebi' is unknown, allowed: viterbi, expected, lm, joint, reranked"
    assert failure(lambda: made("vitrebi", model)) == expected
    assert failure(lambda: check_decoder("vitrebi", clades["plant"], False)) == expected


def test_joint_in_a_clade_with_introns_says_what_to_take_instead(model: Model, clades: dict[str, Clade]) -> None:
    spliced = [name for name, clade in clades.items() if clade.rules.splice_pairs]
    assert set(clades) - set(spliced) == {"bacteria", "kinetoplastid"}
    for name in spliced:
        expected = f"decoder joint: works in clades without introns, and {name} has them; use lm or viterbi"
        assert failure(lambda name=name: made("joint", model, name, 1)) == expected
        assert failure(lambda name=name: check_decoder("joint", clades[name], True)) == expected
    assert check_decoder("joint", clades["bacteria"], True) is None


@pytest.mark.parametrize("name", ["lm", "joint"])
def test_a_crf_alone_has_no_language_model(name: str, model: Model, clades: dict[str, Clade]) -> None:
    alone = Model(model.crf)
    assert not alone.has_writer and alone.longest_window_bp is None
    expected = f"decoder {name}: the model is a CRF without a language model, allowed: viterbi, expected"
    assert failure(lambda: made(name, alone)) == expected
    assert isinstance(made("viterbi", alone), Viterbi)
    assert failure(lambda: alone.writer) == "the model is a CRF without a language model"
    assert failure(lambda: alone.tokenizer) == "the model is a CRF without a tokenizer"


@pytest.mark.parametrize(
    ("folder", "decoder", "message"),
    [
        ("crf", "lm", "decoder lm: the model is a CRF without a language model, allowed: viterbi, expected"),
        ("crf", "joint", "decoder joint: the model is a CRF without a language model, allowed: viterbi, expected"),
        ("writer", "joint", "decoder joint: works in clades without introns, and fungi has them; use lm or viterbi"),
    ],
)
def test_the_script_says_so_and_writes_nothing(
    folder: str, decoder: str, message: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    fasta, model = write_genome(tmp_path / "my.fa", length_bp=3_000), request.getfixturevalue(folder)
    flags = f"--model={model} --genome={fasta} --clade=fungi --genetic-code=1 --decoder={decoder}"
    flags += f" --window-bp=3000 --overlap-bp=100 --output-prefix={tmp_path / 'out/my'}"
    assert failure(lambda: annotate_genome.main(flags.split())) == message
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------- what is taken


SHIPPED = ShippedModel(Path("weights"), Path("curve.json"), "viterbi", 48_000, 8_000)


def chosen(clade: Clade, *, shipped: bool, has_writer: bool, **wanted: object) -> tuple:
    usual = "lm" if has_writer else "viterbi"
    found = AnnotateOptions(**wanted).settled(usual, clade.window_bp, clade.model if shipped else None)
    return found.decoder, found.window_bp, found.overlap_bp


def test_the_user_beats_the_shipped_model_and_that_beats_the_clade(clades: dict[str, Clade]) -> None:
    clade = replace(clades["fungi"], model=replace(SHIPPED, decoder="lm"))
    assert clade.window_bp == 15_000
    usual = chosen(clade, shipped=False, has_writer=False)
    assert usual == ("viterbi", 15_000, OVERLAP_BP)
    assert chosen(clade, shipped=True, has_writer=False) == ("lm", 48_000, 8_000)
    for shipped in (True, False):
        wanted = {"decoder": "joint", "window_bp": 9_000, "overlap_bp": 500}
        assert chosen(clade, shipped=shipped, has_writer=False, **wanted) == ("joint", 9_000, 500)
    assert chosen(clade, shipped=True, has_writer=False, decoder="viterbi") == ("viterbi", 48_000, 8_000)
    assert chosen(clade, shipped=True, has_writer=False, window_bp=20_000) == ("lm", 20_000, 8_000)
    assert chosen(clade, shipped=True, has_writer=False, overlap_bp=0) == ("lm", 48_000, 0)
    assert chosen(clade, shipped=False, has_writer=False, overlap_bp=0) == ("viterbi", 15_000, 0)


def test_a_language_model_writes_unless_told_otherwise(clades: dict[str, Clade]) -> None:
    assert chosen(clades["vertebrate"], shipped=False, has_writer=True) == ("lm", 45_000, OVERLAP_BP)
    assert chosen(clades["vertebrate"], shipped=False, has_writer=True, decoder="viterbi")[0] == "viterbi"


@pytest.mark.parametrize("shipped", [True, False])
def test_tiles_always_overlap_by_less_than_their_length(shipped: bool, clades: dict[str, Clade]) -> None:
    short = replace(clades["fungi"], window_bp=600, stride_bp=300, model=SHIPPED)
    assert chosen(short, shipped=False, has_writer=False) == ("viterbi", 600, 300)
    for window_bp in (100, 3_000, 8_000, 8_001):
        _, window, overlap = chosen(clades["fungi"], shipped=shipped, has_writer=False, window_bp=window_bp)
        assert window == window_bp and 0 < overlap < window


# ---------------------------------------------------------------- what is imported


HEAVY = ("transformers", "lightning", "tokenizers", "snakemake", "pandas")


def test_annotating_with_a_crf_alone_imports_no_language_model_and_no_workflow(
    repository: Path, tmp_path: Path
) -> None:
    """All modules of a whole run of the script on 10 kb, from its start to the files it leaves."""
    fasta = write_genome(tmp_path / "my.fa", length_bp=10_000)
    use = read_clades()["fungi"].model
    flags = f"--model={use.folder} --calibration={use.calibration} --genome={fasta} --clade=fungi --genetic-code=1"
    flags += f" --window-bp={use.window_bp} --overlap-bp={use.overlap_bp} --output-prefix={tmp_path / 'out/my'}"
    code = f"""
import runpy, sys
sys.argv = ["annotate_genome.py", *{flags!r}.split()]
sys.path.insert(0, {str(repository / "scripts")!r})
runpy.run_path({str(repository / "scripts/annotate_genome.py")!r}, run_name="__main__")
print("modules:", *sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    modules = set(done.stdout.split("modules:")[1].split())
    assert {"torch", "genet5.crf.decoding"} <= modules and (tmp_path / "out/my.gff3").stat().st_size > 1000
    assert not {name for name in modules if name.split(".")[0] in HEAVY}
    rooms = {name.split(".")[1] for name in modules if name.startswith("genet5.")}
    assert not rooms & {"tokens", "writer", "grpo", "report", "studies"}


def test_windows_of_a_language_model_are_as_long_as_it_can_write(model: Model) -> None:
    assert model.has_writer and model.longest_window_bp == WINDOW_BP
