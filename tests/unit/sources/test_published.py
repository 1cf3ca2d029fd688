"""Public files on GitHub: which source they stand in for, and that the list agrees with the reference data."""

from __future__ import annotations

import gzip
import hashlib
import re

import pytest

from genet5.sources.published import PublishedFile, published_files, published_instead

FILES = published_files()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine/tf-binding").mkdir(parents=True)
    return tmp_path


def test_a_file_that_is_here_is_never_fetched(here):
    path = "tf-binding/chr22_scores.txt.gz"
    for root in ("mine", "mine/", str(here / "mine")):
        assert published_instead(f"{root.rstrip('/')}/{path}", root, FILES) == FILES[path]
    (here / "mine" / path).touch()
    assert published_instead(f"mine/{path}", "mine", FILES) is None


@pytest.mark.parametrize("source", ["my/tf-binding/chr22_scores.txt.gz", "mine/other.gz", "https://x/y.gz", "minetoo"])
def test_a_source_of_the_user_is_taken_as_it_is(here, source):
    assert published_instead(source, "mine", FILES) is None


def test_an_address_has_the_commit_and_a_mirror_the_same_path():
    file = PublishedFile("a/b.csv.gz", "me/it", "c0ffee", "data/x.rda", "0" * 64)
    assert file.url() == "https://raw.githubusercontent.com/me/it/c0ffee/data/x.rda"
    assert file.url("http://mirror:8000/") == "http://mirror:8000/me/it/c0ffee/data/x.rda"
    assert file.name == "a/x.rda"


def test_every_row_is_complete_and_one_name_is_one_file():
    seen = {}
    for path, file in FILES.items():
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256) and re.fullmatch(r"[0-9a-f]{40}", file.commit), path
        assert bool(file.object) == file.file.endswith(".rda") == bool(file.samples), path
        assert (file.samples == "labels") == bool(file.ids), path
        assert seen.setdefault(file.name, (file.url(), file.sha256)) == (file.url(), file.sha256), path


def test_every_row_is_documented(repository):
    """docs/data.md has the same repository, path and commit."""
    text = (repository / "docs/data.md").read_text()
    for path, file in FILES.items():
        assert f"| `{path}` | {file.repository}, `{file.file}`, {file.commit} |" in text


def test_the_checksums_are_those_of_the_reference_data(shared_data):
    for path, file in FILES.items():
        local = shared_data / (file.name if file.object else path)
        content = local.read_bytes()
        if not file.object and not file.file.endswith(".gz"):
            content = gzip.decompress(content)
        assert hashlib.sha256(content).hexdigest() == file.sha256, path
