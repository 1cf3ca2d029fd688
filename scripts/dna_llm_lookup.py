#!/usr/bin/env python
"""DNA-LLM study, the control without a network: mean scores of 10-mers in the training windows, looked up."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from genet5.errors import run_command
from genet5.studies.dna_llm.binding_windows import load_windows
from genet5.studies.dna_llm.kmer_lookup import KmerLookup
from genet5.studies.dna_llm.metrics import pearson_r
from genet5.studies.dna_llm.results import HELD_OUT, write_predictions


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=Path, required=True, help="windows.npz that dna_llm_windows.py wrote")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of predictions.npz and result.json")
    arguments = parser.parse_args(argv)
    windows = load_windows(arguments.windows)
    started = time.monotonic()
    train = windows.part("train")
    table = KmerLookup().fit(train.bases, train.scores)
    predictions = {split: table.predict(windows.part(split).bases) for split in HELD_OUT}
    scored = int((table.means > 0).sum())
    facts = {"name": "lookup", "about": "mean score of 10-mers", "parameters": scored, "trained": scored}
    facts["elapsed_time"] = round(time.monotonic() - started, 2)
    write_predictions(predictions, facts, arguments.output_dir)
    r = pearson_r(predictions["validation"], windows.part("validation").scores)
    print(f"{scored:,} 10-mers with a score; validation r {r:.4f}")


if __name__ == "__main__":
    run_command(main)
