"""What is wrong with an annotation is said in one line that names the file, the line and what is allowed."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from genome_hand_made import HandMadeGenome, gff_rows

from genet5.errors import InputError

GOOD = gff_rows("g1", [(99, 399)])
CDS = GOOD.splitlines()[-1]


def replaced(old: str, new: str) -> str:
    assert old in CDS
    return GOOD.replace(CDS, CDS.replace(old, new))


CASES = {
    "end beyond the sequence": (replaced("|399|", "|3001|"), "line 3: CDS 100..3001 .* ends beyond 'chr1', .* 3000 bp"),
    "start after end": (replaced("|399|", "|99|"), "line 3: start 100, end 99; starts count from 1"),
    "start 0": (replaced("|100|", "|0|"), "line 3: start 0, end 399"),
    "no number": (replaced("|399|", "|39x|"), "line 3: start and end must be numbers, found '100', '39x'"),
    "fewer columns": (replaced("|.|+|0|", "|.|"), r"line 3: 7 tab-separated columns; a row of GFF or GTF has 9"),
    "spaces for tabs": (GOOD.replace("|", " "), r"line 1: 1 tab-separated columns"),
    "strand": (replaced("|+|", "|plus|"), r"line 3: strand 'plus'; allowed: \+ - \. \?"),
    "unknown sequence": (GOOD.replace("chr1", "1"), "line 3: 1 of 1 CDS rows .* first '1'; the FASTA has 'chr1'"),
    "no CDS": ("\n".join(GOOD.splitlines()[:-1]), r"no coding gene: .*rows 2"),
    "no ids": (CDS.split("ID=")[0] + "note=x\n", "no coding gene: .*cds_rows_without_parent 1"),
    "only pseudogenes": (replaced("Parent=g1.t1", "Parent=g1.t1;pseudo=true"), "no coding gene: .*pseudogene_loci 1"),
    "FASTA": (">chr1\nACGT\n", "looks like FASTA; an annotation is GFF3, GTF or GenBank"),
    "EMBL": ("ID   BA000025; SV 2; linear;\n", "looks like EMBL"),
    "empty": ("", "the file is empty"),
    "only comments": ("##gff-version 3\n", "no coding gene: .*"),
}


@pytest.mark.parametrize("case", CASES)
def test_one_line_for_each_mistake(case: str, tmp_path: Path) -> None:
    text, pattern = CASES[case]
    made = HandMadeGenome(tmp_path)
    made.put([(99, 399)])
    assert made.read(GOOD).trusted
    with pytest.raises(InputError, match=pattern) as error:
        made.read(text)
    message = str(error.value)
    assert message.startswith(str(tmp_path / "annotation"))
    assert "\n" not in message


def test_truncated_gzip(tmp_path: Path) -> None:
    made = HandMadeGenome(tmp_path)
    made.put([(99, 399)])
    whole = gzip.compress("".join(gff_rows(f"g{n}", [(99, 399)]) for n in range(900)).replace("|", "\t").encode())
    path = tmp_path / "annotation.gz"
    path.write_bytes(whole[:-50])
    from genet5.genome.annotation import read_annotation
    from genet5.genome.genetic_code import GeneticCode

    code = GeneticCode.from_table(1)
    with made.genome() as genome:
        with pytest.raises(InputError, match=re.escape(f"{path}: truncated gzip")):
            read_annotation(path, genome, code)
        path.write_bytes(whole)
        assert len(read_annotation(path, genome, code).genes) == 900


def test_damaged_genbank(tmp_path: Path) -> None:
    made = HandMadeGenome(tmp_path)
    with pytest.raises(InputError, match=r"not a readable GenBank file|no coding gene"):
        made.read(
            "LOCUS       chr1 3000 bp DNA linear BCT 01-JAN-2020\nFEATURES             Location/Qualifiers\n     CDS\n"
        )


def test_in_frame_stops_without_a_better_code_point_at_the_assembly(tmp_path: Path) -> None:
    made = HandMadeGenome(tmp_path, chr1=20_000)
    rows = ""
    for number in range(25):
        start = 100 + 600 * number
        cds = made.put([(start, start + 300)])
        broken = cds[:99] + "TAATAGTGA" * 3 + cds[126:]
        made.put([(start, start + 300)], cds=broken)
        rows += gff_rows(f"g{number}", [(start, start + 300)])
    with pytest.raises(InputError, match=r"genetic code 1, 25 of 25 complete genes have in-frame stops; no other code"):
        made.read(rows)
    assert len(made.read(rows, predicted=True).genes) == 25


def test_a_gene_finder_may_find_nothing(tmp_path: Path) -> None:
    made = HandMadeGenome(tmp_path)
    annotation = made.read("##gff-version 3\n", predicted=True)
    assert (annotation.genes, annotation.dont_care, annotation.counts) == ((), (), {})
