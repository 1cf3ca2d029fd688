"""Files are checked against the md5 that their publisher lists, where no sha256 is given."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest
from file_servers import Server

from genet5.errors import InputError
from genet5.sources import checksums, download
from genet5.sources.checksums import Checksum, checksum, md5_list_of

GENOME = gzip.compress(b">chr1\nACGT\n", mtime=1)
OTHER = gzip.compress(b">chr1\nACGA\n", mtime=1)
ASSEMBLY = "https://ftp.ncbi.nlm.nih.gov/genomes/all/GCF/000/002/945/GCF_000002945.1_ASM294v2"


def md5_list(content: bytes, name: str = "./genome.fna.gz") -> bytes:
    return f"{'0' * 32}  ./other.fna.gz\n{hashlib.md5(content).hexdigest()}  {name}\n".encode()


def fetched(tmp_path: Path, listed: bytes, **options: object) -> Path:
    output = tmp_path / "fna.gz"
    with Server(GENOME) as genome, Server(listed) as sums:
        download.fetch(genome.url, output, md5_list=sums.url, sleep=lambda _: None, **options)
    return output


def test_a_file_with_the_published_md5_is_kept(tmp_path: Path) -> None:
    assert fetched(tmp_path, md5_list(GENOME)).read_bytes() == GENOME


def test_a_file_with_another_md5_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"md5 is {hashlib.md5(GENOME).hexdigest()}, expected"):
        fetched(tmp_path, md5_list(OTHER))
    assert list(tmp_path.iterdir()) == []


def test_a_list_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not list genome\.fna\.gz"):
        fetched(tmp_path, md5_list(GENOME, "./genome.gff.gz"))


def test_a_missing_list_is_one_line(tmp_path: Path) -> None:
    with Server(GENOME) as genome, Server(b"", ("status", 404, {})) as sums:
        with pytest.raises(InputError, match=r"HTTP 404"):
            download.fetch(genome.url, tmp_path / "fna.gz", md5_list=sums.url)


def test_a_sha256_of_the_user_comes_first(tmp_path: Path) -> None:
    sha256 = hashlib.sha256(GENOME).hexdigest()
    assert fetched(tmp_path, md5_list(OTHER), sha256=sha256).read_bytes() == GENOME


def test_the_list_of_a_known_publisher_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert md5_list_of(f"{ASSEMBLY}/GCF_000002945.1_ASM294v2_genomic.fna.gz") == f"{ASSEMBLY}/md5checksums.txt"
    assert md5_list_of("https://example.org/genome.fna.gz") is None
    with Server(GENOME) as server:
        # The server gives the genome for every name, so it lists no md5.
        monkeypatch.setitem(checksums.MD5_LISTS, "127.0.0.1", "md5checksums.txt")
        with pytest.raises(InputError, match=r"/md5checksums\.txt: does not list genome\.fna\.gz"):
            download.fetch(server.url, tmp_path / "fna.gz")


def test_a_file_that_nobody_vouches_for_is_fetched_with_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(GENOME) as server:
        download.fetch(server.url, tmp_path / "fna.gz")
    assert "not checked: no checksum is given or published" in capsys.readouterr().err


def test_digests_of_the_user_are_read_or_refused() -> None:
    assert checksum("md5", " " + "AB" * 16) == Checksum("md5", "ab" * 16)
    assert checksum("sha256", "") is checksum("sha256", None) is None
    with pytest.raises(InputError, match="md5: 'abc' is not 32 hexadecimal digits"):
        checksum("md5", "abc")
