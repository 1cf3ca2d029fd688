#!/usr/bin/env python
"""Scoring a large pair of annotations: CPU seconds and memory of scripts/score.py, beside GenomeTools' ``gt eval``.

Reference and prediction are simulated (``simulated_genome.py``; --share 1 is as large as the human genome): the
prediction lacks a tenth of the genes, and a fifth of the others has misplaced exons. No baselines and no resampling:
those are other work, which grows with the bases. gt sorts both files first, as it needs them.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from measured_commands import Row, Use, medians, print_table, script, use_of
from simulated_genome import simulate

from genet5.errors import InputError, run_command
from genet5.genome.fasta import Genome

_CUT_BP = 6


def rows(share: float, repeats: int) -> list[Row]:
    """CPU seconds, megabases per CPU second and memory of scoring, with gt eval as the peer."""
    if shutil.which("gt") is None:
        raise InputError("gt: the program is not on PATH; install GenomeTools (Debian package genometools)")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        made = simulate(work, share)
        damage(made.gff3, work / "prediction.gff3")
        with Genome(made.fasta):  # the index is made now, not in the first of the runs
            pass
        flags = ["--reference", made.gff3, "--genome", made.fasta, "--genetic-code", 1, "--bootstrap", 0]
        flags += ["--prediction", work / "prediction.gff3", "--output", work / "s.json", "--table", work / "s.tsv"]
        used = medians(
            {"ours": lambda: use_of(script("score.py", *flags, "--baselines")), "gt": lambda: _gt_eval(work)}, repeats
        )
    ours, theirs = used["ours"], used["gt"]
    name = f"score, {made.bases / 1e6:,.0f} Mb, {made.transcripts:,} transcripts"
    speeds = [made.bases / 1e6 / use.cpu_s for use in (ours, theirs)]
    return [
        Row(f"{name}, gt eval", "cpu-s", ours.cpu_s, theirs.cpu_s, theirs.cpu_s / ours.cpu_s),
        Row(f"{name}, gt eval", "Mb/cpu-s", speeds[0], speeds[1], speeds[0] / speeds[1]),
        Row(f"{name}: memory, gt eval", "MB", ours.peak_mb, theirs.peak_mb, ours.peak_mb / theirs.peak_mb),
    ]


def damage(source: Path, target: Path, seed: int = 0) -> None:
    """Copy a GFF3 file without a tenth of its genes; of a fifth of the others some CDS rows begin 6 bases later."""
    rng = random.Random(seed)
    fate = 1.0
    with source.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8") as output:
        for line in lines:
            columns = line.split("\t")
            if len(columns) > 8 and columns[2].endswith("gene"):
                fate = rng.random()
            if fate < 0.1 and not line.startswith("#"):
                continue
            if len(columns) > 8 and columns[2] == "CDS" and fate < 0.3 and rng.random() < 0.2:
                columns[3] = str(min(int(columns[4]) - 1, int(columns[3]) + _CUT_BP))
                line = "\t".join(columns)
            output.write(line)


def _gt_eval(work: Path) -> Use:
    used = []
    for name in ("genome", "prediction"):
        command = ["gt", "gff3", "-sort", "-tidy", "-retainids", "-force", "-o", work / f"{name}.sorted"]
        used.append(use_of([*command, work / f"{name}.gff3"]))
    used.append(use_of(["gt", "eval", work / "genome.sorted", work / "prediction.sorted"]))
    return Use(sum(one.cpu_s for one in used), max(one.peak_mb for one in used))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the human size and one repeat")
    parser.add_argument("--share", type=float, default=1.0, help="of the human size (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=1, help="of each side (default: %(default)s)")
    arguments = parser.parse_args()
    share, repeats = (0.02, 1) if arguments.quick else (arguments.share, arguments.repeats)
    print_table("Scoring", rows(share, repeats))


if __name__ == "__main__":
    run_command(main)
