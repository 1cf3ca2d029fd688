"""What a trained model says of samples: point predictions, how they spread over the posterior, latent positions."""

from __future__ import annotations

import numpy as np
import torch

from genet5.studies.cpivae.models.base import PlatformModel

_ROWS = 256


@torch.inference_mode()
def predict(model: PlatformModel, values: np.ndarray, source: str, target: str) -> np.ndarray:
    """Point predictions (posterior means, decoded), float32 [rows, features of target], on the scaled scale."""
    model.eval()
    parts = [model.predict(_batch(model, values, first), source, target) for first in range(0, len(values), _ROWS)]
    return torch.cat(parts).float().cpu().numpy()


@torch.inference_mode()
def posterior_variance(
    model: PlatformModel, values: np.ndarray, source: str, target: str, draws: int, seed: int
) -> np.ndarray:
    """Variance of each predicted cell over draws from the posterior, float32 [rows, features]; zeros without one."""
    model.eval()
    parts = []
    for first in range(0, len(values), _ROWS):
        batch = _batch(model, values, first)
        # Each batch has its own stream, so that no prediction depends on how many draws another one took.
        generator = torch.Generator().manual_seed(seed + first)
        count, mean, squares = 0, torch.zeros(()), torch.zeros(())
        for _ in range(draws):
            drawn = model.sample(batch, source, target, generator)
            if drawn is None:
                break
            count += 1
            change = drawn - mean
            mean = mean + change / count
            squares = squares + change * (drawn - mean)
        if count < 2:
            width = model.widths[target]
            parts.append(torch.zeros(len(batch), width))
        else:
            parts.append((squares / (count - 1)).float().cpu())
    return torch.cat(parts).numpy()


@torch.inference_mode()
def embed(model: PlatformModel, values: np.ndarray, platform: str) -> np.ndarray:
    """Latent positions, float32 [rows, latent dimensions]."""
    model.eval()
    parts = [model.embed(_batch(model, values, first), platform) for first in range(0, len(values), _ROWS)]
    return torch.cat(parts).float().cpu().numpy()


def _batch(model: PlatformModel, values: np.ndarray, first: int) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values[first : first + _ROWS])).to(model.device)
