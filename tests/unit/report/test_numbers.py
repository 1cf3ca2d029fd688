"""Numbers as the pages write them, at the limits of their units."""

from __future__ import annotations

import sys

import pytest

from genet5.report.numbers import bases, count, counted, is_number, percent, score, seconds, significant, size


@pytest.mark.parametrize("value", [0, -1, 0.5, sys.float_info.max, -sys.float_info.max])
def test_finite_numbers_are_numbers(value: object) -> None:
    assert is_number(value) is True


@pytest.mark.parametrize("value", [True, None, "1", float("inf"), float("nan"), 10**400])
def test_other_things_are_a_dash(value: object) -> None:
    assert is_number(value) is False
    written = [write(value) for write in (count, score, percent, significant, bases, seconds, size)]
    assert written == ["–"] * 7


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (counted(0, "gene"), "0 genes"),
        (counted(1, "gene"), "1 gene"),
        (counted(2, "gene"), "2 genes"),
        (score(0.12345), "0.123"),
        (percent(0.5, 0), "50 %"),
        (significant(0), "0"),
        (significant(-1234.5), "-1,234"),
        (significant(0.001), "0.001"),
        (significant(0.000999), "9.99e-04"),
        (significant(999_999_999), "999,999,999"),
        (significant(1e9), "1.00e+09"),
        (significant(12.3456), "12.3"),
        (significant(1.23456, 2), "1.2"),
        (significant(999), "999"),
        (bases(999), "999 bp"),
        (bases(1000), "1 kb"),
        (bases(1_000_000), "1 Mb"),
        (bases(1_000_000_000), "1 Gb"),
        (bases(-1000), "-1 kb"),
        (seconds(9.96), "10 s"),
        (seconds(9.94), "9.9 s"),
        (seconds(10.04), "10 s"),
        (seconds(12.34), "12.3 s"),
        (seconds(99.4), "99.4 s"),
        (seconds(99.5), "1.7 min"),
        (seconds(5969), "99.5 min"),
        (seconds(5970), "1.7 h"),
        (size(999), "999"),
        (size(1000), "1 k"),
        (size(1_000_000), "1 M"),
        (size(1_000_000_000), "1 G"),
        (size(-2000), "-2 k"),
    ],
)
def test_each_unit_begins_at_its_limit(written: str, expected: str) -> None:
    assert written == expected
