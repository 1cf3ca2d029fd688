"""Fetch one source file (genome or annotation), resumable and checked."""

from __future__ import annotations

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.options import add_option_arguments, options_from_arguments
from genet5.sources.download import ALLOWED_SOURCES, fetch
from genet5.sources.options import DownloadOptions


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--source", required=True, help=ALLOWED_SOURCES)
    parser.add_argument(
        "--output", required=True, help="file to write; a plain source is gzip-compressed when this ends in .gz"
    )
    parser.add_argument("--sha256", default=None, help="sha256 of the source's bytes")
    parser.add_argument(
        "--md5-list",
        default=None,
        help="address of the publisher's list of md5 sums, checked where no sha256 is given (default: the list that "
        "NCBI and UCSC keep beside each file)",
    )
    parser.add_argument(
        "--timeout-s",
        type=float,
        default=60.0,
        help="seconds without a byte before a connection counts as lost",
    )
    parser.add_argument(
        "--instead",
        metavar="FOLDER",
        help="an error advises to put the file into this folder by hand (default: no advice)",
    )
    add_option_arguments(parser, DownloadOptions, only=("retries",))
    arguments = parser.parse_args(argv)
    retries = options_from_arguments(DownloadOptions, arguments, only=("retries",)).retries
    try:
        fetch(
            arguments.source,
            arguments.output,
            sha256=arguments.sha256,
            retries=retries,
            md5_list=arguments.md5_list,
            timeout_s=arguments.timeout_s,
        )
    except InputError as error:
        if arguments.instead:
            raise InputError(f"{error}; or put the files that docs/data.md lists into {arguments.instead}") from None
        raise


if __name__ == "__main__":
    run_command(main)
