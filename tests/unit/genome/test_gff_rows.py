"""Rows read in columns are those that a reader of single lines finds: the same rows, counts and messages."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genet5.compressed import open_input
from genet5.errors import InputError
from genet5.genome import gff_rows
from genet5.genome.drafts import AnnotationDraft, SequenceNames
from genet5.genome.gff_rows import CODING, SKIP, annotation_rows, role_of

LENGTHS = {"chr1": 1000, "gi|1|ref|NC_1.1|": 500, "é": 10, "a b": 20}


def rows_line_by_line(path: Path, names: SequenceNames, draft: AnnotationDraft) -> Iterator[tuple]:
    """What ``annotation_rows`` does, one line after the other."""
    num_rows = 0
    with open_input(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace") as lines:
        for line_number, line in enumerate(lines, start=1):
            if line[0] in "#>":
                if line.startswith(("##FASTA", ">")):
                    break
                continue
            columns = line.split("\t")
            if len(columns) < 8:
                if not line.strip() or line.startswith(("track ", "browser ")):
                    continue
                raise InputError(
                    f"{path}, line {line_number}: {len(columns)} tab-separated columns; "
                    "a row of GFF or GTF has 9, or 8 without attributes"
                )
            num_rows += 1
            role = role_of(columns[2])
            seqid = names.resolve(columns[0])
            if seqid is None:
                names.note_unknown(columns[0], line_number, coding=role == CODING)
                continue
            if role == SKIP:
                continue
            try:
                start, end = number(columns[3]) - 1, number(columns[4])
            except ValueError:
                found = f"{columns[3]!r}, {columns[4]!r}"
                raise InputError(f"{path}, line {line_number}: start and end must be numbers, found {found}") from None
            if 0 < end <= start < names.lengths[seqid] and names.lengths[seqid] - start + end < start - end:
                end += names.lengths[seqid]
                draft.circular.add(seqid)
            if not 0 <= start < end:
                found = f"start {columns[3]}, end {columns[4]}"
                raise InputError(f"{path}, line {line_number}: {found}; starts count from 1 and must not exceed ends")
            if columns[6] not in ("+", "-", ".", "?"):
                raise InputError(f"{path}, line {line_number}: strand {columns[6]!r}; allowed: + - . ?")
            attributes = columns[8].strip() if len(columns) > 8 else ""
            names.known_coding_rows += role == CODING
            yield role, line_number, seqid, columns[2], start, end, columns[6], columns[7].strip(), attributes
    draft.counts["rows"] = num_rows


def number(text: str) -> int:
    """As ``int``, but ASCII digits alone, as many as fit an int64."""
    if not re.fullmatch(" *-?[0-9]{1,18} *", text):
        raise ValueError(text)
    return int(text)


def outcome(read, path: Path, lengths: dict[str, int]) -> tuple:
    """Rows, counts and what is known of the names; for a file with a mistake its message."""
    names, draft = SequenceNames(path, lengths), AnnotationDraft(path)
    try:
        rows = list(read(path, names, draft))
    except InputError as error:
        return (str(error),)
    seen = names.unknown_rows, names.unknown_coding_rows, names.known_coding_rows, names._first_unknown
    return rows, dict(draft.counts), draft.circular, seen


def often(usual: list[str], rare: list[str]) -> st.SearchStrategy[str]:
    """Mostly one of the usual texts."""
    return st.sampled_from(usual * 6 + rare)


ROW = st.tuples(
    often(["chr1", "gi|1|ref|NC_1.1|"], ["NC_1.1", "chr%31", "chrX", "é", "a b", "", " chr1"]),
    often(["x", "."], ["", "é"]),
    often(
        ["CDS", "exon", "gene", "mRNA", "stop_codon", "region"], ["cds", "CdS", "", "intron", "five_prime_UTR", "gé"]
    ),
    often(
        ["1", "7", "100"], ["0", "990", "495", "-1", "+5", " 3", "1_0", "x", "", "5.0", "٣", "9" * 17, "9" * 25, "007"]
    ),
    often(["200", "300"], ["0", "12", "+205", "300 ", "3_00", "", "8e2", "9" * 18, "9" * 19, "9" * 30, "٣٤٥"]),
    often(["."], ["", "1e-5"]),
    often(["+", "-", "."], ["?", "", "++", " +", "é", "x"]),
    often(["0", "1", "2", "."], ["", " 1", "1 ", "10", "é", "\x85", "\x00"]),
    often(
        ["ID=a;Parent=b", 'gene_id "g"; transcript_id "t";'],
        ["", "  ID=x ", "ID=é;", "ID=1;\x0bParent=2\x0c", "#ID=x", "\u2028ID=3\u2028"],
    ),
    often([""], ["\ttenth", "\t\t"]),
)
LINE = ROW.map(lambda columns: "\t".join(columns[:9]) + columns[9]) | ROW.map(lambda columns: "\t".join(columns[:8]))
OTHER = often(
    ["# comment", "###", ""],
    [
        "##FASTA",
        ">chr1",
        "##FAST",
        "track name=x",
        "browser position",
        "two\tcolumns",
        "   ",
        "\t\t",
        "\t" * 9,
        "#\t" * 8,
    ],
)
FILE = st.tuples(
    st.lists(often(["row"] * 5, ["other"]).flatmap(lambda what: LINE if what == "row" else OTHER), max_size=14),
    often(["\n"], ["\r\n", "\r"]),
    often([""], ["\ufeff"]),
    st.booleans(),
    st.sampled_from([b""] * 6 + [b"\xff", b"\xe2\x82"]),
)


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(file=FILE, block=st.sampled_from([1, 40, 150, 1 << 22]), is_gzip=st.booleans(), cut=st.integers(0, 12))
def test_rows_and_messages_are_those_of_single_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: tuple, block: int, is_gzip: bool, cut: int
) -> None:
    lines, newline, mark, ends, strange = file
    content = (mark + newline.join(lines) + (newline if ends else "")).encode()
    middle = len(content) // 2
    content = content[:middle] + strange + content[middle:] if strange else content
    if is_gzip:
        content = gzip.compress(content, mtime=0)
        content = content[: len(content) - cut] if cut > 6 else content  # sometimes truncated
    path = tmp_path / "annotation"
    path.write_bytes(content or b"\n")
    monkeypatch.setattr(gff_rows, "_BLOCK_BYTES", block)
    monkeypatch.setattr(gff_rows, "_READ_BYTES", max(1, block // 3))
    assert outcome(annotation_rows, path, LENGTHS) == outcome(rows_line_by_line, path, LENGTHS)


def test_rows_of_real_files(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gff_rows, "_BLOCK_BYTES", 100_000)
    files = sorted([*shared_data.glob("*/*gff.gz"), *shared_data.glob("*/*gtf.gz")])
    assert len(files) > 50
    for path in files:
        with open_input(path) as stream:
            first_columns = {line.split(b"\t", 1)[0].decode("utf-8", "replace") for line in stream if b"\t" in line}
        lengths = dict.fromkeys(sorted(first_columns)[: 1 + 3 * len(first_columns) // 4], 10**9)
        assert outcome(annotation_rows, path, lengths) == outcome(rows_line_by_line, path, lengths), path


def test_a_row_over_the_origin_ends_beyond_its_sequence(tmp_path: Path) -> None:
    """NCBI's tables write its end as it is on the circle. A row that is merely turned round stays a mistake."""
    path, lengths = tmp_path / "annotation", {"circle": 1000}
    path.write_text("circle\tx\tCDS\t951\t40\t.\t+\t0\tID=a\n")
    names, draft = SequenceNames(path, lengths), AnnotationDraft(path)
    ((_, _, seqid, _, start, end, *_),) = annotation_rows(path, names, draft)
    assert (seqid, start, end, draft.circular) == ("circle", 950, 1040, {"circle"})
    path.write_text("circle\tx\tCDS\t400\t300\t.\t+\t0\tID=a\n")
    with pytest.raises(InputError, match="line 1: start 400, end 300; starts count from 1 and must not exceed ends"):
        list(annotation_rows(path, SequenceNames(path, lengths), AnnotationDraft(path)))
