"""The report on first weights, as a file, as a table and in one line."""

from __future__ import annotations

import torch

from genet5.writer.init_report import ReportRow, report_summary, report_table, report_tsv, shape_text

ROWS = [
    ReportRow("new", "", "head.bias", "4", "fresh"),
    ReportRow("copied", "a", "b.weight", "2x3", ""),
    ReportRow("dropped", "pooler", "", "scalar", "no counterpart"),
    ReportRow("copied", "c", "d", "1", ""),
]


def test_the_file_has_a_header_and_a_row_for_each_tensor() -> None:
    assert report_tsv(ROWS) == (
        "action\tsource\ttarget\tshape\tnote\n"
        "new\t\thead.bias\t4\tfresh\n"
        "copied\ta\tb.weight\t2x3\t\n"
        "dropped\tpooler\t\tscalar\tno counterpart\n"
        "copied\tc\td\t1\t\n"
    )


def test_the_table_has_aligned_columns_and_a_dash_for_nothing() -> None:
    assert report_table(ROWS) == (
        "action   source  target     shape   note\n"
        "new      -       head.bias  4       fresh\n"
        "copied   a       b.weight   2x3     -\n"
        "dropped  pooler  -          scalar  no counterpart\n"
        "copied   c       d          1       -"
    )


def test_the_summary_counts_what_there_is_in_a_fixed_order() -> None:
    assert report_summary(ROWS) == "2 copied, 1 dropped, 1 new"
    assert report_summary([ROWS[0]._replace(action="reshaped"), *ROWS]) == "2 copied, 1 reshaped, 1 dropped, 1 new"


def test_shapes_are_words() -> None:
    assert [shape_text(torch.zeros(shape)) for shape in ((), (3,), (2, 3, 4))] == ["scalar", "3", "2x3x4"]
