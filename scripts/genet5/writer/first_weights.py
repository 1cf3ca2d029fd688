"""The first weights of a model: fresh, from DNABERT-2, or from a GeneT5 model; from a folder or from the hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor

from genet5.crf.folder import CONFIG_FILE
from genet5.crf.model import Crf
from genet5.errors import InputError
from genet5.files import read_json
from genet5.sources.hub import hub_folder, is_hub_id
from genet5.tokens.tokenizer import SETTINGS_FILE, TOKENIZER_FILE, GeneTokenizer
from genet5.writer.building import check_same_ids, load_model, make_network, new_model
from genet5.writer.config import GeneT5Config, Vocabulary, sized_config
from genet5.writer.import_dnabert import WEIGHT_FILES, import_dnabert, read_checkpoint
from genet5.writer.init_report import COPIED, NEW, ReportRow, shape_text
from genet5.writer.network import GeneT5Model
from genet5.writer.options import SCRATCH

_CRF = "crf."
#: fields that weights were made for; others say how they are trained and used
_OF_THE_WEIGHTS = (
    "hidden_size", "num_layers", "num_heads", "num_kv_heads", "feed_forward_size", "num_experts", "pointer_size",
    "num_latents", "tie_embeddings",
)  # fmt: skip


@dataclass
class FirstWeights:
    """A model, the tokenizer it knows the ids of, and the fate of every tensor."""

    model: GeneT5Model
    tokenizer: GeneTokenizer
    report: list[ReportRow]


def first_weights(
    size: str, tokenizer: GeneTokenizer, crf: Crf, init_from: str, seed: int, overrides: Mapping[str, Any] | None = None
) -> FirstWeights:
    """A model of a named size for ``tokenizer`` around ``crf``, from ``init_from``: ``scratch``, a folder or a hub id.

    Fresh and imported models know the DNA vocabulary; a GeneT5 model keeps all ids it has. Raises ``InputError`` for a
    source that cannot be read, or whose sizes or ids are not those asked for.
    """
    overrides = dict(overrides or {})
    if init_from == SCRATCH:
        model = new_model(size, tokenizer, crf, seed, overrides)
        rows = [_origin(name, tensor) for name, tensor in model.named_parameters()]
        return FirstWeights(model, tokenizer.dna_only(), rows)
    folder = find_folder(init_from)
    if _model_type(folder) == GeneT5Config.model_type:
        return _from_genet5(folder, size, tokenizer, crf, seed, overrides)
    checkpoint = read_checkpoint(folder)
    model = new_model(size, tokenizer, crf, seed, overrides)
    return FirstWeights(model, tokenizer.dna_only(), import_dnabert(model, tokenizer, checkpoint))


def find_folder(init_from: str) -> Path:
    """A folder on this machine, or a snapshot of a repository of the hub; ``InputError`` if there is neither."""
    folder = Path(init_from)
    if folder.is_dir():
        return folder
    where = "config key writer.init_from"
    if not is_hub_id(init_from):
        raise InputError(f"{where}: {init_from!r} is neither scratch, nor a folder, nor a hub id")
    return hub_folder(init_from, where, [(CONFIG_FILE,), WEIGHT_FILES], (TOKENIZER_FILE, SETTINGS_FILE))


def _from_genet5(
    folder: Path, size: str, tokenizer: GeneTokenizer, crf: Crf, seed: int, overrides: dict[str, Any]
) -> FirstWeights:
    """The language model of a GeneT5 model; its CRF is replaced by ``crf``."""
    source, known = load_model(folder)
    check_same_ids(source.config, tokenizer)
    vocabulary = {field.name: getattr(source.config, field.name) for field in fields(Vocabulary)}
    config = sized_config(size, crf.config, **overrides, **vocabulary)
    for name in _OF_THE_WEIGHTS:
        if getattr(config, name) != getattr(source.config, name):
            raise InputError(
                f"config key writer.overrides.{name}: {getattr(config, name)}, the weights in {folder} have "
                f"{getattr(source.config, name)}; set writer.size and writer.overrides alike"
            )
    if crf.config.stem_channels != source.config.crf_config.stem_channels:
        raise InputError(
            f"config key writer.init_from: {folder} was made around a CRF with stem_channels "
            f"{source.config.crf_config.stem_channels}, the CRF here has {crf.config.stem_channels}"
        )
    model = make_network(config, seed)
    kept = {name: tensor for name, tensor in source.state_dict().items() if not name.startswith(_CRF)}
    model.load_state_dict({**{_CRF + name: tensor for name, tensor in crf.state_dict().items()}, **kept})
    rows = [_origin(name, tensor, COPIED) for name, tensor in model.named_parameters()]
    return FirstWeights(model, known, rows)


def _origin(name: str, tensor: Tensor, action: str = NEW) -> ReportRow:
    """Where a parameter comes from: the CRF, or else as ``action`` says."""
    if name.startswith(_CRF):
        return ReportRow(COPIED, name.removeprefix(_CRF), name, shape_text(tensor), "of the trained CRF")
    return ReportRow(
        action, name if action == COPIED else "", name, shape_text(tensor), "fresh" if action == NEW else ""
    )


def _model_type(folder: Path) -> str:
    return read_json(folder / CONFIG_FILE).get("model_type", "")
