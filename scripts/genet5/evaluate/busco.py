"""BUSCO on proteins and on DNA: the real program, offline, with a lineage from disk.

The program answers most mistakes with a traceback. So the inputs are checked before it starts. They are handed over in
a temporary folder in the form it needs: unpacked, without ``*``, and with a lineage as its version reads it. A
completeness of 0 % is a result. So is an empty protein file, where nothing was predicted: every marker is missing. The
program refuses such a file and is not run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from genet5.compressed import lines_of, open_input
from genet5.errors import InputError
from genet5.evaluate.lineages import Lineage, prepare_lineage
from genet5.files import read_json
from genet5.genome.fasta import Genome, write_fasta
from genet5.genome.genes import Region

PROGRAM = "busco"
#: What a result has.
RESULT_FIELDS = {
    "lineage": "name of the lineage",
    "lineage_path": "the folder or tar that it was read from",
    "mode": "`proteins` or `genome`",
    "version": "of BUSCO",
    "n": "markers of the lineage",
    "complete": "markers found whole: `single` + `duplicated`",
    "single": "found whole once",
    "duplicated": "found whole more than once",
    "fragmented": "found in part",
    "missing": "not found",
    "markers": "class of each marker that was found: `single`, `duplicated` or `fragmented`",
    "one_line": "the shares in BUSCO's notation",
}
_STATUSES = {"Complete": "single", "Duplicated": "duplicated", "Fragmented": "fragmented", "Missing": "missing"}
_RUN = "busco"
_NO_TOOL = re.compile(r"(\S+) tool cannot be found")


def run_busco(proteins: str | Path, lineage: str | Path, threads: int = 1) -> dict:
    """Count a lineage's marker genes among proteins (FASTA, plain or gzip; one per gene, or duplicates appear).

    ``lineage`` is a folder or a tar of one (plain or packed). Returns ``RESULT_FIELDS``; lineage_path is as given.
    Raises InputError for a missing program, a missing or broken lineage, a file that is not protein FASTA, repeated
    names, and when the program fails.
    """
    program, version = _program()
    with tempfile.TemporaryDirectory(prefix="busco_") as folder:
        work = Path(folder)
        ready = prepare_lineage(Path(lineage), work / "lineage", version)
        if not prepare_proteins(Path(proteins), work / "input.fa"):
            found = _nothing_predicted(ready, version)
        else:
            _execute(program, "proteins", ready, threads, work, f"{proteins} with {lineage}")
            found = _read_result(work / _RUN, ready.name)
    return found | {"mode": "proteins", "lineage_path": str(lineage)}


def run_busco_on_genome(genome: Genome, regions: Sequence[Region], lineage: str | Path, threads: int = 1) -> dict:
    """Count a lineage's marker genes in DNA with BUSCO's own gene finder; the result is as that of ``run_busco``.

    The lineage decides on the gene finder: prodigal for prokaryotes and viruses, metaeuk (BUSCO before 5.7) or miniprot
    for eukaryotes. Raises InputError as ``run_busco`` does, and where the gene finder is not installed.
    """
    program, version = _program()
    with tempfile.TemporaryDirectory(prefix="busco_") as folder:
        work = Path(folder)
        ready = prepare_lineage(Path(lineage), work / "lineage", version)
        # BUSCO reads : and - in a name as a place, and refuses other characters that contigs may have.
        pieces = (genome.sequence(region.seqid, region.start, region.end) for region in regions)
        write_fasta(work / "input.fa", ((f"region{number}", piece) for number, piece in enumerate(pieces, 1)))
        _execute(program, "genome", ready, threads, work, f"{genome.path} with {lineage}")
        found = _read_result(work / _RUN, ready.name)
    return found | {"mode": "genome", "lineage_path": str(lineage)}


def _program() -> tuple[str, str]:
    """Path and version."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise InputError(
            f"{PROGRAM}: the program is not on PATH; install BUSCO (Debian and conda: package 'busco') or leave "
            "busco_lineage empty in the species table"
        )
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, env=_environment())
    return program, (done.stdout.split() or ["unknown"])[-1]


def prepare_proteins(proteins: Path, output: Path) -> int:
    """Write proteins as plain FASTA without ``*`` (a last one is dropped, others become X); returns their number.

    An empty file, gzipped or not, is no protein. Raises InputError for text before the first header, headers without a
    name, repeated names, records without residues and letters that are no residues.
    """
    if not proteins.exists():
        raise InputError(f"{proteins}: no such protein file")
    if not proteins.stat().st_size:
        return 0
    names: set[str] = set()
    residues: list[str] = []
    written = 0
    with open_input(proteins) as stream, output.open("w", encoding="utf-8") as target:

        def finish() -> None:
            nonlocal written
            if not names:
                return
            sequence = "".join(residues).removesuffix("*").replace("*", "X")
            if not sequence:
                raise InputError(f"{proteins}, before line {number}: protein {name!r} has no residues")
            target.write(f">{name}\n{sequence}\n")
            written += 1

        name, number = "", 0
        for number, raw in enumerate(lines_of(proteins, stream), 1):
            line = raw.decode("utf-8", "replace").strip()
            if line.startswith(">"):
                finish()
                name = (line[1:].split() or [""])[0]
                if not name or name in names:
                    problem = f"{name!r} appears twice" if name else "'>' without a name"
                    raise InputError(f"{proteins}, line {number}: {problem}; every protein needs a name of its own")
                names.add(name)
                residues = []
            elif line and not names:
                raise InputError(f"{proteins}, line {number}: not protein FASTA: expected '>', found {line[:30]!r}")
            elif line:
                if wrong := re.sub(r"[A-Za-z*]", "", line):
                    raise InputError(
                        f"{proteins}, line {number}: {wrong[0]!r} is not a residue; allowed: letters and *"
                    )
                residues.append(line)
        finish()
    return written


def _environment() -> dict[str, str]:
    """Ours without what would lead another Python program to our modules."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def _execute(program: str, mode: str, lineage: Lineage, threads: int, work: Path, what: str) -> None:
    # Without --offline the program waits minutes for a network even with a local lineage.
    command = [program, "-m", mode, "--offline", "-l", str(lineage.path), "-i", "input.fa"]
    command += ["-o", _RUN, "--out_path", str(work), "-c", str(threads), "-f"]
    done = subprocess.run(
        command,
        cwd=work,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        told = [line.split("ERROR:")[-1].strip() for line in lines if "ERROR" in line] or lines[-1:] or ["no message"]
        if absent := _NO_TOOL.match(told[0]):
            raise InputError(
                f"busco: {mode} mode with a lineage of {lineage.domain} needs the program {absent[1]}, which is not on "
                "PATH; install it" + (", or set busco.genome to false" if mode == "genome" else "")
            )
        raise InputError(f"busco failed (exit status {done.returncode}) on {what}: {told[0]}")


def _read_result(run: Path, lineage: str) -> dict:
    summaries = sorted(run.glob("short_summary.specific.*.json"))
    tables = sorted(run.glob("run_*/full_table.tsv"))
    if not summaries or not tables:
        raise InputError(f"busco ended without a summary for {lineage}: its files are not those of BUSCO 5")
    # The program reports success, and the marker missing, when a search fails: then its table lacks head or foot.
    for table in sorted(run.glob("run_*/hmmer_output/**/*.out")):
        text = table.read_text(encoding="utf-8", errors="replace")
        if "target name" not in text or not text.rstrip().endswith("[ok]"):
            raise InputError(f"busco: the search of {lineage}/hmms/{table.stem}.hmm failed; is the model damaged?")
    summary = read_json(summaries[0])
    status_of: dict[str, str] = {}
    for line in tables[0].read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            marker, status = line.split("\t")[:2]
            status_of[marker] = status
    counts = Counter(status_of.values())
    results = summary["results"]
    number = int(results["n_markers"])
    if counts.keys() - _STATUSES.keys() or counts.total() != number:
        raise InputError(f"busco: full_table.tsv counts {dict(counts)}, the summary {number} markers: unknown format")
    version = str(summary.get("versions", {}).get("busco", "unknown"))
    numbers = {ours: counts[theirs] for theirs, ours in _STATUSES.items()}
    found = {marker: _STATUSES[status] for marker, status in sorted(status_of.items()) if status != "Missing"}
    return _result(lineage, numbers, results["one_line_summary"], version) | {"markers": found}


def _nothing_predicted(lineage: Lineage, version: str) -> dict:
    markers = lineage.markers
    counts = {"single": 0, "duplicated": 0, "fragmented": 0, "missing": markers}
    one_line = f"C:0.0%[S:0.0%,D:0.0%],F:0.0%,M:100.0%,n:{markers}"
    return _result(lineage.name, counts, one_line, version) | {"markers": {}}


def _result(lineage: str, counts: dict[str, int], one_line: str, version: str) -> dict:
    complete = counts["single"] + counts["duplicated"]
    totals = {"n": sum(counts.values()), "complete": complete}
    return {"lineage": lineage, "one_line": one_line, "version": version} | totals | counts
