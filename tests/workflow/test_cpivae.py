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


def test_a_cross_validation_trains_each_fold_and_gathers_them(workspace, repository):
    path = workspace.folder / "sources/paired-omics"
    path.mkdir(parents=True)
    for name in ("TCGA_train_mrna", "TCGA_train_protein", "TCGA_train_subtype"):
        (path / f"{name}.csv.gz").touch()
    models = "models: [joint_vae, res_unet], baselines: [ridge], seeds: [1, 2]"
    overlay = workspace.overlay(f"cpivae: {{{models}, cross_validation: {{folds: 3, stratify: true}}}}")
    result = workspace.run("cpivae", "-n", "-p", *SMALL, overlay, "--config", "data_root=sources")
    assert result.returncode == 0, result.stdout
    # Two pairs, two seeds, three folds; the simulated pair has its truth beside ridge.
    assert jobs(result.stdout) == {
        "cpivae_table": 3,
        "cpivae_simulate": 1,
        "cpivae_settings": 24,
        "cpivae_train": 24,
        "cpivae_baseline": 18,
        "cpivae_gather": 14,
        "cpivae_compare": 1,
        "cpivae": 1,
    }
    found = commands(result.stdout)
    trained = [line for line in found if "cpivae_train.py" in line or "cpivae_baseline.py" in line]
    for line in trained:
        assert ("--labels" in line) == ("/tcga_mrna_protein/" in line)
    (gathered,) = [line for line in found if "cpivae_gather.py" in line and "simulated/res_unet/seed_2 " in line]
    words = shlex.split(gathered)
    folders = words[words.index("--folders") + 1 : words.index("--output-dir")]
    assert [folder.rsplit("/", 1)[1] for folder in folders] == [f"seed_2_fold_{fold}" for fold in range(3)]
    assert "cpivae_gather.py" in {name.rsplit("/", 1)[1] for name in check_flags(found, repository)}


def test_a_pair_of_olink_and_somascan_is_fetched_and_made_into_tables(workspace, repository):
    result = workspace.run("cpivae", "-n", "-p", "--configfile", "config/studies/cpivae_olink_somascan.yaml")
    assert result.returncode == 0, result.stdout
    found = commands(result.stdout)
    fetched = [shlex.split(line)[3] for line in found if "cpivae_table.py" in line]
    assert sorted(fetched) == [f"figshare:27931350/{name}_overlap.csv" for name in ("olink", "somascan")]
    own = (
        "olink_somascan: {olink: npx.csv, somascan: a.adat, proteins: p.csv, assays: {features: matched, olink_id: id}}"
    )
    for name in ("npx.csv", "a.adat", "p.csv"):
        (workspace.folder / name).touch()
    overlay = workspace.overlay(f"cpivae: {{pairs: [olink_somascan], models: [joint_vae], sources: {{{own}}}}}")
    result = workspace.run("cpivae", "-n", "-p", "--configfile", overlay)
    assert result.returncode == 0, result.stdout
    assert jobs(result.stdout)["cpivae_table"] == 3 and jobs(result.stdout)["cpivae_assays"] == 1
    (line,) = [line for line in commands(result.stdout) if "cpivae_assays.py" in line]
    words = shlex.split(line)
    for flag, value in (("--features", "matched"), ("--olink-id", "id")):
        assert words[words.index(flag) + 1] == value
    folder = "data/studies/cpivae/main/tables/olink_somascan"
    for name in ("olink", "somascan", "proteins"):
        assert words[words.index(f"--{name}") + 1] == f"{folder}/{name}.csv.gz"
    check_flags(commands(result.stdout), repository)


def test_a_wrong_setting_ends_the_run_before_it_starts(workspace):
    overlay = workspace.overlay("cpivae: {variants: {joint_vae: {model: {latent_dims: 3}}}}")
    result = workspace.run("cpivae", "-n", *SMALL, overlay)
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1] == (
        "error: cpivae settings of joint_vae on tcga_mrna_protein, key model.latent_dims is unknown; "
        "did you mean 'latent_dim'?"
    )
