"""Flags of the commands: one style of help, dashes and underscores alike."""

from __future__ import annotations

import argparse

import pytest

from genet5.command_line import PROGRAM, argument_parser


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    made = argument_parser("Does a thing.\n\n  As it stands here.\n")
    made.add_argument("--output-dir", required=True, help="folder")
    made.add_argument("--size", type=int, default=5, help="of it (%(default)s)")
    made.add_argument("--names", nargs="*", default=["a", "b"], help="of them (default: %(default)s)")
    made.add_argument("--regions", default="", help="parts (default: all)")
    made.add_argument("--share", default="5%", help="50 %% at most")
    made.add_argument("--quick-end", "--quick_end", action=argparse.BooleanOptionalAction, default=True, help="ends")
    made.add_argument("--closed", action="store_true", help="closes")
    return made


def test_help_says_each_default_once(parser):
    lines = {line.split()[0]: line for line in parser.format_help().splitlines() if line.startswith("  -")}
    assert "  As it stands here." in parser.format_help()
    shown = " ".join(parser.format_help().split())
    for text in (
        "--size SIZE of it (default: 5)",
        "of them (default: a b)",
        "parts (default: all)",
        "50 % at most (default: 5%)",
        "--quick-end, --no-quick-end ends (default: on)",
        "--closed closes",
    ):
        assert text in shown
    assert shown.count("default") == 5 and "quick_end" not in shown.partition("options:")[2]
    assert lines["--output-dir"].split() == ["--output-dir", "OUTPUT_DIR"]


def test_underscores_in_flags_are_dashes(parser):
    words = ["--output_dir", "my_out", "--size=3", "--names", "a_b", "--regions=--x_y", "--no-quick_end"]
    found = parser.parse_args(words)
    assert (found.output_dir, found.size, found.names, found.regions) == ("my_out", 3, ["a_b"], "--x_y")
    assert found.quick_end is False
    with pytest.raises(SystemExit):
        parser.parse_args([*words, "--no_such_flag"])


def test_the_command_is_named_as_it_was_called():
    token = PROGRAM.set("genet5 score")
    try:
        assert argument_parser(None).format_usage().startswith("usage: genet5 score ")
    finally:
        PROGRAM.reset(token)
