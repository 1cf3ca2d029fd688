"""The leak audit finds planted duplicates on either strand and nothing else."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genet5.errors import InputError
from genet5.genome.fasta import Genome
from genet5.genome.genes import Annotation, Gene, Interval, Transcript, phases_from_lengths
from genet5.genome.genetic_code import reverse_complement
from genet5.genome.kmers import canonical_kmers
from genet5.genome.leak_audit import AuditedSpecies, check_report, leak_audit, report_table
from genet5.genome.splits import split_regions
from genet5.genome.writing import write_gff3

GENE_BP = 900


def random_dna(draw: random.Random, length: int) -> str:
    return "".join(draw.choices("ACGT", k=length))


def coding(draw: random.Random) -> str:
    return "ATG" + "".join(draw.choice(("GCT", "AAA", "CCG", "TTC", "GGA", "CTG")) for _ in range(298)) + "TAA"


def mutated(draw: random.Random, bases: str, share: float) -> str:
    """``bases`` with every one replaced by another letter with probability ``share``, start and stop codon kept."""
    inner = [draw.choice("ACGT".replace(base, "")) if draw.random() < share else base for base in bases[3:-3]]
    return bases[:3] + "".join(inner) + bases[-3:]


class Planted:
    """A training contig, and a test contig of genes at known places, each with a known relation to the training DNA."""

    def __init__(self, folder: Path) -> None:
        draw = random.Random(11)
        self.folder = folder
        genes = {name: coding(draw) for name in ("same", "turned", "close", "far", "unrelated", "spliced")}
        intron = random_dna(draw, 400)
        train = random_dna(draw, 3000)
        for name, relation in [
            ("same", lambda bases: bases),
            ("turned", reverse_complement),
            ("close", lambda bases: mutated(draw, bases, 0.01)),
            ("far", lambda bases: mutated(draw, bases, 0.15)),
            ("spliced", lambda bases: bases[:450] + random_dna(draw, 300) + bases[450:]),
        ]:
            train += relation(genes[name]) + random_dna(draw, 2000)
        self.contigs = {"train": train, "held": random_dna(draw, 500)}
        found = []
        for name, bases in genes.items():
            start = len(self.contigs["held"])
            cds = (Interval(start, start + GENE_BP),)
            if name == "spliced":
                bases = bases[:450] + intron + bases[450:]
                cds = (Interval(start, start + 450), Interval(start + 850, start + 1300))
            self.contigs["held"] += bases + random_dna(draw, 1500)
            transcript = Transcript(f"{name}.t1", cds, phases_from_lengths(cds, "+"))
            found.append(Gene(name, "held", "+", (transcript,)))
        self.annotation = Annotation(tuple(found), ())

    def species(self, name: str = "A", split: str = "train", test: str = "held", genes: bool = True) -> AuditedSpecies:
        path = self.folder / f"{name}.fna"
        path.write_text("".join(f">{seqid}\n{bases}\n" for seqid, bases in self.contigs.items()))
        genome = Genome(path)
        regions = split_regions(split, "", test, genome.lengths)
        return AuditedSpecies(name, genome, self.annotation if genes else Annotation((), ()), regions)


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


@pytest.mark.parametrize("sampling", [1, 4])
def test_planted_duplicates_are_found_and_nothing_else(planted: Planted, sampling: int) -> None:
    report = leak_audit([planted.species()], sampling=sampling)
    content = report["pairs"]["train->test"]
    shares = {gene["gene"]: gene["share"] for gene in content["worst"]}
    assert set(shares) == {"same", "turned", "close", "spliced"}
    assert shares["same"] == shares["turned"] == shares["spliced"] == 1.0
    # One base in a hundred differs: .99 ** 24 of the 24-mers are whole.
    assert shares["close"] == pytest.approx(0.99**24, abs=0.12)
    assert content["genes"] == {
        "total": 6,
        "assessed": 6,
        "half": 4,
        "most": 3,
        "share_half": round(4 / 6, 6),
        "share_most": 0.5,
    }
    assert report["pairs"]["train->validation"]["genes"]["total"] == 0
    assert report["pairs"]["validation->test"]["genes"]["half"] == 0


def test_place_of_the_worst_genes_is_given(planted: Planted) -> None:
    worst = leak_audit([planted.species()])["pairs"]["train->test"]["worst"]
    same = next(gene for gene in worst if gene["gene"] == "same")
    assert same == {"species": "A", "gene": "same", "seqid": "held", "start": 500, "end": 1400, "share": 1.0}


def test_duplicates_between_species_are_found(planted: Planted) -> None:
    train = planted.species("A", test="held", genes=False)
    other = planted.species("B", split="test", test="held")
    report = leak_audit([train, other])
    content = report["pairs"]["train->test"]
    assert content["genes"]["half"] == 4
    assert content["species"]["B"]["genes"]["half"] == 4
    assert "genes" not in content["species"]["A"]


def test_shared_windows_are_counted(planted: Planted) -> None:
    copy = planted.contigs["train"][1000:9000]
    planted.contigs["held"] += reverse_complement(copy)
    report = leak_audit([planted.species()], sampling=1, window_bp=1000)
    windows = report["pairs"]["train->test"]["windows"]
    assert windows["total"] == -(-len(planted.contigs["held"]) // 1000)
    # 8,000 bases that start inside a tile hold seven whole tiles.
    assert 7 <= windows["most"] <= 8


def test_cut_and_flagged_genes_are_not_assessed(planted: Planted) -> None:
    middle = planted.annotation.genes[0].start + 10
    genes = list(planted.annotation.genes)
    genes[1] = replace(genes[1], flags=frozenset({"no_stop"}))
    planted.annotation = Annotation(tuple(genes), ())
    species = planted.species(test=f"held:{middle}-{len(planted.contigs['held'])}")
    assert leak_audit([species])["pairs"]["train->test"]["genes"]["total"] == len(genes) - 2


def test_short_genes_say_nothing(planted: Planted) -> None:
    cds = (Interval(600, 630),)
    tiny = Gene("tiny", "held", "+", (Transcript("tiny.t1", cds, (0,)),))
    planted.annotation = Annotation((*planted.annotation.genes, tiny), ())
    genes = leak_audit([planted.species()])["pairs"]["train->test"]["genes"]
    assert (genes["total"], genes["assessed"], genes["half"]) == (7, 6, 4)


def test_more_than_allowed_stops_with_one_line(planted: Planted) -> None:
    with pytest.raises(InputError) as error:
        leak_audit([planted.species()], max_share=0.5)
    message = str(error.value)
    assert message.startswith("leak audit: 4 of 6 test genes (66.7%) have half or more of their DNA in train")
    assert "allowed 50.0%" in message
    assert "the worst: A same (1.00), " in message
    assert message.partition("the worst: ")[2].count("A ") == 3  # of the four
    assert "\n" not in message
    check_report(leak_audit([planted.species()]), max_share=0.7)


def test_train_alone_has_nothing_to_leak(planted: Planted) -> None:
    report = leak_audit([planted.species(test="")], max_share=0.0)
    assert all(content["genes"]["total"] == 0 for content in report["pairs"].values())


@pytest.mark.parametrize(
    ("options", "message"),
    [({"k": 40}, "k is 40"), ({"sampling": 0}, "sampling is 0"), ({"window_bp": 5}, "window_bp")],
)
def test_wrong_options(planted: Planted, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        leak_audit([planted.species()], **options)


@pytest.mark.parametrize("k", [1, 2, 3, 13, 24, 31])
def test_kmers_against_a_plain_count(k: int) -> None:
    draw = random.Random(k)
    bases = random_dna(draw, 150) + "N" + random_dna(draw, 80).lower() + "RY" + random_dna(draw, 60)
    upper = bases.upper()
    expected = {}
    for position in range(len(bases) - k + 1):
        word = upper[position : position + k]
        if set(word) <= set("ACGT"):
            expected[position] = min(word, reverse_complement(word))
    positions, hashes = canonical_kmers(bases.encode(), k)
    assert positions.tolist() == list(expected)
    # One hash per word and one word per hash.
    pairs = set(zip(expected.values(), hashes.tolist(), strict=True))
    assert len(pairs) == len(set(expected.values())) == len(set(hashes.tolist()))


def test_kmers_of_the_other_strand_and_of_a_sample() -> None:
    bases = random_dna(random.Random(2), 40_000)
    positions, hashes = canonical_kmers(bases.encode(), 24)
    turned_positions, turned = canonical_kmers(reverse_complement(bases).encode(), 24)
    assert np.array_equal(hashes, turned[::-1])
    some_positions, some = canonical_kmers(bases.encode(), 24, 8)
    assert set(some.tolist()) < set(hashes.tolist())
    assert np.array_equal(hashes[np.searchsorted(positions, some_positions)], some)
    assert len(some) == pytest.approx(len(hashes) / 8, rel=0.1)
    assert len(canonical_kmers(b"ACGT", 24)[0]) == 0
    assert len(turned_positions) == len(positions)


def test_script(planted: Planted, tmp_path: Path, repository: Path) -> None:
    species = planted.species()
    write_gff3(tmp_path / "A.gff3", planted.annotation.genes, species.genome.lengths)
    sheet = tmp_path / "species.tsv"
    sheet.write_text(
        "species\tclade\tgenetic_code\tsplit\ttest_regions\tgenome\tannotation\n"
        "G.alpha\tfungi\t1\ttrain\theld\tA.fna\tA.gff3\n"
    )
    script = [sys.executable, repository / "scripts" / "leak_audit.py"]
    usage = subprocess.run([*script, "--help"], capture_output=True, text=True, check=True).stdout
    assert "--max-share" in usage
    command = [*script, "--sheet", sheet, "--species", "G.alpha", "--genomes", tmp_path / "A.fna"]
    command += ["--annotations", tmp_path / "A.gff3", "--output", tmp_path / "audit.json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "audit.json").read_text())
    assert report["pairs"]["train->test"]["genes"]["half"] == 4
    assert done.stderr == report_table(report)
    stopped = subprocess.run([*command, "--max-share", "0.1"], capture_output=True, text=True)
    assert stopped.returncode == 1
    assert stopped.stderr.splitlines()[-1].startswith("error: leak audit: 4 of 6 test genes")


@pytest.mark.parametrize(("coding_bp", "assessed"), [(33, 1), (30, 0)])
def test_a_gene_is_assessed_from_ten_kmers_on(tmp_path: Path, coding_bp: int, assessed: int) -> None:
    """A segment of n bases has n - 23 of the 24-mers; fewer than ten say nothing about a gene."""
    (tmp_path / "genome.fna").write_text(f">held\n{random_dna(random.Random(5), 200)}\n>learnt\n{'ACGT' * 50}\n")
    gene = Gene("g", "held", "+", (Transcript("t", (Interval(9, 9 + coding_bp),), (0,)),))
    with Genome(tmp_path / "genome.fna") as genome:
        regions = split_regions("train", "", "held", genome.lengths)
        species = AuditedSpecies("A.a", genome, Annotation((gene,), ()), regions)
        genes = leak_audit([species], sampling=1, window_bp=100)["pairs"]["train->test"]["genes"]
    assert (genes["assessed"], genes["total"]) == (assessed, 1)
