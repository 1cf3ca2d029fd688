"""Models on the Hugging Face hub: importing this registers both kinds with transformers' Auto classes.

import genet5.writer.hub
model = AutoModel.from_pretrained("resources/models/fungi")
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from torch import Tensor
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from genet5.crf.config import CrfConfig
from genet5.crf.folder import CONFIG_FILE, MODEL_TYPE, WEIGHTS_FILE
from genet5.crf.model import Crf, CrfScores
from genet5.errors import InputError
from genet5.training.card import CARD_FILE
from genet5.writer.config import GeneT5Config
from genet5.writer.network import GeneT5Model


class GeneT5CrfConfig(PretrainedConfig):
    """The fields of ``CrfConfig``."""

    model_type = MODEL_TYPE

    def __init__(self, **values: Any) -> None:
        for name, default in CrfConfig().to_dict().items():
            setattr(self, name, values.pop(name, default))
        super().__init__(**values)

    @property
    def crf_config(self) -> CrfConfig:
        return CrfConfig.from_dict({name: getattr(self, name) for name in CrfConfig().to_dict()})


class GeneT5CrfModel(PreTrainedModel):
    """A gene finder behind transformers' interface: codes in, CRF scores out (``crf.model.Crf``)."""

    config_class = GeneT5CrfConfig
    base_model_prefix = "crf"

    def __init__(self, config: GeneT5CrfConfig) -> None:
        super().__init__(config)
        self.crf = Crf(config.crf_config)
        self.post_init()

    def _init_weights(self, module: Any) -> None:
        """The CRF is made with its first weights."""

    def forward(self, codes: Tensor) -> CrfScores:
        """codes: uint8 [B, 2, W], both strands 5' to 3'."""
        return self.crf(codes)


AutoConfig.register(GeneT5Config.model_type, GeneT5Config)
AutoModel.register(GeneT5Config, GeneT5Model)
AutoConfig.register(MODEL_TYPE, GeneT5CrfConfig)
AutoModel.register(GeneT5CrfConfig, GeneT5CrfModel)


def push_to_hub(folder: str | Path, repo_id: str, private: bool = False) -> str:
    """Upload a model folder, with its card, to the hub; returns its address.

    Raises ``InputError`` for a folder that is incomplete. Network errors are the hub client's own.
    """
    folder = Path(folder)
    for name in (CONFIG_FILE, WEIGHTS_FILE, CARD_FILE):
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: no such file; a model on the hub needs it")
    api = HfApi()
    address = api.create_repo(repo_id, private=private, exist_ok=True)
    patterns = ["*.json", "*.safetensors", CARD_FILE]
    api.upload_folder(repo_id=repo_id, folder_path=folder, allow_patterns=patterns, ignore_patterns=["*/*"])
    return str(address)
