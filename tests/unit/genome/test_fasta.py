"""Unpacking FASTA archives and reading genomes: what must work, and what must be refused with one clear line."""

from __future__ import annotations

import gzip
import os
import random
import re
import textwrap
from pathlib import Path

import pytest

from genet5.errors import InputError
from genet5.genome import fasta
from genet5.genome.fasta import Genome, check_bases, decompress_genome, index_genome, write_fasta
from genet5.genome.genes import Region


def refuse(path: Path, pattern: str, output: Path | None = None) -> None:
    output = output or path.with_suffix(".out")
    with pytest.raises(InputError, match=pattern) as error:
        decompress_genome(path, output)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    assert not output.exists()
    assert [entry.name for entry in path.parent.iterdir() if entry.name.endswith(".tmp")] == []


def plain(folder: Path, text: str | bytes) -> Path:
    path = folder / "genome.fa"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def random_bases(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("ACGTacgtNnRY", k=length))


def test_lines_are_rewrapped_and_case_kept(tmp_path: Path) -> None:
    bases = {"one": random_bases(1001, 1), "two": random_bases(60, 2), "three": "A"}
    text = f">one some text\n{bases['one'][:7]}\n\n{bases['one'][7:]}\n>two\n{bases['two']}\n>three\n{bases['three']}"
    lengths = decompress_genome(plain(tmp_path, text), tmp_path / "fna")
    assert lengths == {"one": 1001, "two": 60, "three": 1}
    lines = (tmp_path / "fna").read_text().splitlines()
    assert lines[0] == ">one some text"
    assert {len(line) for line in lines[1:17]} == {60}
    genome = Genome(tmp_path / "fna")
    assert {name: genome.sequence(name, keep_case=True) for name in genome.names} == bases
    assert genome.sequence("one", 990, 1001) == bases["one"][990:].upper()
    genome.close()


def test_gzip_windows_line_ends_and_rna(tmp_path: Path) -> None:
    path = tmp_path / "any_name"
    path.write_bytes(gzip.compress(b">a x\r\nACGU\r\nacgu\r\n") + gzip.compress(b">b\r\nTT\r\n"))
    assert decompress_genome(path, tmp_path / "fna") == {"a": 8, "b": 2}
    assert (tmp_path / "fna").read_bytes() == b">a x\nACGTacgt\n>b\nTT\n"


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 7, 16, 61, 1000])
def test_block_size_never_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int) -> None:
    bases = {f"s{number}": random_bases(number * 37 + 1, number) for number in range(6)}
    records = []
    for number, (name, sequence) in enumerate(bases.items()):
        width = (50, 10_000)[number % 2]
        records.append(f">{name} about > it\n" + "\n".join(textwrap.wrap(sequence, width)) + "\n")
    monkeypatch.setattr(fasta, "_BLOCK_BYTES", block_bytes)
    decompress_genome(plain(tmp_path, "".join(records)), tmp_path / "fna")
    with Genome(tmp_path / "fna") as genome:
        assert {name: genome.sequence(name, keep_case=True) for name in genome.names} == bases
    refuse(plain(tmp_path, ">a\nACGT\nACGT>b\n"), r"line 3: sequence 'a' holds '>b?'", tmp_path / "other")


def test_empty_file(tmp_path: Path) -> None:
    refuse(plain(tmp_path, ""), "the file is empty")
    path = tmp_path / "empty.gz"
    path.write_bytes(gzip.compress(b""))
    refuse(path, "no '>' header found")


def test_missing_file(tmp_path: Path) -> None:
    refuse(tmp_path / "nowhere.fna.gz", "cannot be read")


def test_truncated_and_damaged_gzip(tmp_path: Path) -> None:
    whole = gzip.compress(b">a\n" + random_bases(20_000, 3).encode())
    path = tmp_path / "genome.fna.gz"
    for length in (11, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:length])
        refuse(path, "truncated gzip")
    path.write_bytes(whole[:3000] + bytes(200) + whole[3200:])
    refuse(path, "damaged gzip")


def test_another_packer(tmp_path: Path) -> None:
    path = tmp_path / "genome.fna.bz2"
    path.write_bytes(b"BZh91AY&SY")
    refuse(path, "packed with bzip2; allowed: plain text or gzip")


def test_not_a_fasta(tmp_path: Path) -> None:
    refuse(plain(tmp_path, "\n##gff-version 3\nchr1\n"), r"line 2: not a FASTA file: .* found '##gff-version 3'")
    refuse(plain(tmp_path, ">a\nACGT\n>\nACGT\n"), "line 3: '>' without a sequence name")


def test_repeated_name(tmp_path: Path) -> None:
    refuse(plain(tmp_path, ">a x\nACGT\n>b\nAC\n>a y\nACGT\n"), "line 5: sequence name 'a' appears twice")


def test_record_without_bases(tmp_path: Path) -> None:
    refuse(plain(tmp_path, ">a\nAC\n>b\n\n>c\nAC\n"), "line 3: sequence 'b' has no bases")
    refuse(plain(tmp_path, ">a\nAC\n>b\n"), "line 3: sequence 'b' has no bases")


def test_letters_outside_iupac(tmp_path: Path) -> None:
    refuse(plain(tmp_path, ">a\nACGT\nACG-T\n"), "line 3: sequence 'a' holds '-'")
    refuse(plain(tmp_path, ">p\nMKLE\n"), r"line 2: sequence 'p' holds 'EL'; allowed: IUPAC .*protein")


def test_genome_refuses_compressed_files_and_unknown_names(tmp_path: Path) -> None:
    path = tmp_path / "genome.fna"
    path.write_bytes(gzip.compress(b">a\nACGT\n"))
    with pytest.raises(InputError, match="compressed; unpack it first"):
        Genome(path)
    write_fasta(path, [(f"chr{number}", "ACGT") for number in range(9)])
    with Genome(path) as genome:
        with pytest.raises(InputError, match=r"no sequence named 'X'; it has 'chr0', .* \(9 in all\)"):
            genome.sequence("X")
        with pytest.raises(ValueError, match=r"outside the sequence of 4 bp"):
            genome.sequence("chr1", 2, 5)
        assert genome.sequence("chr1", 2, 2) == ""


def test_ragged_fasta_is_named_as_such(tmp_path: Path) -> None:
    path = plain(tmp_path, ">a\nACGT\nAC\nACGT\n")
    with pytest.raises(InputError, match=re.escape("cannot be indexed")) as error:
        Genome(path)
    assert "index_genome.py" in str(error.value)


def test_stale_index_is_rebuilt(tmp_path: Path) -> None:
    path = tmp_path / "genome.fna"
    write_fasta(path, [("a", "ACGT")])
    index = index_genome(path)
    assert index.read_text().split("\t")[:2] == ["a", "4"]
    os.utime(index, ns=(0, 0))
    write_fasta(path, [("b", "ACGTACGT")])
    with Genome(path) as genome:
        assert genome.lengths == {"b": 8}


def test_every_shared_genome_unpacks_to_what_biopython_reads(shared_data: Path, tmp_path: Path) -> None:
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    for name in ("H.sapiens", "M.alvi", "Y.pestis", "A.thaliana"):
        lengths = decompress_genome(shared_data / name / "fna.gz", tmp_path / name)
        with gzip.open(shared_data / name / "fna.gz", "rt") as stream, Genome(tmp_path / name) as genome:
            expected = {title.split()[0]: bases for title, bases in SimpleFastaParser(stream)}
            assert {key: len(bases) for key, bases in expected.items()} == lengths
            for key, bases in expected.items():
                assert genome.sequence(key, keep_case=True) == bases


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (">p\nMKLLQWERTY\n", "my.fna: sequence 'p', base 3: found 'L', expected bases (IUPAC codes)"),
        (">a\nACGTN\n>none\n", "my.fna: sequence 'none' has no bases"),
    ],
)
def test_what_is_annotated_must_be_dna(tmp_path, text, message):
    path = tmp_path / "my.fna"
    path.write_text(text)
    genome = Genome(path)
    with pytest.raises(InputError) as caught:
        check_bases(genome, [Region(name, 0, genome.lengths[name]) for name in genome.names])
    assert str(caught.value).endswith(message)
    path.write_text(">a\nACGTN\n>c\nRYSWKMBDHVacgtnU\n")
    genome = Genome(path)
    check_bases(genome, [Region("a", 0, 5), Region("c", 0, 16)])
