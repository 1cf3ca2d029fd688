"""What may be secret in an address stands in an environment variable, and not on a command line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from file_servers import Server

import download
from genet5.errors import InputError
from genet5.sources.hidden import hidden, revealed

PACKED = gzip.compress(b">a\nACGT\n", mtime=0)


@pytest.mark.parametrize(
    "source",
    [
        "ftp://user:s3cret@host.org/g.fna.gz",
        "https://s3cret@host.org/g.fna.gz",
        "https://host.org/g.fna.gz?token=s3cret",
        "https://host.org/g.fna.gz#s3cret",
        "HTTPS://host.org:80x/g.fna.gz?s3cret",
    ],
)
def test_a_secret_is_named_and_not_told(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment: dict[str, str] = {}
    said = hidden(source, environment)
    assert said.startswith("env:GENET5_SOURCE_") and "s3cret" not in said
    assert environment == {said.removeprefix("env:"): source}
    assert hidden(source, environment) == said != hidden(f"{source}x", {})
    monkeypatch.setenv(said.removeprefix("env:"), source)
    assert revealed(said) == source


@pytest.mark.parametrize("source", ["https://host.org:80/a/g.fna.gz", "my/g?x#y@z.fna", "package:p/a", "figshare:1/a"])
def test_any_other_source_stays(source: str) -> None:
    environment: dict[str, str] = {}
    assert hidden(source, environment) == source == revealed(source) and not environment


def test_a_variable_that_is_not_set_is_one_line() -> None:
    with pytest.raises(InputError, match=r"^env:GENET5_SOURCE_X: the environment variable GENET5_SOURCE_X is not set"):
        revealed("env:GENET5_SOURCE_X")


def test_the_script_fetches_what_the_variable_names(tmp_path: Path, monkeypatch, capsys) -> None:
    with Server(PACKED) as server:
        monkeypatch.setenv("MINE", f"{server.url}?token=s3cret")
        download.main(["--source", "env:MINE", "--output", str(tmp_path / "g.fna.gz")])
    assert (tmp_path / "g.fna.gz").read_bytes() == PACKED
    printed = capsys.readouterr()
    assert "wrote" in printed.err and "s3cret" not in printed.err + printed.out
