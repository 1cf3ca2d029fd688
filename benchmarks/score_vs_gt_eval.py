#!/usr/bin/env python
"""Scoring against GenomeTools' ``gt eval`` on the same files: the same counts, and how long each takes.

Yeast's own annotation (or what folder --species names) is the reference; the prediction is that annotation with a
third of its genes damaged or gone. Needs the reference data folder (GENET5_DATA) and the program gt (Debian package
genometools). Cpu seconds are of whole commands, start-up included, but for "in memory": ours reads both files, checks
the reference against the genome, scores every level with and without don't-care regions, and counts near misses; gt
sorts both files and counts.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))

from genet5.errors import InputError, run_command  # noqa: E402
from genet5.evaluate.predictions import read_predictions  # noqa: E402
from genet5.evaluate.scores import score_annotation  # noqa: E402
from genet5.genome.annotation import read_annotation  # noqa: E402
from genet5.genome.fasta import Genome, decompress_genome  # noqa: E402
from genet5.genome.genes import Annotation, Gene, Interval  # noqa: E402
from genet5.genome.genetic_code import GeneticCode  # noqa: E402
from genet5.genome.writing import write_gff3  # noqa: E402

_CUT_BP = 6
"""What damaged genes lack. Not 3: a stop codon left out of the CDS is taken in when a prediction is read."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one repeat instead of five")
    parser.add_argument("--species", default="S.cerevisiae", help="folder of the reference data (default: %(default)s)")
    parser.add_argument("--genetic-code", type=int, default=1, help="NCBI translation table (default: %(default)s)")
    arguments = parser.parse_args()
    if shutil.which("gt") is None:
        raise InputError("gt: the program is not on PATH; install GenomeTools (Debian package genometools)")
    data = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data")) / arguments.species
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        decompress_genome(data / "fna.gz", work / "fna")
        genome, code = Genome(work / "fna"), GeneticCode.from_table(arguments.genetic_code)
        genes = [_distinct(gene) for gene in read_annotation(data / "gff.gz", genome, code).trusted]
        write_gff3(work / "reference.gff3", genes, genome.lengths)
        write_gff3(work / "prediction.gff3", _damaged(genes), genome.lengths)
        times: dict[str, list[float]] = {"in memory": [], "score.py": [], "gt eval": []}
        for _ in range(1 if arguments.quick else 5):
            report, cpu_s = _in_memory(work, genome, code, genes)
            times["in memory"].append(cpu_s)
            times["score.py"].append(_cpu_s(lambda: _score_command(work, arguments.genetic_code)))
            times["gt eval"].append(_cpu_s(lambda: _gt_eval(work)))
        theirs = _gt_eval(work)
    ours = {
        level: (entry["tp"], entry["tp"] + entry["fn"], entry["tp"] + entry["fp"])
        for level in theirs
        for entry in (report[level],)
    }
    print(f"{arguments.species}: {len(genes)} genes; counts are right, in the reference, predicted")
    for level in theirs:
        verdict = "same" if ours[level] == theirs[level] else "DIFFERENT"
        print(f"{level:12} ours {ours[level]}  gt eval {theirs[level]}  {verdict}")
    median = {name: statistics.median(values) for name, values in times.items()}
    for name, value in median.items():
        print(f"{name:12} {value:6.2f} cpu-s   ratio to gt eval {value / median['gt eval']:5.2f}")
    if ours != theirs:
        raise InputError("counts differ from those of gt eval, see above")


def _distinct(gene: Gene) -> Gene:
    """GenomeTools counts isoforms that differ in their UTRs alone apart; here a chain counts once."""
    chains = {transcript.cds: transcript for transcript in reversed(gene.transcripts)}
    return replace(gene, transcripts=tuple(reversed(chains.values())))


def _damaged(genes: list[Gene]) -> list[Gene]:
    rng = random.Random(0)
    kept = []
    for gene in genes:
        fate = rng.random()
        if fate > 0.3:
            kept.append(gene)
        elif fate > 0.1:
            first, *rest = gene.canonical.cds
            shorter = (Interval(first.start, max(first.start + 1, first.end - _CUT_BP)), *rest)
            kept.append(replace(gene, transcripts=(replace(gene.canonical, cds=shorter),)))
    return kept


def _in_memory(work: Path, genome: Genome, code: GeneticCode, genes: list[Gene]) -> tuple[dict, float]:
    predicted, _ = read_predictions(work / "prediction.gff3", genome, code)
    before = resource.getrusage(resource.RUSAGE_SELF)
    report = score_annotation(Annotation(tuple(genes), ()), predicted, genome.lengths)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return report, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _cpu_s(work) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _score_command(work: Path, table: int) -> None:
    command = [sys.executable, REPOSITORY / "scripts/score.py", "--reference", work / "reference.gff3"]
    command += ["--genome", work / "fna", "--genetic-code", table, "--prediction", work / "prediction.gff3"]
    command += ["--bootstrap", 0, "--output", work / "score.json", "--table", work / "score.tsv"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


def _gt_eval(work: Path) -> dict[str, tuple[int, int, int]]:
    for name in ("reference", "prediction"):
        with (work / f"{name}.sorted.gff3").open("w") as stream:
            command = ["gt", "gff3", "-sort", "-tidy", "-retainids", work / f"{name}.gff3"]
            subprocess.run(command, stdout=stream, stderr=subprocess.DEVNULL, check=True)
    command = ["gt", "eval", work / "reference.sorted.gff3", work / "prediction.sorted.gff3"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    tp, fn = map(int, re.search(r"nucleotide sensitivity \(CDS level\): .*?TP=(\d+) \+ FN=(\d+)", text).groups())
    fp = int(re.search(r"nucleotide specificity \(CDS level\): .*?FP=(\d+)", text)[1])
    counts = {"nucleotide": (tp, tp + fn, tp + fp)}
    for level, label in (("exon", r"exon {} \(CDS level, all, collapsed\)"), ("transcript", r"mRNA {} \(CDS level\)")):
        recall, precision = (
            re.search(label.format(side) + r": +\S+ \((\d+)/(\d+)\)", text) for side in ("sensitivity", "specificity")
        )
        counts[level] = (int(recall[1]), int(recall[2]), int(precision[2]))
    return counts


if __name__ == "__main__":
    run_command(main)
