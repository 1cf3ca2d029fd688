"""any_genome.py: the cut, loci, verified starts, what a model has seen, verdicts, and a whole run with a fake peer."""

from __future__ import annotations

import csv
import os
import random
import sys
from pathlib import Path

import pytest

from genet5.errors import InputError
from genet5.evaluate.scores import score_annotation
from genet5.genome.genes import Annotation, DontCare, Gene, Interval, Region, Transcript, phases_from_lengths

# -------------------------------------------------------------------- helpers


def gene(strand: str, *cds: tuple[int, int], seqid: str = "a") -> Gene:
    parts = tuple(Interval(*part) for part in cds)
    name = f"{seqid}.{strand}.{parts[0].start}"
    return Gene(name, seqid, strand, (Transcript(name, parts, phases_from_lengths(parts, strand)),))


def score(reference: list[Gene], predicted: list[Gene]) -> tuple[float, float]:
    report = score_annotation(Annotation(tuple(reference), ()), predicted, {"a": 1000})
    return report["exon"]["f1"], report["gene"]["f1"]


# -------------------------------------------------------------------- cutting


@pytest.mark.parametrize(
    ("limit", "place"), [(50, 50), (70, 50), (60, 60), (61, 50), (30, 5), (40, 40), (200, 200), (8, 8)]
)
def test_a_cut_lies_at_the_limit_or_in_the_gap_before_it(limit, place):
    from any_genome_pieces import gene_free_place

    assert gene_free_place([(60, 80), (10, 20), (15, 40)], limit) == place


def test_no_place_where_a_gene_begins_with_the_contig():
    from any_genome_pieces import gene_free_place

    assert gene_free_place([(0, 40), (40, 90)], 60) == 0


def test_no_gene_is_ever_cut_and_the_cut_is_the_last_gap():
    from any_genome_pieces import gene_free_place

    rng = random.Random(1)
    for _ in range(500):
        starts = [rng.randrange(100) for _ in range(rng.randrange(6))]
        spans = [(start, start + rng.randrange(1, 30)) for start in starts]
        limit = rng.randrange(1, 140)
        place = gene_free_place(spans, limit)
        free = [here for here in range(limit + 1) if not any(start < here < end for start, end in spans)]
        assert place in free or place == 0
        if limit in free:
            assert place == limit
        elif place:
            # The bases behind it that no gene has are the rest of one gap.
            bare = [base for base in range(place, limit) if not any(start <= base < end for start, end in spans)]
            assert bare == list(range(place, place + len(bare)))
            assert bare


def test_whole_contigs_are_taken_first_and_the_last_one_is_cut():
    from any_genome_pieces import cut_regions

    annotation = Annotation((gene("+", (20, 50), seqid="b"),), (DontCare("b", 60, 90, ".", "pseudogene"),))
    lengths = {"a": 100, "b": 200, "c": 10}
    assert cut_regions(lengths, annotation, 0) == [Region("a", 0, 100), Region("b", 0, 200), Region("c", 0, 10)]
    assert cut_regions(lengths, annotation, 155) == [Region("a", 0, 100), Region("b", 0, 55)]
    assert cut_regions(lengths, annotation, 170) == [Region("a", 0, 100), Region("b", 0, 55)]
    assert cut_regions(lengths, annotation, 40) == [Region("a", 0, 40)]
    with pytest.raises(InputError, match="no gene-free place"):
        cut_regions({"b": 200}, Annotation((gene("+", (0, 50), seqid="b"),), ()), 40)


def test_loci_are_whole_and_not_the_first_names():
    from any_genome_pieces import whole_loci

    lengths = {f"locus{number:02}": 100 for number in range(40)}
    taken = whole_loci(lengths, 1050)
    assert len(taken) == 10
    assert {(region.start, region.end) for region in taken} == {(0, 100)}
    assert {region.seqid for region in taken} != set(list(lengths)[:10])
    assert whole_loci(dict(reversed(lengths.items())), 1050) == taken
    assert len(whole_loci(lengths, 0)) == 40
    with pytest.raises(InputError, match="the first locus is longer"):
        whole_loci(lengths, 99)


def test_rows_over_the_origin_are_left_out(tmp_path):
    from any_genome_pieces import copy_within

    source, copy = tmp_path / "source.gff3", tmp_path / "copy.gff3"
    rows = ["##gff-version 3\n", "a\tx\tCDS\t10\t10\t.\t+\t0\tID=1\n", "a\tx\tCDS\t990\t20\t.\t+\t0\tID=2\n"]
    source.write_text("".join(rows))
    assert copy_within(source, copy) == 1
    assert copy.read_text() == "".join(rows[:2])


# -------------------------------------------------------------------- loci

LOCUS = [gene("+", (300, 360), (400, 490))]


def test_predictions_beside_the_annotated_gene_are_not_scored():
    from any_genome_pieces import on_loci

    flank, antisense, right = gene("+", (30, 90)), gene("-", (310, 340)), LOCUS[0]
    annotation = Annotation(tuple(LOCUS), ())
    assert on_loci([flank, antisense, right], annotation) == [right]
    assert score(LOCUS, on_loci([flank, antisense, right], annotation)) == (1.0, 1.0)
    assert score(LOCUS, [flank, antisense, right]) == (pytest.approx(2 / 3), 0.5)  # what is asked for on whole contigs


def test_a_prediction_that_reaches_into_the_gene_counts_with_all_exons():
    from any_genome_pieces import on_loci

    joined = gene("+", (30, 90), (300, 360), (400, 490))
    within_intron = gene("+", (366, 396))
    beside = gene("+", (490, 520))
    kept = on_loci([joined, within_intron, beside], Annotation(tuple(LOCUS), ()))
    assert kept == [joined, within_intron]
    exon, found = score(LOCUS, kept)
    assert exon == pytest.approx(2 * 2 / (2 + 4), abs=1e-6)  # two right ones of two, among four predicted
    assert found == 0.0


# -------------------------------------------------------------------- verified starts

VERIFIED = "a\tx\tCDS\t101\t190\t.\t+\t0\tg\na\tx\tCDS\t301\t390\t.\t-\t0\tg\na\tx\tCDS\t501\t590\t.\t+\t0\tg\n"


def test_verified_starts_by_stop_and_start(tmp_path):
    from any_genome_pieces import VerifiedStarts, count_verified, read_verified

    path = tmp_path / "verified.gff"
    path.write_text(VERIFIED + "a\tx\tgene\t1\t90\t.\t+\t.\tg\n#comment\n")
    verified = read_verified(path, [Region("a", 0, 600)])
    assert len(verified) == 3
    perfect = [gene("+", (100, 190)), gene("-", (300, 390)), gene("+", (500, 590))]
    assert count_verified(verified, perfect) == VerifiedStarts(3, 3, 3)
    other_start = [gene("+", (130, 190)), gene("-", (300, 360)), gene("+", (500, 590))]
    assert count_verified(verified, other_start) == VerifiedStarts(3, 3, 1)
    other_stop = [gene("+", (100, 160)), gene("-", (330, 390)), gene("-", (500, 590))]
    assert count_verified(verified, other_stop) == VerifiedStarts(3, 0, 0)


def test_verified_genes_outside_the_regions_are_left_out(tmp_path):
    from any_genome_pieces import read_verified

    path = tmp_path / "verified.gff"
    path.write_text(VERIFIED)
    assert [one.start for one in read_verified(path, [Region("a", 0, 550)])] == [100, 300]
    with pytest.raises(InputError, match="no CDS row lies in b"):
        read_verified(path, [Region("b", 0, 550)])
    path.write_text("a\tx\tCDS\tone\t190\t.\t+\t0\tg\n")
    with pytest.raises(InputError, match="line 1: expected a row of GFF"):
        read_verified(path, [Region("a", 0, 550)])


def test_wilson_interval():
    from any_genome_pieces import wilson_interval

    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(10, 10)[1] == pytest.approx(1.0)
    assert wilson_interval(0, 10)[0] == pytest.approx(0.0)


# -------------------------------------------------------------------- what was seen, and who is above

CARD = """---
license: mit
datasets:
  - Saccharomyces cerevisiae S288C R64, annotation SGD
  - Plasmodium yoelii 17X
metrics:
  - f1
---
"""


def test_a_card_says_what_a_model_has_seen():
    from any_genome_sets import seen_by
    from any_genome_tools import taught_species

    taught = taught_species(CARD)
    assert taught == ["Saccharomyces cerevisiae S288C R64, annotation SGD", "Plasmodium yoelii 17X"]
    seen = [seen_by(taught, species) for species in ("Plasmodium yoelii", "Plasmodium vivax", "Babesia bovis")]
    assert seen == ["species", "genus", "no"]
    assert taught_species("no front matter") == []


def test_every_peer_has_a_species_and_shipped_cards_can_be_read():
    from any_genome_sets import HELD_OUT, PEER_SPECIES, TARGETS
    from any_genome_tools import REPOSITORY, model_card, taught_species

    peers = {peer for target in TARGETS.values() for peer in target.peers} - {"prodigal", "geneml"}
    assert peers == set(PEER_SPECIES)
    for model, names in HELD_OUT.items():
        assert names <= set(TARGETS)
        assert taught_species(model_card(REPOSITORY / "resources/models" / model))


def row(name: str, ours: bool, f1: float | None, low: float | None = None, high: float | None = None) -> dict:
    values = dict.fromkeys(("exon_f1", "exon_low", "exon_high"))
    values |= {"gene_f1": f1, "gene_low": low, "gene_high": high, "ours": ours, "set": name, "table": "fungi"}
    return values | {"tool": "genet5" if ours else "peer"}


def test_verdicts_and_their_sum():
    from any_genome_tables import summary_line, verdicts

    rows = [
        row("clear", True, 0.8, 0.75, 0.85), row("clear", False, 0.6, 0.5, 0.7), row("clear", False, 0.5, 0.4, 0.9),
        row("near", True, 0.6, 0.5, 0.7), row("near", False, 0.65, 0.6, 0.75),
        row("same", True, 0.5), row("same", False, 0.5),
        row("alone", False, 0.5), row("failed", True, None), row("failed", False, 0.5),
    ]  # fmt: skip
    expected = {"clear": "gene: ours +.200, clear", "near": "gene: peer +.050", "same": "gene: level"}
    assert verdicts(rows) == expected
    assert summary_line(rows) == "gene: ours above in 1 of 3 targets, mean .633 (best peer .583)."
    assert summary_line(rows[-1:]) == ""


def test_verdicts_of_prokaryotes_are_about_genes_and_starts():
    from any_genome_tables import verdicts

    both = [row("E.coli", True, 0.9), row("E.coli", False, 0.8)]
    starts = [{"verified_start": 0.9, "verified_low": 0.8, "verified_high": 0.95}, {"verified_start": 0.91}]
    starts[1] |= {"verified_low": 0.8, "verified_high": 0.95}
    rows = [one | start | {"table": "prokaryotes"} for one, start in zip(both, starts, strict=True)]
    assert verdicts(rows) == {"E.coli": "gene: ours +.100; starts: peer +.010"}


# -------------------------------------------------------------------- a whole run

PRODIGAL = """#!{python}
import sys
from pathlib import Path
calls = Path("{calls}")
calls.write_text(calls.read_text() + " ".join(sys.argv[3:]) + "\\n")
print("##gff-version 3")
for n, (start, end, strand) in enumerate({genes}):
    print(f"a\\tProdigal\\tCDS\\t{{start}}\\t{{end}}\\t9.1\\t{{strand}}\\t0\\tID=1_{{n}};partial=00")
"""
GENES = [(101, 190, "+"), (301, 390, "+"), (501, 590, "+"), (901, 990, "+")]


@pytest.fixture
def small_genome(tmp_path, monkeypatch):
    """One contig with four genes, of which a limit of 700 bases keeps three, and a program that finds ``genes``."""
    import any_genome
    from any_genome_sets import Target

    folder = tmp_path / "data/tiny"
    folder.mkdir(parents=True)
    bases = list("CT" * 600)
    for start, end, _ in GENES:
        bases[start - 1 : end] = "ATG" + "GCA" * 28 + "TAA"
    (folder / "genome.fna").write_text(f">a\n{''.join(bases)}\n")
    lines = [f"a\tx\tCDS\t{start}\t{end}\t.\t{strand}\t0\tID=g{start}\n" for start, end, strand in GENES]
    (folder / "genome.gff3").write_text("##gff-version 3\n" + "".join(lines))
    (folder / "verified.gff.gz").write_text(VERIFIED.replace("\t-\t", "\t+\t"))
    target = Target("prokaryotes", "bacteria", "Tiny tiny", "tiny", 11, ("prodigal",), verified="tiny", limit_bp=700)
    monkeypatch.setattr(any_genome, "targets_of", lambda names: {"tiny": target})
    monkeypatch.setenv("GENET5_DATA", str(tmp_path / "data"))
    calls = tmp_path / "calls"
    calls.write_text("")

    def run(genes: list[tuple[int, int, str]], cache: str, *more: str) -> tuple[dict, list[str]]:
        program = tmp_path / "bin/prodigal"
        program.parent.mkdir(exist_ok=True)
        program.write_text(PRODIGAL.format(python=sys.executable, calls=calls, genes=genes))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        tsv = tmp_path / "rows.tsv"
        flags = ["--cache", str(tmp_path / cache), "--tsv", str(tsv), "--markdown", str(tmp_path / "tables.md")]
        monkeypatch.setattr(sys, "argv", ["any_genome.py", *flags, "--bootstrap", "20", "--no-shipped", *more])
        any_genome.main()
        with tsv.open(encoding="utf-8") as stream:
            (only,) = csv.DictReader(stream, delimiter="\t")
        return only, calls.read_text().splitlines()

    return run


def test_a_perfect_peer_scores_one_and_runs_once(small_genome, tmp_path):
    found, calls = small_genome(GENES[:3], "cache")
    assert calls == ["-g 11 -f gff -p single -q"]
    columns = ("scored_bp", "genes", "gene_f1", "stop_f1", "verified", "verified_stop", "verified_start", "seen")
    assert [found[name] for name in columns] == ["700", "3", "1", "1", "3", "1", "1", "itself"]
    fasta = (tmp_path / "cache/scored/tiny.fa").read_text().split("\n", 1)[1].replace("\n", "")
    assert len(fasta) == 700
    again, calls = small_genome(GENES[:1], "cache")
    assert len(calls) == 1
    assert again == found
    assert "| tiny (0.00 Mb) | 3 | prodigal | itself | 1.00 " in (tmp_path / "tables.md").read_text()


def test_a_damaged_answer_scores_what_is_computed_by_hand(small_genome):
    # The first gene has another start, the second is right, the third is missing, and one is made up.
    found, _ = small_genome([(131, 190, "+"), (301, 390, "+"), (601, 690, "+")], "cache")
    assert float(found["gene_f1"]) == pytest.approx(1 / 3, abs=1e-5)
    assert float(found["stop_f1"]) == pytest.approx(2 / 3, abs=1e-5)
    assert float(found["verified_stop"]) == pytest.approx(2 / 3, abs=1e-5)
    assert float(found["verified_start"]) == pytest.approx(1 / 3, abs=1e-5)


def test_a_peer_that_is_missing_gets_a_row_that_says_so(small_genome, monkeypatch):
    import any_genome_tools

    monkeypatch.setattr(any_genome_tools.shutil, "which", lambda program: None)
    found, calls = small_genome(GENES, "cache")
    assert found["note"] == "not measured: prodigal: the program is not on PATH; sudo apt-get install prodigal"
    assert found["gene_f1"] == ""
    assert not calls


def test_flags_are_passed_on_and_a_changed_model_runs_anew(small_genome, tmp_path, monkeypatch):
    import any_genome_tools
    from measured_commands import Use

    commands = []

    def use_of(command: list[str]) -> Use:
        commands.append([word for word in command if word.startswith("--")])
        output = Path(command[-1].removeprefix("--output="))
        (output / "tiny.gff3").write_text("##gff-version 3\na\tx\tCDS\t101\t190\t.\t+\t0\tID=1\n")
        return Use(2.0, 1.0)

    monkeypatch.setattr(any_genome_tools, "use_of", use_of)
    model = tmp_path / "my_model"
    model.mkdir()
    weights = model / "model.safetensors"
    weights.write_text("first")
    flags = ["--no-peers", "--models", f"prokaryotes={model}", "--", "--adapt", "--clade", "auto"]
    found, _ = small_genome(GENES, "cache", *flags)
    names = ["tool", "seen", "predicted", "gene_f1", "cpu_s", "kb_per_cpu_s"]
    assert [found[name] for name in names] == [
        "genet5 my_model --adapt --clade auto",
        "not stated",
        "1",
        "0.5",
        "2",
        "0.35",
    ]
    (command,) = commands
    assert command[:4] == ["--clade=bacteria", "--genetic-code=11", "--device=cpu", "--threads=1"]
    assert command[4:7] == [f"--model={model}", "--adapt", "--clade"]
    small_genome(GENES, "cache", *flags)
    assert len(commands) == 1
    weights.write_text("second")
    small_genome(GENES, "cache", *flags)
    assert len(commands) == 2


def test_tables_of_models_are_checked(tmp_path):
    from any_genome import fold_entries, model_entries, simulated_targets
    from any_genome_sets import targets_of

    table = tmp_path / "folds.tsv"
    table.write_text(f"# set\tfolder\tseen\nE.coli\t{tmp_path}\tno\nprokaryotes\t{tmp_path}\n")
    assert [(where, ours.seen) for where, ours in fold_entries(table)] == [("E.coli", "no"), ("prokaryotes", None)]
    table.write_text("E.coli\n")
    with pytest.raises(InputError, match=r"folds\.tsv, line 1: 1 columns"):
        list(fold_entries(table))
    with pytest.raises(InputError, match="expected SET=FOLDER"):
        list(model_entries(["fungi"]))
    with pytest.raises(InputError, match="no such folder"):
        list(model_entries([f"fungi={tmp_path}/absent"]))
    with pytest.raises(InputError, match="expected TABLE=FOLDER"):
        list(simulated_targets([f"mushrooms={tmp_path}"]))
    with pytest.raises(InputError, match=r"'E\.colli'"):
        targets_of(["E.colli"])
    (tmp_path / "ustilago_maydis").mkdir()
    ((name, target),) = simulated_targets([f"fungi={tmp_path}"])
    assert (name, target.peers, target.species) == (
        "simulated.ustilago_maydis", ("augustus ustilago_maydis",), "ustilago maydis",
    )  # fmt: skip
