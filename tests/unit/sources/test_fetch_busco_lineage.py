"""BUSCO lineages by name: from a server, from a folder, checked, and one line for everything that is wrong."""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from genet5.errors import InputError
from genet5.sources.lineages import fetch_lineage, read_list

NAMES = ("fungi_odb10", "fungi_odb12", "fungi_odb12.2", "funga_odb12", "bacteria_odb12")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder as BUSCO publishes: the list, and a tar for each name of two dates."""
    place = tmp_path / "site"
    (place / "lineages").mkdir(parents=True)
    rows = ["mapping.fungi_odb12.txt\t2025-01-15\t" + "0" * 32 + "\teukaryota\tplacement_files\n"]
    for name in NAMES:
        inside = tmp_path / f"{name}.cfg"
        inside.write_text(f"name={name}\n")
        tar = place / "lineages" / f"{name}.2026-05-22.tar.gz"
        with tarfile.open(tar, "w:gz") as archive:
            archive.add(inside, f"{name}/dataset.cfg")
        md5 = hashlib.md5(tar.read_bytes()).hexdigest()
        rows.append(f"{name}\t2026-05-22\t{md5}\teukaryota\tlineages\n")
    (place / "file_versions.tsv").write_text("".join(rows))
    return place


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """The same folder over HTTP."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(site)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def place(request: pytest.FixtureRequest, site: Path) -> str:
    return {"folder": str(site), "file": site.as_uri()}.get(request.param) or request.getfixturevalue("address")


def no_pause(_: float) -> None:
    pass


@pytest.mark.parametrize("place", ["folder", "file", "http"], indirect=True)
@pytest.mark.parametrize("name", ["fungi_odb12", "fungi_odb12.2"])
def test_a_busco_lineage_comes_by_its_name(place: str, name: str, tmp_path: Path) -> None:
    output = tmp_path / "data/lineages" / f"{name}.tar.gz"
    assert fetch_lineage(name, place, output) == "2026-05-22"
    with tarfile.open(output) as archive:
        assert archive.getnames() == [f"{name}/dataset.cfg"]
    assert [path.name for path in output.parent.iterdir()] == [output.name]


@pytest.mark.parametrize("place", ["folder", "http"], indirect=True)
def test_a_busco_lineage_with_another_md5_is_not_kept(place: str, site: Path, tmp_path: Path) -> None:
    tar = site / "lineages/fungi_odb12.2026-05-22.tar.gz"
    right = hashlib.md5(tar.read_bytes()).hexdigest()
    tar.write_bytes((site / "lineages/bacteria_odb12.2026-05-22.tar.gz").read_bytes())  # a whole gzip, but another
    wrong = hashlib.md5(tar.read_bytes()).hexdigest()
    with pytest.raises(InputError, match=f"fungi_odb12.2026-05-22.tar.gz: md5 is {wrong}, expected {right}$"):
        fetch_lineage("fungi_odb12", place, tmp_path / "out" / "l.tar.gz", sleep=no_pause)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fungi_odb13", r"lineage 'fungi_odb13' is not in .*file_versions.tsv; near it: fungi_odb1\S+, f\S+, f\S+$"),
        ("whales_and_more_odb99", "more_odb99' is not in .*; it has 5 others$"),
        ("Fungi", "lineage 'Fungi': not a name of BUSCO's, expected one like fungi_odb12$"),
        ("../fungi_odb12", "not a name of BUSCO's"),
        ("mapping.fungi_odb12.txt", "not a name of BUSCO's"),
    ],
)
def test_names_that_busco_does_not_publish(site: Path, name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        fetch_lineage(name, str(site), tmp_path / "l.tar.gz")
    assert not (tmp_path / "l.tar.gz").exists()


def test_without_a_network_the_busco_script_says_one_line(repository: Path, tmp_path: Path) -> None:
    output = tmp_path / "out/l.tar.gz"
    command = [sys.executable, str(repository / "scripts/fetch_lineage.py"), "--name", "fungi_odb12"]
    command += ["--data", "http://127.0.0.1:9/data/", "--retries", "0", "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "http_proxy": ""})
    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if not line.startswith("download: ")]
    assert error.startswith("error: http://127.0.0.1:9/data/file_versions.tsv: download failed after 1 attempts")
    assert error.endswith("; config key busco.data may also name a folder with a copy of it")
    assert not output.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html>\n", "u, line 1: found '<html>', expected name, date, md5, domain, type, separated by tabs"),
        ("a_odb12\t2026-05-22\tabc\teukaryota\tlineages\n", "u, line 1: found 'a_odb12"),
        ("a\t2026-05-22\t-\teukaryota\tinformation\n", "u: it lists no lineage"),
    ],
)
def test_other_files_are_no_list_of_busco(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list").write_text(text)
    with pytest.raises(InputError, match=message):
        read_list(tmp_path / "list", "u")


def test_the_list_of_busco_files_is_missing(tmp_path: Path) -> None:
    message = "absent/file_versions.tsv: no such file; config key busco.data"
    with pytest.raises(InputError, match=message):
        fetch_lineage("fungi_odb12", str(tmp_path / "absent"), tmp_path / "l.tar.gz")
