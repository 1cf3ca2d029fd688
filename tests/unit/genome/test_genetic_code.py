"""Translation, starts and stops of the NCBI tables, reverse complement."""

from __future__ import annotations

import pytest
from Bio.Seq import Seq
from hypothesis import given
from hypothesis import strategies as st

from genet5.errors import InputError
from genet5.genome.genetic_code import GeneticCode, codon_numbers, reverse_complement


def test_standard_code_knows_its_starts_and_stops() -> None:
    code = GeneticCode.from_table(1)
    assert code.stops == {"TAA", "TAG", "TGA"}
    assert code.starts == {"ATG", "CTG", "TTG"}
    assert code.in_frame_stops == code.stops


def test_tables_differ_where_they_should() -> None:
    assert GeneticCode.from_table(4).translate("ATGTGATAA") == "MW*"
    assert GeneticCode.from_table(11).translate("ATGTGATAA") == "M**"
    assert GeneticCode.from_table(6).stops == {"TGA"}
    assert GeneticCode.from_table(6).translate("ATGTAATGA") == "MQ*"
    assert "GTG" in GeneticCode.from_table(11).starts
    assert "GTG" not in GeneticCode.from_table(1).starts


def test_first_codon_is_methionine_only_in_a_complete_cds() -> None:
    code = GeneticCode.from_table(11)
    assert code.translate("GTGGTGTAA") == "MV*"
    assert code.translate("GTGGTGTAA", complete5=False) == "VV*"
    assert code.translate("GCTTAA") == "A*"


def test_unknown_letters_case_and_spare_bases() -> None:
    code = GeneticCode.from_table(1)
    assert code.translate("atgGCNnnnAARtga") == "MXXX*"
    assert code.translate("ATGGC") == "M"
    assert code.translate("AUGUGA") == "M*"
    assert code.translate("") == ""


def test_codes_with_stops_that_also_code() -> None:
    code = GeneticCode.from_table(27)  # TGA is tryptophan inside a gene, stop at its end
    assert code.translate("ATGTGAGCATGA") == "MWA*"
    assert not code.has_in_frame_stop("ATGTGAGCA")
    assert code.in_frame_stops == frozenset()


def test_in_frame_stop_is_seen_in_frame_only() -> None:
    code = GeneticCode.from_table(1)
    assert code.has_in_frame_stop("ATGTAAGCA")
    assert not code.has_in_frame_stop("ATTAAGCAG")


def test_unknown_table_is_one_line_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"unknown NCBI translation table 7; allowed: 1, 2, 3, 4, 5, 6, 9") as error:
        GeneticCode.from_table(7)
    assert "\n" not in str(error.value)


def test_reverse_complement_keeps_case_and_iupac_letters() -> None:
    assert reverse_complement("AACGTNryk") == "mryNACGTT"
    assert reverse_complement(b"AaCgT") == b"AcGtT"


@given(st.text("ACGTRYSWKMBDHVN", max_size=60))
def test_reverse_complement_agrees_with_biopython_and_undoes_itself(sequence: str) -> None:
    assert reverse_complement(sequence) == str(Seq(sequence).reverse_complement())
    assert reverse_complement(reverse_complement(sequence)) == sequence


@given(st.text("ACGT", min_size=3, max_size=90), st.sampled_from([1, 2, 3, 4, 5, 6, 9, 11, 12, 25, 33]))
def test_translation_agrees_with_biopython(sequence: str, table: int) -> None:
    whole = sequence[: len(sequence) // 3 * 3]
    expected = str(Seq(whole).translate(table=table))
    assert GeneticCode.from_table(table).translate(whole, complete5=False) == expected


def test_codon_numbers_are_shared_by_codons_with_unknown_letters() -> None:
    assert codon_numbers("AAAAACTTTNNNAC").tolist() == [0, 1, 93, 124]
