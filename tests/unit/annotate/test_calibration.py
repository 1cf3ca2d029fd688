"""Calibrated scores: the curve, its file, and the script that fits it to validation DNA alone."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_files import CONTIG, changed, toy_genes
from toy_bacterium import CODE, VALIDATION, WINDOW_BP, ToyRun, write_run

import annotate_genome
import calibrate
from genet5.annotate import calibrating, calibration
from genet5.annotate.calibrating import judged_genes, spread
from genet5.annotate.calibration import Calibration, calibration_error, fit_calibration, log_odds
from genet5.annotate.calibration_file import calibration_beside, decoder_by_validation, write_calibration
from genet5.annotate.choosing import ValidationScore
from genet5.annotate.genomes import GenomeAnnotation
from genet5.clades import read_clades
from genet5.errors import InputError
from genet5.evaluate.verdicts import EXACT, PARTIAL, UNJUDGED, WRONG
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome
from genet5.genome.genes import Interval, Region

DECADES = [(0.1, 10), (0.5, 50), (0.9, 90)]  # (probability, exact of 100)


def decades(stretch: float = 1.0) -> tuple[list[float], list[bool]]:
    """100 genes each of three log-odds, with so many exact as these say when they are divided by ``stretch``."""
    scores, exact = [], []
    for share, right in DECADES:
        scores += [stretch * math.log(share / (1 - share))] * 100
        exact += [True] * right + [False] * (100 - right)
    return scores, exact


# ---------------------------------------------------------------- the curve


def test_log_odds_are_kept_between_limits() -> None:
    found = [log_odds(value) for value in (math.log(0.5), math.log(0.9), -700.0, -math.inf, 0.0, -1e-9)]
    assert found == pytest.approx([0, math.log(9), -20, -20, 10, 10])


def log_probability(odds: float) -> float:
    return -math.log1p(math.exp(-odds))


@pytest.mark.parametrize("stretch", [1.0, 2.0, 0.5])
def test_probabilities_are_left_and_overconfidence_is_taken_back(stretch: float) -> None:
    """150 of 300 are exact, so they count 151/152 and 1/152: of 100 with 90 exact (90 * 151 + 10) / 152 = 89.47 are.

    By symmetry the intercept is 0, and the slope takes the log-odds of .9 to those of .8947 = 17/19: log 8.5 / log 9.
    """
    curve = fit_calibration(*decades(stretch))
    assert (curve.genes, curve.exact, curve.calibrated) == (300, 150, True)
    assert curve.intercept == pytest.approx(0, abs=1e-6)
    assert curve.slope == pytest.approx(math.log(8.5) / math.log(9) / stretch)
    scores, _ = decades(stretch)
    for score, share in ((scores[0], 2 / 19), (scores[100], 0.5), (scores[200], 17 / 19)):
        assert curve.probability(log_probability(score)) == pytest.approx(share)
    # What the decoder says of two of the hundreds is off by this; the curve of one half on the other by its caution.
    off = abs(1 / (1 + math.exp(-math.log(9) * stretch)) - 0.9) * 2 / 3
    assert curve.error_before == pytest.approx(off, abs=1e-4) and curve.error_after < 0.01


def test_a_perfect_and_a_hopeless_decoder_are_near_one_and_nought() -> None:
    scores = np.linspace(-2, 7, 98)
    always, never = fit_calibration(scores, [True] * 98), fit_calibration(scores, [False] * 98)
    assert [always.probability(score) for score in (-3.0, 0.0)] == pytest.approx([0.99, 0.99], abs=1e-6)
    assert [never.probability(score) for score in (-3.0, 0.0)] == pytest.approx([0.01, 0.01], abs=1e-6)


def test_scores_that_mislead_say_nothing() -> None:
    scores, exact = decades()
    curve = fit_calibration(scores, [not right for right in exact])
    assert (curve.slope, curve.intercept) == (0.0, pytest.approx(0.0))
    assert curve.probability(-9.0) == curve.probability(-0.01) == pytest.approx(0.5)


def test_genes_that_scores_part_perfectly_make_no_step() -> None:
    curve = fit_calibration([-3.0] * 50 + [5.0] * 50, [False] * 50 + [True] * 50)
    assert curve.probability(log_probability(-3)) == pytest.approx(1 / 52)
    assert curve.probability(log_probability(5)) == pytest.approx(51 / 52)


@given(
    st.lists(st.tuples(st.floats(-20, 10), st.booleans()), min_size=50, max_size=80),
    st.lists(st.floats(-100, 0), min_size=2, max_size=20),
)
def test_every_curve_is_monotone_and_gives_probabilities(fitted: list, asked: list) -> None:
    curve = fit_calibration(*zip(*fitted, strict=True))
    found = [curve.probability(score) for score in sorted(asked)]
    assert all(0 <= value <= 1 for value in found) and found == sorted(found)


def test_few_genes_leave_scores_as_they_are() -> None:
    curve = fit_calibration([2.0] * 49, [True] * 49)
    assert not curve.calibrated and curve.reason == "49 genes could be judged, 50 are needed"
    assert curve.probability(math.log(0.25)) == pytest.approx(0.25)


def test_calibration_error_by_hand() -> None:
    # Ten bins of two genes: .9 where all are exact is off by .1, .2 where half are by .3.
    assert calibration_error([0.9] * 10 + [0.2] * 10, [True] * 10 + [True, False] * 5) == pytest.approx(0.2)
    assert calibration_error([1.0] * 30, [True] * 30) == 0.0 == calibration_error([], [])


def test_a_curve_without_a_fit_leaves_log_odds_and_fifty_genes_make_one() -> None:
    assert Calibration() == Calibration(1.0, 0.0, 0, 0, None, None, "")
    assert Calibration().probability(math.log(0.25)) == pytest.approx(0.25)
    curve = fit_calibration([2.0, -2.0] * 25, [True, False] * 25)
    assert (curve.calibrated, curve.genes, curve.exact) == (True, 50, 25)


def test_the_errors_of_a_curve_by_hand() -> None:
    """9 of 10 are 81 of 82 in twice the log-odds: off by .0878 in two bins of three.

    A half of 150 genes with 75 exact takes 45 of 50 for (45 * 76 + 5) / 77: off by .0104.
    """
    assert fit_calibration(*decades(2.0)).error_before == 0.0585
    assert fit_calibration(*decades()).error_before == 0
    assert fit_calibration(*decades()).error_after == 0.0069


# ---------------------------------------------------------------- the file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder with weights and a calibration of two decoders."""
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    curves = {"lm": fit_calibration(*decades()), "viterbi": Calibration(genes=3, reason="3 genes could be judged")}
    scores = {"lm": {"T.oyus": ValidationScore("plant", 0.5, None)}}
    write_calibration(
        tmp_path / "calibration.json", tmp_path / "model.safetensors", curves, {"T.oyus": ["chr:1-9"]}, scores
    )
    return tmp_path


def test_a_calibration_is_read_back(folder: Path) -> None:
    assert calibration_beside(folder, "lm") == fit_calibration(*decades())
    path = folder / "calibration.json"
    assert json.loads(path.read_text())["regions"] == {"T.oyus": ["chr:1-9"]}
    few, other = calibration_beside(folder, "viterbi"), calibration_beside(folder, "joint")
    assert few.reason == f"{path}: 3 genes could be judged"
    assert other.reason == f"{path}: made for lm, viterbi, not for joint"
    (folder / "model.safetensors").write_bytes(b"trained on")
    assert calibration_beside(folder, "lm").reason == f"{path}: made for other weights"
    path.unlink()
    assert calibration_beside(folder, "lm") == Calibration(reason=f"{path}: no such file; calibrate.py writes it")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("slope", "steep", "key decoders.lm.slope: 'steep' is text, expected a number"),
        ("slope", -0.5, "key decoders.lm.slope: -0.5"),
        ("intercept", math.nan, "key decoders.lm.intercept: nan is not a finite number"),
        ("genes", None, "key decoders.lm.genes: nothing is there, expected a whole number"),
        ("slop", 1.0, "key decoders.lm.slop is unknown; did you mean 'slope'?"),
    ],
)
def test_a_broken_calibration_is_one_clear_line(folder: Path, place: str, value: object, message: str) -> None:
    path = folder / "calibration.json"
    content = json.loads(path.read_text())
    content["decoders"]["lm"][place] = value
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as error:
        calibration_beside(folder, "viterbi")
    assert str(error.value).startswith(f"{path}, {message}") and "\n" not in str(error.value)


def test_the_decoder_of_a_model_is_read_from_its_own_scores(folder: Path) -> None:
    path, weights = folder / "calibration.json", folder / "model.safetensors"
    clade = read_clades()["plant"]
    assert decoder_by_validation(path, weights, clade, True) == "lm"
    assert decoder_by_validation(path, weights, clade, False) is None
    weights.write_bytes(b"trained on")
    assert decoder_by_validation(path, weights, clade, True) is None
    content = json.loads(path.read_text())
    content["scores"]["lm"]["T.oyus"]["exon_f1"] = 1.5
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"key scores\.lm\.T\.oyus\.exon_f1: 1\.5"):
        decoder_by_validation(path, weights, clade, True)
    assert decoder_by_validation(folder / "none.json", weights, clade, True) is None


def test_a_calibration_that_is_none_is_one_clear_line(folder: Path) -> None:
    path = folder / "calibration.json"
    for text, message in (("{", f"{path}: not JSON"), ("{}", f"{path}, key weights is missing"), ("[]", f"{path}: ")):
        path.write_text(text)
        with pytest.raises(InputError) as error:
            calibration_beside(folder, "lm")
        assert str(error.value).startswith(message) and "\n" not in str(error.value)


# ---------------------------------------------------------------- the script


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ToyRun:
    return write_run(tmp_path_factory.mktemp("toy") / "run")


def arguments(run: ToyRun, **changed: list) -> list[str]:
    flags = {
        "model": [run.model],
        "decoder": ["viterbi"],
        "manifests": [run.manifest],
        "genomes": [run.genome],
        "annotations": [run.annotation],
        "window-bp": [WINDOW_BP],
        "overlap-bp": [1000],
        "output": [run.model / "calibration.json"],
    }
    flags |= {name.replace("_", "-"): values for name, values in changed.items()}
    return [str(word) for name, values in flags.items() for word in (f"--{name}", *values)]


def test_the_curve_is_fitted_to_validation_regions_alone(run: ToyRun, monkeypatch, capsys) -> None:
    """An oracle that knows every gene of the genome, and shifts every fourth by a codon and scores it low."""
    with Genome(run.genome) as genome:
        known = read_annotation(run.annotation, genome, CODE).trusted
    asked: list[Region] = []

    def oracle(decoder, rules, genome, regions, code, tiling, score):
        asked.extend(regions)
        genes = []
        for number, gene in enumerate(gene for gene in known if gene.end <= regions[0].end):
            (segment,) = gene.canonical.cds
            wrong = number % 4 == 0
            cds = (Interval(segment.start + 3, segment.end - 3),) if wrong else (segment,)
            transcript = replace(gene.canonical, cds=cds)
            genes.append(replace(gene, transcripts=(transcript,), score=score(-2.0 if wrong else -0.1)))
        return GenomeAnnotation(genes)

    monkeypatch.setattr(calibrating, "annotate_regions", oracle)
    monkeypatch.setattr(calibration, "FEWEST_GENES", 4)
    calibrate.main(arguments(run))
    assert asked == [Region("chr", 0, 9000)]
    curve = calibration_beside(run.model, "viterbi")
    wrong = (curve.genes + 3) // 4
    assert curve.genes >= 4 and curve.exact == curve.genes - wrong
    assert curve.probability(-2.0) == pytest.approx(1 / (wrong + 2))
    assert curve.probability(-0.1) == pytest.approx((curve.exact + 1) / (curve.exact + 2))
    assert json.loads((run.model / "calibration.json").read_text())["regions"] == {"T.oyus": [VALIDATION]}
    assert f"viterbi: {curve.exact} of {curve.genes} genes exact, calibration error" in capsys.readouterr().out


def test_every_decoder_of_the_clade_is_compared_and_the_best_one_annotates(
    run: ToyRun, tmp_path: Path, monkeypatch, capsys
) -> None:
    """lm finds all genes of the validation DNA, viterbi and reranked half of them, expected one, joint none."""
    with Genome(run.genome) as genome:
        known = read_annotation(run.annotation, genome, CODE).trusted
    inside = [replace(gene, score=-0.1) for gene in known if gene.end <= 9000]
    share = {"viterbi": inside[::2], "expected": inside[:1], "lm": inside, "joint": [], "reranked": inside[::2]}

    def oracle(decoder, *_):
        return GenomeAnnotation(share[decoder])

    monkeypatch.setattr(calibrating, "make_decoder", lambda name, *_: name)
    monkeypatch.setattr(calibrating, "annotate_regions", oracle)
    flags = arguments(run)
    del flags[flags.index("--decoder") : flags.index("--decoder") + 2]
    calibrate.main(flags)
    scores = json.loads((run.model / "calibration.json").read_text())["scores"]
    half = 2 * len(inside[::2]) / (len(inside[::2]) + len(inside))
    for decoder, f1 in (("lm", 1.0), ("viterbi", half), ("joint", 0.0), ("reranked", half)):
        found = scores[decoder]["T.oyus"]
        assert (found["exon_f1"], found["gene_f1"]) == pytest.approx((f1, f1))
    assert "T.oyus, lm: exon F1 1.000, gene F1 1.000" in capsys.readouterr().out
    monkeypatch.undo()
    prefix = tmp_path / "found"
    annotate_genome.main(
        [f"--model={run.model}", f"--genome={run.genome}", "--clade=bacteria", "--window-bp=2000", "--overlap-bp=500",
         "--regions=chr:1-4000", f"--output-prefix={prefix}"]
    )  # fmt: skip
    assert json.loads(Path(f"{prefix}.json").read_text())["options"]["decoder"] == "lm"


def test_too_little_validation_dna_is_said_and_no_error(run: ToyRun) -> None:
    calibrate.main(arguments(run, decoder=["viterbi", "joint"]))
    for decoder in ("viterbi", "joint"):
        assert "genes could be judged, 50 are needed" in calibration_beside(run.model, decoder).reason
    nothing = {name: [] for name in ("manifests", "genomes", "annotations", "window_bp")}
    for changed_flags in (nothing, {"calibration_bp": [0]}):
        calibrate.main(arguments(run, **changed_flags))
        assert calibration_beside(run.model, "viterbi").reason.endswith("no validation DNA to fit to")


def test_a_crf_alone_is_calibrated_for_its_one_decoder(run: ToyRun) -> None:
    output = run.crf / "calibration.json"
    calibrate.main(arguments(run, model=[run.crf], output=[output]))
    assert "genes could be judged, 50 are needed" in calibration_beside(run.crf, "viterbi").reason
    with pytest.raises(InputError) as error:
        calibrate.main(arguments(run, model=[run.crf], output=[output], decoder=["viterbi", "lm"]))
    assert str(error.value) == "decoder lm: the model is a CRF without a language model, allowed: viterbi, expected"


@pytest.mark.parametrize(
    ("changed_flags", "message"),
    [
        ({"genomes": []}, "--manifests, --genomes, --annotations, --window-bp: 1, 0, 1, 1 values, expected as many"),
        ({"calibration_bp": [-1]}, "--calibration-bp: found -1, allowed: at least 0"),
        ({"window_bp": [9999], "decoder": ["lm"]}, "--window-bp: 9999, the model writes windows of at most 3000"),
        ({"model": ["absent"]}, "absent/model.safetensors: no such file, --model must be a model folder"),
        ({"manifests": ["absent.json"]}, "absent.json: no such manifest"),
    ],
)
def test_a_mistake_is_one_line(run: ToyRun, changed_flags: dict, message: str) -> None:
    with pytest.raises(InputError) as error:
        calibrate.main(arguments(run, **changed_flags))
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_cut_and_unjudged_genes_are_not_fitted_to() -> None:
    (first, second), _ = toy_genes(2)
    cut = replace(first, transcripts=(replace(first.canonical, complete3=False),), score=-0.5)
    genes = [changed(first, "a", score=-0.1), changed(second, "b", score=-0.2), cut, changed(first, "c", score=-0.3)]
    judged = judged_genes(genes, [EXACT, WRONG, PARTIAL, UNJUDGED])
    assert (judged.odds, judged.exact) == ([-0.1, -0.2], [True, False])


@pytest.mark.parametrize("contig_bp", [10_000, 30_000, 240_000])
def test_of_short_contigs_almost_as_many_bases_are_read(contig_bp: int) -> None:
    contigs = [Region(f"c{number:04d}", 0, contig_bp) for number in range(10_000_000 // contig_bp)]
    read = sum(region.end - region.start for region in spread(contigs, 3_000_000))
    assert 2_500_000 < read <= 3_000_000


def test_long_regions_are_read_in_stretches() -> None:
    whole = [Region(CONTIG, 0, 900_000), Region("small", 0, 100_000)]
    assert spread(whole, 1_000_000) == whole
    later = [Region(CONTIG, 900_000, 1_500_000), Region("small", 50_000, 250_000)]
    assert spread(later, 800_000) == later, "as many bases as are allowed, wherever they lie"
    # Two stretches, in the middle of either half of a million bases.
    assert spread(whole, 500_000) == [Region(CONTIG, 125_000, 375_000), Region(CONTIG, 625_000, 875_000)]
    for most in (1, 999, 250_000, 700_000, 999_999):
        chosen = spread(whole, most)
        assert 0 < sum(end - start for _, start, end in chosen) <= most
        assert all(one.seqid != two.seqid or one.end <= two.start for one, two in pairwise(chosen))
