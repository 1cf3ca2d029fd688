"""What Snakemake would do for the study DNA-LLM, without doing it."""

from __future__ import annotations

import re

import pytest
from dry_runs import commands, jobs
from script_flags import check_flags

from genet5.studies.dna_llm.variants import VARIANTS

SMALL = ("--configfile", "config/studies/dna_llm_small.yaml")
PREDICTORS = len(VARIANTS)


@pytest.fixture(scope="module")
def dry_run(make_workspace) -> str:
    workspace = make_workspace()
    for name in (
        "H.sapiens/fna.gz",
        "C.elegans/fna.gz",
        "tf-binding/chr22_sequences.txt.gz",
        "tf-binding/chr22_scores.txt.gz",
    ):
        path = workspace.folder / "sources" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    result = workspace.run("dna_llm", "-n", "-p", *SMALL, "--config", "data_root=sources")
    assert result.returncode == 0, result.stdout
    return result.stdout


def test_the_study_makes_every_model_once(dry_run):
    assert jobs(dry_run) == {
        "download": 2,
        "dna_llm_table": 2,
        "dna_llm_windows": 1,
        "dna_llm_corpus": 3,
        "dna_llm_pretrain": 3,
        "dna_llm_finetune": PREDICTORS,
        "dna_llm_control": 2,
        "dna_llm_compare": 1,
        "dna_llm": 1,
    }
    for name in (
        "models/performance_comparison.png",
        "models/finetuning_time_comparison.png",
        "outputs/training_time_comparison.png",
        "outputs/loss_full.png",
        "outputs/pretraining.tsv",
        "outputs/bits_per_base.png",
        "outputs/losses_vocab4.json",
        "outputs/ckpt_full/model.safetensors",
        "outputs/ckpt_vocab4/model.safetensors",
        "models/cnn_baseline_model/model.safetensors",
        "models/gpt_binding_model_full/model.safetensors",
        "models/training_curves_baseline.png",
    ):
        assert f"data/studies/dna_llm/dna_llm_small/{name}" in dry_run


def test_pretrained_predictors_alone_get_a_core(dry_run):
    lines = {re.search(r"--variant (\w+)", line)[1]: line for line in commands(dry_run) if "finetune.py" in line}
    assert len(lines) == PREDICTORS
    study = "data/studies/dna_llm/dna_llm_small"
    for name, line in lines.items():
        core = re.search(r"--core (.*?) --", line)
        expected = (
            None
            if name in ("baseline", "one_sided_cnn") or "random" in name
            else name
            if name in ("full", "bpe32")
            else "vocab4"
        )
        assert (core and core[1]) == (expected and f"{study}/outputs/ckpt_{expected}"), name


def test_no_corpus_has_dna_of_held_out_windows(dry_run):
    lines = [line for line in commands(dry_run) if "corpus.py" in line]
    assert len(lines) == 3
    assert all("--held-out data/studies/dna_llm/dna_llm_small/windows.npz " in line for line in lines)


def test_every_command_of_the_study_uses_flags_that_its_script_has(dry_run, repository):
    assert len([name for name in check_flags(commands(dry_run), repository) if "dna_llm_" in name]) == 6


def test_plot_only_compares_what_is_trained_and_trains_nothing(workspace):
    overlay = workspace.overlay("dna_llm: {plot_only: true}")
    asked = ("dna_llm", "-n", "-p", *SMALL, overlay)
    empty = workspace.run(*asked)
    assert empty.returncode == 1
    assert empty.stdout.splitlines()[-1] == (
        "error: config key dna_llm.plot_only: data/studies/dna_llm/dna_llm_small/models holds no trained predictor"
    )
    study = workspace.folder / "data/studies/dna_llm/dna_llm_small"
    for name in ("models/cnn_baseline_model", "models/gpt_binding_model_vocab4", "models/kmer_lookup"):
        (study / name).mkdir(parents=True)
        (study / name / "result.json").touch()
    (study / "outputs").mkdir()
    (study / "outputs/losses_vocab4.json").touch()
    result = workspace.run(*asked)
    assert result.returncode == 0, result.stdout
    assert jobs(result.stdout) == {"dna_llm_compare": 1, "dna_llm": 1}
    (line,) = [line for line in commands(result.stdout) if "compare.py" in line]
    assert "--losses losses_vocab4.json --predictors kmer_lookup cnn_baseline_model gpt_binding_model_vocab4 " in line
