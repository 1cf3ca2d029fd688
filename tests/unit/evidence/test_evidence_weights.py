"""What hints weigh is read from a file: the shipped one is whole, any other content is one line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from genet5.errors import InputError
from genet5.evidence.hints import SOURCES
from genet5.evidence.weights import PARTS, read_weights, shipped_weights
from genet5.files import resource


def test_the_shipped_weights_are_those_of_the_file() -> None:
    said = json.loads((resource("evidence") / "weights.json").read_text())
    found = shipped_weights()
    assert dict(found.nats) == said["nats"] and found.slowness == said["slowness"]
    assert len(found.nats) == len(SOURCES) * len(PARTS)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("rnaseq.site", "much", "rnaseq.site is 'much', expected a number from 0 to 1000"),
        ("rnaseq.site", -1, "rnaseq.site is '-1', expected a number"),
        ("rnaseq.site", 10**400, "rnaseq.site is '10*', expected a number"),
        ("rnaseq.site", math.nan, "rnaseq.site is 'nan', expected a number"),
        ("rnaseq.site", True, "rnaseq.site is 'True', expected a number"),
        ("rnaseq.other", 1.0, "nats: expected one number for each of rnaseq.site, "),
        ("slowness", 0, "slowness is '0', expected a number"),
        ("slowness", None, "slowness is 'None', expected a number"),
        ("nats", [], "nats: expected one number for each of"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, key: str, value: object, said: str) -> None:
    content = json.loads((resource("evidence") / "weights.json").read_text())
    (content if key in content else content["nats"])[key] = value
    path = tmp_path / "weights.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=said) as caught:
        read_weights(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
