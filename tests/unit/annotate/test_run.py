"""Settings of an annotation that a model cannot follow: each is one line, and values at the limits are none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from genet5.annotate.run import How, _check
from genet5.errors import InputError


def message(**changed: Any) -> str:
    """What is said of these settings; "" where nothing is wrong. Scores are calibrated, windows end at 9,000 bases."""
    calibrated = changed.pop("calibrated", True)
    how = How(
        **{"clade": "fungi", "genetic_code": 1, "decoder": "viterbi", "window_bp": 9000, "overlap_bp": 0} | changed
    )
    try:
        _check(how, SimpleNamespace(longest_window_bp=9000), SimpleNamespace(calibrated=calibrated, reason="why"))
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"batch_size": 0}, "batch_size: 0, must be at least 1"),
        ({"batch_size": 1, "beam_width": 0}, "beam_width: 0, must be at least 1"),
        ({"beam_width": 1}, ""),
        ({"min_confidence": -0.1}, "min_confidence: -0.1, allowed: 0 to 1"),
        ({"min_confidence": 1.1}, "min_confidence: 1.1, allowed: 0 to 1"),
        ({"min_confidence": 1.0}, ""),
        ({"min_confidence": 0.0, "calibrated": False}, ""),
        (
            {"min_confidence": 0.1, "calibrated": False},
            "min_confidence: 0.1, but scores are not calibrated, so only 0 is allowed (why)",
        ),
        ({"isoforms": 2}, ""),
        ({"isoforms": 1, "decoder": "lm"}, ""),
        (
            {"isoforms": 2, "decoder": "lm"},
            "isoforms: 2, but the decoder lm finds one transcript; use viterbi or expected",
        ),
        ({"decoder": "lm", "window_bp": 9001}, "window_bp: 9001, the model writes windows of at most 9000"),
        ({"decoder": "viterbi", "window_bp": 9001}, ""),
    ],
)
def test_what_a_model_cannot_do_is_one_line(changed: dict[str, Any], expected: str) -> None:
    assert message(**changed) == expected
