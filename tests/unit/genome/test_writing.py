"""GFF3, CDS FASTA and proteins: what is written, and what the check of the written file catches."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gffutils
import pytest
from programs import check_gff3, needs
from work_done import lines_run

from genet5.errors import InputError
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome, decompress_genome
from genet5.genome.genes import Gene, Interval, Transcript, phases_from_lengths
from genet5.genome.genetic_code import GeneticCode, reverse_complement
from genet5.genome.writing import validate_gff3, write_cds_fasta, write_gff3, write_proteins

CODE = GeneticCode.from_table(1)
FILLER = "CTAGCTAACTAG"


def make_gene(
    name: str, seqid: str, strand: str, *segments: tuple[int, int], first: int = 0, cut: str = "", **options: object
) -> Gene:
    cds = tuple(Interval(*segment) for segment in segments)
    phases = phases_from_lengths(cds, strand, first)
    transcript = Transcript(f"{name}.t1", cds, phases, complete5="5" not in cut, complete3="3" not in cut)
    return Gene(name, seqid, strand, (transcript,), **options)


class Case:
    """A genome built around given coding sequences, so that every protein is known beforehand."""

    def __init__(self, folder: Path) -> None:
        self.genes: list[Gene] = []
        self._contigs: dict[str, str] = {}
        self._path = folder / "genome.fna"

    def add(
        self, seqid: str, strand: str, *exons: str, intron: str = "GTAAGTCCTTAG", flank: str = FILLER, **options: object
    ) -> Gene:
        """Append a gene given as exons in transcript order; ``flank`` stands on either side."""
        ahead = self._contigs.get(seqid, "") + flank
        ordered = exons if strand == "+" else [reverse_complement(exon) for exon in reversed(exons)]
        between = intron if strand == "+" else reverse_complement(intron)
        segments, text = [], ""
        for number, exon in enumerate(ordered):
            text += between if number else ""
            segments.append((len(ahead) + len(text), len(ahead) + len(text) + len(exon)))
            text += exon
        self._contigs[seqid] = ahead + text + flank
        name = options.pop("name", f"{seqid}.g{len(self.genes) + 1:06d}")
        gene = make_gene(name, seqid, strand, *segments, **options)
        self.genes.append(gene)
        return gene

    def genome(self) -> Genome:
        self._path.write_text("".join(f">{name}\n{bases}\n" for name, bases in self._contigs.items()))
        return Genome(self._path)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """Two contigs: single- and multi-exon genes on both strands, an isoform, genes cut at either end."""
    case = Case(tmp_path)
    case.add("chr1", "+", "ATGGCTTGA", score=0.5)
    case.add("chr1", "-", "ATGGC", "TGCTG", "CTTAA", score=1.0)
    spliced = case.add("chr1", "+", "ATGAAAG", "CTGCTGC", "TTAA")
    short = replace(
        spliced.canonical, id=f"{spliced.id}.t2", cds=spliced.canonical.cds[:2], phases=spliced.canonical.phases[:2]
    )
    short = replace(short, complete3=False)
    case.genes[-1] = replace(spliced, transcripts=(spliced.canonical, short))
    case.add("chr2", "+", "CAAACCCGG", "GAAATAA", first=1, cut="5", flank="")
    case.add("chr2", "-", "CCATGAAG", "GTTTAG", first=2, cut="5")
    case.add("chr2", "-", "TTGAAAGG", cut="3")
    case.add("chr2", "+", "GAAACCC", first=1, cut="53", flank="")
    return case


def columns(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines() if not line.startswith("#")]


def fasta(path: Path) -> dict[str, str]:
    records = {}
    for block in path.read_text().split(">")[1:]:
        header, _, letters = block.partition("\n")
        records[header.split()[0]] = letters.replace("\n", "")
    return records


def test_rows(case: Case, tmp_path: Path) -> None:
    output = tmp_path / "out.gff3"
    genome = case.genome()
    assert write_gff3(output, case.genes[:3], genome.lengths) == 3
    first, second = genome.lengths.values()
    assert output.read_text() == (
        "##gff-version 3\n"
        f"##sequence-region chr1 1 {first}\n"
        f"##sequence-region chr2 1 {second}\n"
        "chr1\tGeneT5\tgene\t13\t21\t0.500000\t+\t.\tID=chr1.g000001;gene_biotype=protein_coding\n"
        "chr1\tGeneT5\tmRNA\t13\t21\t0.500000\t+\t.\tID=chr1.g000001.t1;Parent=chr1.g000001\n"
        "chr1\tGeneT5\texon\t13\t21\t.\t+\t.\tID=chr1.g000001.t1.exon1;Parent=chr1.g000001.t1\n"
        "chr1\tGeneT5\tCDS\t13\t21\t.\t+\t0\tID=chr1.g000001.t1.cds;Parent=chr1.g000001.t1\n"
        "chr1\tGeneT5\tgene\t46\t84\t1.000000\t-\t.\tID=chr1.g000002;gene_biotype=protein_coding\n"
        "chr1\tGeneT5\tmRNA\t46\t84\t1.000000\t-\t.\tID=chr1.g000002.t1;Parent=chr1.g000002\n"
        "chr1\tGeneT5\texon\t46\t50\t.\t-\t.\tID=chr1.g000002.t1.exon3;Parent=chr1.g000002.t1\n"
        "chr1\tGeneT5\texon\t63\t67\t.\t-\t.\tID=chr1.g000002.t1.exon2;Parent=chr1.g000002.t1\n"
        "chr1\tGeneT5\texon\t80\t84\t.\t-\t.\tID=chr1.g000002.t1.exon1;Parent=chr1.g000002.t1\n"
        "chr1\tGeneT5\tCDS\t46\t50\t.\t-\t2\tID=chr1.g000002.t1.cds;Parent=chr1.g000002.t1\n"
        "chr1\tGeneT5\tCDS\t63\t67\t.\t-\t1\tID=chr1.g000002.t1.cds;Parent=chr1.g000002.t1\n"
        "chr1\tGeneT5\tCDS\t80\t84\t.\t-\t0\tID=chr1.g000002.t1.cds;Parent=chr1.g000002.t1\n"
        "chr1\tGeneT5\tgene\t109\t150\t.\t+\t.\tID=chr1.g000003;gene_biotype=protein_coding\n"
        "chr1\tGeneT5\tmRNA\t109\t150\t.\t+\t.\tID=chr1.g000003.t1;Parent=chr1.g000003\n"
        "chr1\tGeneT5\texon\t109\t115\t.\t+\t.\tID=chr1.g000003.t1.exon1;Parent=chr1.g000003.t1\n"
        "chr1\tGeneT5\texon\t128\t134\t.\t+\t.\tID=chr1.g000003.t1.exon2;Parent=chr1.g000003.t1\n"
        "chr1\tGeneT5\texon\t147\t150\t.\t+\t.\tID=chr1.g000003.t1.exon3;Parent=chr1.g000003.t1\n"
        "chr1\tGeneT5\tCDS\t109\t115\t.\t+\t0\tID=chr1.g000003.t1.cds;Parent=chr1.g000003.t1\n"
        "chr1\tGeneT5\tCDS\t128\t134\t.\t+\t2\tID=chr1.g000003.t1.cds;Parent=chr1.g000003.t1\n"
        "chr1\tGeneT5\tCDS\t147\t150\t.\t+\t1\tID=chr1.g000003.t1.cds;Parent=chr1.g000003.t1\n"
        "chr1\tGeneT5\tmRNA\t109\t134\t.\t+\t.\tID=chr1.g000003.t2;Parent=chr1.g000003;partial=true;end_range=134,.\n"
        "chr1\tGeneT5\texon\t109\t115\t.\t+\t.\tID=chr1.g000003.t2.exon1;Parent=chr1.g000003.t2;partial=true\n"
        "chr1\tGeneT5\texon\t128\t134\t.\t+\t.\tID=chr1.g000003.t2.exon2;Parent=chr1.g000003.t2;partial=true;"
        "end_range=134,.\n"
        "chr1\tGeneT5\tCDS\t109\t115\t.\t+\t0\tID=chr1.g000003.t2.cds;Parent=chr1.g000003.t2;partial=true\n"
        "chr1\tGeneT5\tCDS\t128\t134\t.\t+\t2\tID=chr1.g000003.t2.cds;Parent=chr1.g000003.t2;partial=true;"
        "end_range=134,.\n"
    )


def test_partial_marks_stand_at_the_cut_end(case: Case, tmp_path: Path) -> None:
    output = tmp_path / "out.gff3"
    write_gff3(output, case.genes, case.genome().lengths)
    rows = [row for row in columns(output) if row[0] == "chr2"]
    marks = [(row[2], row[3], row[4], row[6], row[7], row[8].partition(";partial=true")[1:]) for row in rows]
    yes = ";partial=true"
    assert marks[:6] == [
        ("gene", "1", "28", "+", ".", (yes, ";start_range=.,1")),
        ("mRNA", "1", "28", "+", ".", (yes, ";start_range=.,1")),
        ("exon", "1", "9", "+", ".", (yes, ";start_range=.,1")),
        ("exon", "22", "28", "+", ".", (yes, "")),
        ("CDS", "1", "9", "+", "1", (yes, ";start_range=.,1")),
        ("CDS", "22", "28", "+", "1", (yes, "")),
    ]
    assert marks[6:12] == [  # Cut at its 5' end on the minus strand: the right end.
        ("gene", "41", "66", "-", ".", (yes, ";end_range=66,.")),
        ("mRNA", "41", "66", "-", ".", (yes, ";end_range=66,.")),
        ("exon", "41", "46", "-", ".", (yes, "")),
        ("exon", "59", "66", "-", ".", (yes, ";end_range=66,.")),
        ("CDS", "41", "46", "-", "0", (yes, "")),
        ("CDS", "59", "66", "-", "2", (yes, ";end_range=66,.")),
    ]
    assert marks[15][-1] == (yes, ";start_range=.,91")  # Cut at its 3' end on the minus strand: the left end.
    assert marks[-1][-1] == (yes, ";start_range=.,111;end_range=117,.")


@needs("gt")
def test_validators_accept_it(case: Case, tmp_path: Path) -> None:
    output = tmp_path / "out.gff3"
    genome = case.genome()
    write_gff3(output, case.genes, genome.lengths)
    assert validate_gff3(output, genome, CODE) == len(case.genes)
    check_gff3(output)


def test_gffutils_builds_its_database_of_it(case: Case, tmp_path: Path) -> None:
    output = tmp_path / "out.gff3"
    write_gff3(output, case.genes, case.genome().lengths)
    database = gffutils.create_db(str(output), ":memory:", merge_strategy="create_unique")
    gene = case.genes[2]
    assert [mrna.id for mrna in database.children(gene.id, featuretype="mRNA")] == [t.id for t in gene.transcripts]
    segments = database.children(gene.transcripts[0].id, featuretype="CDS", order_by="start")
    assert [(row.start - 1, row.end) for row in segments] == list(gene.canonical.cds)
    exons = database.children(gene.transcripts[0].id, featuretype="exon", order_by="start")
    assert [(row.start - 1, row.end) for row in exons] == list(gene.canonical.cds)


def test_order_does_not_depend_on_the_order_given(case: Case, tmp_path: Path) -> None:
    genome = case.genome()
    write_gff3(tmp_path / "a.gff3", case.genes, genome.lengths)
    shuffled = list(case.genes)
    random.Random(1).shuffle(shuffled)
    write_gff3(tmp_path / "b.gff3", shuffled, genome.lengths)
    write_gff3(tmp_path / "c.gff3.gz", shuffled, genome.lengths)
    write_gff3(tmp_path / "d.gz", case.genes, genome.lengths)
    assert (tmp_path / "a.gff3").read_bytes() == (tmp_path / "b.gff3").read_bytes()
    assert gzip.decompress((tmp_path / "c.gff3.gz").read_bytes()) == (tmp_path / "a.gff3").read_bytes()
    assert (tmp_path / "c.gff3.gz").read_bytes() == (tmp_path / "d.gz").read_bytes()
    assert validate_gff3(tmp_path / "c.gff3.gz", genome, CODE) == len(case.genes)


def test_contigs_come_in_genome_order_not_by_name(tmp_path: Path) -> None:
    genes = [make_gene(f"g{name}", name, "+", (0, 9)) for name in ("chr1", "chr10", "chr2")]
    write_gff3(tmp_path / "x.gff3", genes, {"chr2": 9, "chr10": 9, "chr1": 9})
    assert [row[0] for row in columns(tmp_path / "x.gff3") if row[2] == "gene"] == ["chr2", "chr10", "chr1"]


@needs("gt")
def test_odd_names_are_escaped_and_read_back(tmp_path: Path) -> None:
    case = Case(tmp_path)
    names = ["a;b=c&d,e", "100%", "tab\there", 'a "quoted" one', "Gén 5", "%3B", "x y"]
    for name in names:
        case.add("scaffold|1,2;3#", "+", "ATGGCTTGA", name=name)
    genome = case.genome()
    output = tmp_path / "out.gff3"
    write_gff3(output, case.genes, genome.lengths)
    assert validate_gff3(output, genome, CODE) == len(names)
    assert columns(output)[0][0] == "scaffold|1%2C2%3B3%23"
    assert columns(output)[0][8].startswith("ID=a%3Bb%3Dc%26d%2Ce;")
    assert all(len(row) == 9 for row in columns(output))
    check_gff3(output)


@needs("gt")
def test_no_genes_is_still_a_file(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.add("chr1", "+", "ATGTAA")
    genome = case.genome()
    output = tmp_path / "out.gff3"
    assert write_gff3(output, [], genome.lengths) == 0
    assert output.read_text() == "##gff-version 3\n##sequence-region chr1 1 30\n"
    assert validate_gff3(output, genome, CODE) == 0
    check_gff3(output)


@pytest.mark.parametrize(
    ("genes", "message"),
    [
        (
            [make_gene("g", "a", "+", (0, 9)), make_gene("g", "b", "+", (0, 9))],
            "id 'g' is used twice: gene of gene 'g'",
        ),
        ([make_gene("g", "a", "+", (0, 9)), make_gene("g.t1", "a", "+", (9, 12))], "id 'g.t1' is used twice"),
        (
            [make_gene("g", "a", "+", (0, 9)), make_gene("g.t1.exon1", "a", "+", (9, 12))],
            "id 'g.t1.exon1' is used twice: exon of gene 'g' on a, and gene of",
        ),
        ([make_gene("", "a", "+", (0, 9))], "empty id, gene of gene '' on a"),
        ([make_gene("g", "c", "+", (0, 9))], "gene 'g' is on 'c', the genome has 'a', 'b'"),
        ([make_gene("g", "a", "+", (0, 21))], "gene 'g' spans 1-21, outside a of 20 bp"),
        ([make_gene("g", "a", "+", (-1, 9))], "gene 'g' spans 0-9, outside a"),
    ],
)
def test_impossible_genes_leave_no_file(tmp_path: Path, genes: list[Gene], message: str) -> None:
    with pytest.raises(InputError) as error:
        write_gff3(tmp_path / "out.gff3", genes, {"a": 20, "b": 20})
    assert message in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_cds_fasta_is_in_transcript_orientation(case: Case, tmp_path: Path) -> None:
    output = tmp_path / "cds.fna"
    assert write_cds_fasta(output, case.genes, case.genome()) == 8
    assert fasta(output) == {
        "chr1.g000001.t1": "ATGGCTTGA",
        "chr1.g000002.t1": "ATGGCTGCTGCTTAA",
        "chr1.g000003.t1": "ATGAAAGCTGCTGCTTAA",
        "chr1.g000003.t2": "ATGAAAGCTGCTGC",
        "chr2.g000004.t1": "CAAACCCGGGAAATAA",
        "chr2.g000005.t1": "CCATGAAGGTTTAG",
        "chr2.g000006.t1": "TTGAAAGG",
        "chr2.g000007.t1": "GAAACCC",
    }
    headers = [line for line in output.read_text().splitlines() if line.startswith(">")]
    assert headers[0] == ">chr1.g000001.t1 gene=chr1.g000001 chr1:13-21(+)"
    assert headers[5].endswith("(-) partial5 phase=2")
    assert headers[6].endswith("(-) partial3")


def test_proteins_one_per_gene(case: Case, tmp_path: Path) -> None:
    output = tmp_path / "out.faa"
    assert write_proteins(output, case.genes, case.genome(), CODE) == 7
    assert fasta(output) == {
        "chr1.g000001.t1": "MA",
        "chr1.g000002.t1": "MAAA",
        "chr1.g000003.t1": "MKAAA",
        "chr2.g000004.t1": "KPGK",
        "chr2.g000005.t1": "MKV",
        "chr2.g000006.t1": "MK",
        "chr2.g000007.t1": "KP",
    }


@pytest.mark.parametrize(("table", "protein"), [(1, "V*K"), (4, "MWK"), (11, "M*K")])
def test_proteins_follow_the_genetic_code(tmp_path: Path, table: int, protein: str) -> None:
    case = Case(tmp_path)
    case.add("chr1", "+", "GTGTGAAAATAA")
    case.add("chr1", "-", "GTGTGAAAATAA", cut="5")
    case.add("chr1", "-", "AA", cut="53")
    output = tmp_path / "out.faa"
    assert write_proteins(output, case.genes, case.genome(), GeneticCode.from_table(table)) == 2
    first, second = fasta(output).values()
    assert first == protein
    assert second == "V" + protein[1:]


def test_long_records_are_wrapped(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.add("chr1", "+", "ATG" + "GCT" * 60 + "TAA")
    write_proteins(tmp_path / "out.faa", case.genes, case.genome(), CODE)
    assert [len(line) for line in (tmp_path / "out.faa").read_text().splitlines()[1:]] == [60, 1]


Damage = Callable[[str], str]


def swap(old: str, new: str, count: int = 1) -> Damage:
    def damage(text: str) -> str:
        assert old in text
        return text.replace(old, new, count)

    return damage


def drop(wanted: str) -> Damage:
    def damage(text: str) -> str:
        kept = [line for line in text.splitlines(keepends=True) if wanted not in line]
        assert len(kept) < len(text.splitlines())
        return "".join(kept)

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (swap("ID=chr1.g000002;", "ID=chr1.g000001;"), "ID 'chr1.g000001' is used twice, by a gene and by this gene"),
        (swap("ID=chr1.g000002.t1;", "ID=chr1.g000001.t1;"), "ID 'chr1.g000001.t1' is used twice"),
        (swap("ID=chr1.g000002.t1.cds;", "ID=chr1.g000001.t1.cds;"), "ID 'chr1.g000001.t1.cds' is used twice"),
        (swap("ID=chr1.g000001;", ""), "line 4: gene without ID"),
        (drop("\tgene\t13\t"), "Parent 'chr1.g000001' of mRNA 'chr1.g000001.t1' is not a gene of this file"),
        (drop("\tmRNA\t13\t"), "Parent 'chr1.g000001.t1' of exon 'chr1.g000001.t1.exon1' is not a mRNA of this file"),
        (drop("\tCDS\t13\t"), "mRNA 'chr1.g000001.t1' has no CDS"),
        (drop("\texon\t13\t"), "mRNA 'chr1.g000001.t1': exon rows (none), expected 13-21 as its CDS rows"),
        (swap("\texon\t63\t67\t", "\texon\t63\t68\t"), "exon rows 46-50, 63-68, 80-84, expected 46-50, 63-67, 80-84"),
        (drop("\texon\t63\t"), "exon rows 46-50, 80-84, expected 46-50, 63-67, 80-84 as its CDS rows"),
        (
            swap("ID=chr1.g000002.t1.exon2;", "ID=chr1.g000002.t1.exon1;"),
            "ID 'chr1.g000002.t1.exon1' is used twice, by a",
        ),
        (swap("\texon\t13\t21\t.\t+\t", "\texon\t13\t21\t.\t-\t"), "exon 'chr1.g000001.t1.exon1' and its Parent"),
        (swap(";Parent=chr1.g000001.t1\n", "\n"), "exon 'chr1.g000001.t1.exon1' has no Parent"),
        (swap("t1.cds;Parent=chr1.g000001.t1\n", "t1.cds\n"), "CDS 'chr1.g000001.t1.cds' has no Parent"),
        (swap("CDS\t63\t67\t.\t-\t1", "CDS\t63\t67\t.\t-\t2"), "phases 2, 2, 0, expected 2, 1, 0"),
        (swap("CDS\t13\t21\t.\t+\t0", "CDS\t13\t21\t.\t+\t1"), "phases 1, expected 0 from the lengths"),
        (swap("CDS\t13\t21\t.\t+\t0", "CDS\t13\t21\t.\t+\t."), "phases ., allowed in CDS rows: 0, 1, 2"),
        (swap("\t13\t21\t", "\t10\t21\t", 4), "begins with TAG, no start codon of table 1"),
        (swap("\t13\t21\t", "\t13\t24\t", 4), "ends with CTA, no stop codon of table 1"),
        (swap("\t13\t21\t", "\t13\t30\t", 4), "ends with AAC, no stop"),
        (swap("\t13\t21\t", "\t13\t23\t", 4), "11 coding bases are not a whole number of codons"),
        (swap("\t13\t21\t", "\t13\t33\t", 4), "stop codon TGA in frame, codon 3"),
        (swap(";partial=true;start_range=.,1\n", "\n", 4), "phases 1, 1, expected 0, 0"),
        (swap(";partial=true;start_range=.,91", "", 4), "8 coding bases are not a whole number of codons"),
        (swap("chr2\tGeneT5\tCDS\t111\t117\t", "chr2\tGeneT5\tCDS\t111\t118\t"), "reaches outside its Parent"),
        (swap("\t117\t", "\t130\t", 4), "gene 'chr2.g000007' spans 111-130, outside chr2 of 117 bp"),
        (swap("chr1\tGeneT5", "chrX\tGeneT5", 4), "gene 'chr1.g000001' is on 'chrX', the genome has 'chr1', 'chr2'"),
        (swap("\tCDS\t13\t21\t.\t+\t", "\tCDS\t13\t21\t.\t-\t"), "differ in contig or strand"),
        (swap("\tCDS\t128\t134\t", "\tCDS\t115\t134\t"), "CDS rows 109-115 and 115-134 overlap"),
        (swap("\tCDS\t13\t", "\tintron\t13\t"), "row of type 'intron'"),
        (swap("\t13\t21\t", "\t21\t13\t"), "start and end are not two ascending positions"),
        (swap("\t13\t21\t", "\tx\t21\t"), "line 4: not readable as GFF3"),
        (swap("\t13\t21\t", "\n13\t21\t"), "line 4: gene without ID"),
    ],
)
def test_damage_is_caught(case: Case, tmp_path: Path, damage: Damage, message: str) -> None:
    output = tmp_path / "out.gff3"
    genome = case.genome()
    write_gff3(output, case.genes, genome.lengths)
    output.write_text(damage(output.read_text()))
    with pytest.raises(InputError) as error:
        validate_gff3(output, genome, CODE)
    assert str(error.value).startswith(str(output))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_wrong_genetic_code_is_caught(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.add("chr1", "+", "ATGTGAAAATAA")
    genome = case.genome()
    write_gff3(tmp_path / "out.gff3", case.genes, genome.lengths)
    assert validate_gff3(tmp_path / "out.gff3", genome, GeneticCode.from_table(4)) == 1
    with pytest.raises(InputError, match="stop codon TGA in frame, codon 2"):
        validate_gff3(tmp_path / "out.gff3", genome, GeneticCode.from_table(11))


def test_the_work_grows_as_the_number_of_genes(tmp_path: Path) -> None:
    draw = random.Random(5)
    case = Case(tmp_path)
    parts, position, genes = [], 0, []
    for number in range(200):
        body = "".join(draw.choice(("GCT", "AAA", "CCG", "TTC")) for _ in range(400))
        exons = ("ATG" + body[:500], body[500:] + "TAA")
        text = FILLER + exons[0] + "GTAAGTTTTCAG" + exons[1] + FILLER
        start = position + len(FILLER)
        middle = start + len(exons[0])
        genes.append(make_gene(f"g{number}", "chr1", "+", (start, middle), (middle + 12, position + len(text) - 12)))
        parts.append(text)
        position += len(text)
    case._contigs["chr1"] = "".join(parts)
    genome = case.genome()

    def write_and_check(number: int) -> None:
        write_gff3(tmp_path / "out.gff3", genes[:number], genome.lengths)
        assert validate_gff3(tmp_path / "out.gff3", genome, CODE) == number

    write_and_check(200)
    assert lines_run(lambda: write_and_check(200)) < 2.5 * lines_run(lambda: write_and_check(100))


@needs("gt")
@pytest.mark.parametrize(
    ("name", "table"), [("A.thaliana", 1), ("C.elegans", 1), ("M.alvi", 4), ("P.vivax", 1), ("H.sapiens.clones", 1)]
)
def test_real_annotations_survive_a_round_trip(shared_data: Path, tmp_path: Path, name: str, table: int) -> None:
    code = GeneticCode.from_table(table)
    decompress_genome(shared_data / name / "fna.gz", tmp_path / "fna")
    with Genome(tmp_path / "fna") as genome:
        genes = read_annotation(shared_data / name / "gff.gz", genome, code).trusted
        output = tmp_path / "out.gff3"
        assert write_gff3(output, genes, genome.lengths) == len(genes) > 100
        assert validate_gff3(output, genome, code) == len(genes)
        again = read_annotation(output, genome, code)
    assert not any(gene.flags for gene in again.genes)
    assert [(gene.id, gene.strand, set(gene.transcripts)) for gene in again.genes] == [
        (gene.id, gene.strand, set(gene.transcripts)) for gene in genes
    ]
    check_gff3(output)
