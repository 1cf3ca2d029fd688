"""Bases read from an indexed FASTA are those of the text, whatever the lines' width and end."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genet5.errors import InputError
from genet5.genome.fasta import Genome

SEQUENCES = st.lists(st.text("ACGTNacgtn", min_size=1, max_size=90), min_size=1, max_size=5)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(sequences=SEQUENCES, width=st.integers(1, 70), newline=st.sampled_from(["\n", "\r\n"]), data=st.data())
def test_slices_are_those_of_the_text(
    tmp_path: Path, sequences: list[str], width: int, newline: str, data: st.DataObject
) -> None:
    path = tmp_path / "genome.fna"
    Path(f"{path}.fai").unlink(missing_ok=True)
    records = []
    for number, text in enumerate(sequences):
        lines = [text[at : at + width] for at in range(0, len(text), width)]
        records.append(newline.join([f">s{number} Nnnn", *lines, ""]))
    path.write_bytes("".join(records).encode())
    with Genome(path) as genome:
        assert genome.lengths == {f"s{number}": len(text) for number, text in enumerate(sequences)}
        for number, text in enumerate(sequences):
            name, contig = f"s{number}", genome.contig(f"s{number}")
            assert len(contig) == len(text) and genome.sequence(name, keep_case=True) == text
            for _ in range(6):
                start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
                assert genome.sequence(name, start, end, keep_case=True) == text[start:end]
                assert genome.sequence(name, start, end) == text[start:end].upper()
                assert contig[start:end] == contig[start:end] == text[start:end].encode()
                assert contig[start : end + 100] == text[start : end + 100].encode()
                if start < end:
                    assert genome.holds_n(name, start, end) == ("N" in text[start:end].upper())


def test_an_unknown_sequence_is_named_and_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "genome.fna"
    path.write_text(">one\nACGT\n")
    with Genome(path) as genome, pytest.raises(InputError, match="no sequence named 'two'"):
        genome.contig("two")
    index = Path(f"{path}.fai")
    index.write_text("one\t4\t5\t4\n")
    with Genome(path) as genome:
        assert genome.sequence("one") == "ACGT"
    assert index.read_text() == "one\t4\t5\t4\t5\n"
