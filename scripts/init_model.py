"""Make the first weights of a language model around a trained CRF: fresh, from DNABERT-2, or from a GeneT5 model."""

from __future__ import annotations

from pathlib import Path

from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.files import atomic_write
from genet5.options import add_option_arguments, options_from_arguments
from genet5.writer.options import SCRATCH, WriterOptions


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--tokenizer", required=True, help="tokenizer folder; the model gets its DNA vocabulary")
    parser.add_argument("--crf", type=Path, required=True, help="folder of the trained CRF that it is made around")
    parser.add_argument("--output-dir", required=True, help="model folder to write")
    add_option_arguments(parser, WriterOptions)
    arguments = parser.parse_args(argv)

    # Here, so that --help and a wrong flag do not wait for torch.
    from genet5.crf.folder import load_crf
    from genet5.tokens.tokenizer import GeneTokenizer
    from genet5.writer.building import save_model
    from genet5.writer.first_weights import first_weights
    from genet5.writer.init_report import report_summary, report_table, report_tsv

    options = options_from_arguments(WriterOptions, arguments)
    tokenizer, crf = GeneTokenizer.load(arguments.tokenizer), load_crf(arguments.crf)
    first = first_weights(options.size, tokenizer, crf, options.init_from, options.seed, options.overrides)
    with atomic_write(Path(arguments.output_dir) / "init_report.tsv") as stream:
        stream.write(report_tsv(first.report))
    save_model(first.model, first.tokenizer, arguments.output_dir)
    if options.init_from != SCRATCH:
        print(report_table(first.report))
    parameters = sum(parameter.numel() for parameter in first.model.parameters())
    summary = report_summary(first.report)
    print(f"{arguments.output_dir}: {options.size}, {parameters / 1e6:.1f} M parameters; tensors: {summary}")


if __name__ == "__main__":
    run_command(main)
