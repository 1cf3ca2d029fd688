"""The network: a transformer with positions, one code for every few bases, and a transformer that reads codes back."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from genet5.errors import InputError
from genet5.files import read_json, write_json
from genet5.studies.vq_transformer.encodings import UNKNOWN, KmerEncoding, encoding_named
from genet5.studies.vq_transformer.points import LARGEST_CODEBOOK
from genet5.studies.vq_transformer.quantiser import Quantised, VectorQuantiser
from genet5.training.trainable import DAMAGED_NETWORK, TrainableModule

_FAINT = 0.1
WEIGHTS, CONFIG = "model.safetensors", "config.json"
MOST_LAYERS, LARGEST_SIZE = 1000, 1_000_000


@dataclass(frozen=True)
class VqConfig:
    """Everything that the shape of the network depends on; lengths in bases.

    ``bases_per_code``: downsampling. ``codebook_size`` codes in each of ``groups`` codebooks, so that a base takes
    ``bits_per_base`` bits. ``block_size``: the longest text read at once.
    """

    encoding: str = "base_1k"
    overlapping: bool = False
    block_size: int = 256
    bases_per_code: int = 4
    codebook_size: int = 256
    groups: int = 1
    width: int = 128
    layers: int = 4
    heads: int = 8
    feed_forward: int = 512
    code_width: int = 64
    dropout: float = 0.0
    beta: float = 0.25
    decay: float = 0.9
    restart_below: float = 0.02
    mse_weight: float = 0.5

    def __post_init__(self) -> None:
        for name in (
            "block_size",
            "bases_per_code",
            "groups",
            "width",
            "layers",
            "heads",
            "feed_forward",
            "code_width",
        ):
            # A damaged config.json would be followed until the memory is full.
            most = MOST_LAYERS if name == "layers" else LARGEST_SIZE
            if not 1 <= getattr(self, name) <= most:
                raise InputError(f"{name}: found {str(getattr(self, name))[:40]}, allowed: 1 to {most}")
        if not 2 <= self.codebook_size <= LARGEST_CODEBOOK:
            raise InputError(f"codebook_size: found {self.codebook_size}, allowed: 2 to {LARGEST_CODEBOOK}")
        for name in ("beta", "restart_below", "mse_weight", "dropout", "decay"):
            least, limit = getattr(self, name), 1 if name in ("dropout", "decay", "restart_below") else math.inf
            if not 0 <= least < limit:
                raise InputError(
                    f"{name}: found {least}, allowed: at least 0" + (", less than 1" if limit == 1 else "")
                )
        for whole, part in (
            ("block_size", "bases_per_code"),
            ("width", "heads"),
            ("code_width", "groups"),
        ):
            if getattr(self, whole) % getattr(self, part):
                raise InputError(f"{whole}: {getattr(self, whole)} is no multiple of {part} ({getattr(self, part)})")
        if self.bases_per_code % self.kmers.stride:
            raise InputError(
                f"bases_per_code: {self.bases_per_code} is no multiple of the {self.kmers.stride} bases of a token of "
                f"{self.encoding} (or let k-mers overlap)"
            )

    @property
    def kmers(self) -> KmerEncoding:
        return encoding_named(self.encoding, self.overlapping)

    @property
    def bits_per_base(self) -> float:
        return self.groups * math.log2(self.codebook_size) / self.bases_per_code


class Encoder(nn.Module):
    """Transformer layers (pre-norm) over vectors with learned positions, [batch, length, width]."""

    def __init__(self, config: VqConfig, length: int):
        super().__init__()
        self.positions = nn.Parameter(torch.randn(length, config.width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            config.width,
            config.heads,
            config.feed_forward,
            config.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(
            layer, config.layers, nn.LayerNorm(config.width), enable_nested_tensor=False
        )
        # Each layer begins as the identity, so that equal k-mers begin as equal vectors and k-means finds them.
        for block in self.layers.layers:
            for last in (block.self_attn.out_proj, block.linear2):
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.layers(vectors + self.positions[: vectors.shape[1]])


class VqTransformer(TrainableModule):
    """k-mers -> transformer -> one vector for every ``bases_per_code`` bases -> code -> transformer -> bases."""

    def __init__(self, config: VqConfig):
        super().__init__()
        self.config = config
        kmers, tokens = config.kmers, config.bases_per_code // config.kmers.stride
        self.tokens_per_code = tokens
        self.embedding = nn.Embedding(kmers.vocab_size, config.width)
        self.encoder = Encoder(config, config.block_size // kmers.stride)
        self.downsample = nn.Linear(tokens * config.width, config.code_width)
        self.quantiser = VectorQuantiser(
            config.codebook_size, config.code_width, config.groups, config.decay, config.restart_below
        )
        self.upsample = nn.Linear(config.code_width, config.bases_per_code * config.width)
        self.decoder = Encoder(config, config.block_size)
        self.head = nn.Linear(config.width, 4)
        self._begin_with_distances()

    @torch.no_grad()
    def _begin_with_distances(self) -> None:
        """First weights that keep what is quantised as far apart as the texts are: bases that differ count the same.

        Single bases get a coordinate each, if there is room (4 for each base of a code), so that k-means begins with
        Hamming distances. Of longer k-mers, directions are orthogonal as far as the width allows.
        """
        nn.init.orthogonal_(self.embedding.weight, gain=math.sqrt(self.config.width))
        nn.init.orthogonal_(self.downsample.weight)
        nn.init.zeros_(self.downsample.bias)
        room = self.config.code_width // self.tokens_per_code
        if self.config.kmers.k == 1 and room >= UNKNOWN and self.config.width > UNKNOWN:
            self.downsample.weight.mul_(_FAINT)
            directions = self.embedding.weight[:UNKNOWN] / math.sqrt(self.config.width)
            for token in range(self.tokens_per_code):
                columns = slice(token * self.config.width, (token + 1) * self.config.width)
                self.downsample.weight[token * room : token * room + UNKNOWN, columns] += directions

    def encode(self, tokens: Tensor) -> Tensor:
        """What is quantised, [batch, codes, code_width], of token ids [batch, tokens]."""
        vectors = self.encoder(self.embedding(tokens))
        slots = self.downsample(vectors.unflatten(1, (-1, self.tokens_per_code)).flatten(2))
        # Of one length: without this the vectors grow away from a codebook that follows them with a delay.
        return nn.functional.layer_norm(slots, slots.shape[-1:])

    def decode(self, vectors: Tensor) -> Tensor:
        """Logits of A, C, G, T at each base, [batch, bases, 4], of codebook vectors [batch, codes, code_width]."""
        bases = self.upsample(vectors).unflatten(2, (self.config.bases_per_code, -1)).flatten(1, 2)
        return self.head(self.decoder(bases))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Quantised]:
        """Logits and what the quantiser made of the text."""
        quantised = self.quantiser(self.encode(tokens))
        return self.decode(quantised.vectors), quantised

    def codes(self, tokens: Tensor) -> Tensor:
        """Codes, int64, [batch, codes, groups]; the codebook stays as it is whatever mode the network is in."""
        vectors = self.encode(tokens)
        with torch.autocast(vectors.device.type, enabled=False):  # as in training: the nearest in full precision
            parts = self.quantiser._parts(vectors.float())
            return self.quantiser._nearest(parts).T.reshape(*vectors.shape[:2], self.config.groups)

    def training_losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Cross-entropy + mse_weight x squared error of the probabilities + beta x commitment (+ codebook error).

        ``batch``: ``tokens`` [batch, tokens] and ``bases`` [batch, bases], 4 where unknown. Unknown bases have no
        loss. The same in training and evaluation; sums are over known bases, see ``training.loop``.
        """
        logits, quantised = self(batch["tokens"])
        known = batch["bases"] != UNKNOWN
        bases = batch["bases"].clamp(max=UNKNOWN - 1)
        weight = known.sum()
        log_chances = logits.float().log_softmax(-1)
        entropy = -(log_chances.gather(-1, bases[..., None]).squeeze(-1) * known).sum()
        wanted = nn.functional.one_hot(bases, 4).to(log_chances.dtype)
        squares = ((log_chances.exp() - wanted).pow(2).mean(-1) * known).sum()
        commitment, codebook = quantised.commitment * weight, quantised.codebook * weight
        return {
            "sum": entropy + self.config.mse_weight * squares + self.config.beta * commitment + codebook,
            "weight": weight,
            "cross_entropy": entropy,
            "squared_error": squares,
            "commitment": commitment,
            "accuracy": ((logits.argmax(-1) == bases) & known).sum(),
        }


def parameter_count(module: nn.Module) -> int:
    """Trained numbers, and those of a codebook that follows the encoder."""
    books = [m.codebook for m in module.modules() if isinstance(m, VectorQuantiser) and m.decay]
    return sum(p.numel() for p in module.parameters()) + sum(book.numel() for book in books)


def save_network(network: VqTransformer, folder: Path) -> None:
    """Write ``model.safetensors`` and ``config.json``."""
    write_json(folder / CONFIG, dataclasses.asdict(network.config))
    safetensors.torch.save_model(network, str(folder / WEIGHTS))


def load_network(folder: Path) -> VqTransformer:
    """The network that ``save_network`` wrote, in eval mode. ``InputError`` when there is none."""
    try:
        settings = read_json(folder / CONFIG)
        network = VqTransformer(VqConfig(**settings))
        safetensors.torch.load_model(network, folder / WEIGHTS)
    except (*DAMAGED_NETWORK, InputError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{folder}: no network of this study ({reason}); train it with vq_train.py") from None
    return network.eval()
