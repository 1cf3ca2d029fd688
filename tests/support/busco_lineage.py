"""Small BUSCO lineages made of given proteins, and a folder that publishes them as BUSCO does.

A benchmark can use it, too: it needs no pytest, but HMMER (``hmmbuild``, ``hmmsearch``) on PATH.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

TAXON = 1
DATE = "2026-01-01"
SILENT_MODEL = "HMMER3/f [3.1b2 | February 2015]\nNAME  nothing\nLENG  50\n//\n"
_GENE_FINDING = {
    "prokaryota": "prodigal_genetic_code=11\nambiguous_cd_range_upper=0.8\nambiguous_cd_range_lower=0.73\n",
    "viruses": "prodigal_genetic_code=1,11\nambiguous_cd_range_upper=0.8\nambiguous_cd_range_lower=0.73\n",
    "eukaryota": "max_intron=130000\nmax_seq_len=160000\n",
}


def marker(number: int) -> str:
    """Name of the marker that is made of the protein at this place, from 1."""
    return f"{number}at{TAXON}"


def build_lineage(
    folder: str | Path,
    proteins: Mapping[str, str],
    name: str,
    *,
    domain: str = "eukaryota",
    score_share: float = 0.4,
    length_share: float = 0.8,
    with_lengths: bool = True,
) -> Path:
    """Make the lineage ``folder/name`` with one marker for each protein (name -> residues), in their order.

    A marker's model is built of its protein alone. A match counts from ``score_share`` of the protein's own score on,
    and as complete from ``length_share`` of its length on; below, it is a fragment. name: as ``yeast_odb10``; one that
    ends in ``_odb12`` names its links as that release does. with_lengths: whether it has ``lengths_cutoff``, which
    ``_odb12`` lacks. ``links_to_ODB10.txt`` says which marker is made of which protein. Raises ValueError for a protein
    that its own model does not find.
    """
    lineage = Path(folder) / name
    for part in ("hmms", "info"):
        (lineage / part).mkdir(parents=True)
    named = {marker(number): sequence for number, sequence in enumerate(proteins.values(), 1)}
    for key, text in _models(named).items():
        (lineage / "hmms" / f"{key}.hmm").write_text(text)
    scores = _own_scores(lineage, named)
    if lost := [protein for key, protein in zip(named, proteins, strict=True) if key not in scores]:
        raise ValueError(f"the model of {lost[0]} does not find its own protein ({len(lost)} of {len(named)})")

    def table(columns: Mapping[str, tuple[object, ...]]) -> str:
        return "".join("\t".join(map(str, (key, *values))) + "\n" for key, values in columns.items())

    # BUSCO's length of a match is last minus first place in the model; complete are matches within two deviations.
    lengths = {key: len(sequence) - 1 for key, sequence in named.items()}
    shares = {key: (0, f"{(1 - length_share) / 2 * length:.3f}", length) for key, length in lengths.items()}
    fasta = "".join(f">{key}\n{sequence}\n" for key, sequence in named.items())
    links = {key: (protein, "-") for key, protein in zip(named, proteins, strict=True)}
    release = name.rpartition("_odb")[2]
    settings = {
        "name": name, "species": "any", "domain": domain, "creation_date": DATE, "number_of_BUSCOs": len(named),
        "number_of_species": 1,
    }  # fmt: skip
    text = "".join(f"{key}={value}\n" for key, value in settings.items()) + _GENE_FINDING[domain]
    (lineage / "dataset.cfg").write_text(text)
    (lineage / "scores_cutoff").write_text(table({key: (f"{score_share * scores[key]:.2f}",) for key in named}))
    if with_lengths:
        (lineage / "lengths_cutoff").write_text(table(shares))
    (lineage / f"links_to_ODB{release}.txt").write_text(table(links))
    (lineage / "ancestral").write_text(fasta)
    (lineage / "ancestral_variants").write_text(_variants(named))
    (lineage / "refseq_db.faa.gz").write_bytes(gzip.compress(_variants(named).encode(), mtime=0))
    (lineage / "info" / "species.info").write_text(f"{TAXON}\tany\n")
    (lineage / "info" / "ogs.id.info").write_text(table({protein: (key,) for key, (protein, _) in links.items()}))
    return lineage


def pack_lineage(lineage: Path, path: Path) -> Path:
    """The lineage as a tar with one folder at its top, as BUSCO publishes them; returns ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        tar.add(lineage, lineage.name)
    return path


def publish_lineages(folder: str | Path, *lineages: Path) -> Path:
    """A folder for the config key ``busco.data``: ``file_versions.tsv`` and ``lineages/``; returns it."""
    place = Path(folder)
    rows = []
    for lineage in lineages:
        tar = pack_lineage(lineage, place / "lineages" / f"{lineage.name}.{DATE}.tar.gz")
        md5 = hashlib.md5(tar.read_bytes()).hexdigest()
        domain = re.search(r"^domain=(.+)", (lineage / "dataset.cfg").read_text(), re.MULTILINE)[1]
        rows.append(f"{lineage.name}\t{DATE}\t{md5}\t{domain}\tlineages\n")
    (place / "file_versions.tsv").write_text("".join(rows))
    return place


def lineage_folder(
    folder: Path, name: str = "mini_odb10", markers: Sequence[str] = ("1at2", "3at2"), **changed: str | None
) -> Path:
    """A lineage that passes all checks, whose models say nothing. changed: text of its files; None leaves one out."""
    path = folder / name
    (path / "hmms").mkdir(parents=True)
    for key in markers:
        (path / "hmms" / f"{key}.hmm").write_text(SILENT_MODEL)
    files = {
        "dataset.cfg": "domain=viruses\ncreation_date=2024-01-08\nnumber_of_BUSCOs=2\nnumber_of_species=39\n",
        "scores_cutoff": "1at2\t25.8\n3at2\t31.4\n",
        "lengths_cutoff": "1at2\t0\t9\t78\n3at2\t0\t25\t247\n",
    } | changed
    for file, text in files.items():
        if text is not None:
            (path / file).write_text(text)
    return path


def _variants(named: Mapping[str, str]) -> str:
    return "".join(f">{key}_0\n{sequence}\n" for key, sequence in named.items())


def _models(named: Mapping[str, str]) -> dict[str, str]:
    """A HMMER3 model of each sequence."""
    with tempfile.TemporaryDirectory() as folder:
        alignments, models = Path(folder) / "all.sto", Path(folder) / "all.hmm"
        alignments.write_text(
            "".join(f"# STOCKHOLM 1.0\n#=GF ID {key}\nprotein {sequence}\n//\n" for key, sequence in named.items())
        )
        _call("hmmbuild", "--amino", "-o", "/dev/null", str(models), str(alignments))
        texts = [f"{text}//\n" for text in models.read_text().split("//\n")[:-1]]
    return {re.search(r"^NAME\s+(\S+)", text, re.MULTILINE)[1]: text for text in texts}


def _own_scores(lineage: Path, named: Mapping[str, str]) -> dict[str, float]:
    """The bit score of each protein in its own model."""
    with tempfile.TemporaryDirectory() as folder:
        models, proteins, found = (Path(folder) / name for name in ("all.hmm", "all.faa", "found.txt"))
        models.write_text("".join((lineage / "hmms" / f"{key}.hmm").read_text() for key in named))
        proteins.write_text("".join(f">{key}\n{sequence}\n" for key, sequence in named.items()))
        _call("hmmsearch", "-o", "/dev/null", "--domtblout", str(found), str(models), str(proteins))
        rows = [line.split() for line in found.read_text().splitlines() if not line.startswith("#")]
    return {row[0]: float(row[7]) for row in rows if row[0] == row[3]}


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
