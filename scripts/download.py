"""Fetch one genome or annotation: continue a partial file, and check a whole one."""

from __future__ import annotations

from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.sources.download import ALLOWED_SOURCES, fetch


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--source", required=True, help=ALLOWED_SOURCES)
    parser.add_argument(
        "--output", required=True, help="file to write; a plain source is gzip-compressed when this ends in .gz"
    )
    parser.add_argument("--sha256", default=None, help="sha256 of the source's bytes (default: not checked)")
    parser.add_argument(
        "--retries",
        type=int,
        default=5,
        help="failed attempts in a row without progress before giving up",
    )
    parser.add_argument(
        "--timeout-s",
        type=float,
        default=60.0,
        help="seconds without a byte before a connection counts as lost",
    )
    arguments = parser.parse_args(argv)
    fetch(
        arguments.source,
        arguments.output,
        sha256=arguments.sha256,
        retries=arguments.retries,
        timeout_s=arguments.timeout_s,
    )


if __name__ == "__main__":
    run_command(main)
