"""Read windows with binding scores, split them by position, and leave out what the splits share."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.studies.dna_llm.binding_windows import SplitOptions, read_windows, save_windows, split_windows


def main(argv: list[str] | None = None) -> None:
    default = SplitOptions()
    parser = argument_parser(__doc__)
    parser.add_argument("--sequences", type=Path, required=True, help="TSV: sequence, window_name")
    parser.add_argument("--scores", type=Path, required=True, help="TSV: a column for each window, a row for each base")
    parser.add_argument("--block-bp", type=int, default=default.block_bp, help="bases of a block")
    parser.add_argument("--validation-share", type=float, default=default.validation_share, help="share of blocks")
    parser.add_argument("--test-share", type=float, default=default.test_share, help="share of blocks")
    parser.add_argument(
        "--max-shared", type=float, default=default.max_shared,
        help="leave out held-out windows with this share of 24-mers in training DNA",
    )  # fmt: skip
    parser.add_argument("--limit", type=int, default=0, help="windows of each split at most; 0: all")
    parser.add_argument("--seed", type=int, default=default.seed, help="of the choice of blocks")
    parser.add_argument("--output", type=Path, required=True, help="windows.npz")
    parser.add_argument("--report", type=Path, required=True, help="split.json")
    arguments = parser.parse_args(argv)
    shares = arguments.validation_share, arguments.test_share
    if arguments.block_bp < 1 or min(shares) <= 0 or sum(shares) >= 1 or arguments.limit < 0:
        raise InputError("--block-bp: at least 1; shares: above 0 and together below 1; --limit: at least 0")
    fields = [field.name for field in dataclasses.fields(SplitOptions)]
    options = SplitOptions(**{name: getattr(arguments, name) for name in fields})
    windows, report = split_windows(read_windows(arguments.sequences, arguments.scores), options)
    save_windows(windows, report, arguments.output, arguments.report)
    counts = ", ".join(f"{number} {split}" for split, number in report["splits"].items())
    shared = ", ".join(f"{report['audit'][split]['left_out']} of {split}" for split in ("validation", "test"))
    print(f"{report['windows']} windows: {counts}; left out because they share DNA with training: {shared}")


if __name__ == "__main__":
    run_command(main)
