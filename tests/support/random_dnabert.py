"""A checkpoint in the format of DNABERT-2 with random weights, where the published one cannot be downloaded.

``python tests/support/random_dnabert.py OUTPUT_FOLDER --tokenizer FOLDER`` writes one of the published size.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

#: Fields of the published config.json that give the shapes.
PUBLISHED = {
    "model_type": "bert", "vocab_size": 4096, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "type_vocab_size": 2,
}  # fmt: skip
WEIGHTS_STD = 0.02


def tensor_shapes(config: Mapping[str, int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of each tensor of pytorch_model.bin, the head for masked tokens included."""
    vocabulary, hidden, inner = (config[key] for key in ("vocab_size", "hidden_size", "intermediate_size"))
    yield "bert.embeddings.word_embeddings.weight", (vocabulary, hidden)
    yield "bert.embeddings.token_type_embeddings.weight", (config["type_vocab_size"], hidden)
    yield from _pair("bert.embeddings.LayerNorm", (hidden,))
    for layer in range(config["num_hidden_layers"]):
        at = f"bert.encoder.layer.{layer}"
        yield from _pair(f"{at}.attention.self.Wqkv", (3 * hidden, hidden))
        yield from _pair(f"{at}.attention.output.dense", (hidden, hidden))
        yield from _pair(f"{at}.attention.output.LayerNorm", (hidden,))
        yield f"{at}.mlp.gated_layers.weight", (2 * inner, hidden)
        yield from _pair(f"{at}.mlp.wo", (hidden, inner))
        yield from _pair(f"{at}.mlp.layernorm", (hidden,))
    yield from _pair("cls.predictions.transform.dense", (hidden, hidden))
    yield from _pair("cls.predictions.transform.LayerNorm", (hidden,))
    yield from _pair("cls.predictions.decoder", (vocabulary, hidden))


def write_random_checkpoint(folder: Path, tokenizer: Path, config: Mapping[str, int] = PUBLISHED) -> None:
    """Write config.json, pytorch_model.bin, and the tokenizer.json of the folder ``tokenizer``."""
    generator = torch.Generator().manual_seed(42)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(tokenizer / "tokenizer.json", folder / "tokenizer.json")
    (folder / "config.json").write_text(json.dumps(dict(config), indent=2) + "\n")
    tensors = {name: _draw(name, shape, generator) for name, shape in tensor_shapes(config)}
    tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"]  # tied, as published
    torch.save(tensors, folder / "pytorch_model.bin")


def _pair(name: str, shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _draw(name: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """First weights of a BERT: norms are 1, biases 0, all others normal."""
    if name.endswith(".bias"):
        return torch.zeros(shape)
    return torch.ones(shape) if len(shape) == 1 else torch.randn(shape, generator=generator) * WEIGHTS_STD


def main() -> None:
    """Write the checkpoint that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder to write")
    parser.add_argument(
        "--tokenizer", type=Path, default=Path("../shared/data/tokenizer/DNABERT-2"), help="folder with tokenizer.json"
    )
    arguments = parser.parse_args()
    write_random_checkpoint(arguments.output, arguments.tokenizer)


if __name__ == "__main__":
    main()
