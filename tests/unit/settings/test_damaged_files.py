"""JSON, YAML, tables, archives and gzip that somebody damaged: one line each, whatever the library below raises."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genet5.arrays import read_arrays
from genet5.clades import read_clades
from genet5.configuration import read_yaml, yaml_value
from genet5.errors import InputError
from genet5.files import read_json
from genet5.settings.checks import check_config
from genet5.settings.sections import with_defaults
from genet5.species_table import read_species_table
from genet5.tables import table_rows


def one_line(call: Callable[[], object], match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, r"not JSON \(nested too deep, allowed: 100 levels\)"),
        ('{"a":' * 150 + "1" + "}" * 150, "nested too deep, allowed: 100 levels"),
        ('{"a": ' + "9" * 5000 + "}", r"not JSON \(Exceeds the limit"),
        ("[1]", "holds a list, expected a JSON object"),
        ("{} x", r"not JSON \(Extra data"),
        ("", r"not JSON \(Expecting value"),
    ],
)
def test_json(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    one_line(lambda: read_json(path), f"^{re.escape(str(path))}: {said}")


@pytest.mark.parametrize(
    "text",
    [
        "a: !!int x",
        "a: 2020-13-45",
        "a: !!bool maybe",
        "a: !!timestamp x",
        "a: !!python/object/apply:os.system [ls]",  # refused: a tag must never run what it names
        "? [a]\n: {",
        "- " * 2000 + "a",
        "[" * 5000,
        "a: &b [*b, *b]",
        "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
        "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\n"
        "e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: [*e, *e, *e, *e, *e, *e, *e, *e, *e]\n",
        "a: \0",
        "x" * 200_001,
    ],
)
def test_yaml(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    one_line(lambda: read_yaml(path, "--config"), f"^--config: '{re.escape(str(path))}'")


def test_brackets_are_counted_before_yaml_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML takes seconds for some thousands of them."""
    monkeypatch.setattr("yaml.safe_load", lambda text: pytest.fail("it was read"))
    for text in ("[" * 101, b"[" * 101, "a: " + "{b: [" * 51):
        one_line(lambda text=text: yaml_value(text, "the file"), "^the file is not valid YAML .nested too deep.$")
    monkeypatch.undo()
    assert yaml_value("a: " + "[" * 50 + "]" * 50 + "\nb: " + "'" + "}" * 300 + "'", "")["b"] == "}" * 300
    assert yaml_value("- []\n" * 500, "") == [[]] * 500


@pytest.mark.parametrize(
    "text",
    [
        "sft: {epochs: .inf}",
        "sft: {lr: .nan}",
        "sft: {lr: .inf}",
        "sft: {epochs: 1" + "0" * 400 + "}",
        "grpo: {max_steps: 99999999999999999999}",
        "bake: {windows: {fungi: {window_bp: .inf, stride_bp: 3}}}",
        "sft: {epochs: 2020-01-01}",
        "sft: .inf",
        "stages: .nan",
    ],
)
def test_numbers_of_a_configuration(text: str) -> None:
    content = yaml_value(text, "the file")
    one_line(lambda: check_config(with_defaults(content), read_clades()), r"config key \w+")


def test_cells_of_a_table(tmp_path: Path) -> None:
    one_line(lambda: list(table_rows(["a,b\n", "x" * 131_073 + ",1\n"], "t.csv", ",")), r"t\.csv, line 2: not a table")
    header = "species\tclade\tgenetic_code\tsplit\tgenome\tannotation\n"
    path = tmp_path / "species.tsv"
    for cell, said in (("x" * 131_073, "line 2: not a table"), ("9" * 5000, "genetic_code"), ("1\0", "genetic_code")):
        path.write_text(f"{header}S.a\tfungi\t{cell}\ttrain\tg.fa\ta.gff\n")
        one_line(lambda: read_species_table(path, "data", ["fungi"]), said)


def claims(shape: str) -> bytes:
    """A member of an archive whose header claims other numbers than it has."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(8)


def archive(member: bytes, packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", packing) as packed:
        packed.writestr("a.npy", member)
    return written.getvalue()


def sound() -> bytes:
    written = io.BytesIO()
    np.savez(written, a=np.arange(50.0))
    return written.getvalue()


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(archive(claims("(1000000000000,)")), id="claims more than there is"),
        pytest.param(archive(claims("(-1,)")), id="a negative shape"),
        pytest.param(archive(claims("(__import__('os'),)")), id="code in a header"),
        pytest.param(archive(b"no array"), id="no array"),
        pytest.param(sound()[:-30], id="cut off"),
        pytest.param(flipped(sound(), 200), id="a flipped bit"),
        pytest.param(b"text", id="no archive"),
        pytest.param(b"", id="empty"),
    ],
)
def test_archives_of_arrays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    one_line(lambda: read_arrays(path, "no windows", "make them"), r"a\.npz: no windows \(.*\); make them$")


def test_arrays_of_objects_are_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.array([{"a": 1}], dtype=object))
    one_line(lambda: read_arrays(tmp_path / "a.npz", "no windows", "make them"), r"a\.npz: no windows \(")


def test_the_sound_archive_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(sound())
    assert read_arrays(tmp_path / "a.npz", "", "")["a"].tolist() == list(range(50))


@pytest.mark.parametrize("damage", ["cut", "no block of deflate", "another checksum"])
def test_gzip(tmp_path: Path, damage: str) -> None:
    """In tables of the studies, too, which pandas and the csv module read."""
    from genet5.compressed import open_input
    from genet5.studies.cpivae.tables import read_labels, read_table

    text = "SampleID,p1\n" + "".join(f"s{place},{place}\n" for place in range(500))
    packed = gzip.compress(text.encode(), mtime=0)
    path = tmp_path / "a.csv.gz"
    damaged = {
        "cut": packed[: len(packed) // 2],
        "no block of deflate": packed[:10] + bytes([packed[10] | 6]) + packed[11:],
        "another checksum": flipped(packed, len(packed) - 6),
    }
    path.write_bytes(damaged[damage])

    def plain(file: Path) -> None:
        with open_input(file) as stream:
            stream.read()

    for read in (plain, read_table, read_labels):
        one_line(lambda read=read: read(path), r"a\.csv\.gz: (truncated|damaged) gzip")


def test_a_configuration_that_is_sound_is_accepted() -> None:
    settings = with_defaults(yaml_value("sft: {epochs: 3, lr: 1.0e-4}", "the file"))
    check_config(settings, read_clades())
    assert (settings["sft"]["epochs"], settings["sft"]["lr"]) == (3, 1.0e-4)
