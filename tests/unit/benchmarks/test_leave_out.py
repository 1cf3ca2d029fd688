"""leave_out.py: the species table without the rows that are left out."""

from __future__ import annotations

import pytest

from genet5.errors import InputError

ROWS = ("species\tclade\tsplit", "E.coli\tbacteria\ttrain", "E.coli.contig\tbacteria\ttest", "M.alvi\tbacteria\ttrain")
SHEET = "".join(f"{row}\n" for row in ROWS)


@pytest.mark.parametrize(
    ("left_out", "kept"),
    [(["E.coli"], (0, 2, 3)), (["M.alvi", "E.coli"], (0, 2)), (["E.coli.contig"], (0, 1, 3)), ([], (0, 1, 2, 3))],
)
def test_only_the_rows_of_these_species_are_left_out(left_out, kept):
    from leave_out import table_without

    assert table_without(SHEET, left_out) == "".join(f"{ROWS[row]}\n" for row in kept)


def test_empty_lines_are_dropped_and_cells_stay_as_they_are():
    from leave_out import table_without

    sheet = "# twenty genomes\n\nspecies\tgenome\nE.coli\t{data_root}/a b.gz\nM.alvi\t-\n"
    expected = "# twenty genomes\nspecies\tgenome\nE.coli\t{data_root}/a b.gz\n"
    assert table_without(sheet, ["M.alvi"]) == expected


def test_species_that_the_table_does_not_have_are_one_line():
    from leave_out import table_without

    with pytest.raises(InputError) as error:
        table_without(SHEET, ["M.alvi", "S.pombe", "B.subtilis"])
    assert str(error.value) == "--group: B.subtilis, S.pombe is not in the species table of the recipe"
