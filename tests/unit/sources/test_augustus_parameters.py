"""AUGUSTUS's parameter files: both spellings, any order, several classes, and one line for each mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from augustus_folder import ACCEPTORS, DONORS, MadeParameters

from genet5.errors import InputError
from genet5.sources.augustus_jitter import jittered
from genet5.sources.augustus_parameters import (
    CONFIG_VARIABLE,
    DEFAULT_CONFIG,
    config_folder,
    read_parameters,
    species_names,
)


@pytest.mark.parametrize(("order", "classes", "upper"), [(1, 1, False), (2, 3, True), (3, 2, False), (5, 1, True)])
def test_tables_are_those_of_the_files(tmp_path: Path, order: int, classes: int, upper: bool) -> None:
    made = MadeParameters(order=order, classes=classes, upper=upper)
    made.write(tmp_path)
    found = read_parameters(tmp_path, "made")
    assert len(found.classes) == classes
    for number, one in enumerate(found.classes):
        np.testing.assert_allclose(one.exon, made.conditional(number, 3), atol=1e-5)
        np.testing.assert_allclose(one.intron, made.conditional(number, 1)[0], atol=1e-5)
        np.testing.assert_allclose(one.intergenic, made.conditional(number, 1)[0], atol=1e-5)
        np.testing.assert_allclose(one.composition, [0.3 - 0.05 * number, 0.2 + 0.05 * number] * 2 @ _SWAP)
        assert (one.short_intron_share, one.mean_extra_intron_bp) == (0.8, 100)
        assert (one.start_motif.width, one.start_motif.order, one.acceptor_motif.width) == (4, 0, 5)
        np.testing.assert_allclose(one.start_motif.table[0, 0], [0.7, 0.1, 0.1, 0.1], atol=1e-6)
    for site, patterns in ((found.donors, DONORS), (found.acceptors, ACCEPTORS)):
        words = ["".join("acgt"[code] for code in pattern) for pattern in site.patterns]
        assert dict(zip(words, site.probabilities, strict=True)) == pytest.approx(patterns)
    assert found.stops == pytest.approx({"TAA": 0.5, "TAG": 0.3, "TGA": 0.2})
    np.testing.assert_allclose(found.intron_lengths[[40, 50, 60, 61]], [0.5, 0.3, 0.2, 0])
    assert (found.single_share, found.mean_internal_exons) == (0.4, 1.5)
    assert found.introns_per_gene == pytest.approx(0.6 * 2.5)
    assert found.mean_intron_bp == pytest.approx(0.8 * 47 + 0.2 * 180)
    # A tenth of the single exons is longer than the table; the geometric tail goes on where the table ends.
    np.testing.assert_allclose(found.exon_tail_shares, [0.1, 0, 0, 0])
    assert (found.max_exon_bp, found.min_coding_bp, found.gc_donors, found.genetic_code) == (2000, 150, False, 1)


_SWAP = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])  # A C A C -> A C C A


@pytest.mark.parametrize(
    ("stops", "settings", "expected"),
    [
        ((0, 0, 1), (), 6),
        ((0.6, 0.4, 0), (), 4),
        ((0, 0, 1), ("translation_table 6",), 6),
        ((0.4, 0.3, 0.3), ("translation_table 12 # yeasts",), 12),
    ],
)
def test_the_genetic_code_is_named_or_follows_from_the_stops(tmp_path: Path, stops, settings, expected) -> None:
    MadeParameters(stops=stops, settings=settings).write(tmp_path)
    assert read_parameters(tmp_path, "made").genetic_code == expected


def test_settings_may_be_quoted_and_allow_gc_donors(tmp_path: Path) -> None:
    MadeParameters(settings=("/IntronModel/allow_dss_consensus_gc true # here", 'translation_table "6"')).write(
        tmp_path
    )
    found = read_parameters(tmp_path, "made")
    assert found.gc_donors and found.genetic_code == 6


def test_a_kind_of_exon_that_no_gene_has_needs_no_lengths(tmp_path: Path) -> None:
    made = MadeParameters(counts=(50, 0, 0, 0))
    folder = made.write(tmp_path)
    path = folder / "made_exon_probs.pbl"
    lines = path.read_text().split("\n")
    start = lines.index("50\t0\t0\t0") + 2
    for place in range(start, start + made.max_bp + 1):
        lines[place] = "\t".join([*lines[place].split("\t")[:2], "0", "0", "0"])
    path.write_text("\n".join(lines))
    found = read_parameters(tmp_path, "made")
    assert (found.single_share, found.mean_internal_exons, found.introns_per_gene) == (1, 0, 0)


def test_the_folder_comes_from_a_flag_then_the_variable_then_debian(tmp_path: Path, monkeypatch) -> None:
    for name in ("flag", "variable"):
        (tmp_path / name / "species").mkdir(parents=True)
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "variable"))
    assert config_folder(tmp_path / "flag") == tmp_path / "flag"
    assert config_folder("") == config_folder() == tmp_path / "variable"
    with pytest.raises(InputError, match=r"no folder 'species' in it; .*apt install augustus-data"):
        config_folder(tmp_path)
    monkeypatch.delenv(CONFIG_VARIABLE)
    if Path(DEFAULT_CONFIG, "species").is_dir():
        assert config_folder() == Path(DEFAULT_CONFIG)
    else:
        with pytest.raises(InputError, match=DEFAULT_CONFIG):
            config_folder()


MISTAKES = [
    ("exon", "[1]\n", "[one]\n", "no class of GC content"),
    ("exon", "# (a,c,g,t)= (0.3,", "# (a,c,g,t)= (0,", r"line \d+: .*expected four shares above 0"),
    ("exon", "# (a,c,g,t)=", "#", r"line \d+: no line '# \(a,c,g,t\)"),
    ("exon", "\n300\n", "\n301\n", r"line 2: \[LENGTH\]: 301 lengths, expected 0 to 301"),
    ("exon", "\n300\n", "\nlong\n", r"line 4: \[LENGTH\]: 'long', expected the longest length"),
    ("exon", "40\t60\t90\t60", "40\t60\t90", r"line 10: \[LENGTH\]: .*expected 4 numbers of at least 0"),
    ("exon", "40\t60\t90\t60", "0\t0\t90\t60", r"line 10: \[LENGTH\]: no single and no initial exon"),
    ("exon", "\naac\t", "\naax\t", r"line \d+: \[P_ls\]: 'aax.*expected a pattern of A, C, G, T"),
    ("exon", "\naac\t", "\naaa\t", r"\[P_ls\]: 63 patterns of 3 bases, expected 64"),
    (
        "exon",
        "[TRANSINIT]\n# width, order\n4\n",
        "[TRANSINIT]\n# width, order\n5\n",
        r"\[TRANSINIT\]: 4 rows of order 0",
    ),
    (
        "exon",
        "# width, order\n4\n0\n",
        "# width, order\n4\n0.5\n",
        r"\[TRANSINIT\]: expected a width and an order, each",
    ),
    ("exon", " 1  0.7\t", " 1  -0.7\t", r"line \d+: \[TRANSINIT\]: .*expected 5 numbers of at least 0"),
    ("intron", "cc\t600", "ccc\t600", r"line 8: \[ASS\]: 'ccc', expected 1 \+ 1 bases as in the .cfg"),
    ("intron", "cc\t600", "cc\tmany", r"line 8: \[ASS\]: 'many', expected 1 numbers"),
    ("intron", "cc\t600\ntg\t400\n", "", r"line 1: \[ASS\]: no pattern"),
    ("intron", "[DSS]", "[DS]", r"line 1: no section \[DSS\]"),
    ("intron", "\n80\n", "\n99\n", r"\[LENGTH\]: 81 numbers, expected 100"),
    ("intron", "[TRANSITION]\n0.8\n", "[TRANSITION]\n1.8\n", r"\[TRANSITION\]: 1.8 and 100, expected a probability"),
    ("intron", "[1]\n", "[1]\n[2]\n", "2 classes of GC content, made_exon_probs.pbl has 1"),
    ("igenic", "[P_ls]", "[P]", r"no section \[EMISSION\] from here on"),
    ("parameters", "/Constant/dss_start 1\n", "", "no /Constant/dss_start"),
    ("parameters", "dss_start 1", "dss_start one", "line 2: /Constant/dss_start is 'one', expected a whole number"),
    (
        "parameters",
        "dss_start 1",
        "dss_start " + "9" * 5000,
        "line 2: /Constant/dss_start is '9{40}', expected a whole",
    ),
    ("exon", "\naac\t", "\n" + "a" * 9000 + "\t", r"\[P_ls\]: patterns of 9000 bases, expected 1 to 9"),
    ("parameters", "ochreprob 0.5", "ochreprob 1.5", "line 8: ochreprob is '1.5', expected a probability"),
    (
        "parameters",
        "/Constant/ochreprob 0.5",
        "translation_table 7",
        "line 8: translation_table 7 is no NCBI translation table",
    ),
]


@pytest.mark.parametrize(("kind", "written", "instead", "message"), MISTAKES)
def test_a_damaged_file_is_one_line_that_names_it(tmp_path: Path, kind, written, instead, message) -> None:
    folder = MadeParameters().write(tmp_path)
    path = folder / (f"made_{kind}.cfg" if kind == "parameters" else f"made_{kind}_probs.pbl")
    text = path.read_text()
    assert written in text
    path.write_text(text.replace(written, instead, 1))
    with pytest.raises(InputError, match=message) as caught:
        read_parameters(tmp_path, "made")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_and_a_missing_species_are_named(tmp_path: Path) -> None:
    folder = MadeParameters().write(tmp_path)
    (folder / "made_intron_probs.pbl").unlink()
    with pytest.raises(InputError, match=r"made_intron_probs.pbl: cannot be read: No such file"):
        read_parameters(tmp_path, "made")
    for name in ("other", "../made", ""):
        with pytest.raises(InputError, match=r"no species .*'genet5 simulate --list' names them all"):
            read_parameters(tmp_path, name)


def test_jitter_moves_every_table_and_keeps_them_probabilities(tmp_path: Path) -> None:
    MadeParameters(classes=2).write(tmp_path)
    published = read_parameters(tmp_path, "made")
    moved = jittered(published, 0.3, np.random.default_rng(1))
    again = jittered(published, 0.3, np.random.default_rng(1))
    for one, other, same in zip(published.classes, moved.classes, again.classes, strict=True):
        for name in ("exon", "intron", "intergenic", "composition"):
            before, after = getattr(one, name), getattr(other, name)
            np.testing.assert_allclose(after.sum(axis=-1), 1)
            assert np.abs(after - before).max() > 0.005
            np.testing.assert_array_equal(after, getattr(same, name))
        assert one.mean_extra_intron_bp != other.mean_extra_intron_bp
        for name in ("start_motif", "acceptor_motif"):
            before, after = getattr(one, name), getattr(other, name)
            np.testing.assert_allclose(after.table.sum(axis=-1), 1)
            assert after.order == before.order and np.abs(after.table - before.table).max() > 0.005
    assert moved.donors.probabilities.sum() == pytest.approx(1)
    assert moved.exon_counts[2] != published.exon_counts[2]
    still = jittered(published, 0.0, np.random.default_rng(1))
    np.testing.assert_allclose(still.classes[0].exon, published.classes[0].exon)


def test_the_published_species_can_be_read() -> None:
    config = Path(DEFAULT_CONFIG)
    if not (config / "species").is_dir():
        pytest.skip(f"needs the Debian package augustus-data, not found at {config}")
    problems, read = {}, {}
    for name in ("human", "fly", "arabidopsis", "saccharomyces", "tetrahymena", "chlamy2011", "E_coli_K12", "generic"):
        try:
            read[name] = read_parameters(config, name)
        except InputError as error:
            problems[name] = str(error)
    assert set(problems) == {"E_coli_K12", "generic"} and not any("\n" in text for text in problems.values())
    assert len(species_names(config)) > 150
    assert (len(read["human"].classes), read["human"].classes[0].exon.shape) == (2, (3, 256, 4))
    assert read["tetrahymena"].genetic_code == 6 and read["tetrahymena"].stops["TGA"] == 1
    assert read["tetrahymena"].classes[0].intron.shape == (64, 4), "its introns are of order 3"
    assert read["chlamy2011"].gc_donors and not read["fly"].gc_donors


def test_counts_that_some_files_repeat_below_the_patterns_are_not_read(tmp_path: Path) -> None:
    """Files of AUGUSTUS's newer training list the same patterns again for initial and terminal exon parts."""
    made = MadeParameters(order=2)
    folder = made.write(tmp_path)
    path = folder / "made_exon_probs.pbl"
    lines = path.read_text().splitlines()
    motif = lines.index("[TRANSINIT]")
    words = [a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT"]
    counts = [f"{word}\t7 7 7" for word in words]
    path.write_text("\n".join([*lines[:motif], "# initial patterns", *counts, *lines[motif:]]) + "\n")
    found = read_parameters(tmp_path, "made").classes[0].exon
    np.testing.assert_allclose(found, made.conditional(0, 3), atol=1e-5)
