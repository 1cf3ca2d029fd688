"""Joint model of discrete codes: a latent vector becomes the nearest codes of codebooks that both platforms share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genet5.studies.cpivae import losses
from genet5.studies.cpivae.models.base import Batch
from genet5.studies.cpivae.models.joint_vae import JointVae
from genet5.studies.cpivae.networks import HiddenLayer, hidden_layers
from genet5.studies.cpivae.paired_data import PLATFORMS, PairedData


class Codebooks(nn.Module):
    """``number`` codebooks of ``size`` codes; each quantises its own part of the vector (van den Oord et al. 2017)."""

    def __init__(self, number: int, size: int, width: int) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.randn(number, size, width // number))
        #: Mean squared distance to the chosen code, of recent batches: the spread of the posterior over codes.
        self.register_buffer("spread", torch.ones(number))

    def distances(self, z: Tensor) -> Tensor:
        """Squared distances of each part to the codes, [codebooks, rows, codes]."""
        parts = self._parts(z)
        return (
            parts.square().sum(-1, keepdim=True)
            - 2 * parts @ self.codes.transpose(1, 2)
            + self.codes.square().sum(-1)[:, None]
        ).clamp(min=0)

    def look_up(self, chosen: Tensor) -> Tensor:
        """Vectors of codes: [codebooks, rows] -> [rows, width]."""
        found = torch.gather(self.codes, 1, chosen[..., None].expand(-1, -1, self.codes.shape[2]))
        return found.transpose(0, 1).flatten(1)

    def forward(self, z: Tensor, beta: float) -> tuple[Tensor, Tensor]:
        """Quantised vectors with the gradient of ``z`` (straight through), and codebook + beta x commitment loss."""
        distances = self.distances(z.detach())
        nearest = distances.argmin(-1)
        if self.training:
            found = distances.gather(2, nearest[..., None]).mean(dim=(1, 2))
            self.spread.lerp_(found.detach(), 0.05)
        quantised = self.look_up(nearest)
        loss = (quantised - z.detach()).square().mean() + beta * (z - quantised.detach()).square().mean()
        return z + (quantised - z).detach(), loss

    def draw(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Codes drawn by exp(-distance / (2 spread)), as if codes were centres of Gaussians of equal weight."""
        logits = -self.distances(z) / (2 * self.spread[:, None, None] / self.codes.shape[2]).clamp(min=1e-6)
        uniform = torch.rand(logits.shape, generator=generator).clamp(min=1e-9).to(z)
        return self.look_up((logits - (-uniform.log()).log()).argmax(-1))

    def _parts(self, z: Tensor) -> Tensor:
        return z.unflatten(1, (self.codes.shape[0], -1)).transpose(0, 1)


class VectorEncoder(nn.Module):
    """Hidden layers, a linear layer to the latent vector, residual blocks behind it."""

    def __init__(self, width: int, widths: list[int], latent_dim: int, blocks: int, options: dict[str, Any]) -> None:
        super().__init__()
        self.hidden, last = hidden_layers(width, widths, **options)
        self.output = nn.Linear(last, latent_dim)
        block_options = {**options, "residual": True}
        self.blocks = nn.Sequential(*(HiddenLayer(latent_dim, latent_dim, **block_options) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.output(self.hidden(x)))


class JointVq(JointVae):
    """Loss: reconstruction, cross-reconstruction, codebook and commitment, alignment of what is quantised."""

    def __init__(self, settings: Mapping[str, Any], width_a: int, width_b: int) -> None:
        super().__init__(settings, width_a, width_b)
        model = self.model_settings
        self.codebooks = Codebooks(model["num_codebooks"], model["num_embeddings"], model["latent_dim"])

    def make_encoder(self, width: int) -> nn.Module:
        model = self.model_settings
        return VectorEncoder(
            width, model["encoder_layers"], model["latent_dim"], model["num_res_blocks"], self.layer_options()
        )

    @torch.no_grad()
    def start_from(self, data: PairedData) -> None:
        """Codes begin at latent vectors of training samples: codes far from all vectors would never be chosen."""
        self.eval()
        encoded = [self.encoders[p](torch.from_numpy(data.parts["train"].values[p])) for p in PLATFORMS]
        parts = self.codebooks._parts(torch.cat(encoded))
        generator = torch.Generator().manual_seed(self.settings["data"]["random_seed"])
        chosen = torch.randint(parts.shape[1], self.codebooks.codes.shape[:2], generator=generator)
        found = torch.gather(parts, 1, chosen[..., None].expand(-1, -1, parts.shape[2]))
        self.codebooks.codes.copy_(found + 0.05 * parts.std() * torch.randn(found.shape, generator=generator))
        self.train()

    def terms(self, batch: Batch, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        beta = self.model_settings["vq_beta"]
        z = {p: self.encoders[p](inputs[p]) for p in PLATFORMS}
        quantised, quantisation = {}, []
        for p in PLATFORMS:
            quantised[p], loss = self.codebooks(z[p], beta)
            quantisation.append(loss)
        return {
            **self.decoding_terms(batch, quantised),
            "vq": sum(quantisation),
            "align": self._alignment(quantised),
        }

    def _alignment(self, quantised: Mapping[str, Tensor]) -> Tensor:
        """Codes have no variance: mmd, or else the squared distance."""
        if self.loss_weights["alignment_type"] == "mmd":
            return losses.mmd(quantised["a"], quantised["b"])
        return (quantised["a"] - quantised["b"]).square().mean()

    def term_weights(self) -> dict[str, float]:
        weights = super().term_weights()
        del weights["kl"]
        return {**weights, "vq": self.loss_weights["vq_loss"]}

    def embed(self, values: Tensor, platform: str) -> Tensor:
        return self.codebooks(self.encoders[platform](values), 0.0)[0]

    def sample_latent(self, values: Tensor, source: str, generator: torch.Generator) -> Tensor:
        return self.codebooks.draw(self.encoders[source](values), generator)
