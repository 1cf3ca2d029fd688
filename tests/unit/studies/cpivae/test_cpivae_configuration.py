"""Study cpiVAE: settings are complete, checked, and laid over one another as documented."""

from __future__ import annotations

import copy

import pytest
import yaml

from genet5.errors import InputError
from genet5.settings.checks import check_config
from genet5.studies.cpivae.callbacks import training_callbacks
from genet5.studies.cpivae.models.registry import MODELS
from genet5.studies.cpivae.settings import (
    check_settings,
    checkpoint_monitor,
    default_settings,
    merged,
    read_settings,
    stopping_monitor,
)
from genet5.studies.cpivae.study import baselines_of, check_study, splits, training_settings


@pytest.fixture
def study(default_config) -> dict:
    return default_config["cpivae"]


def test_shipped_settings_are_valid_and_every_model_of_the_schema_exists(repository):
    check_settings(default_settings(), "defaults")
    schema = yaml.safe_load((repository / "workflow/schemas/cpivae_training.schema.yaml").read_text())
    assert set(schema["properties"]["model"]["properties"]["model_type"]["enum"]) == set(MODELS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {latent_dims: 3}", r"model.latent_dims is unknown; did you mean 'latent_dim'"),
        ("model: {model_type: jointvae}", r"model.model_type: jointvae is not allowed .*did you mean 'joint_vae'"),
        (
            "training: {learning_rate: 4e-4}",
            r"training.learning_rate: '4e-4' is text, expected a number \(write 4.0e-4\)",
        ),
        ("data: {train_split: 0.7}", r"key data: train_split, val_split and test_split sum to 0.9, expected 1"),
        (
            "model: {model_type: JointVQ, num_codebooks: 7}",
            r"model.num_codebooks: 7 does not divide latent_dim \(128\)",
        ),
        ("training: {min_beta: 2.0}", r"training.min_beta: 2.0 is more than max_beta \(1.0\)"),
        ("hardware: {devices: all}", r"hardware.devices: 'all' is not allowed"),
        ("hardware: {precision: 8}", r"hardware.precision: 8 is not allowed"),
        ("- model", r"expected sections of keys"),
        ("model: [", r"is not valid YAML"),
    ],
)
def test_a_mistake_is_named_with_its_key(tmp_path, text, message):
    path = tmp_path / "my.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_settings(path)
    assert "my.yaml" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("devices", ["auto", 1, [0, 1]])
@pytest.mark.parametrize("precision", [32, 16, "bf16"])
def test_hardware_is_written_as_documented(devices, precision):
    check_settings(merged(default_settings(), {"hardware": {"devices": devices, "precision": precision}}), "mine")
    with pytest.raises(InputError, match=r"hardware\.devices"):
        check_settings(merged(default_settings(), {"hardware": {"devices": "-x", "precision": precision}}), "mine")


def test_the_published_example_is_a_valid_file(tmp_path):
    path = tmp_path / "example.yaml"
    path.write_text("""
model: {model_type: joint_vae, latent_dim: 64, encoder_layers: [512, 256, 128], decoder_layers: [128, 256, 512],
        dropout_rate: 0.2, activation: relu, batch_norm: true}
training: {max_epochs: 100, learning_rate: 0.001, batch_size: 64, optimizer: adam, gradient_clip_val: 0.5,
           early_stopping_patience: 10}
hardware: {accelerator: auto, devices: auto, precision: 32}
callbacks:
  model_checkpoint: {monitor: val_cross_a_corr_mean, mode: max, save_top_k: 5}
  early_stopping: {monitor: val_cross_a_corr_mean, mode: max, patience: 15}
""")
    settings = read_settings(path)
    assert settings["model"]["encoder_layers"] == [512, 256, 128] and settings["model"]["k_samples"] == 5
    assert checkpoint_monitor(settings) == ("val_cross_a_corr_mean", "max", 5)
    assert stopping_monitor(settings) == ("val_cross_a_corr_mean", "max", 15, 0.0)


def test_callbacks_are_those_of_the_settings(tmp_path):
    settings = default_settings()
    names = [type(callback).__name__ for callback in training_callbacks(settings, tmp_path, "x")]
    assert names[:-2] == ["History", "BestCheckpoints", "LastCheckpoint", "Stopping"]
    assert names[-2:] == ["LearningRateMonitor", "GradientsAndWeights"]
    unwatched = {"gradient_norms_every_epochs": 0, "histograms_every_epochs": 0}
    without = merged(
        settings,
        {"training": {"early_stopping_patience": 0}, "callbacks": {"lr_monitor": False}, "logging": unwatched},
    )
    assert len(training_callbacks(without, tmp_path, "x")) == 3


def test_later_changes_win(study):
    changed = copy.deepcopy(study)
    changed["settings"] = {"training": {"max_epochs": 1, "batch_size": 2}, "model": {"latent_dim": 3}}
    changed["sources"]["simulated"]["settings"] = {"training": {"max_epochs": 4}, "data": {"train_split": 0.8}}
    changed["variants"]["joint_vae"] = {"model": {"model_type": "joint_vae", "latent_dim": 5}}
    changed["sources"]["simulated"]["variants"] = {"joint_vae": {"model": {"latent_dim": 6}}}
    found = training_settings(changed, "simulated", "joint_vae", "seed_77")
    assert found["training"]["max_epochs"] == 4 and found["training"]["batch_size"] == 2
    assert found["model"]["latent_dim"] == 6 and found["data"]["random_seed"] == 77
    assert training_settings(changed, "simulated", "JointVQ", "seed_77")["model"]["latent_dim"] == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pairs": ["nci61"]}, "cpivae.pairs: 'nci61' is not in cpivae.sources"),
        ({"models": ["vae"]}, "cpivae.models: 'vae' is not in cpivae.variants"),
        (
            {"sources": {"simulated": {"platform_a": "x"}}},
            r"sources.simulated: expected one of: platform_a and platform_b, olink",
        ),
        (
            {"sources": {"olink_somascan": {"platform_a": "x"}}, "pairs": ["olink_somascan"]},
            "expected one of: platform_",
        ),
        ({"sources": {"simulated": {"assays": {}}}}, "simulated.assays: is for olink and somascan alone"),
        ({"settings": {"model": {"depth": 3}}}, "key model.depth is unknown"),
        (
            {"cross_validation": {"folds": 1}},
            r"cpivae.cross_validation.folds: 1 is not allowed \(0: none; at least 2\)",
        ),
        ({"cross_validation": {"stratify": True}}, "cpivae.cross_validation.stratify: true needs folds"),
        (
            {"settings": {"data": {"cross_validation": {"folds": 2}}}},
            "key data.cross_validation: the workflow sets it; use the config key cpivae.cross_validation",
        ),
        ({"sources": {"simulated": {"variants": {"vae": {}}}}}, "simulated.variants.vae is not in cpivae.variants"),
        (
            {"variants": {"JointVQ": {"data": {"normalization": "robust"}}}},
            "on nci60_agilent_hgu133, key data.normalization: robust of JointVQ, zscore of joint_vae; expected",
        ),
        (
            {"sources": {"simulated": {"variants": {"joint_vae": {"data": {"val_split": 0.2, "test_split": 0.1}}}}}},
            "on simulated, key data.val_split: 0.1 of joint_vae_linear, 0.2 of joint_vae; expected the same",
        ),
    ],
)
def test_the_study_is_checked_before_anything_runs(study, change, message):
    check_study(study)
    broken = merged(study, change)
    if "platform_a" in str(change):
        broken["sources"]["simulated"]["platform_b"] = "y"
    with pytest.raises(InputError, match=message):
        check_study(broken)


def test_folds_are_trainings_of_their_own_and_stratified_where_there_are_labels(study):
    assert splits(study, 7) == ["seed_7"]
    data = training_settings(study, "simulated", "joint_vae", "seed_7")["data"]
    assert data["cross_validation"] == {"folds": 0, "fold": 0, "stratify": False} and data["random_seed"] == 7
    folded = merged(study, {"cross_validation": {"folds": 3, "stratify": True}})
    check_study(folded)
    assert splits(folded, 7) == ["seed_7_fold_0", "seed_7_fold_1", "seed_7_fold_2"]
    for pair, stratify in (("tcga_mrna_protein", True), ("nci60_agilent_hgu133", True), ("simulated", False)):
        data = training_settings(folded, pair, "joint_vae", "seed_7_fold_2")["data"]
        assert data["cross_validation"] == {"folds": 3, "fold": 2, "stratify": stratify} and data["random_seed"] == 7


def test_truth_is_a_row_of_simulated_pairs_alone(study):
    assert baselines_of(study, "simulated") == ["mean", "ridge", "pls", "knn", "wnn", "truth"]
    assert baselines_of(study, "tcga_mrna_protein") == ["mean", "ridge", "pls", "knn", "wnn"]


FEW_MODELS = ("cpivae_agreement.yaml", "cpivae_folds.yaml", "cpivae_olink_somascan.yaml")


@pytest.mark.parametrize("name", [*FEW_MODELS, "cpivae.yaml", "cpivae_small.yaml", "cpivae_simulated.yaml"])
def test_shipped_configurations_are_valid(default_config, repository, name):
    config = merged(default_config, yaml.safe_load((repository / "config" / "studies" / name).read_text()))
    check_config(config, {})
    check_study(config["cpivae"])
    few = 1 if name in FEW_MODELS else 8
    assert len({config["cpivae"]["variants"][m]["model"]["model_type"] for m in config["cpivae"]["models"]}) == few
