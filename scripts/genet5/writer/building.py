"""Making, growing, saving and loading models.

A model folder is self-contained: ``config.json``, ``model.safetensors`` and the tokenizer's two files. The weights are
moved into place last, so a folder that has them is complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.utils import logging as transformers_logging

from genet5.crf.folder import CONFIG_FILE, WEIGHTS_FILE, load_weights
from genet5.crf.model import Crf
from genet5.errors import InputError
from genet5.files import file_sha256, one_line, read_json
from genet5.tokens.tokenizer import SETTINGS_FILE, TOKENIZER_FILE, GeneTokenizer
from genet5.writer.config import GeneT5Config, sized_config
from genet5.writer.network import GeneT5Model

MOST_LAYERS = 1000
"""More layers than any network has: a damaged config.json would take hours and all memory."""


def vocabulary_sha256(tokenizer: GeneTokenizer, size: int) -> str:
    """Fingerprint of the names of ids 0 .. ``size - 1``, in order."""
    names = "\n".join(tokenizer.token(index) for index in range(size))
    return hashlib.sha256(names.encode("utf-8")).hexdigest()


def make_network(config: GeneT5Config, seed: int) -> GeneT5Model:
    """A network with fresh weights that depend on ``seed`` alone; the caller's random state is left as it was."""
    with torch.random.fork_rng(devices=[]), _quiet():
        torch.manual_seed(seed)
        return GeneT5Model(config)


def new_model(
    size: str, tokenizer: GeneTokenizer, crf: Crf, seed: int, overrides: Mapping[str, Any] | None = None
) -> GeneT5Model:
    """A model of a named size around a trained CRF; it knows the DNA vocabulary of ``tokenizer``, no structure tokens.

    Raises ``InputError`` for an unknown size or fields that do not fit together.
    """
    config = sized_config(size, crf.config, **dict(overrides or {}), vocab_size=tokenizer.dna_size)
    config.tokenizer_sha256 = vocabulary_sha256(tokenizer, tokenizer.dna_size)
    model = make_network(config, seed)
    model.crf.load_state_dict(crf.state_dict())
    return model


def resize_model(model: GeneT5Model, tokenizer: GeneTokenizer, seed: int = 0) -> GeneT5Model:
    """Grow the token embedding, and the one that tokens are written with if it is another, to ``tokenizer``, in place.

    Old rows stay as they are. New ones are drawn around the mean of the old ones with their spread per dimension, so
    that they begin neither far away nor all alike. Works again after ``append_tokens``. Raises ``InputError`` for a
    tokenizer without structure tokens, one that is smaller than the model, or one whose first ids are not the model's.
    """
    config = model.config
    if not tokenizer.is_expanded:
        raise InputError("tokenizer: it has no structure tokens yet, expand it first (expand_tokenizer.py)")
    check_same_ids(config, tokenizer)
    generator = torch.Generator().manual_seed(seed)
    if tokenizer.size > config.vocab_size:
        model.set_input_embeddings(_grown(model.get_input_embeddings(), tokenizer.size, generator))
        if model.output_embeddings is not None:
            model.output_embeddings = _grown(model.output_embeddings, tokenizer.size, generator)
        model.backbone.vocab_size = model.backbone.config.vocab_size = config.vocab_size = tokenizer.size
    places = set(range(tokenizer.loc_base, tokenizer.loc_base + tokenizer.num_loc))
    places |= set(range(tokenizer.off_base, tokenizer.off_base + tokenizer.segment_bp))
    config.structure_ids = tuple(index for index in range(tokenizer.dna_size, tokenizer.size) if index not in places)
    config.loc_base, config.num_loc = tokenizer.loc_base, tokenizer.num_loc
    config.off_base, config.segment_bp = tokenizer.off_base, tokenizer.segment_bp
    config.tokenizer_sha256 = vocabulary_sha256(tokenizer, tokenizer.size)
    return model


def _grown(table: nn.Embedding, size: int, generator: torch.Generator) -> nn.Embedding:
    """A table with more rows behind the old ones."""
    old = table.weight.detach()
    known = old.float().cpu()
    noise = torch.randn(size - len(old), old.shape[1], generator=generator)
    rows = known.mean(0) + noise * known.std(0, correction=0)
    with torch.device(old.device):
        return nn.Embedding(size, old.shape[1], dtype=old.dtype, _weight=torch.cat([old, rows.to(old)]))


def check_same_ids(config: GeneT5Config, tokenizer: GeneTokenizer) -> None:
    """Raise ``InputError`` unless the model's ids mean the same in ``tokenizer``, which may have more of them."""
    if tokenizer.size < config.vocab_size:
        raise InputError(
            f"tokenizer: {tokenizer.size} tokens, the model knows {config.vocab_size}; a model can only grow"
        )
    if vocabulary_sha256(tokenizer, config.vocab_size) != config.tokenizer_sha256:
        raise InputError(
            f"tokenizer: its first {config.vocab_size} tokens are not those the model was made for; "
            "use the tokenizer in the model's folder and append to it"
        )


def save_model(model: GeneT5Model, tokenizer: GeneTokenizer, folder: str | Path) -> None:
    """Write a model folder that ``load_model`` reads; ``tokenizer`` must be the one the model was sized for.

    A model that is there already is replaced. Wherever the process dies, the folder is complete or has no weights.
    """
    check_matching_tokenizer(model.config, tokenizer, "the model")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".saving.") as name:
            written = Path(name)
            with _quiet():
                # The layout of the running model: from the hub's layout, with one tensor per expert, a training run
                # that loads a plain state dictionary would lose its experts.
                model.save_pretrained(written, save_original_format=False, max_shard_size="1000GB")
            tokenizer.save(written)
            for path in written.iterdir():
                with path.open("rb") as stream:
                    os.fsync(stream.fileno())
                path.chmod((written / CONFIG_FILE).stat().st_mode)  # safetensors files are private otherwise
            (folder / WEIGHTS_FILE).unlink(missing_ok=True)
            for path in sorted(written.iterdir(), key=lambda path: path.name == WEIGHTS_FILE):
                shutil.move(path, folder / path.name)
    except OSError as error:
        raise InputError(f"{folder}: cannot write the model here: {error.strerror}") from error


def load_model(folder: str | Path) -> tuple[GeneT5Model, GeneTokenizer]:
    """The model that ``save_model`` wrote, in evaluation mode on the CPU, and its tokenizer.

    Every weight must come from the file: a tensor that is missing, left over or of another shape is an ``InputError``,
    as are a missing file, another kind of model and a tokenizer of another size.
    """
    folder = Path(folder)
    for name in (CONFIG_FILE, TOKENIZER_FILE, SETTINGS_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: no such file, a model folder has {CONFIG_FILE}, {WEIGHTS_FILE}, "
                             f"{TOKENIZER_FILE} and {SETTINGS_FILE}")  # fmt: skip
    config = _read_config(folder / CONFIG_FILE)
    tokenizer = GeneTokenizer.load(folder)
    check_matching_tokenizer(config, tokenizer, str(folder / CONFIG_FILE))
    model = make_network(config, seed=0)
    load_weights(model, folder / WEIGHTS_FILE)
    return model.eval(), tokenizer


def check_matching_tokenizer(config: GeneT5Config, tokenizer: GeneTokenizer, where: str) -> None:
    """Raise ``InputError`` unless the model's rows are exactly the tokenizer's ids."""
    if config.vocab_size != tokenizer.size:
        raise InputError(
            f"{where}: {config.vocab_size} tokens, the tokenizer beside it has {tokenizer.size}; run resize_model.py"
        )
    check_same_ids(config, tokenizer)
    facts = {"loc_base": tokenizer.loc_base, "off_base": tokenizer.off_base, "segment_bp": tokenizer.segment_bp}
    for name, value in facts.items():
        if getattr(config, name) != (value or 0):
            raise InputError(f"{where}: {name} is {getattr(config, name)}, in the tokenizer beside it {value}")


def weights_sha256(folder: Path) -> str:
    """Fingerprint of a model folder's weights; empty where there are none."""
    path = folder / WEIGHTS_FILE
    return file_sha256(path) if path.is_file() else ""


def _read_config(path: Path) -> GeneT5Config:
    stored = read_json(path)
    if stored.get("model_type") != GeneT5Config.model_type:
        raise InputError(f"{path}: model_type {stored.get('model_type')!r}, must be {GeneT5Config.model_type!r}")
    try:
        config = GeneT5Config.from_dict(stored)
        if config.num_layers > MOST_LAYERS or config.crf_config.num_networks > MOST_LAYERS:
            raise ValueError(f"more than {MOST_LAYERS} layers or networks")
        return config
    except InputError:
        raise
    # transformers reads keys that we never write, and raises errors of its own about them.
    except Exception as error:
        raise InputError(f"{path}: not a configuration of this version ({one_line(error)})") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no notes of transformers, nor PyTorch's about the shared expert, which is empty here."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Initializing zero-element tensors is a no-op")
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
