"""The default run in minutes: each genome of config/species.tsv is replaced by 300 kb from the reference data.

Rows keep their species, clade, genetic code, split and lineage. Where the data lack a species, a relative or other DNA
of the same kind stands in. Lineages are made of the stand-ins' own proteins, in a folder that is laid out as BUSCO's
server. Then the workflow runs, from the table to the report:

    python benchmarks/default_table_cut.py cut
    snakemake all --configfile cut/config.yaml

The networks are small and trained for minutes. So the scores mean little; that everything runs does.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml
from experiment import REPOSITORY

sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "tests" / "support")]

from busco_lineage import build_lineage, publish_lineages  # noqa: E402

from genet5.errors import InputError, run_command  # noqa: E402
from genet5.genome.annotation import read_annotation  # noqa: E402
from genet5.genome.fasta import Genome, decompress_genome, write_fasta  # noqa: E402
from genet5.genome.genes import Gene, Interval  # noqa: E402
from genet5.genome.genetic_code import GeneticCode  # noqa: E402
from genet5.genome.writing import cds_sequence, write_gff3  # noqa: E402

CUT_BP = 300_000
MARKERS, LEAST_MARKER_BP = 12, 450
#: Set of the reference data that each species is cut from, and which of its stretches, the richest in genes first.
STAND_INS = {
    "H.sapiens": ("H.sapiens.chr1", 0),
    "M.musculus": ("H.sapiens.chr1", 1),
    "A.thaliana": ("A.thaliana", 0),
    "C.elegans": ("C.elegans.chrII", 0),
    "S.pombe": ("S.pombe", 0),
    "P.falciparum": ("P.falciparum", 0),
    "E.coli": ("E.coli", 0),
    "N.crassa": ("S.cryophilus", 0),
    "D.rerio": ("H.sapiens.chr1", 2),
    "D.melanogaster": ("D.melanogaster.2L.contigs", 0),
    "S.cerevisiae": ("S.cerevisiae", 0),
    "B.subtilis": ("Bacillus.subtilis", 0),
}
CONFIG = {
    "run": "cut",
    "device": "auto",
    # Of 300 kb, 45 kb make too few windows.
    "bake": {"windows": {"vertebrate": {"window_bp": 15_000, "stride_bp": 7_500}}, "eval_samples": 8},
    "crf": {"size": "demo", "epochs": 1, "max_steps": 400, "log_every": 100},
    "writer": {"size": "demo"},
    "sft": {"epochs": 1, "max_steps": 40, "max_batch_size": 4, "token_budget": 16_384, "windows_per_step": 4,
            "lr": 2.5e-3, "log_every": 10},
    "grpo_prompts": {"num_prompts": 16},
    "grpo": {"max_steps": 2, "batch_size": 4, "windows_per_step": 4, "eval_samples": 4, "eval_steps": 1},
    "score": {"bootstrap": 100},
}  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder to write; must not exist")
    arguments = parser.parse_args(argv)
    data = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data"))
    if not data.is_dir():
        raise InputError(f"{data}: no such folder; GENET5_DATA names the folder of the reference data (docs/data.md)")
    if arguments.folder.exists():
        raise InputError(f"{arguments.folder}: is there already; name a new folder")
    with (REPOSITORY / "config" / "species.tsv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    lineages: dict[str, dict[str, str]] = {}
    for row in rows:
        proteins = cut(row, data, arguments.folder)
        lineages.setdefault(row["busco_lineage"], {}).update(proteins)
    write_table(arguments.folder / "species.tsv", rows)
    write_lineages(arguments.folder, lineages)
    config = {
        "species_sheet": str(arguments.folder / "species.tsv"),
        "busco": {"data": str(arguments.folder / "lineages")},
        **CONFIG,
    }
    (arguments.folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    print(f"snakemake all --configfile {arguments.folder / 'config.yaml'}")


def cut(row: dict[str, str], data: Path, folder: Path) -> dict[str, str]:
    """Write the cut of a species, name it in its row, and return some of its proteins by name."""
    species, code = row["species"], GeneticCode.from_table(int(row["genetic_code"]))
    source, rank = STAND_INS[species]
    genome_file, annotation_file = (folder / f"{species}.{kind}.gz" for kind in ("fna", "gff"))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        unpacked = Path(scratch) / "fna"
        decompress_genome(data / source / "fna.gz", unpacked)
        with Genome(unpacked) as genome:
            genes = read_annotation(data / source / "gff.gz", genome, code).genes
            pieces = richest(genome, genes, rank) or longest(genome)
            kept = [moved(gene, pieces) for gene in genes if inside(gene, pieces)]
            proteins = {
                f"{species}.{gene.id}": code.translate(cds_sequence(genome, gene, gene.canonical)).removesuffix("*")
                for gene in spread([gene for gene in genes if inside(gene, pieces) and not gene.flags])
            }
            bases = {name: genome.sequence(name, start, end, keep_case=True) for name, (start, end) in pieces.items()}
        write_fasta(Path(scratch) / "cut.fna", bases.items())
        write_gff3(Path(scratch) / "cut.gff3", kept, {name: len(text) for name, text in bases.items()}, source=source)
        for made, output in (("cut.fna", genome_file), ("cut.gff3", annotation_file)):
            with (Path(scratch) / made).open("rb") as plain, gzip.open(output, "wb") as packed:
                shutil.copyfileobj(plain, packed)
    total = sum(len(text) for text in bases.values())
    print(f"{species}: {total:,} bases and {len(kept)} genes of {source}, {len(bases)} contigs")
    row |= {"genome": str(genome_file), "annotation": str(annotation_file), "genome_bp": str(total)}
    row |= {"excluded_regions": "-"}  # names contigs that the cut does not have
    return proteins


def richest(genome: Genome, genes: Sequence[Gene], rank: int) -> dict[str, tuple[int, int]]:
    """The stretch of ``CUT_BP`` bases with the most genes, or the next ones; nothing if all contigs are shorter."""
    stretches = [
        {name: (start, start + CUT_BP)}
        for name in genome.names
        for start in range(0, genome.lengths[name] - CUT_BP + 1, CUT_BP)
    ]
    stretches.sort(key=lambda pieces: -sum(inside(gene, pieces) for gene in genes))
    return stretches[rank] if stretches else {}


def longest(genome: Genome) -> dict[str, tuple[int, int]]:
    """The longest contigs, of ``CUT_BP`` bases in all where there are as many."""
    pieces, wanted = {}, CUT_BP
    for name in sorted(genome.names, key=genome.lengths.__getitem__, reverse=True):
        end = min(genome.lengths[name], wanted)
        if end:
            pieces[name] = (0, end)
            wanted -= end
    return pieces


def inside(gene: Gene, pieces: dict[str, tuple[int, int]]) -> bool:
    start, end = pieces.get(gene.seqid, (0, 0))
    return start <= gene.start and gene.end <= end


def moved(gene: Gene, pieces: dict[str, tuple[int, int]]) -> Gene:
    """The gene in coordinates of its piece."""
    offset = pieces[gene.seqid][0]
    transcripts = tuple(
        replace(one, cds=tuple(Interval(start - offset, end - offset) for start, end in one.cds))
        for one in gene.transcripts
    )
    return replace(gene, transcripts=transcripts)


def spread(genes: Sequence[Gene]) -> list[Gene]:
    """Evenly spread long genes, for markers."""
    long = [gene for gene in genes if sum(end - start for start, end in gene.canonical.cds) >= LEAST_MARKER_BP]
    return long[:: max(1, len(long) // MARKERS)][:MARKERS]


def write_table(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_lineages(folder: Path, lineages: dict[str, dict[str, str]]) -> None:
    """A folder for the key busco.data with a lineage of each name."""
    with tempfile.TemporaryDirectory() as scratch:
        made = [
            build_lineage(Path(scratch), {name: text.replace("*", "X") for name, text in proteins.items()}, lineage)
            for lineage, proteins in lineages.items()
            if proteins
        ]
        publish_lineages(folder / "lineages", *made)


if __name__ == "__main__":
    run_command(main)
