"""First weights from a DNABERT-2 checkpoint: what maps where, and a report that names every tensor of either side.

DNABERT-2 is a post-norm encoder (LayerNorm after each block, ALiBi, biases); the backbone here is pre-norm with
RMSNorm, RoPE and grouped key/value heads. The norm that produced a block's input becomes that block's input norm; key
and value heads of a group are averaged (Ainslie et al. 2023); biases that have no place are dropped. So features carry
over, the function does not: it has to be trained.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from genet5.errors import InputError
from genet5.files import read_json
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.writer.config import GeneT5Config
from genet5.writer.init_report import COPIED, DROPPED, NEW, RESHAPED, ReportRow, shape_text
from genet5.writer.network import GeneT5Model

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
#: field of our configuration -> key of the checkpoint's
_SHAPE = {
    "hidden_size": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "feed_forward_size": "intermediate_size",
}


@dataclass
class Checkpoint:
    """A DNABERT-2 folder: configuration, tensors by name without the ``bert.`` prefix, ids by token (if it says)."""

    folder: Path
    config: dict
    tensors: dict[str, Tensor]
    tokens: dict[str, int] = field(default_factory=dict)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read config.json, the weights and tokenizer.json; ``InputError`` for what is missing or damaged."""
    config = read_json(folder / "config.json")
    path = next((folder / name for name in WEIGHT_FILES if (folder / name).is_file()), None)
    if path is None:
        raise InputError(f"{folder}: no weights, expected {' or '.join(WEIGHT_FILES)}")
    try:
        tensors = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(f"{path}: not a file of weights ({str(error).splitlines()[0]})") from error
    if not isinstance(tensors, Mapping) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise InputError(f"{path}: not a dictionary of tensors")
    tensors = {name.removeprefix("bert."): tensor.float() for name, tensor in tensors.items()}
    return Checkpoint(folder, config, tensors, _tokens(folder / "tokenizer.json"))


def import_dnabert(model: GeneT5Model, tokenizer: GeneTokenizer, checkpoint: Checkpoint) -> list[ReportRow]:
    """Fill a fresh ``model`` with a checkpoint's weights, in place. Returns the fate of every tensor.

    Raises ``InputError`` if the sizes differ, naming the overrides that make them equal.
    """
    _check_sizes(model.config, checkpoint)
    importer = _Importer(model, checkpoint)
    importer.embedding(tokenizer)
    for layer in range(model.config.num_layers):
        importer.attention(layer)
        importer.feed_forward(layer)
    importer.norms()
    return importer.finish()


class _Importer:
    """Moves tensors and keeps the books."""

    def __init__(self, model: GeneT5Model, checkpoint: Checkpoint) -> None:
        self.config = model.config
        self.checkpoint = checkpoint
        self.targets = dict(model.named_parameters())
        self.used: set[str] = set()
        self.filled: set[str] = set()
        self.rows: list[ReportRow] = []

    def source(self, name: str) -> Tensor:
        if name not in self.checkpoint.tensors:
            raise InputError(f"{self.checkpoint.folder}: no tensor {name}; a DNABERT-2 checkpoint has one")
        return self.checkpoint.tensors[name]

    def put(self, action: str, source: str, target: str, value: Tensor, note: str = "") -> None:
        """Write ``value`` into the parameter ``target``."""
        parameter = self.targets[target]
        if parameter.shape != value.shape:
            raise InputError(
                f"{self.checkpoint.folder}: {source} has shape {tuple(self.source(source).shape)}, "
                f"{target} needs {tuple(parameter.shape)}"
            )
        with torch.no_grad():
            parameter.copy_(value)
        self.used.add(source)
        self.filled.add(target)
        self.rows.append(ReportRow(action, source, target, shape_text(value), note))

    def drop(self, source: str, note: str) -> None:
        if source in self.checkpoint.tensors:
            self.used.add(source)
            self.rows.append(ReportRow(DROPPED, source, "", shape_text(self.checkpoint.tensors[source]), note))

    def embedding(self, tokenizer: GeneTokenizer) -> None:
        """Rows of tokens that both sides spell alike; the first token-type row, which was added to all, with them."""
        words, types = "embeddings.word_embeddings.weight", "embeddings.token_type_embeddings.weight"
        rows, target = self.source(words), "backbone.embed_tokens.weight"
        pairs, note = self._matching_rows(tokenizer, len(rows))
        if not pairs:
            self.drop(words, note)
            self.drop(types, "goes with the word embeddings")
            return
        ours, theirs = torch.tensor(pairs).T
        value = self.targets[target].detach().clone()
        value[ours] = rows[theirs]
        if types in self.checkpoint.tensors:
            value[ours] += self.source(types)[0]
            note += ", with token type 0 added"
            self.drop(types, "row 0 is added to the word embeddings")
        action = COPIED if len(pairs) == len(value) == len(rows) and ours.equal(theirs) else RESHAPED
        self.put(action, words, target, value, note)

    def _matching_rows(self, tokenizer: GeneTokenizer, num_rows: int) -> tuple[list[tuple[int, int]], str]:
        """(our id, their id) of equal tokens, and a note."""
        size, ids = self.config.vocab_size, self.checkpoint.tokens
        if ids:
            ours = ((index, ids.get(tokenizer.token(index), num_rows)) for index in range(size))
            pairs = [pair for pair in ours if pair[1] < num_rows]
            return pairs, f"{len(pairs)} of {size} tokens are spelt as in the checkpoint"
        if tokenizer.kind != "bpe":
            return [], f"tokens of kind {tokenizer.kind} are not the checkpoint's"
        if num_rows != size:
            return [], f"{num_rows} rows, the tokenizer has {size} DNA tokens, and the checkpoint has no tokenizer.json"
        return [(index, index) for index in range(size)], f"{size} rows by id (the checkpoint has no tokenizer.json)"

    def attention(self, layer: int) -> None:
        ours, theirs = f"backbone.layers.{layer}.self_attn", f"encoder.layer.{layer}.attention"
        groups = self.config.num_kv_heads
        pooled = groups < self.config.num_heads
        for kind in ("weight", "bias"):
            source = f"{theirs}.self.Wqkv.{kind}"
            parts = self.source(source).chunk(3)
            for part, name in zip(parts, ("q_proj", "k_proj", "v_proj"), strict=True):
                note = f"{name[0]} of q, k, v"
                if name != "q_proj" and pooled:
                    part = _mean_of_heads(part, self.config.num_heads, groups)
                    note += f", {self.config.num_heads} heads averaged to {groups}"
                self.put(RESHAPED, source, f"{ours}.{name}.{kind}", part, note)
        output = f"{theirs}.output.dense.weight"
        self.put(COPIED, output, f"{ours}.o_proj.weight", self.source(output))
        self.drop(f"{theirs}.output.dense.bias", "the output projection has no bias")

    def feed_forward(self, layer: int) -> None:
        ours, theirs = f"backbone.layers.{layer}.mlp", f"encoder.layer.{layer}.mlp"
        gated, output = f"{theirs}.gated_layers.weight", f"{theirs}.wo.weight"
        experts = self.config.num_experts
        if experts:
            note = f"to each of {experts} experts"
            both = self.source(gated).expand(experts, -1, -1)
            self.put(RESHAPED, gated, f"{ours}.experts.gate_up_proj", both, f"gate and up, {note}")
            down = self.source(output).expand(experts, -1, -1)
            self.put(RESHAPED, output, f"{ours}.experts.down_proj", down, note)
        else:
            gate, up = self.source(gated).chunk(2)
            self.put(RESHAPED, gated, f"{ours}.gate_proj.weight", gate, "first half: gate")
            self.put(RESHAPED, gated, f"{ours}.up_proj.weight", up, "second half: up")
            self.put(COPIED, output, f"{ours}.down_proj.weight", self.source(output))
        self.drop(f"{theirs}.wo.bias", "the down projection has no bias")

    def norms(self) -> None:
        """The norm behind a block stands before the next one here; the last one ends the network."""
        before = "embeddings.LayerNorm"
        for layer in range(self.config.num_layers):
            ours, theirs = f"backbone.layers.{layer}", f"encoder.layer.{layer}"
            self._norm(before, f"{ours}.input_layernorm.weight")
            self._norm(f"{theirs}.attention.output.LayerNorm", f"{ours}.post_attention_layernorm.weight")
            before = f"{theirs}.mlp.layernorm"
        self._norm(before, "backbone.norm.weight")

    def _norm(self, source: str, target: str) -> None:
        self.put(COPIED, f"{source}.weight", target, self.source(f"{source}.weight"), "produced this block's input")
        self.drop(f"{source}.bias", "RMSNorm has no bias")

    def finish(self) -> list[ReportRow]:
        for name in sorted(self.checkpoint.tensors.keys() - self.used):
            note = "masked-token head, not used" if name.startswith("cls.") else "no counterpart"
            self.drop(name, note)
        for name, parameter in self.targets.items():
            if name.startswith("crf."):
                self.rows.append(
                    ReportRow(COPIED, name.removeprefix("crf."), name, shape_text(parameter), "of the trained CRF")
                )
            elif name not in self.filled:
                self.rows.append(ReportRow(NEW, "", name, shape_text(parameter), "fresh"))
        return self.rows


def _mean_of_heads(part: Tensor, num_heads: int, groups: int) -> Tensor:
    """Weights or biases of heads, one after another along the first axis, averaged over runs of neighbours."""
    head = part.shape[0] // num_heads
    return part.view(groups, num_heads // groups, head, *part.shape[1:]).mean(1).reshape(groups * head, *part.shape[1:])


def _check_sizes(config: GeneT5Config, checkpoint: Checkpoint) -> None:
    where = checkpoint.folder / "config.json"
    missing = [key for key in _SHAPE.values() if type(checkpoint.config.get(key)) is not int]
    if missing:
        raise InputError(f"{where}: no whole number {missing[0]}; is it a DNABERT-2 checkpoint?")
    differing = {
        name: checkpoint.config[key] for name, key in _SHAPE.items() if getattr(config, name) != checkpoint.config[key]
    }
    if differing:
        found = ", ".join(f"{name} {getattr(config, name)}" for name in differing)
        wanted = ", ".join(f"{name}: {value}" for name, value in differing.items())
        raise InputError(f"{where}: the model has {found}, the checkpoint needs writer.overrides {{{wanted}}}")


def _tokens(path: Path) -> dict[str, int]:
    """Ids by token, none if there is no file."""
    if not path.is_file():
        return {}
    try:
        return Tokenizer.from_file(str(path)).get_vocab()
    except Exception as error:  # the library raises bare Exception for whatever is wrong with the JSON
        raise InputError(f"{path}: not a tokenizer.json ({error})") from error
