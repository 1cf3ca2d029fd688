"""Sequences out of real annotations agree with other programs, and with what annotate writes beside its GFF3."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest
from Bio import SeqIO
from programs import needs

from genet5.genome.annotation import read_annotation
from genet5.genome.extraction import extract_sequences
from genet5.genome.fasta import open_genome
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.writing import cds_sequence, write_cds_fasta, write_gff3, write_proteins

#: Set -> genetic code, exons and transcripts of its file, counted there with grep, cut and sort.
REAL = {
    "S.cerevisiae/gff.gz": (1, 6833, 6446),
    "A.thaliana/gff.gz": (1, 2658, 504),
    "D.melanogaster/gff.gz": (1, 1636, 285),
    "D.melanogaster.2L.contigs/gff.gz": (1, 3392, 871),
    "C.elegans.chrII/gff.gz": (1, 304, 54),
    "P.falciparum/gff.gz": (1, 1054, 398),
    "H.sapiens/gtf.gz": (1, 831, 105),
    "Bacillus.subtilis/gff.gz": (11, 4133, 4133),
}


@pytest.mark.parametrize("name", REAL)
def test_real_annotations(shared_data: Path, tmp_path: Path, name: str) -> None:
    table, exons, transcripts = REAL[name]
    code = GeneticCode.from_table(table)
    with open_genome(shared_data / name.split("/")[0] / "fna.gz") as genome:
        done = extract_sequences(shared_data / name, genome, tmp_path / "x", genetic_code=table)
        genes = read_annotation(shared_data / name, genome, code).trusted
        expected = {t.id: cds_sequence(genome, gene, t) for gene in genes for t in gene.transcripts}
    assert (done.counts["exons"], done.counts["transcripts"]) == (exons, transcripts)
    coding = {record.id: record for record in SeqIO.parse(tmp_path / "x.cds.fna", "fasta")}
    assert len(expected) > 25
    assert {name: str(coding[name].seq) for name in expected} == expected
    proteins = {record.id: str(record.seq) for record in SeqIO.parse(tmp_path / "x.faa", "fasta")}
    for name, record in coding.items():
        cut = "partial5" in record.description
        bases = record.seq[int(record.description.split("phase=")[1][0]) if cut else 0 :]
        wanted = str(bases[: len(bases) // 3 * 3].translate(table=table))
        wanted = "M" + wanted[1:] if not cut and str(bases[:3]) in code.starts else wanted
        assert proteins.get(name, "") == wanted.removesuffix("*"), name


@needs("gt")
@pytest.mark.parametrize("name", ["A.thaliana.hmmstar", "P.vivax", "C.elegans.chrII"])
def test_cds_are_those_of_genometools(shared_data: Path, tmp_path: Path, name: str) -> None:
    for file in ("fna", "gff"):
        (tmp_path / file).write_bytes(gzip.decompress((shared_data / name / f"{file}.gz").read_bytes()))
    tidy = subprocess.run(
        ["gt", "gff3", "-sort", "-tidy", "-retainids", tmp_path / "gff"], capture_output=True, check=True
    )
    (tmp_path / "sorted.gff3").write_bytes(tidy.stdout)
    command = ["gt", "extractfeat", "-type", "CDS", "-join", "-matchdescstart", "-seqfile", tmp_path / "fna"]
    theirs = subprocess.run([*command, tmp_path / "sorted.gff3"], capture_output=True, text=True, check=True).stdout
    (tmp_path / "theirs.fna").write_text(theirs)
    with open_genome(tmp_path / "fna") as genome:
        extract_sequences(tmp_path / "gff", genome, tmp_path / "ours", ["cds"])
    found, expected = (
        sorted(str(record.seq).upper() for record in SeqIO.parse(tmp_path / file, "fasta"))
        for file in ("ours.cds.fna", "theirs.fna")
    )
    assert found == expected and len(found) > 50


def test_of_our_own_files_it_gives_what_annotate_writes(shared_data: Path, tmp_path: Path) -> None:
    code = GeneticCode.from_table(4)
    with open_genome(shared_data / "M.alvi/fna.gz") as genome:
        # Genes that scaffold ends cut are among them.
        genes = [
            gene
            for gene in read_annotation(shared_data / "M.alvi/gff.gz", genome, code).genes
            if gene.flags <= {"partial"}
        ]
        write_gff3(tmp_path / "ours.gff3", genes, genome.lengths)
        write_proteins(tmp_path / "ours.faa", genes, genome, code)
        write_cds_fasta(tmp_path / "ours.cds.fna", genes, genome)
        extract_sequences(tmp_path / "ours.gff3", genome, tmp_path / "again", genetic_code=4)
    assert any(gene.flags for gene in genes)
    for ending in (".faa", ".cds.fna"):
        assert (tmp_path / f"again{ending}").read_bytes() == (tmp_path / f"ours{ending}").read_bytes()
