"""Predict binding without a network, from what is counted in the training windows.

kmer_lookup: the mean score of each 10-mer. site_rule: the scores of 10-mers, and which of two close sites is labelled.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.studies.dna_llm.binding_windows import load_windows
from genet5.studies.dna_llm.kmer_lookup import KmerLookup
from genet5.studies.dna_llm.metrics import pearson_r
from genet5.studies.dna_llm.results import HELD_OUT, write_predictions
from genet5.studies.dna_llm.site_rule import SiteRule
from genet5.studies.dna_llm.variants import CONTROLS

KINDS = {
    "kmer_lookup": (KmerLookup, "mean score of 10-mers"),
    "site_rule": (SiteRule, "scores of 10-mers, and which of two is labelled"),
}


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--control", choices=CONTROLS, required=True, help="see above")
    parser.add_argument("--windows", type=Path, required=True, help="windows.npz that dna_llm_windows.py wrote")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of predictions.npz and result.json")
    arguments = parser.parse_args(argv)
    name, (kind, about) = CONTROLS[arguments.control], KINDS[arguments.control]
    windows = load_windows(arguments.windows)
    started = time.monotonic()
    train = windows.part("train")
    table = kind().fit(train.bases, train.scores)
    predictions = {split: table.predict(windows.part(split).bases) for split in HELD_OUT}
    facts = {"name": name, "about": about, "parameters": table.size, "trained": table.size}
    facts["elapsed_time"] = round(time.monotonic() - started, 2)
    write_predictions(predictions, facts, arguments.output_dir)
    r = pearson_r(predictions["validation"], windows.part("validation").scores)
    print(f"{name}: {table.sites:,} 10-mers with a score; validation r {r:.4f}")


if __name__ == "__main__":
    run_command(main)
