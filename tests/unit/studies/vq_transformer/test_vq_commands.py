"""The commands of the study VQ-Transformer one after the other, on a small text of DNA."""

from __future__ import annotations

import json

import numpy as np
import pytest
import vq_corpus
import vq_decode
import vq_encode
import vq_evaluate
import vq_limits
import vq_report
import vq_table
import vq_train

from genet5.errors import InputError
from genet5.studies.vq_transformer.corpus import Corpus
from genet5.tokens.tokenizer import GeneTokenizer

NETWORK = "--block-size 16 --width 16 --layers 1 --heads 2 --feed-forward 32 --code-width 8".split()
TRAIN = (
    "--learning-rate 3e-3 --warmup-epochs 4 --epochs 160 --batch-size 8 --eval-interval 80 --eval-iters 3 "
    "--precision fp32 --device cpu"
).split()
POINTS = ("2x16", "2x4")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A folder where every command has run."""
    folder = tmp_path_factory.mktemp("study")
    letters = "".join("ACGT"[index] for index in np.random.default_rng(0).integers(0, 4, size=6000))
    (folder / "dna.txt").write_text(letters + "NNN\n")
    words = ["--block-bp", "400", "--output", f"{folder}/corpus.npz", "--held-out-fasta", f"{folder}/held_out.fna"]
    vq_corpus.main(["--dna", f"dna={folder}/dna.txt", *words])
    vq_limits.main(["--corpus", f"{folder}/corpus.npz", "--orders", "0", "1", "--output", f"{folder}/limits.json"])
    for point in POINTS:
        model = folder / "points" / point
        corpus = ["--corpus", f"{folder}/corpus.npz"]
        where = ["--history", f"{model}/history.json", "--output-dir", str(model)]
        vq_train.main([*corpus, "--point", point, *NETWORK, *TRAIN, *where])
        where = ["--output", f"{model}/result.json", "--picture", f"{model}/picture.npz"]
        vq_evaluate.main([*corpus, "--model", str(model), *where])
    model, trip = str(folder / "points" / "2x16"), folder / "round_trip" / "2x16"
    dna, codes = f"{folder}/held_out.fna", f"{trip}/codes.npz"
    vq_encode.main(["--model", model, "--dna", dna, "--output", codes])
    report = ["--compare", dna, "--report", f"{trip}/round_trip.json"]
    vq_decode.main(["--model", model, "--codes", codes, "--output", f"{trip}/held_out.fna", *report])
    vq_table.main([*corpus, "--model", model, "--output", f"{folder}/table.json"])
    where = ["--study", str(folder), "--output-dir", f"{folder}/report"]
    vq_report.main(["--run", "tiny", "--points", *POINTS, "--main", "2x16", *where])
    return folder


def read(path):
    return json.loads(path.read_text())


def test_the_exact_code_comes_back_and_the_lossy_one_is_counted(study):
    round_trip = read(study / "round_trip/2x16/round_trip.json")
    exact, lossy = (read(study / "points" / point / "result.json") for point in POINTS)
    assert round_trip["identity"] > 0.99 and round_trip["unknown_wrong"] == 0
    assert exact["base_accuracy"] == round_trip["identity"] and exact["usage"] == 1.0
    assert (
        round_trip["bases"]
        == exact["test_bases"]
        == Corpus.load(study / "corpus.npz").size("test") - 3 * (round_trip["unknown_bases"] > 0)
    )
    assert 0.5 < lossy["base_accuracy"] < 0.75 and lossy["nominal_bits"] == 1.0
    assert lossy["lossless_bits"] > 1.95  # of noise


def test_decoded_and_original_fasta_are_the_same_text_where_the_code_is_exact(study):
    original, decoded = ((study / path).read_text() for path in ("held_out.fna", "round_trip/2x16/held_out.fna"))
    assert [line for line in original.splitlines() if line[0] == ">"] == [
        line for line in decoded.splitlines() if line[0] == ">"
    ]
    wrong = read(study / "round_trip/2x16/round_trip.json")["wrong_bases"]
    assert sum(a != b for a, b in zip(original, decoded, strict=True)) == wrong


def test_the_page_holds_its_pictures_and_asks_the_network_for_nothing(study):
    page = (study / "report/index.html").read_text()
    assert page.count("data:image/png;base64,") == 4 and "http://" not in page and "https://" not in page
    assert "it is the validation DNA: it chose the weights" in page and "Held-out DNA was seen" not in page
    for name in ("rate_distortion", "lossless", "codes", "training"):
        assert (study / "report" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert page.count("<td>-</td>") == len(POINTS)  # what codes tell of classes that are not annotated
    rows = (study / "report/results.tsv").read_text().splitlines()
    assert [row.split("\t")[0] for row in rows] == ["point", *POINTS]


def test_the_table_makes_a_tokenizer(study):
    tokenizer = GeneTokenizer.build("vq", base=study / "table.json", segment_bp=8, max_window_bp=64)
    assert len(set(tokenizer.encode_dna("ACGTTTGA").ids.tolist())) == 6  # two mile-posts and four pairs


def test_a_finished_training_is_not_repeated(study, capsys):
    model = study / "points/2x4"
    where = ["--history", f"{model}/history.json", "--output-dir", str(model)]
    vq_train.main(["--corpus", f"{study}/corpus.npz", "--point", "2x4", *NETWORK, *TRAIN, *where])
    assert "already finished after 160 steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("main", "words", "problem"),
    [
        (vq_corpus.main, "--dna a.fa --output x", "--dna: 'a.fa' is not NAME=FILE"),
        (vq_corpus.main, "--dna a=a.fa --held-out b=chr1 --output x", "--held-out: 'b' is not a name of --dna"),
        (vq_corpus.main, "--dna a=missing.fa --output x", "missing.fa: cannot be read"),
        (vq_limits.main, "--corpus x --orders 1 --output y", "--orders: found"),
        (vq_evaluate.main, "--corpus x --model nowhere --output y --picture z", "nowhere: no network of this study"),
        (vq_encode.main, "--model nowhere --dna x --output y", "nowhere: no network of this study"),
        (vq_decode.main, "--model m --codes c --output y --compare x", "--compare and --report"),
        (vq_report.main, "--run a --study b --points 2x4 --main 4x4 --output-dir x", "--main: found 4x4"),
        (vq_train.main, "--corpus x --history y --output-dir z --point 4", "point: found '4'"),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, main, words, problem):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as found:
        main(words.split())
    assert str(found.value).startswith(problem) and "\n" not in str(found.value)
    assert not list(tmp_path.iterdir())
