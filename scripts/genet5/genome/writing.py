"""Genes to files: GFF3, CDS FASTA and proteins."""

from __future__ import annotations

import contextlib
import gzip
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from genet5.errors import InputError
from genet5.files import atomic_write
from genet5.genome.fasta import LINE_BP, Genome, shown_names
from genet5.genome.genes import Gene, Interval, Transcript, first_phase
from genet5.genome.genetic_code import GeneticCode, reverse_complement
from genet5.genome.gff_validation import validate_gff3

__all__ = ["cds_sequence", "validate_gff3", "write_cds_fasta", "write_gff3", "write_proteins"]

# What the GFF3 specification lets stand unescaped: in column 1 only these, elsewhere all but these.
_NOT_IN_SEQID = re.compile(r"[^a-zA-Z0-9.:^*$@!+_?|-]")
_NOT_IN_COLUMN = re.compile(r"[\x00-\x1f\x7f%]")
_NOT_IN_ATTRIBUTE = re.compile(r"[\x00-\x1f\x7f%;=&,]")


def write_gff3(
    path: str | Path,
    genes: Iterable[Gene],
    lengths: Mapping[str, int],
    *,
    source: str = "GeneT5",
    notes: Sequence[str] = (),
    attributes: Mapping[str, Mapping[str, str]] | None = None,
) -> int:
    """Write genes as GFF3 (gene, mRNA, exon and CDS rows, every transcript); returns the number of genes.

    Only coding sequence is known here, so an exon row has the place of its CDS row: the coding part of the exon.
    Exons are numbered from the 5' end, ``{transcript}.exon1`` first. ``lengths`` maps every contig of the genome to
    its bases: one ``##sequence-region`` each, and its order is the order of the rows; within a contig genes come by
    start, end, strand and id. ``Gene.score`` stands in column 6 of gene and mRNA rows. A transcript without its start
    or its end is marked as in NCBI's files: ``partial=true`` with ``start_range=.,FIRST`` or ``end_range=LAST,.``. A
    path that ends in ``.gz`` is compressed; equal genes give equal bytes. ``notes``: lines for the head of the file,
    each after ``#!``. ``attributes``: more of them for mRNA rows, by the id of the transcript. Raises InputError for an
    id used twice, and for CDS outside their contig.
    """
    ordered = _in_file_order(path, genes, lengths)
    _check_ids(path, ordered)
    with _text_output(path) as output:
        output.write("##gff-version 3\n")
        output.writelines(f"#!{note}\n" for note in notes)
        for seqid, length in lengths.items():
            output.write(f"##sequence-region {_escape(_NOT_IN_SEQID, seqid)} 1 {length}\n")
        for gene in ordered:
            output.write(_gene_rows(gene, _escape(_NOT_IN_COLUMN, source), attributes or {}))
    return len(ordered)


def write_cds_fasta(path: str | Path, genes: Iterable[Gene], genome: Genome) -> int:
    """Write the CDS of every transcript, 5' to 3', named by transcript id; returns the number of records.

    The bases are those of the CDS rows: stop codon included, and the one or two bases before the first whole codon of a
    5'-partial transcript too (``phase=`` in its header).
    """
    count = 0
    with _text_output(path) as output:
        for gene in _in_file_order(path, genes, genome.lengths):
            for transcript in gene.transcripts:
                output.write(_fasta_record(gene, transcript, cds_sequence(genome, gene, transcript)))
                count += 1
    return count


def write_proteins(path: str | Path, genes: Iterable[Gene], genome: Genome, code: GeneticCode) -> int:
    """Write the protein of every gene's canonical transcript, named by transcript id; returns the number of records.

    The closing ``*`` is left off. An alternative start codon reads M; a 5'-partial protein begins with its first whole
    codon as it is. A gene cut so short that it holds no amino acid has no record.
    """
    count = 0
    with _text_output(path) as output:
        for gene in _in_file_order(path, genes, genome.lengths):
            transcript = gene.canonical
            bases = cds_sequence(genome, gene, transcript)[first_phase(transcript, gene.strand) :]
            protein = code.translate(bases, complete5=transcript.complete5).removesuffix("*")
            if protein:
                output.write(_fasta_record(gene, transcript, protein))
                count += 1
    return count


def cds_sequence(genome: Genome, gene: Gene, transcript: Transcript) -> str:
    """The spliced CDS of a transcript, 5' to 3', upper case."""
    bases = "".join(genome.sequence(gene.seqid, start, end) for start, end in transcript.cds)
    return bases if gene.strand == "+" else reverse_complement(bases)


@contextlib.contextmanager
def _text_output(path: str | Path) -> Iterator[IO[str]]:
    if Path(path).suffix != ".gz":
        with atomic_write(path) as output:
            yield output
        return
    # No name and no time in the gzip header: the bytes depend on the content alone.
    with (
        atomic_write(path, "wb") as packed,
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as stream,
        io.TextIOWrapper(stream, encoding="utf-8", newline="\n") as output,
    ):
        yield output


def _in_file_order(path: str | Path, genes: Iterable[Gene], lengths: Mapping[str, int]) -> list[Gene]:
    rank = {seqid: place for place, seqid in enumerate(lengths)}
    genes = list(genes)
    for gene in genes:
        if gene.seqid not in rank:
            raise InputError(f"{path}: gene {gene.id!r} is on {gene.seqid!r}, the genome has {shown_names(lengths)}")
        if gene.start < 0 or gene.end > lengths[gene.seqid]:
            raise InputError(
                f"{path}: gene {gene.id!r} spans {gene.start + 1}-{gene.end}, outside {gene.seqid} "
                f"of {lengths[gene.seqid]} bp"
            )
    return sorted(genes, key=lambda gene: (rank[gene.seqid], gene.start, gene.end, gene.strand, gene.id))


def _check_ids(path: str | Path, genes: Sequence[Gene]) -> None:
    """One name space for genes, transcripts, exons and CDS: GFF3 has no other."""
    seen: dict[str, str] = {}
    for gene in genes:
        rows = [(gene.id, "gene")]
        for transcript in gene.transcripts:
            rows += [(transcript.id, "transcript"), (_cds_id(transcript), "CDS")]
            rows += [(name, "exon") for name in _exon_ids(transcript, gene.strand)]
        for name, kind in rows:
            owner = f"{kind} of gene {gene.id!r} on {gene.seqid}"
            if not name:
                raise InputError(f"{path}: empty id, {owner}")
            if name in seen:
                raise InputError(f"{path}: id {name!r} is used twice: {seen[name]}, and {owner}")
            seen[name] = owner


def _cds_id(transcript: Transcript) -> str:
    return f"{transcript.id}.cds"


def _exon_ids(transcript: Transcript, strand: str) -> list[str]:
    """Ids of the exons in the order of ``transcript.cds``; the number counts from the 5' end."""
    names = [f"{transcript.id}.exon{number}" for number in range(1, len(transcript.cds) + 1)]
    return names if strand == "+" else names[::-1]


def _cut_sides(transcript: Transcript, strand: str) -> tuple[bool, bool]:
    """Whether the left and the right end, on the forward strand, are cut."""
    cut = (not transcript.complete5, not transcript.complete3)
    return cut if strand == "+" else (cut[1], cut[0])


def _gene_rows(gene: Gene, source: str, more: Mapping[str, Mapping[str, str]]) -> str:
    seqid = _escape(_NOT_IN_SEQID, gene.seqid)
    score = "." if gene.score is None else f"{gene.score:.6f}"
    sides = [(transcript, *_cut_sides(transcript, gene.strand)) for transcript in gene.transcripts]
    rows = []

    def add(
        kind: str, span: Interval, score: str, phase: str, partial: bool, cut: tuple[bool, bool], **attributes: str
    ) -> None:
        start, end = span.start + 1, span.end
        text = ";".join(f"{key}={_escape(_NOT_IN_ATTRIBUTE, value)}" for key, value in attributes.items())
        text += ";partial=true" if partial else ""
        # The comma of these two separates values, it is not escaped.
        text += f";start_range=.,{start}" if cut[0] else ""
        text += f";end_range={end},." if cut[1] else ""
        rows.append(f"{seqid}\t{source}\t{kind}\t{start}\t{end}\t{score}\t{gene.strand}\t{phase}\t{text}\n")

    gene_cut = (
        any(left and transcript.start == gene.start for transcript, left, _ in sides),
        any(right and transcript.end == gene.end for transcript, _, right in sides),
    )
    span = Interval(gene.start, gene.end)
    add("gene", span, score, ".", any(gene_cut), gene_cut, ID=gene.id, gene_biotype=gene.biotype)
    for transcript, left, right in sides:
        span = Interval(transcript.start, transcript.end)
        said = more.get(transcript.id, {})
        add("mRNA", span, score, ".", left or right, (left, right), ID=transcript.id, Parent=gene.id, **said)
        last = len(transcript.cds) - 1
        cuts = [(left and place == 0, right and place == last) for place in range(last + 1)]
        for segment, cut, name in zip(transcript.cds, cuts, _exon_ids(transcript, gene.strand), strict=True):
            add("exon", segment, ".", ".", left or right, cut, ID=name, Parent=transcript.id)
        for segment, cut, phase in zip(transcript.cds, cuts, transcript.phases, strict=True):
            add("CDS", segment, ".", str(phase), left or right, cut, ID=_cds_id(transcript), Parent=transcript.id)
    return "".join(rows)


def _fasta_record(gene: Gene, transcript: Transcript, letters: str) -> str:
    words = [f">{transcript.id}", f"gene={gene.id}", f"{gene.seqid}:{gene.start + 1}-{gene.end}({gene.strand})"]
    if not transcript.complete5:
        words.append(f"partial5 phase={first_phase(transcript, gene.strand)}")
    if not transcript.complete3:
        words.append("partial3")
    return " ".join(words) + "\n" + wrapped(letters)


def wrapped(letters: str) -> str:
    """``letters`` in lines of ``LINE_BP``."""
    return "".join(f"{letters[start : start + LINE_BP]}\n" for start in range(0, len(letters), LINE_BP))


def _escape(unwanted: re.Pattern[str], text: str) -> str:
    return unwanted.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), text)
