"""Which class is meant by ``model.model_type``, and how trained weights come back."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from genet5.errors import InputError
from genet5.studies.cpivae.models.base import PlatformModel
from genet5.studies.cpivae.models.generative_vae import GenerativeVae
from genet5.studies.cpivae.models.iwae import JointIwae
from genet5.studies.cpivae.models.joint_vae import JointVae
from genet5.studies.cpivae.models.joint_vae_plus import JointVaePlus
from genet5.studies.cpivae.models.mmvae import JointMm
from genet5.studies.cpivae.models.res_unet import ResUnets
from genet5.studies.cpivae.models.vampprior import JointVaeVampPrior
from genet5.studies.cpivae.models.vq import JointVq

MODELS: dict[str, type[PlatformModel]] = {
    "joint_vae": JointVae,
    "joint_vae_plus": JointVaePlus,
    "JointVAEVampPrior": JointVaeVampPrior,
    "JointIWAE": JointIwae,
    "JointVQ": JointVq,
    "JointMM": JointMm,
    "res_unet": ResUnets,
    "generative_vae": GenerativeVae,
}


def build_model(settings: Mapping[str, Any], width_a: int, width_b: int) -> PlatformModel:
    """An untrained model of checked settings for platforms of so many features."""
    return MODELS[settings["model"]["model_type"]](settings, width_a, width_b)


def load_model(checkpoint: Path) -> PlatformModel:
    """A trained model in evaluation mode, on the CPU. Nothing but numbers is read from the file: no code runs.

    Raises:
        InputError: no such file, or not a checkpoint of this study.
    """
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        model = build_model(**content["hyper_parameters"])
        model.load_state_dict(content["state_dict"])
    except OSError as error:
        raise InputError(f"{checkpoint}: cannot read the checkpoint ({error.strerror or error})") from None
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, ValueError, EOFError) as error:
        raise InputError(f"{checkpoint}: not a checkpoint of this study ({str(error).splitlines()[0]})") from None
    return model.eval()
