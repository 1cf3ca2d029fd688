"""Fetch a BUSCO lineage by its name, checked against the publisher's md5."""

from __future__ import annotations

from pathlib import Path

from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.evaluate.options import BuscoOptions
from genet5.options import add_option_arguments, options_from_arguments
from genet5.sources.lineages import fetch_lineage
from genet5.sources.options import DownloadOptions

_FROM = ("data",)


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--name", required=True, help="as BUSCO names it, for example fungi_odb12")
    parser.add_argument("--output", required=True, type=Path, help="tar to write (.tar.gz)")
    add_option_arguments(parser, BuscoOptions, only=_FROM)
    add_option_arguments(parser, DownloadOptions, "downloads")
    arguments = parser.parse_args(argv)
    data = options_from_arguments(BuscoOptions, arguments, only=_FROM).data
    retries = options_from_arguments(DownloadOptions, arguments).retries
    date = fetch_lineage(arguments.name, data, arguments.output, retries)
    print(f"{arguments.output}: {arguments.name} of {date}")


if __name__ == "__main__":
    run_command(main)
