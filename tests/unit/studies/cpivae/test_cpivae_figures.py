"""What the figures of the study cpiVAE draw."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from genet5.studies.cpivae import figures


def test_each_predictor_has_a_bar_of_its_correlation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best comes last, which is on top; an interval reaches from its low end to its high end."""
    drawn = []
    monkeypatch.setattr(figures, "draw", lambda path, width, height, *drawings: drawn.extend(drawings))
    rows = {
        "ridge": {"name": "ridge", "model": False, "corr_mean": {"value": 0.4, "interval": (0.3, 0.6)},
                  "sample_corr_mean": {"value": 0.7, "interval": None}},
        "vae": {"name": "vae", "model": True, "corr_mean": {"value": 0.5, "interval": None},
                "sample_corr_mean": {"value": 0.2, "interval": (0.1, 0.3)}},
    }  # fmt: skip
    figures.performance_figure({"rows": rows}, Path("x.png"))
    for drawing, values in zip(drawn, ((0.4, 0.5), (0.7, 0.2)), strict=True):
        axes = Figure().subplots()
        drawing(axes)
        assert [bar.get_width() for bar in axes.patches] == list(values)
        assert [label.get_text() for label in axes.get_yticklabels()] == ["ridge", "vae"]
    axes = Figure().subplots()
    drawn[0](axes)
    (lines,) = axes.collections
    assert lines.get_segments()[0][:, 0].tolist() == pytest.approx([0.3, 0.6])
