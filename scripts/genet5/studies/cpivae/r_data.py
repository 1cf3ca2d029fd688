"""Tables of samples and features out of R data files (.rda), as their packages publish them."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import rdata

from genet5.errors import InputError
from genet5.files import atomic_write

SAMPLES = ("rows", "columns", "labels")
ID_COLUMN = "SampleID"


def read_r_table(path: Path, name: str, samples: str, ids: str = "", named: str = "") -> pd.DataFrame:
    """The object ``name`` (``list/part/part``) of an R data file as a table with one sample a row.

    ``samples``: whether samples are its ``rows`` or its ``columns`` (a matrix or data frame), or ``labels``: a factor
    with a label for each row of the matrix ``ids``. Then the table has one column, named as the last part.
    ``named``: what errors call the file.

    Raises:
        InputError: no R data file, no such object, an object of another kind.
    """
    where = named or str(path)
    try:
        with warnings.catch_warnings():  # of a file of another type, which becomes an error
            warnings.filterwarnings("ignore", "Unknown file type|Wrong extension")
            content = rdata.read_rda(path)
    except (OSError, ValueError, NotImplementedError, EOFError, LookupError) as error:
        raise InputError(f"{where}: not an R data file ({' '.join(str(error).split())})") from None
    if samples == "labels":
        labels, rows = _part(content, name, where), _matrix(content, ids, where).index
        if not isinstance(labels, pd.Categorical) or len(labels) != len(rows):
            raise InputError(f"{where}: {name} is no factor with a label for each of the {len(rows)} rows of {ids}")
        table = pd.DataFrame({name.rpartition("/")[2]: labels.astype(object)}, index=rows)
    else:
        table = _matrix(content, name, where)
        table = table.T if samples == "columns" else table
    return table.rename_axis(index=ID_COLUMN, columns=None)


def write_r_table(table: pd.DataFrame, path: Path) -> None:
    """Write it as CSV, gzipped without a time stamp; numbers come back as they were."""
    with (
        atomic_write(path, "wb") as target,
        gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0) as stream,
    ):
        stream.write(table.to_csv(lineterminator="\n").encode())


def _matrix(content: Any, name: str, where: str) -> pd.DataFrame:
    """A data frame, or a matrix with names of rows and columns."""
    found = _part(content, name, where)
    if hasattr(found, "to_pandas"):  # rdata reads a matrix with names as an array of xarray
        found = found.to_pandas()
    if not isinstance(found, pd.DataFrame):
        raise InputError(f"{where}: {name} is a {type(found).__name__}, expected a matrix with names or a data frame")
    return found


def _part(content: Any, name: str, where: str) -> Any:
    for part in name.split("/"):
        if not isinstance(content, dict) or part not in content:
            known = ", ".join(map(str, content)) if isinstance(content, dict) else "no parts"
            raise InputError(f"{where}: no object {name}; at {part!r} there are: {known}")
        content = content[part]
    return content
