"""Genomes and their genes: FASTA and its index, GFF3, GTF, GenBank, proteins, and regions in text."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import mutators
from reader import Reader, first_contig, first_rows, needed

from genet5.evaluate.busco import prepare_proteins
from genet5.evaluate.predictions import read_predictions
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome, decompress_genome
from genet5.genome.genbank import genbank_sequences
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.splits import format_regions, parse_regions
from genet5.genome.writing import write_gff3
from genet5.plan.genomes import contig_lengths
from genet5.species_table import Species

GFF3 = {"gff3": "S.cerevisiae", "gff3 of plants": "A.thaliana", "gff3 of bacteria": "E.coli"}
GTF = {"gtf": "S.cerevisiae.ensembl"}
GENBANK = "Y.pestis"
PROTEINS = b">a first\nMKV*\n>b\nMKVLA\nWWP\n>c\nMKXBZ*\n"


def genome_readers(data: Path, folder: Path) -> dict[str, Reader]:
    found = {}
    for name, species in (GFF3 | GTF).items():
        source = data / species
        fasta, seqid = first_contig(source / "fna.gz")
        genome = _written(folder / species, fasta)
        code = GeneticCode.from_table(11 if species == "E.coli" else 1)
        if name in GTF:
            rows = first_rows(source / "gtf.gz", seqid)
            found[name] = Reader("a.gtf", rows, mutators.TEXT, _annotation_check(genome, code))
            continue
        rows = b"##gff-version 3\n" + first_rows(source / "gff.gz", seqid)
        found[name] = Reader("a.gff", rows, mutators.TEXT, _annotation_check(genome, code))
        found[f"fasta {species}"] = Reader("a.fa", fasta[:6000], mutators.TEXT, _read_fasta)
    found["predictions"] = found["gff3"]._replace(read=_predictions_check(folder / GFF3["gff3"] / "fna"))
    whole = gzip.decompress(needed(data / GENBANK / "gbk.gz").read_bytes())
    genome = _written(folder / GENBANK, gzip.decompress(needed(data / GENBANK / "fna.gz").read_bytes()))
    found["genbank"] = Reader(
        "a.gbk", whole, mutators.TEXT, _annotation_check(genome, GeneticCode.from_table(11), circular=True)
    )
    return found | {
        "genbank sequence": Reader("a.gbk", whole, mutators.TEXT, _read_genbank_sequences),
        "fai": Reader("g.fna.fai", b"c\t20\t3\t20\t21\nd\t30\t27\t20\t21\n", mutators.TEXT, _read_fai),
        "fai of a plan": Reader("g.fna.fai", b"c\t20\t3\t20\t21\nd\t30\t27\t20\t21\n", mutators.TEXT, _read_lengths),
        "fasta of a plan": Reader("g.fna", found["fasta E.coli"].seed, mutators.TEXT, _read_lengths),
        "proteins": Reader("p.faa", PROTEINS, mutators.TEXT, _read_proteins),
        "regions": Reader("regions.txt", b"c:1-10,d,e*,c:21-30", mutators.TEXT, _read_regions),
    }


def _written(place: Path, fasta: bytes) -> Genome:
    place.mkdir(parents=True, exist_ok=True)
    (place / "fna").write_bytes(fasta)
    return Genome(place / "fna")


def _annotation_check(genome: Genome, code: GeneticCode, circular: bool = False) -> Callable[[Path], None]:
    def check(path: Path) -> None:
        found = read_annotation(path, genome, code)
        genes = found.genes
        assert len({gene.id for gene in genes}) == len(genes), "gene ids are not unique"
        for gene in genes:
            for transcript in gene.transcripts:
                for start, end in transcript.cds:
                    assert 0 <= start < end <= genome.lengths[gene.seqid], "a CDS beyond its contig"
        for region in found.dont_care:
            assert 0 <= region.start < region.end <= genome.lengths[region.seqid], (
                "a don't-care region beyond its contig"
            )
        written = path.parent / "again.gff3"
        sound = [gene for gene in genes if not gene.flags]
        if sound:
            write_gff3(written, sound, genome.lengths)
            again = read_annotation(written, genome, code)
            assert {gene.canonical.cds for gene in again.genes} == {gene.canonical.cds for gene in sound}, "round trip"

    return check


def _predictions_check(fna: Path) -> Callable[[Path], None]:
    genome, code = Genome(fna), GeneticCode.from_table(1)

    def check(path: Path) -> None:
        genes, _ = read_predictions(path, genome, code)
        for gene in genes:
            assert 0 <= gene.start < gene.end <= genome.lengths[gene.seqid], "a gene beyond its contig"

    return check


def _read_fasta(path: Path) -> None:
    lengths = decompress_genome(path, path.parent / "out.fna")
    with Genome(path.parent / "out.fna") as genome:
        assert genome.lengths == lengths, "lengths differ"


def _read_fai(path: Path) -> None:
    fna = path.with_suffix("")
    fna.write_text(">c\n" + "A" * 20 + "\n>d\n" + "C" * 20 + "\n" + "G" * 10 + "\n")
    path.touch()
    with Genome(fna) as genome:
        assert genome.sequence("c") == "A" * 20 and genome.sequence("d") == "C" * 20 + "G" * 10, "other bases"


def _read_lengths(path: Path) -> None:
    """As a plan reads them, from an index or from a genome on this machine."""
    row = Species("S.one", "fungi", 1, "train", str(path), "a.gff")
    lengths = contig_lengths(row, path if path.suffix == ".fai" else path.with_suffix(".none"))
    assert all(isinstance(name, str) and length >= 0 for name, length in lengths.items()), "a negative length"


def _read_genbank_sequences(path: Path) -> None:
    for name, bases in genbank_sequences(path):
        assert name and bases == bases.upper() and len(bases) > 0, "a record without a name or bases"


def _read_proteins(path: Path) -> None:
    written = path.parent / "out.fa"
    number = prepare_proteins(path, written)
    if number:
        text = written.read_text()
        names, sequences = text.split("\n")[:-1:2], text.split("\n")[1::2]
        assert len(names) == number and all(sequences) and "*" not in "".join(sequences), "other proteins"


def _read_regions(path: Path) -> None:
    lengths = {"c": 40, "d": 10, "e1": 10, "e2": 5}
    found = parse_regions(path.read_bytes().decode("utf-8", "replace"), lengths)
    assert parse_regions(format_regions(found, lengths), lengths) == found, "round trip"
    assert all(0 <= start < end <= lengths[seqid] for seqid, start, end in found), "a region beyond its contig"
