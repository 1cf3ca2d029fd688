#!/usr/bin/env python
"""Make the first weights of a language model around a trained CRF: fresh, from DNABERT-2, or from a GeneT5 model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from genet5.command_line import argument_parser
from genet5.crf.folder import load_crf
from genet5.errors import run_command
from genet5.files import atomic_write
from genet5.overrides import parse_overrides
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.writer.building import save_model
from genet5.writer.config import SIZES
from genet5.writer.first_weights import SCRATCH, first_weights
from genet5.writer.init_report import report_summary, report_table, report_tsv
from genet5.writer.options import WriterShape


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--size", required=True, help=f"named size: {', '.join(SIZES)}")
    parser.add_argument("--tokenizer", required=True, help="tokenizer folder; the model gets its DNA vocabulary")
    parser.add_argument("--crf", type=Path, required=True, help="folder of the trained CRF that it is made around")
    parser.add_argument("--init-from", default="scratch", help="scratch, a folder or a hub id")
    parser.add_argument("--seed", type=int, default=42, help="draws fresh weights")
    parser.add_argument(
        "--override", nargs="*", default=[], metavar="KEY=VALUE", help="fields that differ from the size"
    )
    parser.add_argument("--output-dir", required=True, help="model folder to write")
    arguments = parser.parse_args(argv)
    tokenizer = GeneTokenizer.load(arguments.tokenizer)
    overrides = parse_overrides(arguments.override, asdict(WriterShape()))
    first = first_weights(
        arguments.size, tokenizer, load_crf(arguments.crf), arguments.init_from, arguments.seed, overrides
    )
    with atomic_write(Path(arguments.output_dir) / "init_report.tsv") as stream:
        stream.write(report_tsv(first.report))
    save_model(first.model, first.tokenizer, arguments.output_dir)
    if arguments.init_from != SCRATCH:
        print(report_table(first.report))
    parameters = sum(parameter.numel() for parameter in first.model.parameters())
    summary = report_summary(first.report)
    print(f"{arguments.output_dir}: {arguments.size}, {parameters / 1e6:.1f} M parameters; tensors: {summary}")


if __name__ == "__main__":
    run_command(main)
