"""BUSCO on predicted proteins: the real program in protein mode, offline, with a lineage from disk.

The program answers most mistakes with a traceback. So the inputs are checked before it starts. They are handed over in
a temporary folder in the form it needs: unpacked, without ``*``, and with a lineage folder named ``..._odb...``. A
completeness of 0 % is a result. So is an empty protein file, where nothing was predicted: every marker is missing. The
program refuses such a file and is not run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections import Counter
from pathlib import Path

from genet5.compressed import open_input
from genet5.errors import InputError
from genet5.files import read_json

PROGRAM = "busco"
_NEEDED = ("dataset.cfg", "hmms", "scores_cutoff", "lengths_cutoff")
_NEEDED_KEYS = ("domain", "creation_date", "number_of_BUSCOs", "number_of_species")
_STATUSES = {"Complete": "single", "Duplicated": "duplicated", "Fragmented": "fragmented", "Missing": "missing"}
_RUN = "busco"


def run_busco(proteins: str | Path, lineage: str | Path, threads: int = 1) -> dict:
    """Count a lineage's marker genes among proteins (FASTA, plain or gzip; one per gene, or duplicates appear).

    ``lineage`` is a folder or a tar of one (plain or packed). Returns lineage, n, complete, single, duplicated,
    fragmented and missing (numbers of markers, complete = single + duplicated), one_line (BUSCO's notation) and
    version. Raises InputError for a missing program, a missing or broken lineage, a file that is not protein FASTA,
    repeated names, and when the program fails.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise InputError(
            f"{PROGRAM}: the program is not on PATH; install BUSCO (Debian and conda: package 'busco') or leave "
            "busco_lineage empty in the species table"
        )
    with tempfile.TemporaryDirectory(prefix="busco_") as folder:
        work = Path(folder)
        ready, name, markers = prepare_lineage(Path(lineage), work / "lineage")
        number = prepare_proteins(Path(proteins), work / "proteins.faa")
        if not number:
            return _nothing_predicted(name, markers, _program_version(program))
        _execute(program, ready, threads, work, f"{proteins} with {lineage}")
        return _read_result(work / _RUN, name)


def prepare_lineage(lineage: Path, folder: Path) -> tuple[Path, str, int]:
    """Lay a checked lineage out under ``folder``; returns its new path, its own name and its number of markers.

    The program takes only folder names that end in ``_odb`` and a number. To others it adds ``_odb10`` and then finds
    nothing. It also fails on an empty ``prfl/``. So the folder is rebuilt from links.
    """
    source = _unpacked(lineage, folder / "unpacked") if lineage.is_file() else lineage
    if not source.is_dir():
        raise InputError(f"{lineage}: no such BUSCO lineage; give its folder or a tar of it")
    for name in _NEEDED:
        if not (source / name).exists():
            raise InputError(f"{lineage}: not a BUSCO lineage: {name} is missing; needed: {', '.join(_NEEDED)}")
    markers = _check_dataset(lineage, source)
    _check_models(lineage, source)
    name = source.name
    ready = folder / (name if re.search(r"_odb\d+$", name) else f"{name}_odb10")
    ready.mkdir(parents=True)
    for entry in sorted(source.iterdir()):
        if entry.name != "prfl" or any(entry.iterdir()):
            (ready / entry.name).symlink_to(entry.resolve())
    return ready, name, markers


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
        for number, raw in enumerate(stream, 1):
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


def _unpacked(archive: Path, folder: Path) -> Path:
    folder.mkdir(parents=True)
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"{archive}: not a readable tar of a BUSCO lineage ({error})") from error
    found = sorted(folder.glob("dataset.cfg")) + sorted(folder.glob("*/dataset.cfg"))
    if not found:
        raise InputError(f"{archive}: not a BUSCO lineage: dataset.cfg is missing; needed: {', '.join(_NEEDED)}")
    source = found[0].parent
    # A tar without a top folder carries its name in the file's name alone.
    return source if source != folder else source.rename(folder.parent / archive.name.split(".")[0])


def _check_dataset(lineage: Path, source: Path) -> int:
    lines = (source / "dataset.cfg").read_text(encoding="utf-8", errors="replace").splitlines()
    settings = dict(line.strip().split("=", 1) for line in lines if "=" in line)
    for key in _NEEDED_KEYS:
        if key not in settings:
            raise InputError(f"{lineage}: dataset.cfg has no {key!r}; needed: {', '.join(_NEEDED_KEYS)}")
    number = settings["number_of_BUSCOs"]
    if not number.isdecimal() or int(number) == 0:
        raise InputError(f"{lineage}: dataset.cfg: number_of_BUSCOs is {number!r}, expected a whole number above 0")
    return int(number)


def _check_models(lineage: Path, source: Path) -> None:
    models = {path.stem for path in (source / "hmms").glob("*.hmm")}
    if not models:
        raise InputError(f"{lineage}: hmms holds no .hmm file")
    for model in sorted(models):
        if not re.match(r"\d+at", model):
            raise InputError(
                f"{lineage}: hmms/{model}.hmm: BUSCO sorts markers by names like 10at10240 and fails on others"
            )
        text = (source / "hmms" / f"{model}.hmm").read_bytes()
        if not text.startswith(b"HMMER3") or not text.rstrip().endswith(b"//"):
            raise InputError(f"{lineage}: hmms/{model}.hmm is not a HMMER3 model, or cut short")
    for name in ("scores_cutoff", "lengths_cutoff"):
        lines = (source / name).read_text(encoding="utf-8", errors="replace").splitlines()
        without = sorted(models - {line.split("\t")[0] for line in lines})
        if without:
            raise InputError(
                f"{lineage}: {name} has no line for {without[0]} ({len(without)} of {len(models)} missing)"
            )


def _environment() -> dict[str, str]:
    """Ours without what would lead another Python program to our modules."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def _program_version(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, env=_environment())
    return (done.stdout.split() or ["unknown"])[-1]


def _execute(program: str, lineage: Path, threads: int, work: Path, what: str) -> None:
    # Without --offline the program waits minutes for a network even with a local lineage.
    command = [program, "-m", "proteins", "--offline", "-l", str(lineage), "-i", "proteins.faa"]
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
        raise InputError(f"busco failed (exit status {done.returncode}) on {what}: {told[0]}")


def _read_result(run: Path, lineage: str) -> dict:
    summaries = sorted(run.glob("short_summary.specific.*.json"))
    tables = sorted(run.glob("run_*/full_table.tsv"))
    if not summaries or not tables:
        raise InputError(f"busco ended without a summary for {lineage}: its files are not those of BUSCO 5")
    # The program reports success, and the marker missing, when a search fails: then its table lacks head or foot.
    for table in sorted(run.glob("run_*/hmmer_output/*.out")):
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
    return _result(
        lineage, {ours: counts[theirs] for theirs, ours in _STATUSES.items()}, results["one_line_summary"], version
    )


def _nothing_predicted(lineage: str, markers: int, version: str) -> dict:
    counts = {"single": 0, "duplicated": 0, "fragmented": 0, "missing": markers}
    return _result(lineage, counts, f"C:0.0%[S:0.0%,D:0.0%],F:0.0%,M:100.0%,n:{markers}", version)


def _result(lineage: str, counts: dict[str, int], one_line: str, version: str) -> dict:
    complete = counts["single"] + counts["duplicated"]
    totals = {"n": sum(counts.values()), "complete": complete}
    return {"lineage": lineage, "one_line": one_line, "version": version} | totals | counts
