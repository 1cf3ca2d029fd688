"""Benchmarks import each other, as they may where one is started."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def beside_each_other(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
