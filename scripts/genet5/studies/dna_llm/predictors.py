"""Networks that predict a binding score at each base: a GPT core with a regression head, and the CNN baseline."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genet5.errors import InputError
from genet5.files import read_json, write_json
from genet5.studies.dna_llm.alphabets import BASES
from genet5.studies.dna_llm.bpe import TokenReader
from genet5.studies.dna_llm.gpt import CONFIG_FILE, WEIGHTS_FILE, Gpt, GptConfig, parameter_count
from genet5.studies.dna_llm.variants import DIRECTIONS
from genet5.training.trainable import DAMAGED_NETWORK, TrainableModule

KERNEL_BP = 11
HEAD_CHANNELS = 128


def convolve(layer: nn.Conv1d, x: Tensor) -> Tensor:
    """``layer``, with its own padding, over the bases of [rows, bp, channels], channels last before and after.

    As a convolution over a picture one pixel high it needs no copy to the other order: a third less time on a CPU.
    """
    image = x.transpose(1, 2)[:, :, None]
    return F.conv2d(image, layer.weight[:, :, None], layer.bias, padding=(0, *layer.padding))[:, :, 0].transpose(1, 2)


class RegressionHead(nn.Module):
    """Layer norm, convolution over 11 bases, GELU, dropout, one number for each base."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.convolution = nn.Conv1d(width, HEAD_CHANNELS, KERNEL_BP, padding=KERNEL_BP // 2)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(HEAD_CHANNELS, 1)

    def forward(self, features: Tensor) -> Tensor:
        """[rows, bp] from [rows, bp, width]; the last layer in fp32, since bf16 has steps of .06 at a score of 10."""
        hidden = self.dropout(F.gelu(convolve(self.convolution, self.norm(features))))
        with torch.autocast(features.device.type, enabled=False):
            return self.out(hidden.float())[..., 0]


class ScorePredictor(TrainableModule):
    """What both kinds share: ``forward(bases [rows, bp]) -> scores [rows, bp]`` and the loss of a batch.

    A batch may hold the ``features`` of a frozen core, too, [rows, bp, width of the features], that were kept.
    """

    def training_losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Squared error summed over bases, weighted; the weight is summed beside it."""
        inputs = {name: batch[name] for name in ("bases", "features") if name in batch}
        error = (self(**inputs) - batch["scores"]) ** 2
        return {"sum": (error * batch["weights"]).sum(), "weight": batch["weights"].sum()}


class BaseLayer(nn.Module):
    """A convolution over one-hot bases and GELU: [rows, bp] -> [rows, bp, channels].

    ``one_sided``: over a base and the ten before it instead of five on either side.
    """

    def __init__(self, one_sided: bool = False):
        super().__init__()
        self.convolution = nn.Conv1d(
            len(BASES), HEAD_CHANNELS, KERNEL_BP, padding=KERNEL_BP - 1 if one_sided else KERNEL_BP // 2
        )

    def forward(self, bases: Tensor) -> Tensor:
        one_hot = F.one_hot(bases, len(BASES)).to(self.convolution.weight.dtype)
        return F.gelu(convolve(self.convolution, one_hot)[:, : bases.shape[1]])


class CnnBaseline(ScorePredictor):
    """A layer over bases, then the same head as on the GPT. It sees 10 bases on either side.

    ``one_sided``: 15 bases before and, in its head, 5 ahead, as far as the same head on a GPT that reads forward.
    """

    def __init__(self, dropout: float = 0.1, one_sided: bool = False):
        super().__init__()
        self.one_sided = one_sided
        self.bases = BaseLayer(one_sided)
        self.head = RegressionHead(HEAD_CHANNELS, dropout)

    def forward(self, bases: Tensor) -> Tensor:
        return self.head(self.bases(bases))


class GptPredictor(ScorePredictor):
    """A GPT core and a regression head.

    Args:
        frozen: the core is a fixed function: no gradients, no dropout, in training mode either.
        direction: ``causal`` features have seen the bases before; the others also run the core over the reverse
            complement, whose features of the paired base have seen the bases after, and take the mean of both
            (``average``: the head keeps its size) or both (``concatenate``).
        bases: beside these features the head reads what the first layer of the CNN makes of the bases, so that
            nothing the CNN knows is missing and the features can only add.

    A core that reads tokens of several bases gives each of them the features of the token: those have seen the bases to
    the token's end, up to a token's length further than this base.

    `centre` it first: features of a pretrained core are a large constant and a small rest, which is all that differs.
    """

    def __init__(
        self,
        core: Gpt,
        direction: str,
        frozen: bool,
        dropout: float = 0.1,
        core_lr_scale: float = 1.0,
        bases: bool = False,
    ):
        super().__init__()
        if direction not in DIRECTIONS:
            raise InputError(f"direction: found {direction!r}, allowed: {', '.join(DIRECTIONS)}")
        self.core, self.direction, self.frozen, self.core_lr_scale = core, direction, frozen, core_lr_scale
        self.features_width = core.config.width * (2 if direction == "concatenate" else 1)
        self.bases = BaseLayer() if bases else None
        # Without it small features of one kind would be drowned in those of the other by the norm of the head.
        self.norm = nn.LayerNorm(HEAD_CHANNELS) if bases else None
        self.head = RegressionHead(self.features_width + (HEAD_CHANNELS if bases else 0), dropout)
        self.reader = TokenReader(core.config.letters)
        self.register_buffer("_ids", torch.from_numpy(core.config.letters.ids(BASES)).long(), persistent=False)
        core.requires_grad_(not frozen)
        self.register_buffer("mean", torch.zeros(self.features_width))
        self.register_buffer("spread", torch.ones(()))

    def train(self, mode: bool = True) -> GptPredictor:
        """The frozen core stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.core.eval()
        return self

    def learning_rate_scales(self) -> dict[str, float]:
        return {"core.": self.core_lr_scale}

    @torch.no_grad()
    def centre(self, bases: Tensor) -> None:
        """Let the features of these bases [rows, bp] have mean 0, and variance 1 on average; kept with the weights."""
        self.core.eval()
        parts = [self._read(part).flatten(0, 1).float() for part in bases.split(16)]
        count = sum(map(len, parts))
        mean = torch.stack([part.sum(0) for part in parts]).sum(0) / count
        variance = torch.stack([(part - mean).square().mean(1).sum() for part in parts]).sum() / count
        self.mean.copy_(mean)
        self.spread.copy_(variance.sqrt())
        self.train(self.training)

    def features(self, bases: Tensor) -> Tensor:
        """What the core says of base codes [rows, bp], centred: [rows, bp, features_width]."""
        return (self._read(bases) - self.mean) / self.spread

    def _read(self, bases: Tensor) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            if self.direction == "causal":
                return self._of_bases(bases)
            both = torch.cat([bases, (3 - bases).flip(1)])
            before, after = self._of_bases(both).chunk(2)
            after = after.flip(1)
            return (before + after) / 2 if self.direction == "average" else torch.cat([before, after], dim=2)

    def _of_bases(self, bases: Tensor) -> Tensor:
        """Features of each base, [rows, bp, width]: those of its token, once for each of the token's bases."""
        letters = self._ids[bases]
        if not self.core.config.merges:
            return self.core.features(letters)
        tokens = self.reader(letters.cpu().numpy())
        owners = torch.from_numpy(self.reader.owners(tokens, letters.shape[1])).to(bases.device)
        found = self.core.features(torch.from_numpy(tokens).clamp_min(0).to(bases.device))
        return found.gather(1, owners[..., None].expand(-1, -1, found.shape[2]))

    def forward(self, bases: Tensor, features: Tensor | None = None) -> Tensor:
        features = self.features(bases) if features is None else features
        if self.bases is not None:
            features = torch.cat([features, self.norm(self.bases(bases))], dim=2)
        return self.head(features)


def save_predictor(model: ScorePredictor, folder: Path) -> None:
    """Write ``model.safetensors`` and ``config.json`` into an existing folder."""
    safetensors.torch.save_model(model, str(folder / WEIGHTS_FILE))
    about: dict = {"kind": "cnn", "dropout": model.head.dropout.p, "parameters": parameter_count(model)}
    if isinstance(model, CnnBaseline):
        about["one_sided"] = model.one_sided
    if isinstance(model, GptPredictor):
        about |= {"kind": "gpt", "direction": model.direction, "frozen": model.frozen}
        about["bases"] = model.bases is not None
        about["core"] = dataclasses.asdict(model.core.config)
    write_json(folder / CONFIG_FILE, about)


def load_predictor(folder: Path) -> ScorePredictor:
    """The predictor kept in ``folder``, in evaluation mode.

    Raises:
        InputError: the folder holds none.
    """
    try:
        about = read_json(folder / CONFIG_FILE)
        if about["kind"] == "cnn":
            model: ScorePredictor = CnnBaseline(about["dropout"], about["one_sided"])
        else:
            core = Gpt(GptConfig(**about["core"]))
            model = GptPredictor(core, about["direction"], about["frozen"], about["dropout"], bases=about["bases"])
        safetensors.torch.load_model(model, str(folder / WEIGHTS_FILE))
    except (*DAMAGED_NETWORK, InputError) as error:
        raise InputError(f"{folder}: not a predictor ({' '.join(str(error).split())})") from None
    return model.eval()
