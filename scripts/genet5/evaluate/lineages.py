"""BUSCO's lineages on disk: checked before the program starts, and laid out as its version reads them.

OrthoDB's releases differ in one file. Of a match, ``lengths_cutoff`` of ``_odb10`` says how long it must be to count as
complete. ``_odb12`` has no such file: a match is complete from 80 % of its model's length on. ``_odb12.2`` has the file
again, with another meaning. BUSCO before 5.8.2 knows ``_odb10`` alone, so the rule of ``_odb12`` is written for it as a
``lengths_cutoff``. BUSCO before 6.1 cannot read ``_odb12.2``.
"""

from __future__ import annotations

import lzma
import re
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import NamedTuple

from genet5.errors import InputError
from genet5.files import one_line

#: The first version that reads these releases of OrthoDB.
READS_ODB12, READS_ODB12_2 = (5, 8, 2), (6, 1)
#: A match is complete that covers this share of its model (``_odb12``).
COMPLETE_SHARE = 0.8

_NEEDED = ("dataset.cfg", "hmms", "scores_cutoff")
_LENGTHS = "lengths_cutoff"
_NEEDED_KEYS = ("domain", "creation_date", "number_of_BUSCOs", "number_of_species")
_TAR_ENDING = re.compile(r"(\.\d{4}-\d\d-\d\d)?\.(tar(\.\w+)?|t\w+)$")
_RELEASE = re.compile(r"_odb(\d+(?:\.\d+)?)$")


class Lineage(NamedTuple):
    """A lineage ready for the program. name: its own, which ``path`` need not have. markers: their number."""

    path: Path
    name: str
    markers: int
    domain: str


def prepare_lineage(lineage: Path, folder: Path, version: str) -> Lineage:
    """Lay a checked lineage (a folder, or a tar of one) out under ``folder`` for BUSCO of this version.

    The program takes only folder names that end in ``_odb`` and a number. To others it adds ``_odb10`` and then finds
    nothing. It also fails on an empty ``prfl/``. So the folder is rebuilt from links. Raises InputError for a lineage
    that is missing, broken, or newer than the program.
    """
    source = _unpacked(lineage, folder / "unpacked") if lineage.is_file() else lineage
    if not source.is_dir():
        raise InputError(f"{lineage}: no such BUSCO lineage; give its folder or a tar of it")
    found = _RELEASE.search(source.name)
    release = found[1] if found else "10"
    needed = _NEEDED if release == "12" else (*_NEEDED, _LENGTHS)
    for name in needed:
        if not (source / name).exists():
            raise InputError(f"{lineage}: not a BUSCO lineage: {name} is missing; needed: {', '.join(needed)}")
    markers, domain = _check_dataset(lineage, source)
    models = _check_models(lineage, source, needed)
    if release == "12.2" and version_numbers(version) < READS_ODB12_2:
        other = source.name.removesuffix(".2")
        raise InputError(f"{lineage}: needs BUSCO 6.1 or newer, found {version}; this version reads {other}")
    translated = release == "12" and version_numbers(version) < READS_ODB12
    stem = source.name.removesuffix(found[0]) if found and translated else source.name
    ready = folder / "ready" / (source.name if found and not translated else f"{stem}_odb10")
    ready.mkdir(parents=True)
    for entry in sorted(source.iterdir()):
        if entry.name != "prfl" or any(entry.iterdir()):
            name = "links_to_ODB10.txt" if translated and entry.name == "links_to_ODB12.txt" else entry.name
            (ready / name).symlink_to(entry.resolve())
    if translated and not (ready / _LENGTHS).exists():
        (ready / _LENGTHS).write_text("".join(_length_line(source, model) for model in sorted(models)))
    return Lineage(ready, source.name, markers, domain)


def version_numbers(version: str) -> tuple[int, ...]:
    """``5.4.4`` -> (5, 4, 4); no numbers for a version that is unknown."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _length_line(source: Path, model: str) -> str:
    """A line of ``lengths_cutoff``: name, 0, deviation, length. A match is complete from length - 2 deviations on."""
    text = (source / "hmms" / f"{model}.hmm").read_text(encoding="utf-8", errors="replace")
    length = re.search(r"^LENG\s+(\d+)", text, re.MULTILINE)
    if not length:
        raise InputError(f"{source.name}: hmms/{model}.hmm has no line LENG: not a HMMER3 model, or cut short")
    return f"{model}\t0\t{(1 - COMPLETE_SHARE) / 2 * int(length[1]):.2f}\t{length[1]}\n"


def _unpacked(archive: Path, folder: Path) -> Path:
    folder.mkdir(parents=True)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                _write_member(tar, member, folder)
    # tarfile passes on what its members raise: of zlib, lzma and codecs, names of files that no disk takes.
    except (tarfile.TarError, EOFError, OSError, ValueError, OverflowError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{archive}: not a readable tar of a BUSCO lineage ({one_line(error)})") from error
    found = sorted(folder.glob("dataset.cfg")) + sorted(folder.glob("*/dataset.cfg"))
    if not found:
        raise InputError(f"{archive}: not a BUSCO lineage: dataset.cfg is missing; needed: {', '.join(_NEEDED)}")
    source = found[0].parent
    # A tar without a top folder carries its name in the file's name alone.
    return source if source != folder else source.rename(folder.parent / _TAR_ENDING.sub("", archive.name))


def _write_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Unpack a file. Filters of ``extractall`` came with Python 3.11.4. Links are left out: lineages have none."""
    path = (folder / member.name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise tarfile.TarError(f"{member.name} leads out of the archive")
    content = tar.extractfile(member) if member.isfile() else None
    if content is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with content, path.open("wb") as output:
            shutil.copyfileobj(content, output)


def _check_dataset(lineage: Path, source: Path) -> tuple[int, str]:
    """Number of markers, and the domain."""
    lines = (source / "dataset.cfg").read_text(encoding="utf-8", errors="replace").splitlines()
    settings = dict(line.strip().split("=", 1) for line in lines if "=" in line)
    for key in _NEEDED_KEYS:
        if key not in settings:
            raise InputError(f"{lineage}: dataset.cfg has no {key!r}; needed: {', '.join(_NEEDED_KEYS)}")
    number = settings["number_of_BUSCOs"]
    if not number.isdecimal() or int(number) == 0:
        raise InputError(f"{lineage}: dataset.cfg: number_of_BUSCOs is {number!r}, expected a whole number above 0")
    return int(number), settings["domain"].strip()


def _check_models(lineage: Path, source: Path, needed: tuple[str, ...]) -> set[str]:
    """Names of the models."""
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
    for name in (name for name in needed if name.endswith("_cutoff")):
        lines = (source / name).read_text(encoding="utf-8", errors="replace").splitlines()
        without = sorted(models - {line.split("\t")[0] for line in lines})
        if without:
            raise InputError(
                f"{lineage}: {name} has no line for {without[0]} ({len(without)} of {len(models)} missing)"
            )
    return models
