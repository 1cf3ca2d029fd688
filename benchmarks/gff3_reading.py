#!/usr/bin/env python
"""Reading GFF3: from the file to checked genes, beside ``gt gff3validator`` (GenomeTools) and a gffutils database.

The files: a simulated annotation in Ensembl's style (``simulated_genome.py``; --share 1 is as large as the human one),
plain and gzipped, and annotations of the reference data folder where there is one. Each side is a process of its own.
Rows per CPU second leave out what the same process takes to start and to import; for gt nothing is taken off. gt stops
at real files with a wrong phase: it is then no peer.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from measured_commands import REPOSITORY, CommandFailed, Row, Use, medians, print_table, use_of
from simulated_genome import simulate

from genet5.compressed import open_input
from genet5.errors import InputError, run_command
from genet5.genome.fasta import Genome, decompress_genome

SPECIES = ("S.pombe", "C.elegans", "A.thaliana")
_OURS = """
import sys
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome
from genet5.genome.genetic_code import GeneticCode
with Genome(sys.argv[2]) as genome:
    if sys.argv[1]:
        read_annotation(sys.argv[1], genome, GeneticCode.from_table(1))
"""
_GFFUTILS = """
import sys, gffutils
if sys.argv[1]:
    gffutils.create_db(sys.argv[1], sys.argv[2], merge_strategy="create_unique", keep_order=False,
                       disable_infer_genes=True, disable_infer_transcripts=True)
"""


def rows(share: float, species: tuple[str, ...], repeats: int) -> list[Row]:
    """Rows per CPU second of ours and of either peer, and memory."""
    if shutil.which("gt") is None:
        raise InputError("gt: the program is not on PATH; install GenomeTools (Debian package genometools)")
    result: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        made = simulate(work, share)
        packed = work / "genome.gff3.gz"
        with gzip.open(packed, "wb", compresslevel=6) as stream:
            stream.write(made.gff3.read_bytes())
        name = f"simulated, {made.transcripts:,} transcripts"
        result += _of_file(name, made.gff3, made.fasta, work, repeats)
        result += _of_file(f"{name}, gzip", packed, made.fasta, work, repeats)
        data = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data"))
        for one in species:
            if not (data / one / "gff.gz").is_file():
                print(f"{one}: not in {data}, left out", file=sys.stderr)
                continue
            decompress_genome(data / one / "fna.gz", work / "real.fna")
            result += _of_file(one, data / one / "gff.gz", work / "real.fna", work, repeats)
    return result


def _of_file(name: str, gff3: Path, fasta: Path, work: Path, repeats: int) -> list[Row]:
    with Genome(fasta):  # the index is made now, not in the first of the runs
        pass
    with open_input(gff3) as stream:
        num_rows = sum(line[:1] not in (b"#", b"\n") for line in stream)
    database = work / "rows.db"

    def gffutils(path: str | Path) -> Use:
        database.unlink(missing_ok=True)
        return use_of([sys.executable, "-c", _GFFUTILS, path, database])

    validate = ["gt", "gff3validator", gff3]
    try:
        reads = bool(use_of(validate))
    except CommandFailed as error:
        print(f"{name}: left out: {error}", file=sys.stderr)
        reads = False
    used = medians(
        {
            "ours": lambda: use_of([sys.executable, "-c", _OURS, gff3, fasta]),
            "nothing": lambda: use_of([sys.executable, "-c", _OURS, "", fasta]),
            **({"gt": lambda: use_of(validate)} if reads else {}),
            "gffutils": lambda: gffutils(gff3),
            "gffutils nothing": lambda: gffutils(""),
        },
        repeats,
    )
    ours = num_rows / max(used["ours"].cpu_s - used["nothing"].cpu_s, 1e-3)
    peers = {"gffutils": used["gffutils"].cpu_s - used["gffutils nothing"].cpu_s}
    if reads:
        peers["gt gff3validator"] = used["gt"].cpu_s
    table = []
    for peer, peer_s in peers.items():
        theirs = num_rows / max(peer_s, 1e-3)
        table.append(Row(f"{name}: {num_rows:,} rows, {peer}", "rows/cpu-s", ours, theirs, ours / theirs))
    memory, peer_memory = used["ours"].peak_mb, used["gffutils"].peak_mb
    table.append(Row(f"{name}: memory, gffutils", "MB", memory, peer_memory, memory / peer_memory))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the human size and one repeat")
    parser.add_argument("--share", type=float, default=0.2, help="of the human size (default: %(default)s)")
    parser.add_argument("--species", nargs="*", default=SPECIES, help="folders of the reference data (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="of each side (default: %(default)s)")
    arguments = parser.parse_args()
    share, repeats = (0.02, 1) if arguments.quick else (arguments.share, arguments.repeats)
    print_table("Reading GFF3", rows(share, tuple(arguments.species), repeats))


if __name__ == "__main__":
    run_command(main)
