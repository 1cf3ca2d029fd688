#!/usr/bin/env python
"""Hints of RNA-seq and proteins: what they are worth to GeneT5 and to AUGUSTUS, on the same DNA with the same files.

Rows of a set: without hints, with RNA-seq, with proteins, with both; with RNA-seq that also teaches the CRF
(``--adapt``); and with wrong hints: all moved by 30 bp, and those of another chromosome. AUGUSTUS gets the files as
``--hintsfile``, with an extrinsic configuration of BRAKER's kind: an intron that is hinted counts 1,000,000-fold, one
that is not .34-fold; of proteins also starts, stops and coding parts 1,000- and 100,000-fold. Its parameters were
trained on genes of these species.

Our weights of hints were learned on other DNA (``evidence_weights.py``). Scored as in ``any_genome.py``. ``score
error`` is the calibration error of our genes' scores: how far they are from the share of exact genes, on average. A row
is kept under ``--cache`` and not made again.

    python benchmarks/evidence.py --markdown table.md

Debian packages: augustus augustus-data.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "benchmarks")]

from accuracy_vs_peers import augustus_command, output_of  # noqa: E402
from any_genome import Scored, prepare, scores_of  # noqa: E402
from any_genome_sets import TARGETS  # noqa: E402
from any_genome_tools import INSTALL, Made, _kept, run_ours, run_peer  # noqa: E402

from genet5.annotate.calibrating import judged_genes  # noqa: E402
from genet5.annotate.calibration import calibration_error  # noqa: E402
from genet5.compressed import open_input  # noqa: E402
from genet5.errors import InputError, run_command  # noqa: E402
from genet5.evaluate.predictions import read_predictions  # noqa: E402
from genet5.evaluate.verdicts import judge  # noqa: E402
from genet5.files import atomic_write  # noqa: E402
from genet5.genome.genetic_code import GeneticCode  # noqa: E402
from genet5.report.confidence import with_scores  # noqa: E402

SHIFT_BP = 30
AUGUSTUS = {
    "A.thaliana.Chr4.Chr5": "arabidopsis", "C.elegans.IV.V": "caenorhabditis", "D.melanogaster.2L": "fly",
}  # fmt: skip
SCORED_BP = {"D.melanogaster.2L": 3_000_000}
#: Our goals of exon F1 with RNA-seq.
GOALS = {"A.thaliana.Chr4.Chr5": 0.85, "C.elegans.IV.V": 0.82}
MOST_LOST = 0.01  # exon F1, by wrong hints
ADAPTED = "rnaseq, adapted"
RIGHT, WRONG = ("none", "rnaseq", "proteins", "both", ADAPTED), ("shifted", "other chromosome")
FEATURES = (
    "start stop tss tts ass dss exonpart exon intronpart intron CDSpart CDS UTRpart UTR irpart nonexonpart genicpart"
).split()
WITH_PARTS = {"ass", "dss", "exonpart", "CDSpart", "UTRpart"}


class Row(NamedTuple):
    """A line of the table."""

    name: str
    hints: str
    tool: str
    scores: dict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="ours on A. thaliana, without and with RNA-seq")
    parser.add_argument("--sets", nargs="+", choices=AUGUSTUS, default=list(AUGUSTUS), help="(default: all)")
    parser.add_argument("--hints", nargs="+", choices=RIGHT + WRONG, default=list(RIGHT + WRONG), help="(default: all)")
    parser.add_argument("--tools", nargs="+", choices=("genet5", "augustus"), default=["genet5", "augustus"])
    parser.add_argument("--max-bp", type=int, default=0, help="bases of a set at most; 0: all (%(default)s)")
    parser.add_argument("--bootstrap", type=int, default=1000, help="resamples (%(default)s)")
    parser.add_argument("--cache", type=Path, default=REPOSITORY / "data/studies/any_genome", help="(%(default)s)")
    parser.add_argument("--markdown", type=Path, help="file for the table (default: it is printed)")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.sets, arguments.hints, arguments.tools = ["A.thaliana.Chr4.Chr5"], ["none", "rnaseq"], ["genet5"]
    data = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data"))
    rows: list[Row] = []
    for name in arguments.sets:
        for row in set_rows(name, data, arguments):
            rows.append(row)
            scores = row.scores
            print(f"{name}: {row.hints}: {row.tool}: exon {scores['exon_f1']:.3f}, gene {scores['gene_f1']:.3f}, "
                  f"{scores['cpu_s']:.0f} s", file=sys.stderr, flush=True)  # fmt: skip
    text = table(rows)
    if arguments.markdown:
        with atomic_write(arguments.markdown) as stream:
            stream.write(text)
    else:
        print(text)
    missed = misses(rows)
    print("\n".join(missed))
    print(f"bar: evidence {len(missed)} goals missed target 0")
    sys.exit(bool(missed))


def set_rows(name: str, data: Path, arguments: argparse.Namespace) -> Iterator[Row]:
    """The rows of a set, ours and AUGUSTUS's in turn."""
    target = TARGETS[name]
    scored = prepare(name, target, data, arguments.cache, arguments.max_bp or SCORED_BP.get(name, 0))
    with scored.genome:
        for hints in arguments.hints:
            files = hint_files(hints, scored, data / "hints" / target.data, arguments.cache)
            if files is None:
                continue
            for tool in arguments.tools:
                if tool == "genet5":
                    flags = [f"--{source}={path}" for source, path in files.items()]
                    flags += ["--adapt"] if hints == ADAPTED else []
                    made = run_ours(target.clade, None, scored.fasta, target.code, flags, arguments.cache)
                elif hints == ADAPTED:
                    continue
                elif files:
                    made = augustus_with_hints(scored, AUGUSTUS[name], files, arguments.cache)
                else:
                    made = run_peer(f"augustus {AUGUSTUS[name]}", scored.fasta, target.code, arguments.cache)
                scores = scores_of(scored, made, data, arguments.bootstrap)
                yield Row(name, hints, tool, scores | {"score_error": score_error(scored, made)})


def score_error(scored: Scored, made: Made) -> float | None:
    """Calibration error of the scores of genes that could be judged; None where a tool gives no probabilities."""
    genes, _ = read_predictions(made.gff3, scored.genome, GeneticCode.from_table(scored.target.code))
    genes = [gene for gene in with_scores(genes, made.gff3) if gene.score is not None]
    _, verdicts = judge(scored.annotation, genes)
    judged = judged_genes(genes, verdicts)
    return calibration_error(*judged[:2]) if judged[0] and max(judged[0]) <= 1 else None


def hint_files(hints: str, scored: Scored, folder: Path, cache: Path) -> dict[str, Path] | None:
    """Files by source, those of the scored sequences alone; None where the set has no such hints."""
    rnaseq, proteins = folder / "rnaseq.introns.gff.gz", folder / "prothint_augustus.gff.gz"
    if hints == "none":
        return {}
    if hints in ("proteins", "both") and not proteins.is_file():
        return None
    names = [region.seqid for region in scored.regions]
    found = {}
    if hints != "proteins":
        found["rnaseq"] = kept_hints(changed(gff_lines(rnaseq), hints, names), scored.name, cache)
        if hints == "other chromosome" and len(names) < 2:
            return None
    if hints in ("proteins", "both"):
        found["proteins"] = kept_hints(changed(gff_lines(proteins), hints, names), scored.name, cache)
    return found


def gff_lines(path: Path) -> list[list[str]]:
    with open_input(path) as stream:
        return [line.decode().rstrip("\n").split("\t") for line in stream if not line.startswith(b"#")]


def changed(rows: Sequence[list[str]], hints: str, names: Sequence[str]) -> list[list[str]]:
    """The rows of the scored sequences; wrong ones are moved, or change places with those of the next sequence."""
    found = []
    for row in rows:
        if row[0] not in names:
            continue
        row = list(row)
        if hints == "shifted":
            row[3], row[4] = str(int(row[3]) + SHIFT_BP), str(int(row[4]) + SHIFT_BP)
        elif hints == "other chromosome":
            row[0] = names[(names.index(row[0]) + 1) % len(names)]
        found.append(row)
    return found


def kept_hints(rows: Sequence[list[str]], name: str, cache: Path) -> Path:
    """A file of these rows, named by its content."""
    text = "".join("\t".join(row) + "\n" for row in rows)
    path = cache / "hints" / f"{name}.{hashlib.sha256(text.encode()).hexdigest()[:12]}.gff"
    if not path.is_file():
        with atomic_write(path) as stream:
            stream.write(text)
    return path


def augustus_with_hints(scored: Scored, parameters: str, files: dict[str, Path], cache: Path) -> Made:
    """What AUGUSTUS writes with the hints of all files. Raises InputError where it is missing or fails."""
    text = "".join(path.read_text(encoding="utf-8") for path in files.values())
    both = kept_hints([line.split("\t") for line in text.splitlines()], scored.name, cache)
    extrinsic = cache / "hints" / "extrinsic.cfg"
    with atomic_write(extrinsic) as stream:
        stream.write(extrinsic_text())
    command = augustus_command(scored.fasta, parameters, softmasking=True)
    command[1:1] = [
        f"--translation_table={scored.target.code}", f"--hintsfile={both}", f"--extrinsicCfgFile={extrinsic}",
        "--allow_hinted_splicesites=gcag,atac",
    ]  # fmt: skip

    def annotate() -> tuple[str, float]:
        if shutil.which(command[0]) is None:
            raise InputError(f"augustus: the program is not on PATH; {INSTALL['augustus']}")
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        rows = output_of(command)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return rows, ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime

    return _kept(cache, scored.fasta, command, [both, extrinsic], annotate)


def extrinsic_text() -> str:
    """Weights of BRAKER's kind, in AUGUSTUS's format: a bonus and a malus per kind of hint, then one per source."""
    bonus = {
        "intron": {"E": "1e6", "P": "1e6", "C": "1e6"}, "start": {"P": "1e3", "C": "1e3"},
        "stop": {"P": "1e3", "C": "1e3"}, "CDSpart": {"P": "1e5", "C": "1e5"}, "nonexonpart": {"RM": "1.15"},
    }  # fmt: skip
    lines = ["[SOURCES]", "M RM E P C", "", "[SOURCE-PARAMETERS]", "", "[GENERAL]"]
    for feature in FEATURES:
        malus = "0.34" if feature == "intron" else "1"
        words = [feature, "1", *(["1"] if feature in WITH_PARTS else []), malus, "M", "1", "1e+100"]
        for source in ("RM", "E", "P", "C"):
            words += [source, "1", bonus.get(feature, {}).get(source, "1")]
        lines.append(" ".join(words))
    return "\n".join(lines) + "\n"


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    titles = ("set", "hints", "program", "genes found", "exon", "gene", "score error", "CPU s")
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for row in rows:
        cells = [row.name, row.hints, row.tool, str(row.scores["predicted"])]
        for level in ("exon", "gene"):
            low, high = row.scores[f"{level}_low"], row.scores[f"{level}_high"]
            shown = f"{row.scores[f'{level}_f1']:.3f}"
            cells.append(shown if low is None else f"{shown} [{low:.3f}, {high:.3f}]")
        error = row.scores["score_error"] if row.tool == "genet5" else None
        cells.append("" if error is None else f"{error:.3f}")
        lines.append("| " + " | ".join([*cells, f"{row.scores['cpu_s']:.0f}"]) + " |")
    return "\n".join(lines) + "\n"


def misses(rows: Sequence[Row]) -> list[str]:
    """The goals that are not met, one line each."""
    exon = {(row.name, row.hints, row.tool): row.scores["exon_f1"] for row in rows}
    found = []
    for (name, hints, tool), value in exon.items():
        if tool != "genet5":
            continue
        if hints == "rnaseq" and value < GOALS.get(name, 0):
            found.append(f"missed: {name}, {hints}: exon {value:.3f}, goal {GOALS[name]:.2f}")
        peer = exon.get((name, hints, "augustus"))
        if hints in RIGHT[1:] and peer is not None and value < peer:
            found.append(f"missed: {name}, {hints}: exon {value:.3f}, augustus {peer:.3f}")
        without = exon.get((name, "none", "genet5"))
        if hints in WRONG and without is not None and value < without - MOST_LOST:
            found.append(f"missed: {name}, {hints}: exon {value:.3f}, without hints {without:.3f}")
    return found


if __name__ == "__main__":
    run_command(main)
