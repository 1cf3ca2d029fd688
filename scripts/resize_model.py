"""Grow a model to a tokenizer with more tokens; old rows stay as they are, new ones start around their mean."""

from __future__ import annotations

from genet5.command_line import argument_parser
from genet5.errors import run_command


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--model", required=True, help="model folder to grow")
    parser.add_argument("--tokenizer", required=True, help="tokenizer folder; its first ids must be those of the model")
    parser.add_argument("--seed", type=int, default=0, help="draws the new rows")
    parser.add_argument("--output-dir", required=True, help="model folder to write")
    arguments = parser.parse_args(argv)

    # Here, so that --help and a wrong flag do not wait for torch.
    from genet5.tokens.tokenizer import GeneTokenizer
    from genet5.writer.building import load_model, resize_model, save_model

    model, _ = load_model(arguments.model)
    tokenizer = GeneTokenizer.load(arguments.tokenizer)
    before = model.config.vocab_size
    save_model(resize_model(model, tokenizer, arguments.seed), tokenizer, arguments.output_dir)
    print(f"{arguments.output_dir}: {before} -> {tokenizer.size} tokens")


if __name__ == "__main__":
    run_command(main)
