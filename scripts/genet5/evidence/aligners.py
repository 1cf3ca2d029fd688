"""Proteins to hints: an aligner that is on PATH lays them on the genome, and its GFF is read as any other.

miniprot (Li 2023) is preferred; spaln (Gotoh 2008) comes with Debian and Ubuntu.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from genet5.compressed import open_input
from genet5.errors import InputError
from genet5.evidence.gff_hints import read_alignments
from genet5.evidence.hints import PROTEINS, HintFile

INSTALL = "install miniprot (conda install -c bioconda miniprot) or spaln (sudo apt-get install spaln)"
#: Alignments of a protein that are taken: genes of one family look alike.
MOST_PER_PROTEIN = 3


@dataclass(frozen=True)
class Aligner:
    """A program. there: its path, if it is on PATH. run: aligns proteins with a genome in a folder of its own; returns
    the GFF that it wrote.
    """

    program: str
    there: Callable[[], str | None]
    run: Callable[[Path, Path, Path, int], Path]


def _miniprot(genome: Path, proteins: Path, folder: Path, max_intron_bp: int) -> Path:
    """``miniprot --gff``: https://github.com/lh3/miniprot, its manual page."""
    written = folder / "aligned.gff"
    options = ["-t", "1", "-G", str(max_intron_bp), "-N", str(MOST_PER_PROTEIN), "--gff-only"]
    _call(["miniprot", *options, str(genome), str(proteins)], folder, written)
    return written


def _spaln(genome: Path, proteins: Path, folder: Path, max_intron_bp: int) -> Path:
    """``spaln -Q7 -O0``: maps and aligns; the genome is indexed first, in the folder. Its GFF3 has rows of type cds."""
    named = folder / "genome.gf"  # the name that spaln wants of a genome
    named.symlink_to(genome.resolve())
    _call(["spaln", "-W", "-KP", "-t1", f"-XG{max_intron_bp * 10}", named.name], folder)
    written = folder / "aligned.gff"
    options = ["-Q7", "-O0", "-t1", "-pw", f"-M{MOST_PER_PROTEIN}"]
    _call(["spaln", *options, "-dgenome", str(proteins.resolve())], folder, written)
    return written


ALIGNERS = (
    Aligner("miniprot", lambda: shutil.which("miniprot"), _miniprot),
    Aligner("spaln", lambda: shutil.which("spaln"), _spaln),
)


def found_aligner() -> Aligner:
    """The first that is on PATH. Raises ``InputError`` with both install commands."""
    for aligner in ALIGNERS:
        if aligner.there():
            return aligner
    raise InputError(f"proteins: no aligner is on PATH; {INSTALL}, or give a GFF of aligned proteins")


def align_proteins(proteins: Path, genome: Path, max_intron_bp: int) -> HintFile:
    """Hints of the proteins in a FASTA file, plain or gzip. genome: plain FASTA. Raises ``InputError``."""
    aligner = found_aligner()
    with tempfile.TemporaryDirectory(prefix="genet5_proteins_") as name:
        folder = Path(name)
        plain = folder / "proteins.faa"
        with open_input(proteins) as stream, plain.open("wb") as output:
            shutil.copyfileobj(stream, output)
        written = aligner.run(genome, plain, folder, max_intron_bp)
        with written.open("rb") as lines:
            found = read_alignments(lines, written, PROTEINS)
    return HintFile(str(proteins), PROTEINS, f"proteins aligned by {aligner.program}", found.hints, found.skipped)


def _call(command: list[str], folder: Path, output: Path | None = None) -> None:
    with (output or folder / "log").open("wb") as stream:
        done = subprocess.run(command, cwd=folder, stdout=stream, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        raise InputError(f"{command[0]}: exit status {done.returncode}: {said[-1]}")
