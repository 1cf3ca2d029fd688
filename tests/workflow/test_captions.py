"""Outputs that Snakemake's own report shows have captions in plain words."""

from __future__ import annotations

import re
from string import Formatter


def reported(repository) -> list[tuple[str, str, str]]:
    """(path, name of the caption, labels) of every output in ``report()``."""
    found = []
    for path in sorted((repository / "workflow" / "rules").glob("*.smk")):
        for text in re.findall(r"report\(\n(.+?)\n {8}\)", path.read_text(), flags=re.DOTALL):
            (target,), (caption,) = (
                re.findall(r'^ +"(.+?)",$', text, re.M),
                re.findall(r'caption="\.\./report/(.+?)"', text),
            )
            found.append((target, caption, re.search(r"labels=\{(.+)\}", text)[1]))
    return found


def test_six_kinds_of_output_have_captions(repository):
    found = reported(repository)
    assert {target.rsplit("/")[1] for target, _, _ in found} >= {
        "annotation",
        "baked",
        "busco",
        "model",
        "report",
        "score",
    }
    captions = {name for _, name, _ in found} | {"workflow.rst"}
    assert captions == {path.name for path in (repository / "workflow" / "report").iterdir()}


def test_captions_and_labels_name_wildcards_of_their_output(repository):
    assert len(reported(repository)) > 5
    for target, name, labels in reported(repository):
        wildcards = {field for _, field, _, _ in Formatter().parse(target) if field}
        text = (repository / "workflow" / "report" / name).read_text()
        assert set(re.findall(r"snakemake\.wildcards\.(\w+)", text)) <= wildcards, name
        assert set(re.findall(r"\{(\w+)\}", labels)) <= wildcards, name
