"""The cells of a table of sanity checks."""

from __future__ import annotations

from genet5.evaluate.sanity import Check
from genet5.report.markup import Markup, tag
from genet5.report.numbers import percent, significant


def check_value(check: Check, value: float | tuple[float, float] | None) -> str:
    """A value of a check as text: a number, a ratio, a share, or a range of numbers."""
    if isinstance(value, tuple):
        return f"{check_value(check, value[0])} to {check_value(check, value[1])}"
    return percent(value) if check.kind == "share" else significant(value)


def check_cell(check: Check) -> Markup:
    """What was predicted, red and with a reason where it alarms."""
    reason = tag("small", check.alarm) if check.alarm else None
    return tag("td", check_value(check, check.predicted), reason, class_="alarm" if check.alarm else None)
