#!/usr/bin/env python
"""Baking: megabases per CPU second and memory of scripts/bake_shards.py, whole commands, start-up included.

The genomes: S. pombe (reference data folder), and a simulated one (``simulated_genome.py``; --share 1 is as large as
the human genome). Windows are those of the clades. No other program makes such shards, so the peer is the command
itself: a genome of 62 Mb in chromosomes for the same DNA cut into 50,000 contigs, and one thread for several. The row
of threads counts seconds of the clock.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from measured_commands import REPOSITORY, Row, Use, medians, print_table, script, use_of
from simulated_genome import simulate

from genet5.clades import read_clades
from genet5.errors import InputError, run_command
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome, decompress_genome, write_fasta
from genet5.genome.genes import Gene, Interval, Transcript
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.writing import write_gff3

SPECIES, NUM_CONTIGS, CUT_SHARE = "S.pombe", 50_000, 0.02


def rows(share: float, threads: int, repeats: int) -> list[Row]:
    """Speed, memory, the cost of many contigs, and what threads gain."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        return [
            *_rows_of_species(work, repeats),
            *_rows_of_contigs(work, repeats),
            *_rows_of_simulation(work, share, threads, repeats),
        ]


def _rows_of_species(work: Path, repeats: int) -> list[Row]:
    data = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data")) / SPECIES
    if not (data / "fna.gz").is_file():
        raise InputError(f"{data}: not there; set GENET5_DATA to the reference data folder")
    num_bases = sum(decompress_genome(data / "fna.gz", work / "real.fna").values())
    with Genome(work / "real.fna"):  # the index is made now, not in the first of the runs
        pass
    command = _command(work / "real.fna", data / "gff.gz", "fungi", work / "baked")
    used = medians({"ours": lambda: use_of(command)}, repeats)["ours"]
    name = f"bake, {SPECIES}, {num_bases / 1e6:.1f} Mb"
    return [Row(name, "Mb/cpu-s", num_bases / 1e6 / used.cpu_s), Row(f"{name}: memory", "MB", used.peak_mb)]


def _rows_of_contigs(work: Path, repeats: int) -> list[Row]:
    made = simulate(work, CUT_SHARE)
    number = cut_into_contigs(made.fasta, made.gff3, NUM_CONTIGS, work)
    commands = {
        "whole": _command(made.fasta, work / "whole.gff3", "fungi", work / "baked"),
        "cut": _command(work / "cut.fna", work / "cut.gff3", "fungi", work / "baked"),
    }
    for fasta in (made.fasta, work / "cut.fna"):
        with Genome(fasta):
            pass
    used = medians({name: lambda command=command: use_of(command) for name, command in commands.items()}, repeats)
    whole, cut = used["whole"], used["cut"]
    name = f"bake, {made.bases / 1e6:.0f} Mb in {number:,} contigs, whole chromosomes"
    return [
        Row(name, "cpu-s", cut.cpu_s, whole.cpu_s, whole.cpu_s / cut.cpu_s),
        Row(f"{name}: memory", "MB", cut.peak_mb, whole.peak_mb, cut.peak_mb / whole.peak_mb),
    ]


def _rows_of_simulation(work: Path, share: float, threads: int, repeats: int) -> list[Row]:
    made = simulate(work, share)
    with Genome(made.fasta):
        pass
    name = f"bake, simulated, {made.bases / 1e6:,.0f} Mb, {made.transcripts:,} transcripts"
    command = _command(made.fasta, made.gff3, "vertebrate", work / "baked")
    clock: dict[int, list[float]] = {1: [], threads: []}

    def timed(number: int) -> Use:
        began = time.perf_counter()
        use = use_of([*command, "--threads", str(number)])
        clock[number].append(time.perf_counter() - began)
        return use

    used = medians({str(number): lambda number=number: timed(number) for number in clock}, repeats)["1"]
    one, several = (statistics.median(clock[number]) for number in (1, threads))
    return [
        Row(name, "cpu-s", used.cpu_s),
        Row(name, "Mb/cpu-s", made.bases / 1e6 / used.cpu_s),
        Row(f"{name}: memory", "MB", used.peak_mb),
        Row(f"{name}: {threads} threads, one thread", "s", several, one, one / several),
    ]


def _command(fasta: Path, annotation: Path, clade: str, folder: Path) -> list[str]:
    windows = read_clades()[clade]
    flags = ["--species", "Bench", "--genome", fasta, "--annotation", annotation, "--genetic-code", 1]
    flags += ["--clade", clade, "--split", "train", "--window-bp", windows.window_bp]
    return script("bake_shards.py", *flags, "--stride-bp", windows.stride_bp, "--output-dir", folder)


def cut_into_contigs(fasta: Path, annotation: Path, number: int, folder: Path) -> int:
    """Write cut.fna and cut.gff3, and whole.gff3 with the same genes on the whole chromosomes; returns the contigs.

    Contigs are equally long, about ``number`` of them. A gene stays where one of them holds it whole.
    """
    records, cut_genes, whole_genes = [], [], []
    with Genome(fasta) as genome:
        genes = read_annotation(annotation, genome, GeneticCode.from_table(1)).trusted
        total = sum(genome.lengths.values())
        size = max(1, total // number)
        first = {}
        for seqid, length in genome.lengths.items():
            first[seqid] = len(records)
            text = genome.sequence(seqid, keep_case=True)
            records += [
                (f"c{len(records) + at}", text[at * size : (at + 1) * size]) for at in range(-(-length // size))
            ]
        for gene in genes:
            contig, last = gene.start // size, (gene.end - 1) // size
            if contig == last:
                whole_genes.append(gene)
                name = records[first[gene.seqid] + contig][0]
                cut_genes.append(_moved(gene, name, -contig * size))
        write_gff3(folder / "whole.gff3", whole_genes, genome.lengths)
    write_gff3(folder / "cut.gff3", cut_genes, write_fasta(folder / "cut.fna", records))
    return len(records)


def _moved(gene: Gene, seqid: str, offset: int) -> Gene:
    transcripts = [
        Transcript(
            one.id,
            tuple(Interval(start + offset, end + offset) for start, end in one.cds),
            one.phases,
            one.complete5,
            one.complete3,
        )
        for one in gene.transcripts
    ]
    return Gene(gene.id, seqid, gene.strand, tuple(transcripts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the human size and one repeat")
    parser.add_argument("--share", type=float, default=1.0, help="of the human size (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="compared with one (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="of each side (default: %(default)s)")
    arguments = parser.parse_args()
    share, repeats = (0.02, 1) if arguments.quick else (arguments.share, arguments.repeats)
    print_table("Baking", rows(share, arguments.threads, repeats))


if __name__ == "__main__":
    run_command(main)
