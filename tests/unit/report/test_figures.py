"""Markup that cannot be broken by its content, and charts whose marks lie where the numbers say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from report_files import Page

from genet5.report.figures import (
    Mark,
    Part,
    Series,
    histogram,
    interval_chart,
    line_chart,
    smooth,
    stacked_bar,
    thin,
    ticks,
)
from genet5.report.markup import coordinate, render, tag
from genet5.report.numbers import bases, count, percent, seconds, significant, size


def elements(svg: str, name: str) -> list[dict[str, str | None]]:
    return [attrs for tag_name, attrs, _ in Page(svg).elements if tag_name == name]


def test_text_and_attributes_are_escaped_and_markup_is_not_escaped_twice() -> None:
    inner = tag("b", '1 < 2 & "3"')
    assert inner == "<b>1 &lt; 2 &amp; &quot;3&quot;</b>"
    assert tag("p", inner, ["<", None, 4], title='"><x>', data_a=1.25, hidden=True, id=None) == (
        f'<p title="&quot;&gt;&lt;x&gt;" data-a="1.2" hidden>{inner}&lt;4</p>'
    )
    assert tag("br", class_="x") == '<br class="x">'
    assert render("<a>") == "&lt;a&gt;"


def test_coordinates_are_short_and_finite() -> None:
    assert [coordinate(value) for value in (1.0, 1.26, -0.02, 10.0)] == ["1", "1.3", "0", "10"]
    with pytest.raises(ValueError, match="finite"):
        coordinate(float("nan"))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (significant(0.5), "0.5"),
        (significant(1234.5), "1,234"),
        (significant(0.00012), "1.20e-04"),
        (significant(None), "–"),
        (significant(100.0), "100"),
        (count(1234567), "1,234,567"),
        (count(True), "–"),
        (bases(12_071_326), "12.1 Mb"),
        (bases(950), "950 bp"),
        (percent(0.1234), "12.3 %"),
        (seconds(61.2), "61.2 s"),
        (seconds(338.4), "5.6 min"),
        (seconds(7200), "2.0 h"),
        (size(1_234_000), "1.23 M"),
    ],
)
def test_numbers_are_written_for_readers(written: str, expected: str) -> None:
    assert written == expected


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0, 1, 4) == [0, 0.25, 0.5, 0.75, 1.0]
    assert ticks(0.3, 9.7, 5) == [2, 4, 6, 8]
    assert ticks(5, 5) == [5]
    assert ticks(1_032_793, 1_065_067, 7) == [
        1_035_000,
        1_040_000,
        1_045_000,
        1_050_000,
        1_055_000,
        1_060_000,
        1_065_000,
    ]


def test_thinned_lines_keep_their_spikes() -> None:
    x = np.arange(10_000.0)
    y = np.zeros(10_000)
    y[1234], y[8765] = 9, -7
    kept_x, kept_y = thin(x, y, 100)
    assert len(kept_x) <= 110
    assert kept_y.max() == 9 and kept_y.min() == -7
    assert kept_x[0] == 0 and kept_x[-1] == 9999 and np.all(np.diff(kept_x) > 0)


def test_smoothing_starts_at_the_first_value_and_follows() -> None:
    assert smooth(np.full(5, 3.0), 10) == pytest.approx(np.full(5, 3.0))
    step = smooth(np.array([0.0] * 50 + [1.0] * 50), 9)
    assert step[0] == 0 and 0 < step[50] < 0.5 and step[-1] == pytest.approx(1, abs=1e-3)


def test_line_points_lie_where_the_axis_says() -> None:
    steps = np.array([0.0, 50.0, 100.0])
    chart = line_chart([Series("loss", steps, np.array([3.0, np.nan, 1.0]), "s1")], "Loss", x_label="step")
    (line,) = elements(chart, "polyline")
    plot = json.loads(elements(chart, "svg")[0]["data-plot"])
    points = [tuple(map(float, pair.split(","))) for pair in line["points"].split()]
    (x_low, x_high, x_from, x_to), (y_low, y_high, y_from, y_to) = plot["x"], plot["y"]
    back = [
        (
            x_low + (x - x_from) / (x_to - x_from) * (x_high - x_low),
            y_low + (y - y_from) / (y_to - y_from) * (y_high - y_low),
        )
        for x, y in points
    ]
    assert np.array(back) == pytest.approx(np.array([[0, 3], [100, 1]]), abs=0.02)
    (axis,) = [line for line in elements(chart, "line") if line["class"] == "axis"]
    assert float(axis["y1"]) == float(axis["y2"]) == y_from
    assert [float(axis["x1"]), float(axis["x2"])] == pytest.approx([x_from, x_to], abs=60)
    assert "loss from 3 to 1, lowest 1" in elements(chart, "svg")[0]["aria-label"]


def test_charts_without_numbers_are_left_out_and_flat_lines_drawn() -> None:
    steps = np.arange(3.0)
    assert line_chart([Series("a", steps, np.full(3, np.nan), "s1")], "A", x_label="step") is None
    assert line_chart([], "A", x_label="step") is None
    flat = line_chart([Series("a", steps, np.zeros(3), "s1")], "A", x_label="step")
    assert len(elements(flat, "polyline")) == 1
    single = line_chart([Series("a", steps[:1], np.ones(1), "s1")], "A", x_label="step")
    assert len(elements(single, "circle")) == 1


def test_stacked_bar_is_cut_in_proportion() -> None:
    bar = stacked_bar([Part("kept", 30, "s1"), Part("none", 0, "s2"), Part("dropped", 10, "s3")], "Windows", width=400)
    pieces = elements(bar, "rect")
    assert [(piece["class"], float(piece["x"]), float(piece["width"])) for piece in pieces] == [
        ("s1", 0, 299),
        ("s3", 300, 99),
    ]
    assert elements(bar, "svg")[0]["aria-label"] == "Windows. kept 75.0 %, dropped 25.0 %"
    assert "nothing to show" in stacked_bar([], "Windows")


def test_interval_chart_puts_marks_and_whiskers_on_the_scale() -> None:
    chart = interval_chart([("Gene", [Mark("ours", 0.5, (0.25, 0.75), "s1")])], "F1", width=520, left=100)
    (mark,) = elements(chart, "circle")
    (whisker,) = [line for line in elements(chart, "line") if "whisker" in line["class"]]
    assert float(mark["cx"]) == 100 + 0.5 * 400
    assert (float(whisker["x1"]), float(whisker["x2"])) == (200, 400)
    three = interval_chart([(name, [Mark("ours", 0.5, None, "s1")]) for name in "abc"], "F1")
    height = float(elements(three, "svg")[0]["height"])
    rails = [float(line["y1"]) for line in elements(three, "line") if line["class"] == "rail"]
    assert np.diff(rails).tolist() == [30, 30] and rails[-1] + 15 <= height


def test_histogram_bars_are_proportional() -> None:
    chart = histogram([("-1", 5), ("1", 10), ("2", 0)], "Offsets")
    heights = [float(bar["height"]) for bar in elements(chart, "rect")]
    assert heights[0] == pytest.approx(heights[1] / 2) and heights[2] == 0


def test_a_line_of_just_the_limit_is_not_thinned() -> None:
    x, y = np.arange(4.0), np.array([1.0, 2.0, 3.0, 4.0])
    assert [part.tolist() for part in thin(x, y, 4)] == [[0, 1, 2, 3], [1, 2, 3, 4]]
    x, y = np.arange(8.0), np.array([5.0, 6, 7, 8, 9, 8, 7, 6])
    assert [part.tolist() for part in thin(x, y, 4)] == [[0, 3, 4, 7], [5, 8, 9, 6]]


def test_a_bar_of_less_than_one_is_drawn_whole() -> None:
    (piece,) = elements(stacked_bar([Part("some", 0.5, "s1")], "Share", width=400), "rect")
    assert (piece["class"], piece["x"], piece["width"]) == ("s1", "0", "399")


def test_a_single_bar_takes_the_width_of_its_histogram() -> None:
    (bar,) = elements(histogram([("one", 3)], "Bars", width=216, height=100), "rect")
    # 8 pixels are left on each side, and 1 on each side of a bar; below it are 22, and above it 16.
    assert (bar["x"], bar["y"], bar["width"], bar["height"]) == ("9", "16", "198", "62")
    assert elements(histogram([], "Bars"), "rect") == []


def test_a_span_of_three_weighs_each_value_as_much_as_all_before_it() -> None:
    assert smooth(np.array([0.0, 1.0, 1.0]), 3).tolist() == pytest.approx([0, 2 / 3, 6 / 7])
