"""Prodigal as labeller: the same genes as Prodigal's own output, cut genes marked, the same bytes every time."""

from __future__ import annotations

import gzip
import importlib.util
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from genet5.errors import InputError
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome, decompress_genome
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.prodigal import label_genome
from genet5.genome.writing import validate_gff3, write_gff3, write_proteins

CODE = GeneticCode.from_table(11)
DATA = Path(importlib.util.find_spec("pyrodigal").origin).parent / "tests" / "data"


def unpacked(folder: Path, name: str) -> Genome:
    decompress_genome(DATA / f"{name}.fna.gz", folder / f"{name}.fna")
    return Genome(folder / f"{name}.fna")


def prodigals_proteins(name: str) -> list[tuple[int, int, str, str, str]]:
    """(start, end, strand, partial flags, protein) of Prodigal's own FASTA output."""
    text = gzip.decompress((DATA / f"{name}.single.faa.gz").read_bytes()).decode()
    found = []
    for block in text.split(">")[1:]:
        header, _, letters = block.partition("\n")
        start, end, strand = header.split(" # ")[1:4]
        partial = re.search(r"partial=(\d\d)", header)[1]
        found.append((int(start), int(end), "+" if strand == "1" else "-", partial, letters.replace("\n", "")))
    return found


@pytest.mark.parametrize("name", ["SRR492066", "KK037166", "MIIJ01000039"])
def test_genes_and_proteins_are_prodigals_own(tmp_path: Path, name: str) -> None:
    genome = unpacked(tmp_path, name)
    length = sum(genome.lengths.values())
    genes = label_genome(genome, CODE)
    write_proteins(tmp_path / "out.faa", genes, genome, CODE)
    blocks = (tmp_path / "out.faa").read_text().split(">")[1:]
    proteins = ["".join(block.splitlines()[1:]) for block in blocks]
    expected = prodigals_proteins(name)
    assert len(genes) == len(expected)
    for gene, protein, (start, end, strand, partial, letters) in zip(genes, proteins, expected, strict=True):
        assert gene.strand == strand
        assert gene.start == (0 if partial[0] == "1" else start - 1)
        assert gene.end == (length if partial[1] == "1" else end)
        left, right = (gene.canonical.complete5, gene.canonical.complete3)[:: 1 if strand == "+" else -1]
        assert (not left, not right) == (partial[0] == "1", partial[1] == "1")
        assert protein == letters.rstrip("*")


def test_written_labels_are_valid_and_read_back(tmp_path: Path) -> None:
    genome = unpacked(tmp_path, "SRR492066")
    genes = label_genome(genome, CODE)
    write_gff3(tmp_path / "gff.gz", genes, genome.lengths, source="Prodigal")
    assert validate_gff3(tmp_path / "gff.gz", genome, CODE) == len(genes)
    again = read_annotation(tmp_path / "gff.gz", genome, CODE)
    assert [(gene.id, gene.strand, gene.canonical) for gene in again.genes] == [
        (gene.id, gene.strand, gene.canonical) for gene in genes
    ]
    assert len(again.trusted) == sum(gene.canonical.complete5 and gene.canonical.complete3 for gene in genes)
    assert all(0.5 <= gene.score <= 1 for gene in genes)


def test_every_phase_at_every_edge(tmp_path: Path) -> None:
    """Contigs cut out of one sequence at all offsets: whatever reaches the edge reads on in frame."""
    genome = unpacked(tmp_path, "SRR492066")
    bases = genome.sequence(genome.names[0])
    contigs = {f"c{cut}": bases[40_000 + cut : 43_000 + 2 * cut] for cut in range(9)} | {"rest": bases}
    path = tmp_path / "pieces.fna"
    path.write_text("".join(f">{name}\n{text}\n" for name, text in contigs.items()))
    with Genome(path) as pieces:
        genes = label_genome(pieces, CODE)
        cut = [gene for gene in genes if not (gene.canonical.complete5 and gene.canonical.complete3)]
        assert {gene.canonical.phases[0] for gene in cut if not gene.canonical.complete5} == {0, 1, 2}
        assert all(gene.start == 0 or gene.end == len(contigs[gene.seqid]) for gene in cut)
        write_gff3(tmp_path / "x.gff3", genes, pieces.lengths)
        assert validate_gff3(tmp_path / "x.gff3", pieces, CODE) == len(genes)


def test_closed_ends_leave_no_partial_gene(tmp_path: Path) -> None:
    genes = label_genome(unpacked(tmp_path, "SRR492066"), CODE, closed=True)
    assert all(gene.canonical.complete5 and gene.canonical.complete3 for gene in genes)


def test_genetic_code_is_used(tmp_path: Path) -> None:
    genome = unpacked(tmp_path, "SRR492066")
    table_4 = label_genome(genome, GeneticCode.from_table(4))
    assert {gene.canonical.cds for gene in table_4} != {gene.canonical.cds for gene in label_genome(genome, CODE)}
    with pytest.raises(InputError, match="Prodigal does not know table 27, allowed: 1, 2, 3, 4"):
        label_genome(genome, GeneticCode.from_table(27))


def test_too_little_to_train_on(tmp_path: Path) -> None:
    path = tmp_path / "short.fna"
    path.write_text(">a\n" + "".join(random.Random(0).choices("ACGT", k=19_999)) + "\n")
    with pytest.raises(InputError, match=r"short.fna: 19999 bp are too few for Prodigal to train on, at least 20000"):
        label_genome(Genome(path), CODE)


def test_scripts_from_archive_to_labels(tmp_path: Path, repository: Path) -> None:
    def run(script: str, *arguments: object) -> subprocess.CompletedProcess:
        command = [sys.executable, repository / "scripts" / script, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True)

    for script, flags in [
        ("index_genome.py", ["--archive", "--output"]),
        ("label_genome.py", ["--genome", "--genetic-code", "--output", "--closed"]),
    ]:
        usage = run(script, "--help").stdout
        assert all(flag in usage for flag in flags)
    done = run("index_genome.py", "--archive", DATA / "SRR492066.fna.gz", "--output", tmp_path / "fna")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "fna.fai").read_text().split("\t")[1] == "79939"
    outputs = []
    for number in range(2):
        output = tmp_path / str(number) / "gff.gz"
        done = run("label_genome.py", "--genome", tmp_path / "fna", "--genetic-code", 11, "--output", output)
        assert done.returncode == 0, done.stderr
        assert "76 genes by Prodigal" in done.stderr
        assert "Warning" not in done.stderr
        outputs.append(output.read_bytes())
    assert outputs[0] == outputs[1]
    rows = [line.split("\t") for line in gzip.decompress(outputs[0]).decode().splitlines() if line[0] != "#"]
    assert {row[1] for row in rows} == {"Prodigal"}
