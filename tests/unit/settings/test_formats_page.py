"""The page on file formats is what the writers say of themselves."""

from __future__ import annotations

from pathlib import Path

from genet5.bake.manifest import MANIFEST_FIELDS, write_manifest
from genet5.bake.shards import ShardRecord
from genet5.files import read_json
from genet5.settings.formats_page import formats_page


def test_the_page_is_up_to_date(repository: Path) -> None:
    page = (repository / "docs" / "formats.md").read_text("utf-8")
    assert page == formats_page(), (
        "write it anew: PYTHONPATH=scripts python -m genet5.settings.formats_page docs/formats.md"
    )


def test_the_manifest_has_the_documented_fields(tmp_path: Path) -> None:
    (tmp_path / "stats.json").write_text("{}\n")
    shards = [ShardRecord("train_000.tar", "train", 3, 10240, "00")]
    path = write_manifest(tmp_path, {"samples_per_shard": 3}, {}, shards, ("stats.json",))
    content = read_json(path)
    assert set(content) == set(MANIFEST_FIELDS)
    assert content["shards"] == [
        {"name": "train_000.tar", "split": "train", "samples": 3, "size": 10240, "sha256": "00"}
    ]
