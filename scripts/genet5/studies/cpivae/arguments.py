"""Arguments of the commands that train: settings and the tables of two platforms."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_input_arguments(parser: argparse.ArgumentParser) -> None:
    """``--config``, ``--platform-a`` and ``--platform-b``."""
    parser.add_argument(
        "--config", type=Path, required=True, help="YAML: what differs from config/studies/cpivae_training.yaml"
    )
    parser.add_argument("--platform-a", type=Path, required=True, help="table: sample ids, then features")
    parser.add_argument("--platform-b", type=Path, required=True, help="the same of the other platform")
