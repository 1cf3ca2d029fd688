"""Fetch the table of a platform, or of labels; take it out of an R data file where it is published in one."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.options import add_option_arguments, options_from_arguments
from genet5.sources.download import ALLOWED_SOURCES, fetch
from genet5.sources.options import DownloadOptions
from genet5.studies.cpivae.r_data import SAMPLES, read_r_table, write_r_table


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--source", required=True, help=f"{ALLOWED_SOURCES}: a table, or an R data file")
    parser.add_argument("--object", default="", help="of an R data file: the name of the table in it, list/part/part")
    parser.add_argument(
        "--samples", choices=SAMPLES, default="rows", help="whether the object has samples in rows or columns"
    )
    parser.add_argument("--ids", default="", help="for labels: the matrix of the R data file whose rows have their ids")
    parser.add_argument("--output", type=Path, required=True, help="table to write (.csv.gz)")
    add_option_arguments(parser, DownloadOptions, only=("retries",))
    arguments = parser.parse_args(argv)
    if (arguments.samples == "labels") != bool(arguments.ids):
        raise InputError("--ids: needed with --samples labels, and only there")
    retries = options_from_arguments(DownloadOptions, arguments, only=("retries",)).retries
    if not arguments.object:
        fetch(arguments.source, arguments.output, retries=retries)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.rda"
        fetch(arguments.source, file, retries=retries)
        table = read_r_table(file, arguments.object, arguments.samples, arguments.ids, named=arguments.source)
    write_r_table(table, arguments.output)
    print(f"{arguments.output}: {len(table)} samples, {len(table.columns)} columns of {arguments.object}")


if __name__ == "__main__":
    run_command(main)
