#!/usr/bin/env python
"""Which clade and genetic code ``genet5 annotate`` chooses for real genomes, and by how much.

Genomes: those that ``GENET5_DATA`` holds. Any set of clades with models can be compared (``--clade-folder``). For each
genome: the clade (a star where another one with a model was expected, a question mark where the choice says that it is
unsure), the code (a star where it is not the genome's), evidence of each clade in bits per kb, and seconds.
"""

from __future__ import annotations

import argparse
import gzip
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from experiment import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))

from genet5.annotate.choosing_clade import choose
from genet5.annotate.run import chosen_regions
from genet5.clades import read_clades
from genet5.device import use_threads
from genet5.errors import run_command
from genet5.genome.fasta import open_genome


class Known(NamedTuple):
    """Clades that are right for a genome, its codes, and its file."""

    clades: tuple[str, ...]
    codes: tuple[int, ...] = (1,)
    file: str = "fna.gz"


FUNGI, PROTIST, PLANT = Known(("fungi",)), Known(("protist",)), Known(("plant",))
NEMATODE, INSECT = Known(("nematode",)), Known(("invertebrate",))
VERTEBRATE, BACTERIA = Known(("vertebrate",)), Known(("bacteria",), (11,))
ARCHAEA, MYCOPLASMA = Known(("archaea", "bacteria"), (11,)), Known(("bacteria",), (4,))
GENOMES = {
    "S.pombe": FUNGI,
    "S.cryophilus": FUNGI,
    "S.cerevisiae": FUNGI,
    "P.falciparum": Known(("plasmodium",)),
    "Babesia.bovis": PROTIST,
    "Cryptosporidium.muris": PROTIST,
    "A.thaliana.TIGR": PLANT,
    "A.thaliana": PLANT,
    "Volvox.carteri": Known(("alga",)),
    "C.elegans.chrII": NEMATODE,
    "D.melanogaster.2L": INSECT,
    "H.sapiens.chr1": VERTEBRATE,
    "T.brucei": Known(("kinetoplastid",)),
    "T.thermophila": Known(("ciliate",), (6,), "genes.gb.gz"),
    "G3PO.confirmed": Known(("ciliate",), (6,)),
    "E.coli": BACTERIA,
    "Bacillus.subtilis": BACTERIA,
    "Halobacterium.salinarum": ARCHAEA,
    "Mycoplasma.mycoides": MYCOPLASMA,
    "Mycoplasmoides.genitalium": MYCOPLASMA,
    "M.alvi": MYCOPLASMA,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genomes", nargs="+", choices=GENOMES, default=list(GENOMES), help="(default: all)")
    parser.add_argument("--clade-folder", default="", help="clades with models of your own, beside the shipped ones")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GENET5_DATA", REPOSITORY / "../shared/data")))
    arguments = parser.parse_args()
    use_threads(1)
    clades = read_clades(arguments.clade_folder)
    print("| genome | clade | code | bits per kb saved by the genes of each clade | s |\n|---|---|---|---|---|")
    for name in arguments.genomes:
        known = GENOMES[name]
        with tempfile.TemporaryDirectory() as folder:
            path = arguments.data / name / known.file
            if name == "G3PO.confirmed":
                path = ciliates(path.parent, Path(folder) / "ciliates.fa")
            with open_genome(path) as genome:
                found = choose(genome, chosen_regions(genome), clades)
        there = any(one in found.evidence for one in known.clades)
        wrong = found.clade not in known.clades
        mark = (" *" if there else " (no model of its own)") if wrong else ""
        clade = f"{found.clade}{mark}{' ?' if found.unsure else ''}"
        # Codes 1 and 11 have the same stops: which of them is the clade's matter.
        right = found.genetic_code in known.codes or {found.genetic_code, *known.codes} <= {1, 11}
        evidence = ", ".join(f"{clade} {one.saved_bits_per_kb:.1f}" for clade, one in found.evidence.items())
        print(
            f"| {name} | {clade} | {found.genetic_code}{'' if right else ' *'} | {evidence} | {found.seconds:.0f} |",
            flush=True,
        )
        print(f"{name}: {found.code_reason}", file=sys.stderr, flush=True)


def ciliates(folder: Path, output: Path) -> Path:
    """The loci of a G3PO set whose annotation says code 6."""
    with gzip.open(folder / "gff.gz", "rt") as lines:
        names = {line.split("\t")[0] for line in lines if "transl_table=6" in line}
    with gzip.open(folder / "fna.gz", "rt") as lines, output.open("w") as kept:
        wanted = False
        for line in lines:
            wanted = line[1:].split()[0] in names if line.startswith(">") else wanted
            if wanted:
                kept.write(line)
    return output


if __name__ == "__main__":
    run_command(main)
