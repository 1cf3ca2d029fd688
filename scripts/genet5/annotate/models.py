"""A model that annotates: a CRF, alone or within a language model, from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genet5.adapt.relatives import FILE as RELATIVES_FILE
from genet5.adapt.relatives import Relatives, load_relatives
from genet5.crf.folder import MODEL_TYPE, load_crf, model_type
from genet5.crf.model import Crf
from genet5.device import chosen_device
from genet5.errors import InputError

if TYPE_CHECKING:  # annotating with a CRF alone imports no transformers
    from genet5.tokens.tokenizer import GeneTokenizer
    from genet5.writer.network import GeneT5Model


@dataclass
class Model:
    """crf: the gene finder. language_model, language_tokenizer: the writer around it, if there is one. folder: where it
    comes from.
    """

    crf: Crf
    language_model: GeneT5Model | None = None
    language_tokenizer: GeneTokenizer | None = None
    folder: Path | None = None

    def relatives(self) -> Relatives | None:
        """Tables of relatives that lie beside the weights. Raises ``InputError`` for a damaged file."""
        file = self.folder / RELATIVES_FILE if self.folder else None
        return load_relatives(file) if file is not None and file.is_file() else None

    @property
    def has_writer(self) -> bool:
        return self.language_model is not None

    @property
    def writer(self) -> GeneT5Model:
        if self.language_model is None:
            raise InputError("the model is a CRF without a language model")
        return self.language_model

    @property
    def tokenizer(self) -> GeneTokenizer:
        if self.language_tokenizer is None:
            raise InputError("the model is a CRF without a tokenizer")
        return self.language_tokenizer

    @property
    def longest_window_bp(self) -> int | None:
        """Longest window that the language model can write; a CRF alone takes windows of any length."""
        return self.language_tokenizer.max_window_bp if self.language_tokenizer is not None else None

    def on(self, device: str = "auto") -> Model:
        """The model on a device: one of ``device.DEVICES``. A CRF alone needs no GPU, so for it gpu means auto.

        Raises ``InputError`` where the device is not there.
        """
        network = self.crf if self.language_model is None else self.language_model
        network.to(chosen_device("auto" if device == "gpu" and not self.has_writer else device))
        return self


def load_annotator(folder: str | Path) -> Model:
    """The model in a folder, in evaluation mode on the CPU. Raises ``InputError`` for anything that is none."""
    if model_type(folder) == MODEL_TYPE:
        return Model(load_crf(folder), folder=Path(folder))
    from genet5.writer.building import load_model

    writer, tokenizer = load_model(folder)
    return Model(writer.crf, writer, tokenizer, Path(folder))
