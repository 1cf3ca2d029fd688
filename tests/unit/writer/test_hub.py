"""Both kinds of models behind transformers' interface, and what is sent to the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from model_toy import SHAPE, toy_crf, toy_model
from transformers import AutoConfig, AutoModel

from genet5.crf.config import CrfConfig
from genet5.crf.folder import save_crf
from genet5.errors import InputError
from genet5.writer import hub
from genet5.writer.config import GeneT5Config
from genet5.writer.network import GeneT5Model

FILES = ("config.json", "model.safetensors", "README.md")


def test_the_configuration_of_a_gene_finder_has_the_fields_of_the_crf_and_what_else_it_is_given() -> None:
    usual = hub.GeneT5CrfConfig()
    assert usual.crf_config == CrfConfig() and usual.model_type == "genet5_crf"
    other = hub.GeneT5CrfConfig(stem_channels=16, num_networks=2, architectures=["Mine"])
    assert other.crf_config == CrfConfig(stem_channels=16, num_networks=2)
    assert other.architectures == ["Mine"]


def test_a_folder_of_a_gene_finder_is_a_model_of_transformers(tmp_path: Path) -> None:
    crf = toy_crf(3)
    save_crf(crf, tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    assert type(config) is hub.GeneT5CrfConfig and config.crf_config == crf.config
    model = AutoModel.from_config(config)
    assert type(model) is hub.GeneT5CrfModel
    model.crf.load_state_dict(crf.state_dict())
    codes = torch.tensor([[[0, 1, 2, 3, 0, 3, 2] * 4, [1, 0, 3, 0, 1, 2, 3] * 4]], dtype=torch.uint8)
    with torch.no_grad():
        found, expected = model.eval()(codes), crf(codes)
    assert [torch.equal(*pair) for pair in zip(found, expected, strict=True)] == [True] * 4


def test_a_writers_configuration_makes_a_writer() -> None:
    config = toy_model().config
    assert type(AutoConfig.for_model("genet5", **SHAPE)) is GeneT5Config
    assert type(AutoModel.from_config(config)) is GeneT5Model


class Hub:
    """Notes what is asked of the hub."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def create_repo(self, *words: Any, **named: Any) -> str:
        self.calls.append(("create", words, named))
        return "https://hub/me/model"

    def upload_folder(self, **named: Any) -> None:
        self.calls.append(("upload", named))


@pytest.mark.parametrize("private", [None, True])
def test_a_folder_is_sent_with_its_card_and_without_folders_within(
    private: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in FILES:
        (tmp_path / name).touch()
    asked = Hub()
    monkeypatch.setattr(hub, "HfApi", lambda: asked)
    address = hub.push_to_hub(str(tmp_path), "me/model", *([] if private is None else [private]))
    assert address == "https://hub/me/model"
    uploaded = {
        "repo_id": "me/model",
        "folder_path": tmp_path,
        "allow_patterns": ["*.json", "*.safetensors", "README.md"],
        "ignore_patterns": ["*/*"],
    }
    assert asked.calls == [
        ("create", ("me/model",), {"private": bool(private), "exist_ok": True}),
        ("upload", uploaded),
    ]


@pytest.mark.parametrize("absent", FILES)
def test_a_folder_that_is_incomplete_is_not_sent(absent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FILES:
        if name != absent:
            (tmp_path / name).touch()
    asked = Hub()
    monkeypatch.setattr(hub, "HfApi", lambda: asked)
    with pytest.raises(InputError) as error:
        hub.push_to_hub(tmp_path, "me/model")
    assert str(error.value) == f"{tmp_path / absent}: no such file; a model on the hub needs it"
    assert asked.calls == []
