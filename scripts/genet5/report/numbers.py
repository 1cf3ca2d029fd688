"""Numbers as people read them: thousands apart, bases in kb and Mb, times in the unit that fits."""

from __future__ import annotations

import math
import sys

MISSING = "–"


def is_number(value: object) -> bool:
    """True for a finite int or float (not for a bool or None); whole numbers that are no float are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def count(value: object) -> str:
    """1234567 -> ``1,234,567``; anything that is not a number is a dash."""
    return f"{value:,.0f}" if is_number(value) else MISSING


def counted(value: object, thing: str) -> str:
    """A number with its thing, in the plural unless it is one: ``1 sequence``, ``2 sequences``."""
    return f"{count(value)} {thing}{'' if value == 1 else 's'}"


def score(value: object) -> str:
    """A share between 0 and 1 with three decimals."""
    return f"{value:.3f}" if is_number(value) else MISSING


def percent(value: object, decimals: int = 1) -> str:
    """A share between 0 and 1 as a percentage."""
    return f"{100 * value:.{decimals}f} %" if is_number(value) else MISSING


def significant(value: object, digits: int = 3) -> str:
    """A number with about ``digits`` significant digits and no exponent between 0.001 and a million."""
    if not is_number(value):
        return MISSING
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size < -3 or size >= 9:
        return f"{value:.{digits - 1}e}"
    decimals = max(0, digits - 1 - size)
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def bases(value: object) -> str:
    """A length in bases as bp, kb, Mb or Gb."""
    if not is_number(value):
        return MISSING
    for limit, unit in ((1e9, "Gb"), (1e6, "Mb"), (1e3, "kb")):
        if abs(value) >= limit:
            return f"{significant(value / limit)} {unit}"
    return f"{value:.0f} bp"


def seconds(value: object) -> str:
    """A duration in seconds, minutes or hours."""
    if not is_number(value):
        return MISSING
    if value < 99.5:
        return f"{significant(value, 2 if value < 10 else 3)} s"
    if value < 5970:
        return f"{value / 60:.1f} min"
    return f"{value / 3600:.1f} h"


def size(value: object) -> str:
    """A number of things in short form: 1.2 k, 3.4 M, 5.6 G."""
    if not is_number(value):
        return MISSING
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{significant(value / limit)} {unit}"
    return significant(value)
