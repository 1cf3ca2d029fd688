"""Join readers that were trained by themselves (other seeds, longer, ...) to one model, which reads with all of them.

Their potentials are averaged, so that what is peculiar to one training cancels; reading takes as many times as long.
The language part is that of the first.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from genet5.errors import InputError, run_command
from genet5.writer.building import load_model, make_network, save_model
from genet5.writer.network import GeneT5Model


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="model folders with trained readers")
    parser.add_argument("--output-dir", type=Path, required=True, help="model folder to write")
    arguments = parser.parse_args(argv)
    models, tokenizers = zip(*map(load_model, arguments.models), strict=True)
    first = shapes(models[0])
    for folder, model in zip(arguments.models, models, strict=True):
        if not model.config.reader_trained:
            raise InputError(f"{folder}: its reader is not trained")
        if shapes(model) != first:
            raise InputError(f"{folder}: another kind of reader than in {arguments.models[0]}")
    config = models[0].config
    config.num_readers = sum(len(model.readers) for model in models)
    joined = make_network(config, seed=0)
    joined.load_state_dict(models[0].state_dict(), strict=False)
    for reader, trained in zip(joined.readers, [r for model in models for r in model.readers], strict=True):
        reader.load_state_dict(trained.state_dict())
    save_model(joined, tokenizers[0], arguments.output_dir)
    print(f"{arguments.output_dir}: {config.num_readers} readers", flush=True)


def shapes(model: GeneT5Model) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in model.reader.state_dict().items()}


if __name__ == "__main__":
    run_command(main)
