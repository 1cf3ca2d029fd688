"""The optimizer's parameter groups, and one step from gradients that were summed over a group of batches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed
from torch import Tensor, nn

from genet5.training.options import RunOptions
from genet5.training.trainable import Trainable

BUCKET_ELEMENTS = 64 * 2**20  # gradients of one all-reduce: 256 MB in fp32


def build_optimizer(model: Trainable, options: RunOptions) -> torch.optim.Optimizer:
    """Fused AdamW or Adam with decay on matrices only: not on embeddings, norms, biases (1-D).

    ``options.amsgrad`` keeps the largest second moment (Reddi et al. 2018). Parameters with a factor of their own
    (``Trainable.learning_rate_scales``) carry it in their group as ``lr_scale``.
    """
    embeddings = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters(recurse=False)}
    scales = model.learning_rate_scales()
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim >= 2 and id(parameter) not in embeddings
            scale = next((factor for prefix, factor in scales.items() if name.startswith(prefix)), 1.0)
            groups.setdefault((options.weight_decay if decays else 0.0, scale), []).append(parameter)
    fused = all(p.device.type in ("cuda", "cpu") and p.is_floating_point() for g in groups.values() for p in g)
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[options.optimizer]
    return kind(
        [{"params": g, "weight_decay": decay, "lr_scale": scale} for (decay, scale), g in groups.items()],
        lr=options.lr,
        betas=options.betas,
        amsgrad=options.amsgrad,
        fused=fused,
    )


def reduce_gradients(parameters: Sequence[nn.Parameter], world_size: int) -> list[Tensor]:
    """Gradients summed over all processes, in place; a parameter no batch has touched gets zeros.

    One reduction per step instead of DistributedDataParallel's hooks in each backward: experts that a process did
    not use, or used in an early batch of the group only, need no special case.
    """
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [p.grad for p in parameters]
    if world_size > 1:
        for bucket in _buckets(gradients):
            flat = torch.cat([g.reshape(-1) for g in bucket])
            torch.distributed.all_reduce(flat)
            parts = flat.split([g.numel() for g in bucket])
            torch._foreach_copy_(bucket, [part.view_as(g) for part, g in zip(parts, bucket, strict=True)])
    return gradients


def _buckets(gradients: Sequence[Tensor]) -> list[list[Tensor]]:
    """Gradients of one type together, up to `BUCKET_ELEMENTS` (a larger one alone)."""
    buckets: list[list[Tensor]] = []
    for dtype in dict.fromkeys(g.dtype for g in gradients):
        size = BUCKET_ELEMENTS
        for gradient in (g for g in gradients if g.dtype == dtype):
            if size + gradient.numel() > BUCKET_ELEMENTS:
                buckets.append([])
                size = 0
            buckets[-1].append(gradient)
            size += gradient.numel()
    return buckets


def normalise_and_clip(gradients: list[Tensor], weight: Tensor, max_norm: float) -> Tensor:
    """Divide summed gradients by ``weight`` and clip them to ``max_norm`` (0: no clipping), in one pass.

    Returns the norm before clipping, a tensor on the device.
    """
    weight = weight.clamp(min=1.0).to(torch.float32)
    norm = torch.nn.utils.get_total_norm(gradients) / weight
    factor = 1.0 / weight
    if max_norm > 0:
        factor = factor * (max_norm / (norm + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_(gradients, factor)
    return norm
