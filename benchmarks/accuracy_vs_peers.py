#!/usr/bin/env python
"""Our annotations beside AUGUSTUS, SNAP, Prodigal and the ORF scan on held-out DNA, one scorer for all.

Sets are the contigs of the reference data (GENET5_DATA) that are annotated well enough to score. AUGUSTUS runs as
shipped for the species, with the stop codon inside the CDS, with and without heeding soft-masking, and both rows are
shown. What a peer wrote is kept under ``--work`` and not run again. AUGUSTUS and SNAP were trained on genes of these
very species, so their rows are not held out. Ours: ``--ours sft=data/annotation/fungi/sft`` reads ``{set}.gff3`` of
that folder, and ``{set}.json`` beside it for the time.

Debian packages: augustus augustus-data snap.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))

from genet5.errors import InputError, run_command  # noqa: E402
from genet5.evaluate.comparison import Prediction, compare  # noqa: E402
from genet5.evaluate.tables import score_text  # noqa: E402
from genet5.files import atomic_write, write_json  # noqa: E402
from genet5.genome.fasta import Genome, decompress_genome, write_fasta  # noqa: E402
from genet5.genome.genes import Region  # noqa: E402
from genet5.genome.genetic_code import GeneticCode  # noqa: E402

SNAP_MODELS = Path("/usr/share/snap/HMM")
CODE = GeneticCode.from_table(1)


class Held(NamedTuple):
    """DNA that is scored: contigs of a folder of the reference data, and the peers' models for it."""

    contigs: tuple[str, ...]
    augustus: str
    snap: str | None


SETS = {
    "S.pombe": Held(("III",), "schizosaccharomyces_pombe", None),
    "P.falciparum": Held(("Pf3D7_01_v3", "Pf3D7_02_v3"), "pfalciparum", None),
    "A.thaliana": Held(("Chr1", "Chr3", "Chr4", "Chr5"), "arabidopsis", "A.thaliana"),
    "C.elegans": Held(("I", "II", "III", "IV", "V"), "caenorhabditis", "C.elegans"),
    "D.melanogaster": Held(("2L", "3L"), "fly", "D.melanogaster"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the fly alone, which takes less than a minute")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), help="(default: all)")
    parser.add_argument("--ours", nargs="*", default=[], metavar="NAME=FOLDER", help="annotations to score")
    parser.add_argument("--bootstrap", type=int, default=1000, help="resamples of 1-Mb blocks (%(default)s)")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "data/studies/peers", help="kept here (%(default)s)")
    arguments = parser.parse_args()
    data = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data"))
    for program, package in (("augustus", "augustus augustus-data"), ("snap-hmm", "snap")):
        if shutil.which(program) is None:
            raise InputError(f"{program}: the program is not on PATH; sudo apt-get install {package}")
    gaps = {}
    for name in ["D.melanogaster"] if arguments.quick else arguments.sets:
        document = score_set(name, data / name, arguments.work / name, arguments.ours, arguments.bootstrap)
        print(score_text(document))
        for level in ("exon", "gene"):
            f1 = {system: report[level]["f1"] or 0.0 for system, report in document["systems"].items()}
            peer = max(value for system, value in f1.items() if system.startswith("augustus"))
            ours = [value for system, value in f1.items() if system.startswith("genet5")]
            if ours:
                gaps[f"{name} {level}"] = max(ours) - peer
    if gaps:
        listed = ", ".join(f"{name} {gap:+.3f}" for name, gap in gaps.items())
        print(f"best of ours minus better AUGUSTUS, F1: {listed}")


def score_set(
    name: str, source: Path, work: Path, ours: list[str], bootstrap: int, contigs: tuple[str, ...] = ()
) -> dict:
    """The score document of a set; raises InputError where something to read is missing.

    contigs: those that are annotated and scored, by default all of the set. A work folder serves one choice of them.
    """
    if not (source / "fna.gz").is_file():
        raise InputError(f"{source / 'fna.gz'}: no such file; GENET5_DATA names the folder of the reference data")
    held = SETS[name]
    scored = contigs or held.contigs
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "fna").is_file():
        decompress_genome(source / "fna.gz", work / "fna")
    predictions = []
    for entry in ours:
        label, equals, folder = entry.partition("=")
        if not equals:
            raise InputError(f"--ours {entry}: expected NAME=FOLDER, for example sft=data/annotation/fungi/sft")
        timing = Path(folder) / f"{name}.json"
        path = Path(folder) / f"{name}.gff3"
        predictions.append(Prediction(f"genet5/{label}", path, timing if timing.is_file() else None))
    with Genome(work / "fna") as genome:
        regions = [Region(contig, 0, genome.lengths[contig]) for contig in scored]
        jobs: dict[str, Callable[[Path], str]] = {
            "augustus": lambda fasta: run_augustus(fasta, held.augustus, softmasking=False),
            "augustus/mask": lambda fasta: run_augustus(fasta, held.augustus, softmasking=True),
        }
        if held.snap:
            jobs["snap"] = lambda fasta: run_snap(fasta, SNAP_MODELS / f"{held.snap}.hmm")
        for label, run in jobs.items():
            kept = run_peer(work, label.replace("/", "_"), genome, scored, run)
            predictions.append(Prediction(label, kept, kept.with_suffix(".json")))
        baselines = ["orf_atg", "prodigal"]
        return compare(
            name, source / "gff.gz", genome, CODE,
            predictions=predictions, baselines=baselines, regions=regions, bootstrap=bootstrap, seed=42,
        )  # fmt: skip


def run_peer(work: Path, label: str, genome: Genome, contigs: tuple[str, ...], run: Callable[[Path], str]) -> Path:
    """GFF3 that a peer writes for the contigs, one after the other; the CPU seconds stand in a JSON file beside it."""
    path = work / f"{label}.gff3"
    if path.is_file():
        return path
    rows, began = [], resource.getrusage(resource.RUSAGE_CHILDREN)
    for contig in contigs:
        fasta = work / f"{label}.fa"
        write_fasta(fasta, [(contig, genome.sequence(contig, keep_case=True))])
        rows.append(run(fasta).replace("ID=", f"ID={contig}.").replace("Parent=", f"Parent={contig}."))
        fasta.unlink()
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
    write_json(path.with_suffix(".json"), {"bases": sum(genome.lengths[contig] for contig in contigs), "cpu_s": cpu_s})
    with atomic_write(path) as stream:
        stream.write("##gff-version 3\n" + "".join(rows))
    return path


def augustus_command(fasta: Path, species: str, softmasking: bool) -> list[str]:
    """``--sample=0`` gives the same genes three times as fast."""
    options = ["--gff3=on", "--sample=0", "--stopCodonExcludedFromCDS=false", "--protein=off", "--codingseq=off"]
    return ["augustus", f"--species={species}", f"--softmasking={int(softmasking)}", *options, str(fasta)]


def run_augustus(fasta: Path, species: str, softmasking: bool) -> str:
    """Rows of one sequence."""
    text = output_of(augustus_command(fasta, species, softmasking))
    return "".join(f"{line}\n" for line in text.splitlines() if line and not line.startswith("#"))


def snap_command(fasta: Path, model: Path) -> list[str]:
    """Raises InputError where the model is missing."""
    if not model.is_file():
        raise InputError(f"{model}: no such file; sudo apt-get install snap")
    return ["snap-hmm", "-gff", str(model), str(fasta)]


def run_snap(fasta: Path, model: Path) -> str:
    """SNAP's exons as CDS rows: the ninth column is the gene's name."""
    rows, seen = [], set()
    for line in output_of(snap_command(fasta, model)).splitlines():
        seqid, source, _, start, end, _, strand, _, name = line.split("\t")
        if name not in seen:
            seen.add(name)
            rows.append(f"{seqid}\t{source}\tmRNA\t{start}\t{end}\t.\t{strand}\t.\tID={name}\n")
        rows.append(f"{seqid}\t{source}\tCDS\t{start}\t{end}\t.\t{strand}\t.\tParent={name}\n")
    return "".join(rows)


def output_of(command: list[str]) -> str:
    """Standard output of a peer; raises InputError with its last words if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise InputError(f"{' '.join(command)}: exit status {done.returncode}: {words[-1]}")
    return done.stdout


if __name__ == "__main__":
    run_command(main)
