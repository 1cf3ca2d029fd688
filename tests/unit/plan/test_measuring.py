"""What a device is said to do in a second follows from the seconds that were measured."""

from __future__ import annotations

import pytest

from genet5.plan import measuring
from genet5.writer.cost import PASSES


def test_seconds_become_operations_and_seconds_of_a_base(default_config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of 5 s, of which the sum over chains took 3 s, read ``ROWS`` windows of ``WINDOW_BP``."""
    monkeypatch.setattr(measuring, "timed", lambda *_: 5.0)
    monkeypatch.setattr(measuring, "_chain_seconds", lambda *_: 3.0)
    monkeypatch.setattr(measuring, "_writer", lambda *_: (7e9, 0.25))
    bases = measuring.ROWS * measuring.WINDOW_BP
    found = measuring.measure(default_config, 1000.0, "cpu")
    assert found.crf_flops == pytest.approx(PASSES * 1000 * bases / 2)
    assert found.chain_s == pytest.approx(3 / bases)
    assert (found.writer_flops, found.token_s) == (7e9, 0.25)
