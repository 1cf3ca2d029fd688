"""GenBank features: joins, complements, incomplete ends, circles, pseudogenes, matching of names."""

from __future__ import annotations

from pathlib import Path

import pytest
from genome_hand_made import HandMadeGenome, coding_sequence

from genet5.errors import InputError
from genet5.genome.genbank import genbank_sequences
from genet5.genome.genes import DontCare


def record(made: HandMadeGenome, features: str, topology: str = "linear", version: str = "chr1.1") -> str:
    """A GenBank record of the contig chr1 with feature lines of the form ``type location /key=value ...``."""
    bases = "".join(made.contigs["chr1"]).lower()
    lines = [
        f"LOCUS       chr1                  {len(bases)} bp    DNA     {topology} BCT 01-JAN-2020",
        "DEFINITION  test.",
        *([f"VERSION     {version}"] if version else []),
        "FEATURES             Location/Qualifiers",
    ]
    for feature in features.strip().splitlines():
        kind, location, *qualifiers = feature.split()
        lines.append(f"     {kind:<16}{location}")
        lines += [" " * 21 + qualifier for qualifier in qualifiers]
    lines.append("ORIGIN")
    for start in range(0, len(bases), 60):
        chunk = bases[start : start + 60]
        lines.append(f"{start + 1:>9} " + " ".join(chunk[at : at + 10] for at in range(0, len(chunk), 10)))
    return "\n".join([*lines, "//", ""])


@pytest.fixture
def made(tmp_path: Path) -> HandMadeGenome:
    return HandMadeGenome(tmp_path)


def test_joins_on_both_strands_and_grouping_by_locus_tag(made: HandMadeGenome) -> None:
    made.put([(99, 200), (300, 499)])
    made.put([(999, 1100), (1200, 1399)], "-")
    text = record(
        made,
        """CDS join(100..200,301..499) /locus_tag="a" /protein_id="p1"
CDS complement(join(1000..1100,1201..1399)) /gene="b"
CDS complement(join(1000..1100,1201..1399)) /gene="b"
""",
    )
    annotation = made.read(text)
    assert [(gene.id, gene.strand, len(gene.transcripts)) for gene in annotation.trusted] == [
        ("a", "+", 1),
        ("b", "-", 2),
    ]
    assert annotation.genes[0].canonical.id == "p1"
    assert [tuple(segment) for segment in annotation.genes[1].canonical.cds] == [(999, 1100), (1200, 1399)]
    assert annotation.genes[1].canonical.phases == (2, 0)


def test_stop_codon_after_the_cds_is_taken_in(made: HandMadeGenome) -> None:
    made.put([(99, 399)])
    made.put([(999, 1299)], "-")
    annotation = made.read(record(made, 'CDS 100..396 /gene="a"\nCDS complement(1003..1299) /gene="b"'))
    assert [tuple(gene.canonical.cds[0]) for gene in annotation.trusted] == [(99, 399), (999, 1299)]
    assert annotation.counts["stop_codons_added"] == 2


def test_incomplete_ends_and_codon_start(made: HandMadeGenome) -> None:
    made.put([(99, 398)], cds=coding_sequence(300, 1)[1:])
    annotation = made.read(record(made, 'CDS <100..398 /locus_tag="a" /codon_start=3'))
    (gene,) = annotation.genes
    assert gene.flags == {"partial"}
    assert (gene.canonical.complete5, gene.canonical.complete3, gene.canonical.phases) == (False, True, (2,))


@pytest.mark.parametrize("location", ["join(2801..3000,1..100)", "complement(join(2801..3000,1..100))"])
def test_join_over_the_origin(made: HandMadeGenome, location: str) -> None:
    annotation = made.read(record(made, f'CDS {location} /locus_tag="a"', topology="circular"))
    (gene,) = annotation.genes
    assert gene.flags == {"beyond_contig"}
    assert (gene.start, gene.end) == (2800, 3000)
    assert [region[1:3] for region in annotation.dont_care] == [(0, 100), (2800, 3000)]


@pytest.mark.parametrize("location", ["2900..6001", "9" * 30])
def test_a_cds_beyond_the_second_round_of_a_circle_is_one_line(made: HandMadeGenome, location: str) -> None:
    assert made.read(record(made, 'CDS 2900..3100 /locus_tag="a"', topology="circular")).genes
    with pytest.raises(InputError, match=r"ends beyond 'chr1', which has 3000 bp"):
        made.read(record(made, f'CDS {location} /locus_tag="a"', topology="circular"))


def test_pseudogenes(made: HandMadeGenome) -> None:
    made.put([(99, 399)])
    features = """CDS 100..399 /locus_tag="a"
gene 600..900 /locus_tag="p" /pseudo
CDS 610..890 /locus_tag="p" /pseudo
gene complement(1000..1200) /locus_tag="q" /pseudogene="unknown"
"""
    annotation = made.read(record(made, features))
    assert [gene.id for gene in annotation.genes] == ["a"]
    assert annotation.dont_care == (
        DontCare("chr1", 609, 890, "+", "pseudogene"),
        DontCare("chr1", 999, 1200, "-", "pseudogene"),
    )


def test_joins_with_other_records_are_left_out_and_mixed_strands_flagged(made: HandMadeGenome) -> None:
    made.put([(99, 399)])
    features = """CDS 100..399 /locus_tag="a"
CDS join(J00194.1:100..202,500..745) /locus_tag="b"
CDS join(complement(800..900),1000..1200) /locus_tag="c"
"""
    annotation = made.read(record(made, features))
    assert [(gene.id, sorted(gene.flags)) for gene in annotation.genes] == [("a", []), ("c", ["trans_spliced"])]
    assert annotation.counts["cds_in_other_records"] == 1
    assert [region[1:4] for region in annotation.dont_care] == [(799, 900, "-"), (999, 1200, "+")]


@pytest.mark.parametrize("version", ["chr1", "other.1", ""])
def test_record_is_matched_by_version_or_locus_name(made: HandMadeGenome, version: str) -> None:
    made.put([(99, 399)])
    assert made.read(record(made, 'CDS 100..399 /locus_tag="a"', version=version)).trusted


def test_sequences(made: HandMadeGenome, tmp_path: Path) -> None:
    made.put([(99, 399)])
    path = tmp_path / "records.gb"
    path.write_text(record(made, "source 1..3000"))
    assert list(genbank_sequences(path)) == [("chr1.1", "".join(made.contigs["chr1"]))]
    path.write_text(record(made, "source 1..3000").split("ORIGIN")[0] + "CONTIG      join(x.1:1..3000)\n//\n")
    with pytest.raises(InputError, match=r"chr1.1: no sequence"):
        list(genbank_sequences(path))
