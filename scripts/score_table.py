#!/usr/bin/env python
"""Print the score tables of a run, one per species."""

from __future__ import annotations

import argparse

from genet5.errors import run_command
from genet5.report.scoreboard import read_scoreboards
from genet5.report.text_table import score_tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", required=True, nargs="+", help="score files (JSON) of score.py")
    print(score_tables(read_scoreboards(parser.parse_args().scores)))


if __name__ == "__main__":
    run_command(main)
