"""The device that computes: a GPU that cannot be used is never passed over in silence."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from genet5 import device
from genet5.annotate.models import Model
from genet5.crf.config import crf_config
from genet5.crf.model import make_crf
from genet5.device import chosen_device
from genet5.errors import InputError


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a driver would say its version."""
    path = tmp_path / "version"
    monkeypatch.setattr(device, "_DRIVER", path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device.platform, "machine", lambda: "x86_64")
    return path


def test_a_machine_without_a_gpu(driver: Path) -> None:
    assert (chosen_device("cpu"), chosen_device("auto")) == ("cpu", "cpu")
    with pytest.raises(InputError) as refused:
        chosen_device("gpu")
    assert re.fullmatch(
        r"device: gpu is asked for, but torch \S+ finds no GPU, and this machine has no NVIDIA driver; .*"
        r"--index-url https://download\.pytorch\.org/whl/cu130\).*--config device=cpu.*",
        str(refused.value),
    )


@pytest.mark.parametrize(
    ("version", "index"),
    [("580.95.05", "cu130"), ("575.51.03", "cu128"), ("535.104.05", "cu126"), ("unknown", "cu130")],
)
@pytest.mark.parametrize("wanted", ["auto", "gpu"])
def test_a_gpu_that_torch_cannot_use_stops_even_auto(driver: Path, version: str, index: str, wanted: str) -> None:
    driver.write_text(f"{version}\n")
    with pytest.raises(InputError, match=rf"driver {version}\), but torch \S+ cannot use it; .*/whl/{index}\)"):
        chosen_device(wanted)
    assert chosen_device("cpu") == "cpu"


def test_arm_machines_are_sent_to_the_newest_wheels(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.write_text("575.51.03\n")
    monkeypatch.setattr(device.platform, "machine", lambda: "aarch64")
    with pytest.raises(InputError, match="/whl/cu130"):
        chosen_device("gpu")


def test_a_gpu_that_torch_sees_is_taken(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert (chosen_device("gpu"), chosen_device("auto"), chosen_device("cpu")) == ("cuda", "cuda", "cpu")


def test_a_crf_alone_needs_no_gpu(driver: Path) -> None:
    crf = make_crf(crf_config("demo"), 0)
    assert Model(crf).on("gpu").crf.device.type == "cpu"
    with pytest.raises(InputError, match="device: gpu is asked for"):
        Model(crf, language_model=torch.nn.Identity()).on("gpu")
    driver.write_text("580.95.05")
    with pytest.raises(InputError, match="this machine has an NVIDIA GPU"):
        Model(crf).on("gpu")


GPU_SCRIPTS = ("train_crf", "train_grpo_crf", "train_sft", "train_grpo", "calibrate", "annotate_genome")


@pytest.mark.parametrize("script", GPU_SCRIPTS)
def test_every_command_with_a_gpu_rule_takes_the_device(script: str) -> None:
    path = Path(__file__).parents[2] / f"scripts/{script}.py"
    shown = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True, check=True)
    assert "--device {auto,gpu,cpu}" in shown.stdout


def test_threads_are_set_or_refused() -> None:
    before = torch.get_num_threads()
    try:
        device.use_threads(3)
        assert torch.get_num_threads() == 3
        device.use_threads(None)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    for wrong in (0, -2):
        with pytest.raises(InputError, match=f"--threads: {wrong}, must be at least 1"):
            device.use_threads(wrong)
