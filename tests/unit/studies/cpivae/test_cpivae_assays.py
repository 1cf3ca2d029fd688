"""Study cpiVAE: files of Olink and SomaScan become the tables that stand in them."""

from __future__ import annotations

import csv
import gzip

import cpivae_assays
import numpy as np
import pytest

from genet5.errors import InputError
from genet5.studies.cpivae.olink import read_olink
from genet5.studies.cpivae.somascan import aptamer_name, read_somascan
from genet5.studies.cpivae.tables import read_table

NPX_HEAD = "SampleID;Index;OlinkID;UniProt;Assay;MissingFreq;Panel;PlateID;QC_Warning;LOD;NPX"
#: Two panels measure IL6; a sample has a warning; a value is below the limit, another one absent; one control.
NPX = f"""{NPX_HEAD}
S1;1;OID1;P05231;IL6;0.1;Inflammation;P1;PASS;0.5;1.5
S2;2;OID1;P05231;IL6;0.1;Inflammation;P1;PASS;0.5;0.25
S3;3;OID1;P05231;IL6;0.1;Inflammation;P1;WARN;0.5;2.5
S1;1;OID2;P05231;IL6;0.1;Oncology;P1;PASS;0.5;1.75
S2;2;OID2;P05231;IL6;0.1;Oncology;P1;PASS;0.5;-0.5
S3;3;OID2;P05231;IL6;0.1;Oncology;P1;PASS;0.5;2.75
S1;1;OID3;P29459_P29460;IL12;0.1;Inflammation;P1;PASS;0.5;4
S2;2;OID3;P29459_P29460;IL12;0.1;Inflammation;P1;PASS;0.5;NA
S3;3;OID3;P29459_P29460;IL12;0.1;Inflammation;P1;PASS;0.5;5
CONTROL_SAMPLE_AS 1;4;OID1;P05231;IL6;0.1;Inflammation;P1;PASS;0.5;9
"""

EXPLORE_HT = """SampleID,SampleType,OlinkID,UniProt,Assay,AssayType,NPX,SampleQC,AssayQC
S1,SAMPLE,OID1,P05231,IL6,assay,1.5,PASS,PASS
S2,SAMPLE,OID1,P05231,IL6,assay,2.5,FAIL,PASS
S1,SAMPLE,OID9,EXT,Extension control 1,ext_ctrl,0,PASS,PASS
S2,SAMPLE,OID9,EXT,Extension control 1,ext_ctrl,0,PASS,PASS
NC1,NEGATIVE_CONTROL,OID1,P05231,IL6,assay,-3,PASS,PASS
"""

#: Three annotations of samples, so names of annotations of aptamers stand in the fourth cell.
ADAT = """!Checksum\tabc
^HEADER
!Title\tToy
^COL_DATA
!Name\tSeqId\tUniProt\tType\tOrganism\tColCheck
!Type\tString\tString\tString\tString\tString
^ROW_DATA
!Name\tSampleId\tSampleType\tRowCheck
!Type\tString\tString\tString
^TABLE_BEGIN
\t\t\tSeqId\t1000-1_3\t2000-22_1\t3000-3_2\t4000-4_1\t5000-5_1\t6000-6_1
\t\t\tUniProt\tP05231\tP05231\tP29459 P29460\tQ00001\t\tP99999
\t\t\tType\tProtein\tProtein\tProtein\tProtein\tHybridization Control Elution\tProtein
\t\t\tOrganism\tHuman\tHuman\tHuman\tHuman\tHuman\tMouse
\t\t\tColCheck\tPASS\tPASS\tPASS\tFLAG\tPASS\tPASS
SampleId\tSampleType\tRowCheck\t\t\t\t\t\t\t
S3\tSample\tPASS\t\t8\t16\t1024\t2\t1\t1
S1\tSample\tPASS\t\t2\t4\t512\t2\t1\t1
S2\tSample\tFLAG\t\t4\t32\t256\t2\t1\t1
Q1\tQC\tPASS\t\t1\t1\t1\t1\t1\t1
\tBuffer\tPASS\t\t1\t1\t1\t1\t1\t1
"""


def written(tmp_path, text: str, name: str = "file", packed: bool = False):
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("separator", [";", ",", "\t"])
def test_a_long_table_becomes_samples_by_assays(tmp_path, packed, separator):
    read = read_olink(written(tmp_path, NPX.replace(";", separator), packed=packed), False, False)
    assert read.table.samples == ["S1", "S2", "S3"] and read.table.features == ["IL6_OID1", "IL6_OID2", "IL12_OID3"]
    np.testing.assert_equal(read.table.values, [[1.5, 1.75, 4], [0.25, -0.5, np.nan], [2.5, 2.75, 5]])
    assert read.proteins == {
        "IL6_OID1": {"P05231"},
        "IL6_OID2": {"P05231"},
        "IL12_OID3": {"P29459", "P29460"},
    }
    assert read.describe("olink") == "olink: long NPX table, 3 samples, 3 features; left out: 1 control samples"


def test_ids_that_are_numbers_stay_as_they_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr("genet5.studies.cpivae.olink._BLOCK_ROWS", 2)  # a table of millions of rows is read in blocks
    rows = "".join(f"{name};{assay};P{assay};0.5\n" for assay in (10, 20) for name in ("007", "12", "07"))
    read = read_olink(written(tmp_path, "SampleID;Assay;UniProt;NPX\n" + rows), True, False)
    assert read.table.samples == ["007", "12", "07"] and read.table.features == ["10", "20"]
    assert read.proteins == {"10": {"P10"}, "20": {"P20"}}


def test_warnings_and_values_below_the_limit_are_left_out_if_asked(tmp_path):
    path = written(tmp_path, NPX)
    read = read_olink(path, drop_flagged=True, drop_below_lod=False)
    np.testing.assert_equal(read.table.values[:, 0], [1.5, 0.25, np.nan])
    assert read.dropped == ["1 control samples", "1 values with a warning"]
    read = read_olink(path, drop_flagged=False, drop_below_lod=True)
    np.testing.assert_equal(read.table.values, [[1.5, 1.75, 4], [np.nan, np.nan, np.nan], [2.5, 2.75, 5]])
    assert read.dropped[-1] == "2 values below the limit of detection"


def test_explore_ht_says_which_samples_and_assays_are_controls(tmp_path):
    read = read_olink(written(tmp_path, EXPLORE_HT), True, False)
    assert read.table.samples == ["S1", "S2"] and read.table.features == ["IL6_OID1"]
    np.testing.assert_equal(read.table.values, [[1.5], [np.nan]])
    assert read.dropped == ["1 control samples", "1 control assays", "1 values with a warning"]


def test_an_adat_becomes_log2_of_samples_by_aptamers(tmp_path):
    path = written(tmp_path, ADAT)
    read = read_somascan(path, drop_flagged=False, scale="rfu")
    assert read.table.samples == ["S3", "S1", "S2"]
    assert read.table.features == ["seq.1000.1", "seq.2000.22", "seq.3000.3", "seq.4000.4"]
    np.testing.assert_allclose(read.table.values, [[3, 4, 10, 1], [1, 2, 9, 1], [2, 5, 8, 1]])
    assert read.proteins["seq.2000.22"] == {"P05231"} and read.proteins["seq.3000.3"] == {"P29459", "P29460"}
    assert read.dropped == [
        "2 buffers, calibrators and QC samples",
        "1 aptamers for no protein (controls)",
        "1 aptamers for proteins of other organisms",
    ]
    read = read_somascan(path, drop_flagged=True, scale="log2")
    assert read.table.samples == ["S3", "S1"] and read.table.features[-1] == "seq.3000.3"
    np.testing.assert_allclose(read.table.values, [[8, 16, 1024], [2, 4, 512]])
    assert read.dropped[1] == "1 flagged samples" and read.dropped[-1] == "1 flagged aptamers"


def test_empty_cells_may_be_missing_at_the_end_of_a_row_about_aptamers(tmp_path):
    rows = "\t\t\tUniProt\tP05231\tP05231\tP29459 P29460\tQ00001\t\tP99999\n"
    cut = rows.replace("\tQ00001\t\tP99999", "")
    whole, short = (read_somascan(written(tmp_path, ADAT.replace(rows, row)), False, "rfu") for row in (rows, cut))
    assert short.table.features == whole.table.features
    assert whole.proteins["seq.4000.4"] == {"Q00001"} and "seq.4000.4" not in short.proteins
    assert short.proteins["seq.1000.1"] == whole.proteins["seq.1000.1"] == {"P05231"}


def test_wide_tables_are_read_by_their_columns(tmp_path):
    path = written(
        tmp_path, "csid,PlateId,seq.10000.28,SampleType,seq.3.1\n7,A,8,Sample,2\n8,B,NA,Buffer,4\n9,B,,Sample,16\n"
    )
    read = read_somascan(path, True, "rfu")
    assert read.table.samples == ["7", "9"] and read.table.features == ["seq.10000.28", "seq.3.1"]
    np.testing.assert_equal(read.table.values, [[3, 1], [np.nan, 4]])
    assert read.dropped == ["2 columns that are no aptamers", "1 buffers, calibrators and QC samples"]
    olink = read_olink(written(tmp_path, "csid,NPPB,HLA.DRA\n7,0.5,1\n", "olink"), True, False)
    assert olink.table.features == ["NPPB", "HLA.DRA"] and olink.proteins == {}
    path = written(tmp_path, "seq.1.2,id,10-3_2\n8,x,2\n")
    read = read_somascan(path, True, "rfu", id_column="id")
    assert read.table.samples == ["x"] and read.table.features == ["seq.1.2", "seq.10.3"]


@pytest.mark.parametrize("text", ["10000-28", "10000-28_3", "seq.10000.28", "SeqId.10000.28", "seq.10000.28.3"])
def test_an_aptamer_has_one_name_however_it_is_written(text):
    assert aptamer_name(text) == "seq.10000.28"
    assert aptamer_name("PlateId") is None and aptamer_name("1") is None and aptamer_name("Age.10") is None


def test_the_command_aligns_samples_and_proteins_and_says_what_it_left_out(tmp_path, capsys):
    olink, adat = (
        written(tmp_path, NPX + "S9;9;OID1;P05231;IL6;0;I;P1;PASS;0;1\n", "npx.csv"),
        written(tmp_path, ADAT, "a.adat"),
    )
    words = [
        "--olink",
        olink,
        "--somascan",
        adat,
        "--platform-a",
        tmp_path / "a.csv.gz",
        "--platform-b",
        tmp_path / "b.csv.gz",
    ]
    words += ["--matches", tmp_path / "matches.tsv", "--flagged", "keep"]
    cpivae_assays.main([*map(str, words)])
    a, b = (read_table(tmp_path / f"{p}.csv.gz") for p in "ab")
    assert a.samples == b.samples == ["S1", "S2", "S3"]
    np.testing.assert_allclose(b.values, [[1, 2, 9, 1], [2, 5, 8, 1], [3, 4, 10, 1]])
    np.testing.assert_allclose(a.values[:, 0], [1.5, 0.25, 2.5])
    with (tmp_path / "matches.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    # Two Olink assays of IL6 and two aptamers for it: four pairs. IL12 is one, over the two samples that have both.
    found = {(row["olink"], row["somascan"]): (row["uniprot"], row["samples"], row["spearman"]) for row in rows}
    assert found == {
        # Ranks of NPX 2, 1, 3 and of RFU 1, 2, 3 (seq.1000.1) or 1, 3, 2 (seq.2000.22).
        ("IL6_OID1", "seq.1000.1"): ("P05231", "3", "0.500000"),
        ("IL6_OID1", "seq.2000.22"): ("P05231", "3", "-0.500000"),
        ("IL6_OID2", "seq.1000.1"): ("P05231", "3", "0.500000"),
        ("IL6_OID2", "seq.2000.22"): ("P05231", "3", "-0.500000"),
        ("IL12_OID3", "seq.3000.3"): ("P29459 P29460", "2", ""),
    }
    said = capsys.readouterr().out
    assert "olink: long NPX table, 4 samples, 3 features; left out: 1 control samples" in said
    assert "somascan: ADAT, 3 samples, 4 features; left out: 2 buffers, calibrators and QC samples; 1 apt" in said
    assert "aligned: 3 samples on both" in said
    assert "matched: 5 pairs of 3 Olink assays and 3 aptamers; Spearman's correlation (least, quartiles, " in said
    assert "largest): -0.50 -0.50 0.00 0.50 0.50" in said
    cpivae_assays.main([*map(str, [*words, "--features", "matched"])])
    assert read_table(tmp_path / "b.csv.gz").features == ["seq.1000.1", "seq.2000.22", "seq.3000.3"]
    assert "somascan: 3 matched features; left out: 1 without a partner" in capsys.readouterr().out


def test_a_list_of_proteins_matches_files_that_have_none(tmp_path, capsys):
    olink = written(tmp_path, "csid,NPPB,HLA.DRA,TNF\n1,1,2,3\n2,2,1,5\n3,3,3,4\n", "olink.csv")
    soma = written(tmp_path, "csid,seq.1.1,seq.2.2,seq.3.3\n1,1,2,3\n2,2,4,5\n3,8,8,8\n", "soma.csv")
    listed = written(
        tmp_path,
        "uniprot_id,olink_id,somascan_id,rho\nP16860,NPPB,seq.1.1,.1\nP16860,NPPB,seq.2.2,.2\nP01903,HLA-DRA,seq.3.3,.3\n",
        "list.csv",
    )
    words = [
        "--olink",
        olink,
        "--somascan",
        soma,
        "--platform-a",
        tmp_path / "a.csv",
        "--platform-b",
        tmp_path / "b.csv",
    ]
    with pytest.raises(InputError, match=r"no protein is on both platforms by its UniProt accession"):
        cpivae_assays.main([*map(str, [*words, "--features", "matched"])])
    assert not (tmp_path / "a.csv").exists()
    cpivae_assays.main([*map(str, [*words, "--features", "matched", "--proteins", listed])])
    assert "matched: 3 pairs of 2 Olink assays and 3 aptamers" in capsys.readouterr().out
    assert read_table(tmp_path / "a.csv").features == ["NPPB", "HLA.DRA"]
    np.testing.assert_allclose(read_table(tmp_path / "b.csv").values[:, 0], [0, 1, 3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (NPX.replace(";1.5\n", ";1e999\n"), r"line 2, column 'NPX' is infinite"),
        (NPX.replace(";1.5\n", ";high\n"), r"line 2, column 'NPX': 'high' is not a number"),
        (NPX.replace("S2;2;OID1", "S1;2;OID1"), r"line 3: sample 'S1' has a second NPX of OID1"),
        (NPX.replace("SampleID", "Sample"), r"no column 'SampleID' \(there are: Sample, Index, OlinkID, UniProt, "),
        (NPX.replace("S1;1;OID2", ";1;OID2"), r"line 5 has no SampleID"),
        (NPX_HEAD + "\nCONTROL;1;OID1;P1;IL6;0;I;P1;PASS;0;1\n", r"no row is of a sample and of an assay of a protein"),
        ("PAR1xxxx", r"a Parquet file, expected text \(export it as CSV\)"),
        ("PK\x03\x04", r"a ZIP or Excel file, expected text"),
        ("id\nS1\n", r"1 column, expected sample ids and at least one feature"),
        ("\nSampleID;NPX\n", r"line 1 is empty, expected the names of columns"),
        (NPX.replace(";Index;", ";NPX;"), r"2 columns are named 'NPX', expected one"),
    ],
)
def test_a_mistake_in_an_olink_file_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as error:
        read_olink(written(tmp_path, text), False, False)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"a wide table has no limit of detection"):
        read_olink(written(tmp_path, "id,x\nS1,1\n"), False, True)
    with pytest.raises(InputError, match=r"no column 'LOD'"):
        read_olink(written(tmp_path, EXPLORE_HT), False, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ADAT.replace("^TABLE_BEGIN\n", ""), r"no line \^TABLE_BEGIN, so no ADAT"),
        (
            ADAT.replace("\tSeqId\t1000", "\tSequence\t1000"),
            r"no row SeqId after \^TABLE_BEGIN \(there are: Sequence, Uni",
        ),
        (ADAT.replace("\tRowCheck\t\t", "\t\t\t"), r"line 16 names 2 annotations of samples, expected 3"),
        (ADAT.replace("\t512\t2\t1\t1\n", "\t512\t2\n"), r"line 18 has 4 values, expected 6"),
        (ADAT.replace("\t512\t", "\t" + "3" * 400 + "\t"), r"line 18, 3000-3_2 is infinite"),
        (ADAT.replace("\t512\t", "\tmuch\t"), r"line 18, 3000-3_2: 'much' is not a number"),
        (
            ADAT.replace("\t512\t", "\t0\t"),
            r"sample 'S1', seq.3000.3: RFU 0, expected more than 0 \(somascan_scale: log2",
        ),
        (ADAT.replace("S3\tSample", "S1\tSample"), r"sample 'S1' stands there twice"),
        (ADAT.replace("2000-22_1", "1000-1_4"), r"aptamer 'seq.1000.1' stands there twice"),
        (ADAT.replace("2000-22_1", "SL0001"), r"SeqId 'SL0001', expected two numbers as in 10000-28"),
        (ADAT.replace("\tSample\t", "\tQC\t"), r"no samples are left \(5 buffers, calibrators and QC samples"),
        (
            ADAT.replace("SampleId\tSampleType\tRowCheck\t\t", "Name\tSampleType\tRowCheck\t\t"),
            r"no column 'SampleId' \(",
        ),
        ("csid,NPPB\n1,2\n", r"no column is named after an aptamer \(as seq.10000.28 or 10000-28\)"),
    ],
)
def test_a_mistake_in_a_somascan_file_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as error:
        read_somascan(written(tmp_path, text), False, "rfu")
    assert "\n" not in str(error.value)
