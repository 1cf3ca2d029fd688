"""Every line, point, colour and word of the studies' pictures, against lists that someone has looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from approved import check_approved
from drawn_calls import recorded

from genet5.studies.cpivae import figures as of_cpivae
from genet5.studies.cpivae.comparison import Run
from genet5.studies.dna_llm import figures as of_dna_llm
from genet5.studies.vq_transformer import figures as of_vq
from genet5.studies.vq_transformer.corpus import CLASSES, NO_CLASS

APPROVED = Path(__file__).parent / "approved"
HERE = Path("picture.png")


def test_pictures_of_cpivae(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[str] = []
    monkeypatch.setattr(of_cpivae, "draw", recorded(calls))
    rows = {
        name: {
            "name": name,
            "model": name == "vae",
            "corr_mean": {"value": value, "interval": (value - 0.1, value + 0.2)},
            "sample_corr_mean": {"value": value - 0.45, "interval": None},
        }
        for name, value in (("truth", 0.7), ("vae", 0.5), ("ridge", 0.4))
    }
    of_cpivae.performance_figure({"rows": rows}, HERE)
    history = tmp_path / "history.csv"
    history.write_text("epoch,train_total_loss,val_total_loss,val_cross_corr_mean\n1,-4,2,.1\n2,-2,1,.3\n")
    of_cpivae.curves_figure({"vae": history, "wide": history}, HERE)
    arrays = {
        "splits": np.array(["test", "train", "test", "test"]),
        "samples": np.array(["s1", "s2", "s3", "s4"]),
        "latent_a": np.array([[3.0], [9.0], [-1.0], [2.0]]),
        "latent_b": np.array([[3.5], [9.0], [-2.0], [1.0]]),
        "a_to_b_feature_corr": np.array([0.1, 0.9, np.nan]),
        "b_to_a_feature_corr": np.array([0.5, 0.2, 0.3]),
    }
    run = Run("pair", "vae", [{"latent_foscttm": 0.125}], [arrays])
    of_cpivae.latent_figure(run, {"s1": "case", "s3": "control"}, HERE)
    of_cpivae.latent_figure(run, {}, HERE)
    worse = arrays | {"a_to_b_feature_corr": np.array([0.2, 0.3, 0.4]), "b_to_a_feature_corr": np.full(3, np.nan)}
    of_cpivae.features_figure(run, Run("pair", "ridge", [{}], [worse]), HERE)
    check_approved(calls, APPROVED / "cpivae_pictures.txt")


def test_pictures_of_dna_llm(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(of_dna_llm, "draw", recorded(calls))
    losses = {
        "alphabet": "acgt",
        "iterations": [0, 100],
        "train_losses": [1.4, 1.2],
        "val_losses": [1.5, 1.3],
        "val_bits_per_base": [2.0, 1.9],
        "best_bits_per_base": 1.9,
        "elapsed_time": [0.0, 12.5],
        "total_time_s": 12.5,
        "parameters": 123456,
        "markov_order": 4,
        "markov_bits_per_base": 1.95,
        "mixture_order": 11,
        "mixture_bits_per_base": 1.92,
    }
    of_dna_llm.loss_figure(losses, HERE)
    of_dna_llm.bits_figure([losses, losses | {"alphabet": "iupac"}], HERE)
    of_dna_llm.training_time_figure([losses, losses | {"alphabet": "iupac", "total_time_s": 99.6}], HERE)
    history = {"step": [0, 10], "train_loss": [0.9, 0.5], "val_loss": [1.0, 0.7], "val_r": [0.0, 0.4]}
    facts = {"history": history, "best_step": 10, "about": "CTCF, chr1", "trained": 4321}
    of_dna_llm.training_curves_figure(facts, HERE)
    of_dna_llm.finetuning_time_figure(
        [{"name": "whole", "elapsed_time": 31.4}, {"name": "head", "elapsed_time": 3}], HERE
    )
    test = {"pearson_r": {"value": 0.5, "interval": (0.4, 0.7)}, "auprc": {"value": 0.25, "interval": None}}
    of_dna_llm.performance_figure({"whole": {"test": test}, "head": {"test": test}}, HERE)
    check_approved(calls, APPROVED / "dna_llm_pictures.txt")


def test_pictures_of_the_vq_transformer(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(of_vq, "draw", recorded(calls))
    point = {
        "point": "2x16",
        "nominal_bits": 1.8,
        "entropy_bits": 1.7,
        "base_accuracy": 0.985,
        "block_code_accuracy": 0.9,
        "coded_bits": 1.7,
        "correction_bits": 0.2,
    }
    rare = point | {"point": "4x8", "nominal_bits": 0.5, "base_accuracy": 0.6, "block_code_accuracy": None}
    figures = {"zstd_packed": 1.98, "arithmetic_coder": 1.93, "mixture": 1.9}
    limits = {"entropy": 1.9, "figures": figures, "arithmetic_coder_order": 11, "learned": {3: 1.97, 5: 1.95}}
    of_vq.rate_distortion_figure([point, rare], limits, HERE)
    of_vq.lossless_figure([point, rare], limits, HERE)
    evaluations = {"step": [0, 5], "val_loss": [1.4, 1.0], "train_loss": [1.4, 0.9]}
    evaluations |= {"val_accuracy": [0.3, 0.9], "val_usage": [0.1, 0.8]}
    of_vq.training_figure({"2x16": {"evaluations": evaluations}, "4x8": {"evaluations": evaluations}}, HERE)
    coding, other = CLASSES.index("coding"), CLASSES.index("intergenic")
    shares = np.zeros((3, len(CLASSES)), dtype=np.int64)
    shares[0, coding], shares[1, other], shares[2] = 7, 3, 1
    picture = {
        "explained": (0.4, 0.25),
        "slots": np.array([[0.0, 1.0], [2.0, 3.0], [4.0, -5.0]]),
        "labels": np.array([coding, NO_CLASS, other]),
        "codes": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        "counts": np.array([10, 0, 5]),
        "shares": shares,
    }
    of_vq.codes_figure(picture, "2x16", HERE)
    of_vq.codes_figure(picture | {"shares": np.zeros_like(shares), "labels": np.array([0, 0, 0])}, "2x16", HERE)
    check_approved(calls, APPROVED / "vq_transformer_pictures.txt")
