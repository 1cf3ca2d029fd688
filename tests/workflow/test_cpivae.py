"""What Snakemake would do for the study cpiVAE, without doing it."""

from __future__ import annotations

import json
import shlex

import pytest
from dry_runs import commands, jobs
from script_flags import check_flags

SMALL = ("--configfile", "config/studies/cpivae_small.yaml")
MODELS, BASELINES = 11, 5


@pytest.fixture(scope="module")
def dry_run(make_workspace) -> str:
    workspace = make_workspace()
    for name in ("TCGA_train_mrna", "TCGA_train_protein", "TCGA_train_subtype"):
        path = workspace.folder / "sources/paired-omics" / f"{name}.csv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    result = workspace.run("cpivae", "-n", "-p", *SMALL, "--config", "data_root=sources")
    assert result.returncode == 0, result.stdout
    return result.stdout


def test_the_study_trains_every_model_on_every_pair(dry_run):
    assert jobs(dry_run) == {
        "cpivae_table": 3,
        "cpivae_simulate": 1,
        "cpivae_settings": 2 * MODELS,
        "cpivae_train": 2 * MODELS,
        "cpivae_baseline": 2 * BASELINES + 1,
        "cpivae_compare": 1,
        "cpivae": 1,
    }
    study = "data/studies/cpivae/cpivae_small"
    for name in ("report/index.html", "outputs/simulated/joint_vae/seed_42/final_model.ckpt",
                 "baselines/simulated/truth/seed_42/result.json", "report/tcga_mrna_protein_latent.png"):  # fmt: skip
        assert f"{study}/{name}" in dry_run


def test_models_and_baselines_of_a_pair_split_and_scale_alike(dry_run):
    sections = {}
    for line in commands(dry_run):
        if "cpivae_settings.py" in line:
            words = shlex.split(line)
            changes = json.loads(words[words.index("--changes") + 1])
            pair = words[words.index("--output") + 1].split("/")[-3]
            sections.setdefault(pair, []).append(changes["data"])
    assert {pair: len(found) for pair, found in sections.items()} == {"simulated": MODELS, "tcga_mrna_protein": MODELS}
    assert all(section == found[0] for found in sections.values() for section in found)
    assert all("/joint_vae/seed_42.yaml" in line for line in commands(dry_run) if "cpivae_baseline.py" in line)


def test_every_command_of_the_study_uses_flags_that_its_script_has(dry_run, repository):
    assert len([name for name in check_flags(commands(dry_run), repository) if "cpivae_" in name]) == 6


def test_a_wrong_setting_ends_the_run_before_it_starts(workspace):
    overlay = workspace.overlay("cpivae: {variants: {joint_vae: {model: {latent_dims: 3}}}}")
    result = workspace.run("cpivae", "-n", *SMALL, overlay)
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1] == (
        "error: cpivae settings of joint_vae on tcga_mrna_protein, key model.latent_dims is unknown; "
        "did you mean 'latent_dim'?"
    )
