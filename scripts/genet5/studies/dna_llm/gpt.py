"""The nucleotide GPT: pre-norm transformer without biases, learned positions, head tied to the embedding.

The shape is that of GPT-2 (Radford et al. 2019); the full size has 4 layers of 384 with 4 heads over 300 letters.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genet5.errors import InputError
from genet5.files import read_json, write_json
from genet5.studies.dna_llm.alphabets import Alphabet, alphabet_named
from genet5.studies.dna_llm.bpe import PAD
from genet5.training.trainable import DAMAGED_NETWORK, TrainableModule

WEIGHTS_FILE, CONFIG_FILE = "model.safetensors", "config.json"

#: A network of more layers is never whole: a damaged config.json would be followed until the memory is full.
_MOST = {"layers": 1000, "width": 100_000, "heads": 1000, "context": 1_000_000}


@dataclass(frozen=True)
class GptConfig:
    """Sizes of the network. ``context``: letters that are read at once, as so many tokens or fewer."""

    alphabet: str = "vocab4"
    layers: int = 4
    width: int = 384
    heads: int = 4
    context: int = 300
    dropout: float = 0.2
    merges: tuple[str, ...] = ()  # of the alphabet bpe32

    def __post_init__(self) -> None:
        object.__setattr__(self, "merges", tuple(self.merges))  # a list where it comes from JSON
        alphabet_named(self.alphabet, self.merges)
        for name, most in _MOST.items():
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= most:
                raise InputError(f"{name}: {str(value)[:40]}, allowed: 1 to {most}")
        if self.width % self.heads:
            raise InputError(f"width: {self.width} is no multiple of heads ({self.heads})")

    @property
    def letters(self) -> Alphabet:
        return alphabet_named(self.alphabet, self.merges)


class Block(nn.Module):
    """Causal self-attention and a feed-forward layer of four times the width, each on a residual."""

    def __init__(self, config: GptConfig):
        super().__init__()
        width = config.width
        self.heads, self.dropout = config.heads, config.dropout
        self.attention_norm = nn.LayerNorm(width, bias=False)
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.feed_forward_norm = nn.LayerNorm(width, bias=False)
        self.feed_forward_in = nn.Linear(width, 4 * width, bias=False)
        self.feed_forward_out = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._dropped(self.attention_out(self._attention(self.attention_norm(x))))
        hidden = F.gelu(self.feed_forward_in(self.feed_forward_norm(x)))
        return x + self._dropped(self.feed_forward_out(hidden))

    def _attention(self, x: Tensor) -> Tensor:
        rows, length, width = x.shape
        split = (rows, length, 3, self.heads, width // self.heads)
        queries, keys, values = self.queries_keys_values(x).view(split).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0  # the function does not know the mode of the module
        mixed = F.scaled_dot_product_attention(queries, keys, values, dropout_p=dropout, is_causal=True)
        return mixed.transpose(1, 2).reshape(rows, length, width)

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class Gpt(TrainableModule):
    """Next-letter prediction."""

    def __init__(self, config: GptConfig):
        super().__init__()
        self.config = config
        self.letters = nn.Embedding(len(config.letters), config.width)
        self.positions = nn.Embedding(config.context, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width, bias=False)
        codes, lengths = config.letters.base_codes(), config.letters.token_lengths()
        self.register_buffer("_base_codes", torch.from_numpy(codes), persistent=False)
        self.register_buffer("_token_lengths", torch.from_numpy(lengths), persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        """Normal weights of spread .02; what is added to the residual is scaled down by its depth, as in GPT-2."""
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                scaled = name.endswith(("attention_out.weight", "feed_forward_out.weight"))
                nn.init.normal_(parameter, std=0.02 / (math.sqrt(2 * self.config.layers) if scaled else 1))

    def features(self, ids: Tensor) -> Tensor:
        """What the last layer says of each token and those before it, [rows, length, width]; ids: [rows, length]."""
        if ids.shape[1] > self.config.context:
            raise ValueError(f"{ids.shape[1]} tokens, the context is {self.config.context}")
        places = torch.arange(ids.shape[1], device=ids.device)
        x = F.dropout(self.letters(ids) + self.positions(places), self.config.dropout, self.training)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of the token after each, [rows, length, tokens]."""
        return F.linear(self.features(ids), self.letters.weight)

    def training_losses(self, ids: Tensor) -> dict[str, Tensor]:
        """Sums over the tokens of windows [rows, context + 1] but their first, in nats; rows end with ``PAD``.

        ``bits_per_base`` is what alphabets can be compared by: the surprise, in bits, at which base follows, given that
        one does and whatever its case. A token of several bases has one surprise for all of them.
        """
        logits, targets = self(ids[:, :-1].clamp_min(0)).float(), ids[:, 1:]
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum", ignore_index=PAD)
        with torch.no_grad():
            bits, bases = self._token_bits(loss, targets) if self.config.merges else self._bits(logits, targets)
        weight = (targets != PAD).sum().float()
        return {"sum": loss, "weight": weight, "bits_per_base": bits, "bits_per_base_weight": bases}

    def _token_bits(self, loss: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Of tokens that are all bases: their surprise, and how many bases they have."""
        bases = self._token_lengths[targets.clamp_min(0)] * (targets != PAD)
        return loss.detach() / math.log(2), bases.sum()

    def _bits(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        chances = logits.softmax(dim=-1)
        per_base = torch.zeros(*chances.shape[:-1], 5, device=chances.device)
        per_base = per_base.index_add(2, self._base_codes, chances)[..., :4].clamp_min(1e-12)
        codes = self._base_codes[targets]
        known = codes < 4
        chance = per_base.gather(2, codes.clamp(max=3)[..., None])[..., 0] / per_base.sum(dim=-1)
        return (-chance.log2() * known).sum(), known.sum()


def parameter_count(model: nn.Module) -> int:
    """Numbers in the parameters of a network; a tied one counts once."""
    return sum(parameter.numel() for parameter in model.parameters())


def save_gpt(model: Gpt, folder: Path) -> None:
    """Write ``model.safetensors`` and ``config.json`` into an existing folder."""
    safetensors.torch.save_model(model, str(folder / WEIGHTS_FILE))
    write_json(folder / CONFIG_FILE, {**dataclasses.asdict(model.config), "parameters": parameter_count(model)})


def load_gpt(folder: Path) -> Gpt:
    """Raises ``InputError`` when the folder holds no such model."""
    try:
        settings = read_json(folder / CONFIG_FILE)
        settings.pop("parameters", None)
        model = Gpt(GptConfig(**settings))
        safetensors.torch.load_model(model, str(folder / WEIGHTS_FILE))
    except (*DAMAGED_NETWORK, InputError) as error:
        raise InputError(f"{folder}: not a nucleotide GPT ({' '.join(str(error).split())})") from None
    return model
