"""Speed of ``genet5 annotate`` from FASTA to files beside AUGUSTUS, SNAP, geneML and Prodigal, and its gene F1.

All programs read the same FASTA file, with one thread each, and CPU seconds are of whole processes: start-up, reading
and writing count. AUGUSTUS runs with ``--sample=0`` and without heeding soft-masking, which is its faster way. SNAP has
no parameters of *Plasmodium* or of yeasts; it runs there with those of *A. thaliana*, for the speed alone.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from accuracy_vs_peers import SNAP_MODELS, augustus_command, score_set, snap_command
from speed_rows import (
    REPOSITORY,
    SpeedRow,
    SpeedSettings,
    Usage,
    alternate,
    cost_row,
    measure_command,
    median_usage,
    missing_peer_row,
    not_measured_row,
    on_path,
    rate_row,
)

from genet5.errors import InputError
from genet5.files import atomic_write
from genet5.genome.fasta import LINE_BP, Genome, decompress_genome, write_fasta

UNIT = "kb per CPU s"
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
APT_AUGUSTUS = "apt-get install augustus augustus-data"
APT_SNAP = "apt-get install snap"
MEMORY_MB, QUICK_MEMORY_MB = (1, 5, 50, 250), (1, 5)
#: Of the free memory, what a measured process may be expected to take.
SAFE_SHARE = 0.8
#: The base is not measured on longer contigs: older commits take an hour there.
LONGEST_BASE_MB, QUICK_LONGEST_BASE_MB = 50, 1


class Dna(NamedTuple):
    """What is annotated: a folder of the reference data, contigs of it, and bases of each (None: all)."""

    folder: str
    clade: str
    contigs: tuple[str, ...]
    bases: int | None
    augustus: str
    snap: str | None = None


class Peer(NamedTuple):
    """program: its name on PATH. install: what brings it. command: for a FASTA file. note: how it ran."""

    name: str
    program: str
    install: str
    command: Callable[[Path], list[str]]
    note: str = ""


WHOLE = {
    "P. falciparum 1, 2": Dna("P.falciparum", "protist", ("Pf3D7_01_v3", "Pf3D7_02_v3"), None, "pfalciparum"),
    "A. thaliana Chr1, 3, 4, 5": Dna(
        "A.thaliana", "plant", ("Chr1", "Chr3", "Chr4", "Chr5"), None, "arabidopsis", "A.thaliana"
    ),
    "S. pombe I, 5 Mb": Dna("S.pombe", "fungi", ("I",), 5_000_000, "schizosaccharomyces_pombe"),
}
QUICK = {
    "P. falciparum 1, 200 kb": Dna("P.falciparum", "protist", ("Pf3D7_01_v3",), 200_000, "pfalciparum"),
}


def speed_rows(settings: SpeedSettings) -> Iterator[SpeedRow]:
    """kb per CPU second from end to end, on each DNA beside each peer."""
    for what, dna in (QUICK if settings.quick else WHOLE).items():
        fasta = write_dna(dna, settings)
        yield from _beside_peers(what, fasta, dna.clade, (), _peers(dna, settings.work), settings)
    yield from _bacteria_rows(settings)


def thread_rows(settings: SpeedSettings) -> Iterator[SpeedRow]:
    """Seconds on the clock with two threads beside one."""
    what = "2 threads beside 1"
    if not has_threads(REPOSITORY):
        yield not_measured_row(what, "genet5 annotate has no flag --threads", "s")
        return
    name, dna = next(iter((QUICK if settings.quick else WHOLE).items()))
    fasta = write_dna(dna, settings)
    sides = {
        str(number): lambda number=number: _annotate(REPOSITORY, fasta, dna.clade, settings, threads=number)
        for number in (2, 1)
    }
    found = {key: median_usage(runs) for key, runs in alternate(sides, settings.rounds, ["2"]).items()}
    yield cost_row(
        f"{name}: {what}", "s", found["2"].wall_s, found["1"].wall_s, peer_name="GeneT5 --threads 1",
        usage=found["2"], peer_usage=found["1"], note="other programs on the machine disturb it",
    )  # fmt: skip


def memory_rows(settings: SpeedSettings) -> Iterator[SpeedRow]:
    """Most memory of the process, for one contig of random DNA. It hardly varies: one round.

    A contig for which the machine has too little memory, as the two shorter ones say, gets a row that says so.
    """
    peaks: dict[int, float] = {}
    longest = QUICK_LONGEST_BASE_MB if settings.quick else LONGEST_BASE_MB
    for megabases in QUICK_MEMORY_MB if settings.quick else MEMORY_MB:
        what = f"one random contig of {megabases} Mb"
        needed_mb, there_mb = expected_peak(peaks, megabases), psutil.virtual_memory().available / 1e6
        if needed_mb > SAFE_SHARE * there_mb:
            why = f"it would need about {needed_mb / 1000:.0f} GB, and {there_mb / 1000:.0f} GB are free"
            yield not_measured_row(what, why, "MB")
            continue
        fasta = settings.work / f"random_{megabases}.fa"
        write_random_dna(fasta, megabases * 1_000_000)
        ours = _annotate(REPOSITORY, fasta, "protist", settings)
        peaks[megabases] = ours.peak_mb or 0.0
        base = None
        if settings.base and megabases <= longest:
            base = _annotate(settings.base, fasta, "protist", settings).peak_mb
        yield cost_row(what, "MB", ours.peak_mb, base=base, usage=ours)
        fasta.unlink()


def expected_peak(peaks: Mapping[int, float], megabases: int) -> float:
    """MB for a contig of ``megabases``, on the line through the two longest that were measured; 0 without two."""
    if len(peaks) < 2:
        return 0.0
    (short, low), (long, high) = sorted(peaks.items())[-2:]
    return high + (high - low) / (long - short) * (megabases - long)


def accuracy_rows(settings: SpeedSettings) -> Iterator[SpeedRow]:
    """Gene F1 on A. thaliana beside AUGUSTUS and SNAP, which were trained on genes of this species."""
    what = "A. thaliana, gene F1"
    for program, install in (("augustus", APT_AUGUSTUS), ("snap-hmm", APT_SNAP)):
        if not on_path(program):
            yield missing_peer_row(what, "F1", program, install)
            return
    dna = WHOLE["A. thaliana Chr1, 3, 4, 5"]
    contigs = ("Chr5",) if settings.quick else dna.contigs
    fasta = write_dna(dna._replace(contigs=contigs), settings)
    _annotate(REPOSITORY, fasta, dna.clade, settings)
    ours = [f"shipped={_out(REPOSITORY, settings)}"]
    if settings.arabidopsis:
        ours.append(f"cross-validated={settings.arabidopsis}")
    document = score_set(dna.folder, settings.data / dna.folder, settings.work / "scores", ours, 0, contigs)
    f1 = {name: report["gene"]["f1"] or 0.0 for name, report in document["systems"].items()}
    peers = {"AUGUSTUS": max(f1["augustus"], f1["augustus/mask"]), "SNAP": f1["snap"]}
    for name, value in peers.items():
        details = {"peer": value, "peer_name": name}
        if settings.arabidopsis:
            yield rate_row(
                f"{what}, {', '.join(contigs)}", "F1", f1["genet5/cross-validated"], note="cross-validated", **details
            )
        yield SpeedRow(
            f"{what}, {', '.join(contigs)}", "F1", f1["genet5/shipped"],
            note="the shipped model has learned this DNA: not held out, so no ratio", **details,
        )  # fmt: skip


def write_dna(dna: Dna, settings: SpeedSettings) -> Path:
    """FASTA file with the contigs, named as the folder. Raises InputError where the reference data lack it."""
    source = settings.data / dna.folder / "fna.gz"
    if not source.is_file():
        raise InputError(f"{source}: no such file; GENET5_DATA names the folder of the reference data")
    unpacked, fasta = settings.work / f"{dna.folder}.fna", settings.work / f"{dna.folder}.fa"
    if not unpacked.is_file():
        decompress_genome(source, unpacked)
    with Genome(unpacked) as genome:
        write_fasta(fasta, [(name, genome.sequence(name, 0, dna.bases, keep_case=True)) for name in dna.contigs])
    return fasta


def write_random_dna(path: Path, bases: int) -> None:
    """One contig of random DNA, at least ``bases`` long: lines are full."""
    rng, letters = np.random.default_rng(0), np.frombuffer(b"ACGT", dtype=np.uint8)
    lines = -(-bases // LINE_BP)
    with atomic_write(path, "wb") as stream:
        stream.write(b">random\n")
        for first in range(0, lines, 100_000):
            block = np.full((min(100_000, lines - first), LINE_BP + 1), ord("\n"), dtype=np.uint8)
            block[:, :LINE_BP] = letters[rng.integers(0, 4, block[:, :LINE_BP].shape, dtype=np.uint8)]
            stream.write(block.tobytes())


def _beside_peers(
    what: str, fasta: Path, clade: str, flags: tuple[str, ...], peers: list[Peer], settings: SpeedSettings
) -> Iterator[SpeedRow]:
    kb = _bases(fasta) / 1000
    sides: dict[str, Callable[[], Usage]] = {"ours": lambda: _annotate(REPOSITORY, fasta, clade, settings, *flags)}
    there = [peer for peer in peers if on_path(peer.program)]
    for peer in there:
        sides[peer.name] = lambda peer=peer: measure_command(
            peer.command(fasta), environment=ONE_THREAD, output=settings.work / "peer.out"
        )
    warm_up = ["ours"]
    if settings.base:
        sides["base"] = lambda: _annotate(settings.base, fasta, clade, settings, *flags)
        warm_up.append("base")
    found = {name: median_usage(runs) for name, runs in alternate(sides, settings.rounds, warm_up).items()}
    ours, base = found["ours"], kb / found["base"].cpu_s if settings.base else None
    if not there:
        yield rate_row(what, UNIT, kb / ours.cpu_s, base=base, usage=ours)
    for peer in there:
        used = found[peer.name]
        yield rate_row(
            what, UNIT, kb / ours.cpu_s, kb / used.cpu_s, base,
            peer_name=peer.name, note=peer.note, usage=ours, peer_usage=used,
        )  # fmt: skip
    for peer in peers:
        if peer not in there:
            yield missing_peer_row(what, UNIT, peer.name, peer.install)


def _peers(dna: Dna, work: Path) -> list[Peer]:
    snap = dna.snap or "A.thaliana"
    peers = [
        Peer(
            "AUGUSTUS", "augustus", APT_AUGUSTUS, lambda fasta: augustus_command(fasta, dna.augustus, softmasking=False)
        ),
        Peer(
            "SNAP", "snap-hmm", APT_SNAP, lambda fasta: snap_command(fasta, SNAP_MODELS / f"{snap}.hmm"),
            "" if dna.snap else "with the parameters of A. thaliana, for the speed alone",
        ),
    ]  # fmt: skip
    if dna.clade == "fungi":
        out = str(work / "geneml.gff3")
        peers.append(
            Peer(
                "geneML", "geneml", "pip install geneml, in an environment of its own",
                lambda fasta: ["geneml", str(fasta), "--max-transcripts", "1", "-o", out],
            )
        )  # fmt: skip
    return peers


def _bacteria_rows(settings: SpeedSettings) -> Iterator[SpeedRow]:
    """The shipped model of bacteria beside Prodigal, or a model of the user's."""
    what = "E. coli K-12" + (", 1 Mb" if settings.quick else "")
    dna = Dna("E.coli", "bacteria", ("NC_000913.3",), 1_000_000 if settings.quick else None, "")
    peer = Peer(
        "Prodigal",
        "prodigal",
        "apt-get install prodigal",
        lambda fasta: ["prodigal", "-q", "-f", "gff", "-i", str(fasta)],
    )
    model = ("--model", str(settings.bacteria)) if settings.bacteria else ()
    yield from _beside_peers(what, write_dna(dna, settings), dna.clade, model, [peer], settings)


def _annotate(checkout: Path, fasta: Path, clade: str, settings: SpeedSettings, *flags: str, threads: int = 1) -> Usage:
    """``genet5 annotate`` of a checkout, with its own library, on the CPU."""
    command = [sys.executable, checkout / "scripts/annotate.py", fasta, "--clade", clade, "--device", "cpu"]
    command += ["--output", _out(checkout, settings), *flags]
    if has_threads(checkout):
        command += ["--threads", threads]
    environment = {"PYTHONPATH": str(checkout / "scripts")} | (ONE_THREAD if threads == 1 else {})
    return measure_command(command, environment=environment)


def _out(checkout: Path, settings: SpeedSettings) -> Path:
    return settings.work / ("ours" if checkout == REPOSITORY else "base")


@functools.cache
def has_threads(checkout: Path) -> bool:
    """Whether ``genet5 annotate`` of a checkout has the flag --threads."""
    with tempfile.TemporaryDirectory() as folder:
        shown = Path(folder) / "help.txt"
        environment = {"PYTHONPATH": str(checkout / "scripts")}
        measure_command(
            [sys.executable, checkout / "scripts/annotate.py", "--help"], environment=environment, output=shown
        )
        return "--threads" in shown.read_text(encoding="utf-8")


def _bases(fasta: Path) -> int:
    with Genome(fasta) as genome:
        return sum(genome.lengths.values())
