"""The page on file formats is what the writers say of themselves."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from genet5.adapt import adaptation, relatives
from genet5.annotate import part_files
from genet5.bake import manifest
from genet5.bake.manifest import MANIFEST_FIELDS, write_manifest
from genet5.bake.shards import ShardRecord
from genet5.files import read_json
from genet5.settings.formats_page import formats_page
from genet5.tokens import tokenizer, vq


def test_the_page_is_up_to_date(repository: Path) -> None:
    page = (repository / "docs" / "formats.md").read_text("utf-8")
    assert page == formats_page(), (
        "write it anew: PYTHONPATH=scripts python -m genet5.settings.formats_page docs/formats.md"
    )


def test_the_page_is_written_where_the_command_says(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = str(repository / "scripts/genet5/settings/formats_page.py")
    monkeypatch.setattr(sys, "argv", ["formats_page", str(tmp_path / "formats.md")])
    runpy.run_path(script, run_name="imported")
    assert not (tmp_path / "formats.md").exists()
    runpy.run_path(script, run_name="__main__")
    assert (tmp_path / "formats.md").read_text("utf-8") == formats_page()


def test_files_of_former_versions_are_still_read() -> None:
    """A number is raised with what it stands for, and no file of the version before is read any more."""
    assert (adaptation.FORMAT, manifest.FORMAT, part_files.FORMAT, relatives.FORMAT) == (3, 1, 2, 4)
    assert (tokenizer.FORMAT_VERSION, vq.FORMAT_VERSION) == (1, 1)


def test_the_manifest_has_the_documented_fields(tmp_path: Path) -> None:
    (tmp_path / "stats.json").write_text("{}\n")
    shards = [ShardRecord("train_000.tar", "train", 3, 10240, "00")]
    path = write_manifest(tmp_path, {"samples_per_shard": 3}, {}, shards, ("stats.json",))
    content = read_json(path)
    assert set(content) == set(MANIFEST_FIELDS)
    assert content["shards"] == [
        {"name": "train_000.tar", "split": "train", "samples": 3, "size": 10240, "sha256": "00"}
    ]
