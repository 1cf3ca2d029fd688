"""Study cpiVAE: tables out of R data files."""

from __future__ import annotations

import gzip

import cpivae_table
import numpy as np
import pandas as pd
import pytest
import rdata

from genet5.errors import InputError
from genet5.sources.published import published_files
from genet5.studies.cpivae.r_data import read_r_table
from genet5.studies.cpivae.tables import read_table

GENES = pd.DataFrame({"s1": [0.1, -2.5, 3.0], "s2": [1e-17, 2.0, 7.25]}, index=["g1", "g2", "g3"])
GENES.index, GENES.columns = GENES.index.astype(object), GENES.columns.astype(object)  # what rdata can write


@pytest.fixture
def rda(tmp_path):
    """An R data file with a list of a data frame, features in rows, and a factor."""
    path = tmp_path / "my.rda"
    rdata.write_rda(path, {"mine": {"genes": GENES, "kind": pd.Categorical(["x", "y", "x"])}})
    return path


def test_samples_in_columns_become_rows(rda, tmp_path):
    output = tmp_path / "genes.csv.gz"
    cpivae_table.main(["--source", str(rda), "--object", "mine/genes", "--samples", "columns", "--output", str(output)])
    assert gzip.decompress(output.read_bytes()).decode() == ("SampleID,g1,g2,g3\ns1,0.1,-2.5,3.0\ns2,1e-17,2.0,7.25\n")
    assert read_table(output).samples == ["s1", "s2"]
    assert read_r_table(rda, "mine/genes", "rows").index.tolist() == ["g1", "g2", "g3"]


def test_labels_get_the_ids_of_a_matrix(rda):
    labels = read_r_table(rda, "mine/kind", "labels", "mine/genes")
    assert labels.to_csv(lineterminator="\n") == "SampleID,kind\ng1,x\ng2,y\ng3,x\n"


@pytest.mark.parametrize(
    ("name", "samples", "ids", "problem"),
    [
        ("mine/protein", "rows", "", "no object mine/protein; at 'protein' there are: genes, kind"),
        ("mine/genes/g1", "rows", "", "no object mine/genes/g1; at 'g1' there are: no parts"),
        ("mine/kind", "rows", "", "mine/kind is a Categorical, expected a matrix with names or a data frame"),
        ("mine/genes", "labels", "mine/genes", "mine/genes is no factor with a label for each of the 3 rows"),
    ],
)
def test_another_object_is_one_line(rda, name, samples, ids, problem):
    with pytest.raises(InputError, match=problem):
        read_r_table(rda, name, samples, ids)


@pytest.mark.parametrize(
    "content",
    [b"", b"SampleID,a\ns1,1\n", b"RDX3\nX\n\0\0", gzip.compress(b"RDX3\nX\n\0\0")],
    ids=["empty", "csv", "cut", "cut gzip"],  # the bytes of gzip hold the time, and workers must agree on names
)
def test_another_file_is_one_line(tmp_path, content):
    path = tmp_path / "x.rda"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x.rda: not an R data file \("):
        read_r_table(path, "mine/genes", "rows")


def test_a_table_without_object_is_copied(tmp_path):
    (tmp_path / "mine.csv").write_text("SampleID,a\ns1,1\n")
    output = tmp_path / "out.csv.gz"
    cpivae_table.main(["--source", str(tmp_path / "mine.csv"), "--output", str(output)])
    assert gzip.decompress(output.read_bytes()) == b"SampleID,a\ns1,1\n"


def test_ids_belong_to_labels(rda, tmp_path):
    with pytest.raises(InputError, match="--ids: needed with --samples labels, and only there"):
        cpivae_table.main(
            ["--source", str(rda), "--object", "mine/kind", "--samples", "labels", "--output", "x.csv.gz"]
        )


def test_the_published_files_become_the_tables_of_the_reference_data(shared_data):
    made = [file for file in published_files().values() if file.object]
    assert len(made) == 11
    for file in made:
        found = read_r_table(shared_data / file.name, file.object, file.samples, file.ids)
        expected = pd.read_csv(shared_data / file.path, index_col="SampleID")
        assert found.index.tolist() == expected.index.tolist() and list(found) == list(expected), file.path
        assert np.array_equal(found.to_numpy(), expected.to_numpy()), file.path
