"""The score table of the terminal: aligned, ours first, the teacher marked, undefined values shown as such."""

from __future__ import annotations

from genet5.genome.genes import Region
from genet5.report.scoreboard import Scoreboard, System
from genet5.report.text_table import score_tables


def test_rows_columns_and_undefined_values():
    ours = {"gene": {"f1": 0.5}, "end3": {"f1": 0.75}, "gene_multi_exon": {"f1": None}, "predicted": {"genes": 1234}}
    teacher = {"gene": {"f1": 1.0}, "kb_per_cpu_s": 321.04}
    board = Scoreboard(
        "C.diphtheriae",
        (Region("chr", 99, 2000),),
        "prodigal",
        {},
        [System("genet5/sft", ours), System("prodigal", teacher)],
    )
    title, header, line, first, second = score_tables([board]).splitlines()
    assert title == "C.diphtheriae, held-out chr:100-2,000"
    assert len(header) == len(line) == len(first) == len(second)
    stop_side = slice(header.index("Stop side"), header.index("Stop side") + len("Stop side"))
    assert first[stop_side].strip() == "0.750" and second[stop_side].strip() == "-"
    assert first.startswith("GeneT5 sft ") and second.startswith("Prodigal (teacher) ")
    assert first.split()[-2:] == ["1234", "-"] and second.split()[-2:] == ["-", "321.0"]
    assert score_tables([board, board]).count(title) == 2
