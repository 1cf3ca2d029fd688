"""Gene finders of ``any_genome.py``: what one wrote about a piece of DNA is kept, and found again by checksum.

The key is the DNA, the command line and, for ours, the files of the model and of the product. So a second run costs
nothing, and a changed model or program is run anew.
"""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from accuracy_vs_peers import SNAP_MODELS, augustus_command, output_of, run_snap, snap_command
from measured_commands import REPOSITORY, script, use_of

from genet5.errors import InputError
from genet5.files import atomic_write, read_json, write_json

OUR_FILES = ("scripts/genet5", "resources/clades", "resources/evidence")  # with other ones, an annotation is made anew
INSTALL = {
    "augustus": "sudo apt-get install augustus augustus-data",
    "snap-hmm": "sudo apt-get install snap",
    "prodigal": "sudo apt-get install prodigal",
    "geneml": "pip install geneml, in an environment of its own (it needs TensorFlow)",
}


class Made(NamedTuple):
    """An annotation, and the CPU seconds (user and system, start included) that it took."""

    gff3: Path
    cpu_s: float


def run_peer(peer: str, fasta: Path, code: int, cache: Path) -> Made:
    """What ``prodigal``, ``geneml``, ``augustus PARAMETERS`` or ``snap MODEL`` writes.

    Raises InputError where the program is missing or fails.
    """
    program, _, parameters = peer.partition(" ")
    written = cache / "peer.gff3"
    if program == "augustus":
        command = augustus_command(fasta, parameters, softmasking=True)
        command.insert(1, f"--translation_table={code}")
    elif program == "snap":
        command = snap_command(fasta, SNAP_MODELS / f"{parameters}.hmm")
    elif program == "prodigal":
        command = ["prodigal", "-i", str(fasta), "-g", str(code), "-f", "gff", "-p", "single", "-q"]
    elif program == "geneml":
        command = ["geneml", str(fasta), "--max-transcripts", "1", "-o", str(written)]
    else:
        raise InputError(f"{peer}: no such peer; allowed: augustus, snap, prodigal, geneml")

    def annotate() -> tuple[str, float]:
        if shutil.which(command[0]) is None:
            raise InputError(f"{command[0]}: the program is not on PATH; {INSTALL[command[0]]}")
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        rows = run_snap(fasta, Path(command[2])) if program == "snap" else output_of(command)
        if program == "geneml":
            rows = written.read_text(encoding="utf-8")
            written.unlink()
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return rows, ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime

    return _kept(cache, fasta, command, [], annotate)


def run_ours(clade: str, model: Path | None, fasta: Path, code: int, flags: Sequence[str], cache: Path) -> Made:
    """What ``genet5 annotate`` writes on one thread of the CPU; ``flags`` come last and override the others."""
    command = script("annotate.py", fasta, f"--clade={clade}", f"--genetic-code={code}", "--device=cpu", "--threads=1")
    command += [f"--model={model.resolve()}"] if model else []
    command += flags
    rest = sorted(path for folder in OUR_FILES for path in _files(REPOSITORY / folder))
    model_files = _files(model) if model else _files(REPOSITORY / "resources/models")

    def annotate() -> tuple[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            used = use_of([*command, f"--output={folder}"])
            (found,) = Path(folder).glob("*.gff3")
            return found.read_text(encoding="utf-8"), used.cpu_s

    return _kept(cache, fasta, command, [*rest, *model_files], annotate)


def model_card(model: Path) -> str:
    """The card of a model's folder; empty where it has none."""
    card = model / "README.md"
    return card.read_text(encoding="utf-8") if card.is_file() else ""


def taught_species(card: str) -> list[str]:
    """The entries of ``datasets`` in a card's front matter: what taught the model, species first."""
    taught, inside = [], False
    for line in card.splitlines():
        if inside and line.startswith("  - "):
            taught.append(line[4:].strip())
        else:
            inside = line.strip() == "datasets:"
    return taught


def _kept(
    cache: Path, fasta: Path, command: Sequence[str], files: Sequence[Path], annotate: Callable[[], tuple[str, float]]
) -> Made:
    words = [
        "FASTA" if word == str(fasta) else word.replace(str(REPOSITORY), "").replace(str(cache), "") for word in command
    ]
    digest = hashlib.sha256(json.dumps(words[1:] if files else words).encode())
    for path in (fasta, *files):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    cache.mkdir(parents=True, exist_ok=True)
    gff3 = cache / f"{fasta.stem}.{digest.hexdigest()[:20]}.gff3"
    facts = gff3.with_suffix(".json")
    if not facts.is_file():
        rows, cpu_s = annotate()
        with atomic_write(gff3) as stream:
            stream.write("##gff-version 3\n")
            stream.writelines(f"{line}\n" for line in rows.splitlines() if line and not line.startswith("#"))
        write_json(facts, {"command": words, "cpu_s": round(cpu_s, 2)})
    return Made(gff3, read_json(facts)["cpu_s"])


def _files(folder: Path) -> list[Path]:
    """All but cards and what Python makes."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md")
    return sorted(path for path in found if path.parent.name != "__pycache__")
