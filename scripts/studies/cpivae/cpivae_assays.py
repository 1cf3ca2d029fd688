"""Make the tables of a pair of platforms from an Olink file and a SomaScan file of the same samples.

Olink: a long NPX table as Olink's software exports it, or a wide table. SomaScan: ADAT, or a wide table with columns as
seq.10000.28. RFU becomes log2; NPX is log2. Samples are aligned by their ids.
"""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.studies.cpivae.assay_tables import AssayTable, read_protein_list, with_proteins
from genet5.studies.cpivae.matching import describe, match, matched_only, write_matches
from genet5.studies.cpivae.olink import read_olink
from genet5.studies.cpivae.somascan import aptamer_name, read_somascan
from genet5.studies.cpivae.tables import Table, align, write_table


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--olink", type=Path, required=True, help="long NPX table, or a wide one")
    parser.add_argument("--somascan", type=Path, required=True, help="ADAT, or a wide table")
    parser.add_argument(
        "--proteins", type=Path, help="table with columns uniprot_id, olink_id, somascan_id, for files without UniProt"
    )
    parser.add_argument(
        "--features",
        choices=["all", "matched"],
        default="all",
        help="matched: only those whose protein, by its UniProt accession, the other platform measures, too",
    )
    parser.add_argument(
        "--flagged",
        choices=["drop", "keep"],
        default="drop",
        help="what quality control flagged: NPX of a sample or assay with a warning, samples and aptamers of an ADAT",
    )
    parser.add_argument(
        "--below-lod", choices=["drop", "keep"], default="keep", help="NPX below the limit of detection"
    )
    parser.add_argument(
        "--somascan-scale", choices=["rfu", "log2"], default="rfu", help="log2: the values have been logged"
    )
    parser.add_argument("--olink-id", help="column of sample ids (default: SampleID; of a wide table the first)")
    parser.add_argument("--somascan-id", help="column of sample ids (default: SampleId; of a wide table the first)")
    parser.add_argument("--platform-a", type=Path, required=True, help="table of Olink to write")
    parser.add_argument("--platform-b", type=Path, required=True, help="table of SomaScan to write")
    parser.add_argument("--matches", type=Path, help="table of the assays of a protein and their agreement to write")
    arguments = parser.parse_args(argv)
    logging.basicConfig(format="warning: %(message)s", level=logging.WARNING)
    drop = arguments.flagged == "drop"
    olink = read_olink(arguments.olink, drop, arguments.below_lod == "drop", arguments.olink_id)
    somascan = read_somascan(arguments.somascan, drop, arguments.somascan_scale, arguments.somascan_id)
    if arguments.proteins:
        by_olink, by_aptamer = read_protein_list(arguments.proteins)
        olink = with_proteins(olink, by_olink, symbol_key)
        somascan = with_proteins(somascan, by_aptamer, lambda name: aptamer_name(name) or name)
    for name, read in (("olink", olink), ("somascan", somascan)):
        print(read.describe(name))
    a, b = align(olink.table, somascan.table)
    olink, somascan = replaced(olink, a), replaced(somascan, b)
    print(f"aligned: {len(a.samples):,} samples on both")
    matches = match(olink, somascan)
    print(describe(matches))
    if arguments.features == "matched":
        a = matched_only(olink, [pair.olink for pair in matches])
        b = matched_only(somascan, [pair.somascan for pair in matches])
        for name, before, after in (("olink", olink.table, a), ("somascan", somascan.table, b)):
            left = len(before.features) - len(after.features)
            print(f"{name}: {len(after.features):,} matched features; left out: {left:,} without a partner")
    for path, table in ((arguments.platform_a, a), (arguments.platform_b, b)):
        if table.values.size == 0:
            raise InputError(f"{table.source}: nothing is left to write")
        write_table(path, "SampleID", table.samples, table.features, table.values)
    if arguments.matches:
        write_matches(matches, arguments.matches)


def replaced(read: AssayTable, table: Table) -> AssayTable:
    """The same assays for the samples of ``table``."""
    return AssayTable(table, read.proteins, read.kind, read.dropped)


def symbol_key(name: str) -> str:
    """Symbols of assays, comparable: R writes HLA.DRA for HLA-DRA."""
    return re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")


if __name__ == "__main__":
    run_command(main)
