"""Files of an article on figshare: found by name, checked by figshare's md5."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest
from file_servers import Server

from genet5.errors import InputError
from genet5.sources import figshare
from genet5.sources.download import fetch

TABLE = b"csid,NPPB\n1,0.5\n"


def listing(**entry: object) -> bytes:
    """What figshare answers for an article of two files."""
    md5 = hashlib.md5(TABLE).hexdigest()
    file = {"id": 1, "name": "olink_overlap.csv", "computed_md5": md5, "is_link_only": False, **entry}
    return json.dumps([{"id": 2, "name": "other.csv", "download_url": "http://127.0.0.1:1/"}, file]).encode()


def bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, name: str = "olink_overlap.csv") -> Path:
    """Fetch a file of article 27931350 with this answer of the API."""
    with Server(answer) as server:
        monkeypatch.setattr(figshare, "API", server.url)
        fetch(f"figshare:27931350/{name}", tmp_path / "olink.csv.gz", retries=0, sleep=lambda seconds: None)
    return tmp_path / "olink.csv.gz"


def test_a_file_is_found_by_its_name_and_checked(tmp_path, monkeypatch):
    with Server(TABLE) as files:
        path = bring(tmp_path, monkeypatch, listing(download_url=files.url))
    assert gzip.decompress(path.read_bytes()) == TABLE
    # Without figshare's md5 nothing can be checked; that of the upload is as good.
    for entry in ({"computed_md5": ""}, {"computed_md5": None, "supplied_md5": hashlib.md5(TABLE).hexdigest()}):
        path.unlink()
        with Server(TABLE) as files:
            bring(tmp_path, monkeypatch, listing(download_url=files.url, **entry))
        assert gzip.decompress(path.read_bytes()) == TABLE


def test_another_content_than_figshare_has_is_refused(tmp_path, monkeypatch):
    with Server(TABLE + b"2,0.7\n") as files, pytest.raises(InputError, match=r"md5 is [0-9a-f]{32}, expected"):
        bring(tmp_path, monkeypatch, listing(download_url=files.url))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("answer", "name", "message"),
    [
        (
            listing(),
            "soma.csv",
            r"figshare:27931350/soma.csv: the article has no such file \(there are: olink_over.*, o",
        ),
        (
            listing(is_link_only=True, download_url="x"),
            "olink_overlap.csv",
            "figshare has a link in place of this file",
        ),
        (b'{"message": "x"}', "olink_overlap.csv", r"answers something else than a list of files"),
        (b"<html>", "olink_overlap.csv", r"answers something else than a list of files"),
        (b"[]", "olink_overlap.csv", r"the article has no such file \(there are: none\)"),
    ],
)
def test_what_cannot_be_had_is_said_in_one_line(tmp_path, monkeypatch, answer, name, message):
    with pytest.raises(InputError, match=message) as error:
        bring(tmp_path, monkeypatch, answer, name)
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


def test_the_article_is_a_number_and_the_list_is_asked_for_whole(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"figshare:x/y: expected figshare:ARTICLE/FILE, ARTICLE a number"):
        fetch("figshare:x/y", tmp_path / "y.csv")
    asked = []
    monkeypatch.setattr(figshare, "transfer", lambda url, stream, **options: asked.append(url) or stream.write(b"[]"))
    with pytest.raises(InputError):
        fetch("figshare:27931350/y.csv", tmp_path / "y.csv")
    assert asked == ["https://api.figshare.com/v2/articles/27931350/files?page_size=1000"]
