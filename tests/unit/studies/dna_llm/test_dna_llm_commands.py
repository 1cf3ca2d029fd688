"""The study's commands one after the other on made-up data, and the comparison, which trains nothing."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dna_llm_toy import toy_windows

from genet5.errors import InputError
from genet5.studies.dna_llm.binding_windows import save_windows

SIZES = "--layers 1 --width 16 --heads 2 --context 60".split()
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def command(repository: Path) -> Callable[..., None]:
    """Runs a command of the study in this process."""

    def run(name: str, *arguments: object) -> None:
        spec = importlib.util.spec_from_file_location(
            name, repository / "scripts/studies/dna_llm" / f"dna_llm_{name}.py"
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.main([str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="module")
def study(command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with both controls, a pretrained core, the CNN and one GPT predictor."""
    folder = tmp_path_factory.mktemp("study")
    windows = folder / "windows.npz"
    toy = toy_windows(90)
    save_windows(replace(toy, starts=toy.starts * 2000), {}, windows, folder / "split.json")  # far from each other
    for control in ("kmer_lookup", "site_rule"):
        command("control", "--control", control, "--windows", windows, "--output-dir", folder / "models" / control)
    text = "".join(np.random.default_rng(0).choice(list("ACGTacgt"), size=6000))
    (folder / "genome.fna").write_text(f">chr\n{text}\n")
    for alphabet in ("full", "vocab4", "bpe32"):
        corpus = ("--genomes", f"toy={folder / 'genome.fna'}", "--alphabet", alphabet, "--held-out", windows)
        command("corpus", *corpus, "--block-bp", 1000, "--context", 60, "--output-dir", folder / "data" / alphabet)
        training = ("--max-steps", 4, "--eval-steps", 2, "--batch-size", 4, "--precision", "fp32")
        outputs = folder / "outputs"
        places = ("--losses", outputs / f"losses_{alphabet}.json", "--output-dir", outputs / alphabet)
        command("pretrain", "--corpus", folder / "data" / alphabet, *SIZES, *training, *places)
    training = ("--epochs", 2, "--batch-size", 16, "--precision", "fp32")
    predictors = {"baseline": "cnn_baseline_model", "vocab4": "gpt_binding_model_vocab4"}
    for variant, name in (predictors | {"bpe32": "gpt_binding_model_bpe32"}).items():
        core = () if variant == "baseline" else ("--core", folder / "outputs" / variant)
        places = ("--windows", windows, *core, "--output-dir", folder / "models" / name)
        command("finetune", "--variant", variant, *SIZES, *training, *places)
    return folder


def compare(command, study: Path, *predictors: str, losses: tuple[str, ...] = ()) -> dict:
    words = ("--losses", *losses) if losses else ()
    command("compare", "--study", study, *words, "--predictors", *predictors, "--bootstrap", 50)
    return json.loads((study / "models/comparison.json").read_text())


def trained_files(study: Path) -> dict[str, int]:
    """Everything that training left, with its time."""
    folders = [*(study / "models").glob("*/"), *(study / "outputs").glob("*/")]
    return {str(path): path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*")}


def test_the_comparison_draws_and_tabulates_what_is_trained_and_trains_nothing(command, study, capsys):
    before = trained_files(study)
    names = ("kmer_lookup", "site_rule", "cnn_baseline_model", "gpt_binding_model_vocab4", "gpt_binding_model_bpe32")
    alphabets = ("full", "vocab4", "bpe32")
    losses = tuple(f"losses_{alphabet}.json" for alphabet in alphabets)
    document = compare(command, study, *names, losses=losses)
    assert trained_files(study) == before
    assert list(document["predictors"]) == ["lookup", "rule", "baseline", "vocab4", "bpe32"]
    assert document["windows"] == {"train": 30, "validation": 30, "test": 30}
    for name in ("lookup", "rule"):  # the toy's labels are a function of 10-mers
        row = document["predictors"][name]
        assert row["test"]["auprc"]["value"] == pytest.approx(1) and row["interior_r"] == pytest.approx(1)
    difference = document["predictors"]["lookup"]["r_difference"]
    assert difference["value"] > 0 and difference["interval"][0] <= difference["value"] <= difference["interval"][1]
    assert document["predictors"]["baseline"]["r_difference"]["value"] == 0
    assert document["predictors"]["baseline"]["parameters"] == 186_497
    pictures = [f"outputs/loss_{alphabet}.png" for alphabet in alphabets]
    pictures += ["outputs/training_time_comparison.png", "outputs/bits_per_base.png"]
    pictures += [f"models/training_curves_{name}.png" for name in ("baseline", "vocab4", "bpe32")]
    pictures += ["models/finetuning_time_comparison.png", "models/performance_comparison.png"]
    for name in pictures:
        assert (study / name).read_bytes().startswith(PNG), name
    table = (study / "models/comparison.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in table] == ["predictor", *document["predictors"]]
    assert len({line.count("\t") for line in table}) == 1
    printed = capsys.readouterr().out
    for name, line in zip(document["predictors"], table[1:], strict=True):
        found = document["predictors"][name]["r_difference"]
        row = dict(zip(table[0].split("\t"), line.split("\t"), strict=True))
        shown = [float(row[f"test_r_difference{end}"]) for end in ("", "_low", "_high")]
        assert shown == pytest.approx([found["value"], *found["interval"]], rel=1e-5)
        assert f"{found['value']:+.4f} [{found['interval'][0]:+.4f}, {found['interval'][1]:+.4f}]" in printed
    assert "bits per base" in printed
    assert compare(command, study, *names, losses=losses) == document


def test_the_table_of_pretraining_has_counting_beside_each_gpt(command, study):
    losses = {name: json.loads((study / f"outputs/losses_{name}.json").read_text()) for name in ("vocab4", "bpe32")}
    compare(command, study, "kmer_lookup", losses=tuple(f"losses_{name}.json" for name in losses))
    header, *lines = [line.split("\t") for line in (study / "outputs/pretraining.tsv").read_text().splitlines()]
    rows = {line[0]: dict(zip(header, line, strict=True)) for line in lines}
    assert list(rows) == list(losses) and (rows["vocab4"]["tokens"], rows["bpe32"]["tokens"]) == ("4", "32")
    for name, row in rows.items():
        for column, key in (("bits_per_base", "best_bits_per_base"), *((c, c) for c in header if "order" in c)):
            assert float(row[column]) == pytest.approx(losses[name][key], rel=1e-5), column
    # The same bases were counted, and the same held-out bases are scored.
    assert losses["vocab4"]["mixture_bits_per_base"] == losses["bpe32"]["mixture_bits_per_base"]
    assert 1.9 < losses["bpe32"]["mixture_bits_per_base"] < 2.1 and losses["bpe32"]["mixture_order"] == 12


def test_the_comparison_of_less_than_everything(command, study):
    document = compare(command, study, "gpt_binding_model_vocab4")
    assert list(document["predictors"]) == ["vocab4"] and not document["pretraining"]
    assert "r_difference" not in document["predictors"]["vocab4"]


def test_what_is_missing_or_of_other_windows_is_one_clear_line(command, study, tmp_path):
    with pytest.raises(InputError, match=r"models/nothing/result\.json: cannot be read: No such file"):
        compare(command, study, "nothing")
    with pytest.raises(InputError, match=r"losses_x\.json: cannot be read"):
        compare(command, study, "kmer_lookup", losses=("losses_x.json",))
    with pytest.raises(InputError, match=r"windows\.npz: cannot be read: No such file"):
        compare(command, tmp_path, "kmer_lookup")
    save_windows(toy_windows(30), {}, tmp_path / "windows.npz", tmp_path / "split.json")
    (tmp_path / "models").symlink_to(study / "models")
    with pytest.raises(InputError, match=r"predictions of \(30, 60\) validation bases, expected \(10, 60\)"):
        compare(command, tmp_path, "kmer_lookup")
