"""Lineages on disk: what is wrong with them in one line, and how each version of BUSCO gets those of each release."""

from __future__ import annotations

import tarfile

import pytest
from busco_lineage import lineage_folder

from genet5.errors import InputError
from genet5.evaluate.lineages import prepare_lineage

OLD, ODB12, NEW = "5.4.4", "5.8.2", "6.1.0"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dataset.cfg": None}, "not a BUSCO lineage: dataset.cfg is missing"),
        ({"scores_cutoff": None}, "not a BUSCO lineage: scores_cutoff is missing"),
        ({"lengths_cutoff": None}, "not a BUSCO lineage: lengths_cutoff is missing"),
        ({"dataset.cfg": "creation_date=x\n"}, "dataset.cfg has no 'domain'"),
        (
            {"dataset.cfg": "domain=a\ncreation_date=b\nnumber_of_BUSCOs=many\nnumber_of_species=1\n"},
            "dataset.cfg: number_of_BUSCOs is 'many'",
        ),
        ({"lengths_cutoff": "1at2\t0\t9\t78\n"}, r"lengths_cutoff has no line for 3at2 \(1 of 2 missing\)"),
        ({"markers": ()}, r"hmms holds no \.hmm file"),
        ({"markers": ("YBL023C",)}, r"hmms/YBL023C\.hmm: BUSCO sorts markers by names like 10at10240"),
    ],
)
def test_broken_lineages(tmp_path, changed, message):
    lineage = lineage_folder(tmp_path, **changed)
    with pytest.raises(InputError, match=f"mini_odb10: {message}"):
        prepare_lineage(lineage, tmp_path / "work", OLD)


@pytest.mark.parametrize("text", ["", "HMMER3/f [3.1b2 | February 2015]\nNAME  cut\n", "HMMER2.0\n//\n"])
def test_damaged_models_are_found_before_they_count_as_missing_markers(tmp_path, text):
    lineage = lineage_folder(tmp_path)
    (lineage / "hmms" / "3at2.hmm").write_text(text)
    with pytest.raises(InputError, match=r"hmms/3at2\.hmm is not a HMMER3 model, or cut short"):
        prepare_lineage(lineage, tmp_path / "work", OLD)


def test_lineages_that_are_not_there_or_not_tars(tmp_path):
    with pytest.raises(InputError, match="absent_odb10: no such BUSCO lineage"):
        prepare_lineage(tmp_path / "absent_odb10", tmp_path / "work", OLD)
    (tmp_path / "odd.tar.gz").write_text("not a tar")
    with pytest.raises(InputError, match=r"odd\.tar\.gz: not a readable tar"):
        prepare_lineage(tmp_path / "odd.tar.gz", tmp_path / "work2", OLD)
    with tarfile.open(tmp_path / "empty.tar", "w") as tar:
        tar.add(lineage_folder(tmp_path, "x") / "hmms", "x/hmms")
    with pytest.raises(InputError, match=r"empty\.tar: not a BUSCO lineage: dataset\.cfg is missing"):
        prepare_lineage(tmp_path / "empty.tar", tmp_path / "work3", OLD)
    with tarfile.open(tmp_path / "sly.tar", "w") as tar:
        tar.add(tmp_path / "odd.tar.gz", "../../stolen")
    with pytest.raises(InputError, match=r"sly\.tar: not a readable tar .*\.\./\.\./stolen leads out of the archive"):
        prepare_lineage(tmp_path / "sly.tar", tmp_path / "work4", OLD)
    assert not (tmp_path / "stolen").exists()


@pytest.mark.parametrize("damage", ["cut", "no tar", "no block of deflate", "a member above the folder"])
def test_a_damaged_tar_is_one_line(tmp_path, damage):
    source = lineage_folder(tmp_path, "mini_odb10")
    path = tmp_path / "mini_odb10.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(source, "../up" if damage == "a member above the folder" else source.name)
    data = path.read_bytes()
    start = data.index(b"\0", 10) + 1  # behind the name of the file
    path.write_bytes(
        {"cut": data[: len(data) // 2], "no tar": b"text", "a member above the folder": data}.get(
            damage, data[:start] + bytes([data[start] | 6]) + data[start + 1 :]
        )
    )
    with pytest.raises(InputError, match=r"mini_odb10\.tar\.gz: not a readable tar of a BUSCO lineage \(") as caught:
        prepare_lineage(path, tmp_path / "work", OLD)
    assert "\n" not in str(caught.value) and not (tmp_path / "up").exists()


@pytest.mark.parametrize("top", ["mini", ""])
def test_lineage_names_end_in_the_suffix_the_program_wants(tmp_path, top):
    source = lineage_folder(tmp_path, "source")
    with tarfile.open(tmp_path / "mini.tar.gz", "w:gz") as tar:
        for entry in source.iterdir():
            tar.add(entry, f"{top}/{entry.name}".lstrip("/"))
    ready = prepare_lineage(tmp_path / "mini.tar.gz", tmp_path / "work", OLD)
    assert (ready.path.name, ready.name, ready.markers, ready.domain) == ("mini_odb10", "mini", 2, "viruses")
    assert (ready.path / "hmms" / "3at2.hmm").exists() and (ready.path / "dataset.cfg").is_file()


@pytest.mark.parametrize("file", ["yeast_odb12.tar.gz", "yeast_odb12.2026-05-22.tar.gz", "yeast_odb12.tgz"])
def test_a_tar_without_a_folder_is_named_after_its_file(tmp_path, file):
    source = lineage_folder(tmp_path, "source", lengths_cutoff=None)
    with tarfile.open(tmp_path / file, "w:gz") as tar:
        for entry in source.iterdir():
            tar.add(entry, entry.name)
    ready = prepare_lineage(tmp_path / file, tmp_path / "work", ODB12)
    assert (ready.path.name, ready.name) == ("yeast_odb12", "yeast_odb12")


def test_odb12_for_a_program_that_reads_it_is_left_as_it_is(tmp_path):
    lineage = lineage_folder(tmp_path, "mini_odb12", lengths_cutoff=None)
    ready = prepare_lineage(lineage, tmp_path / "work", ODB12)
    assert (ready.path.name, ready.name) == ("mini_odb12", "mini_odb12")
    assert not (ready.path / "lengths_cutoff").exists()


def test_odb12_for_an_older_program_gets_the_rule_of_80_percent_of_the_model(tmp_path):
    """A match of length m is complete where (length - m) / deviation <= 2: from 40 of 50 on."""
    links = {"links_to_ODB12.txt": "1at2\ta\t-\n"}
    lineage = lineage_folder(tmp_path, "mini_odb12", lengths_cutoff=None, **links)
    ready = prepare_lineage(lineage, tmp_path / "work", OLD)
    assert (ready.path.name, ready.name) == ("mini_odb10", "mini_odb12")
    assert (ready.path / "lengths_cutoff").read_text() == "1at2\t0\t5.00\t50\n3at2\t0\t5.00\t50\n"
    assert (ready.path / "links_to_ODB10.txt").read_text() == "1at2\ta\t-\n"
    assert not (lineage / "lengths_cutoff").exists()
    (lineage / "hmms/3at2.hmm").write_text("HMMER3/f\nNAME x\n//\n")
    with pytest.raises(InputError, match=r"mini_odb12: hmms/3at2\.hmm has no line LENG"):
        prepare_lineage(lineage, tmp_path / "work2", OLD)


def test_odb12_2_needs_a_program_that_reads_it(tmp_path):
    lineage = lineage_folder(tmp_path, "mini_odb12.2")
    message = r"mini_odb12\.2: needs BUSCO 6\.1 or newer, found 5\.4\.4; this version reads mini_odb12$"
    with pytest.raises(InputError, match=message):
        prepare_lineage(lineage, tmp_path / "work", OLD)
    ready = prepare_lineage(lineage, tmp_path / "work2", NEW)
    assert (ready.path.name, ready.name) == ("mini_odb12.2", "mini_odb12.2")
    assert (ready.path / "lengths_cutoff").read_text() == (lineage / "lengths_cutoff").read_text()
