"""Lengths in AUGUSTUS's files: tails of exons, defaults, and the least and most that a file may say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from augustus_folder import MadeParameters

from genet5.errors import InputError
from genet5.sources.augustus_parameters import AugustusParameters, read_parameters, species_names


def read(tmp_path: Path, made: MadeParameters, **changes: tuple[str, str]) -> AugustusParameters:
    """The parameters that are read, after a change of a text in the file of each name."""
    folder = made.write(tmp_path)
    for kind, (written, instead) in changes.items():
        path = folder / (f"made_{kind}.cfg" if kind == "parameters" else f"made_{kind}_probs.pbl")
        assert written in path.read_text()
        path.write_text(path.read_text().replace(written, instead, 1))
    return read_parameters(tmp_path, made.name)


def without_lengths_of(kind: int, made: MadeParameters) -> tuple[str, str]:
    """The text of all lengths of exons, and the same with zeros for one kind."""
    lines = [line for line in made.exon_text().split("\n") if line.count("\t") == 4]
    lines = lines[: made.max_bp + 1]
    instead = [
        "\t".join("0" if place == kind + 1 else word for place, word in enumerate(line.split("\t"))) for line in lines
    ]
    return "\n".join(lines), "\n".join(instead)


def test_the_tail_of_a_kind_goes_on_where_its_table_ends(tmp_path: Path) -> None:
    made = MadeParameters(exons=(101, 300), counts=(40, 60, 90, 1), exceeding=(4, 60, 0, 1))
    found = read(tmp_path, made)
    assert found.exon_counts.tolist() == [40, 60, 90, 1]
    # Of 200 lengths each has .005. A tail of .1 that begins so goes on for 1 + .1 / .005 bases; none is above .9.
    np.testing.assert_allclose(found.exon_tail_shares, [0.1, 0.9, 0, 0.9])
    np.testing.assert_allclose(found.exon_tail_bp, [21, 181, 1, 181])
    np.testing.assert_allclose(found.exon_lengths[:, [100, 101, 300]], [[0, 0.005, 0.005]] * 4)
    assert found.exon_lengths.shape == (4, 301)


def test_a_table_that_ends_with_nothing_has_a_long_tail(tmp_path: Path) -> None:
    found = read(tmp_path, MadeParameters())
    np.testing.assert_allclose(found.exon_tail_bp, [1 + 0.1 / 1e-6, 1, 1, 1])


def test_a_kind_without_exons_needs_no_lengths_and_one_with_exons_does(tmp_path: Path) -> None:
    none = MadeParameters(counts=(40, 60, 0, 60), name="none")
    written, instead = without_lengths_of(2, none)
    folder = none.write(tmp_path)
    path = folder / "none_exon_probs.pbl"
    path.write_text(path.read_text().replace(written, instead))
    found = read_parameters(tmp_path, "none")
    assert found.exon_lengths.sum(axis=1).tolist() == [pytest.approx(1), pytest.approx(1), 0, pytest.approx(1)]
    assert found.mean_internal_exons == 0 and found.exon_tail_shares[2] == 0
    for kind, name, counts in ((2, "internal", (40, 60, 1, 60)), (3, "terminal", (40, 60, 90, 0))):
        made = MadeParameters(counts=counts)
        with pytest.raises(InputError, match=f"no length of kind {name}$"):
            read(tmp_path / name, made, exon=without_lengths_of(kind, made))


def test_one_gene_of_one_exon_is_enough(tmp_path: Path) -> None:
    found = read(tmp_path, MadeParameters(counts=(1, 0, 0, 0), exceeding=(0, 0, 0, 0)))
    assert (found.single_share, found.mean_internal_exons, found.introns_per_gene) == (1, 0, 0)
    other = read(tmp_path / "other", MadeParameters(counts=(1, 1, 3, 1), exceeding=(0, 0, 0, 0)))
    assert (other.single_share, other.mean_internal_exons, other.introns_per_gene) == (0.5, 3, 2)


def test_what_the_settings_leave_out_has_a_default(tmp_path: Path) -> None:
    lines = "/Constant/min_coding_len 150\n/ExonModel/maxexonlength 2000\n"
    found = read(tmp_path, MadeParameters(), parameters=(lines, ""))
    assert (found.max_exon_bp, found.min_coding_bp) == (15000, 201)


def test_the_shortest_tables_that_may_be(tmp_path: Path) -> None:
    one = MadeParameters(max_bp=1, exons=(1, 1))
    introns = "[LENGTH]\n# d\n80\n# lengths\n" + "\n".join(f"{1000 * one.introns.get(bp, 0):g}" for bp in range(81))
    found = read(tmp_path, one, intron=(introns, "[LENGTH]\n# d\n1\n# lengths\n0\n5"))
    assert found.exon_lengths.tolist() == [[0, 1]] * 4 and found.intron_lengths.tolist() == [0, 1]
    np.testing.assert_allclose(found.exon_tail_bp, [1.1, 1, 1, 1])


@pytest.mark.parametrize(("share", "extra"), [(0.0, 0.0), (1.0, 0.0), (1.0, 5.0)])
def test_all_introns_may_be_short_or_none(tmp_path: Path, share: float, extra: float) -> None:
    found = read(tmp_path, MadeParameters(short_introns=share, extra_intron_bp=extra)).classes[0]
    assert (found.short_intron_share, found.mean_extra_intron_bp) == (share, extra)


@pytest.mark.parametrize(
    ("kind", "written", "instead", "message"),
    [
        ("exon", "\n300\n", "\n0\n", r"line 4: \[LENGTH\]: '0', expected the longest length$"),
        ("exon", "\n300\n", "\n300.5\n", r"line 4: \[LENGTH\]: '300.5', expected the longest length$"),
        ("intron", "\n80\n", "\n0\n", r"\[LENGTH\]: 0, expected the longest length$"),
        ("intron", "\n80\n", "\n2.5\n", r"\[LENGTH\]: 2.5, expected the longest length$"),
        ("intron", "\n500\n", "\n-500\n", r"\[LENGTH\]: expected probabilities of which one is above 0$"),
        ("intron", "\n80\n", "\n9\n", r"\[LENGTH\]: expected probabilities of which one is above 0$"),
    ],
)
def test_lengths_that_cannot_be_are_one_line(
    tmp_path: Path, kind: str, written: str, instead: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, MadeParameters(), **{kind: (written, instead)})


def test_lengths_of_exons_need_five_lines_before_them(tmp_path: Path) -> None:
    made = MadeParameters()
    text = made.exon_text()
    begin, end = text.index("[LENGTH]"), text.index("[1]")
    with pytest.raises(InputError, match=r"\[LENGTH\]: 5 lines, expected 5 and the lengths$"):
        read(tmp_path, made, exon=(text[begin:end], "[LENGTH]\n300\n0.3\n8\n40 60 90 60\n4 0 0 0\n"))


def test_species_are_folders_in_alphabetical_order(tmp_path: Path) -> None:
    for name in ("zebra", "ant"):
        MadeParameters(name=name).write(tmp_path)
    (tmp_path / "species/notes.txt").write_text("no species")
    assert species_names(tmp_path) == ["ant", "zebra"]
