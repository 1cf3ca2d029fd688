"""BUSCO on planted genes: small lineages made of known proteins, so that every count is known beforehand."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest
from busco_lineage import build_lineage, marker
from programs import needs, path_without
from toy_bacterium import CODE, write_genome

from genet5.errors import InputError
from genet5.evaluate.busco import RESULT_FIELDS, run_busco, run_busco_on_genome
from genet5.genome.fasta import Genome
from genet5.genome.genes import Region
from genet5.genome.prodigal import label_genome
from genet5.genome.writing import cds_sequence, write_gff3

pytestmark = [needs("busco"), needs("hmmsearch"), needs("hmmbuild")]

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
#: What is planted for each of ten markers: copies of its protein, each as (share of its length, share changed).
PLANTED = {
    "single": [[(1, 0)], [(1, 0.2)], [(1, 0.2)], [(0.9, 0)]],
    "duplicated": [[(1, 0), (1, 0.05)]],
    "fragmented": [[(0.65, 0)], [(0.6, 0)]],
    "missing": [[], [], [(0.1, 0)]],
}
FOUND = {
    marker(number): status
    for number, status in enumerate((status for status, plan in PLANTED.items() for _ in plan), 1)
}


@pytest.fixture(scope="module")
def family():
    draw = random.Random(5)
    return {f"p{number}": "M" + "".join(draw.choices(RESIDUES, k=draw.randint(150, 300))) for number in range(10)}


@pytest.fixture(scope="module")
def proteome(family, tmp_path_factory):
    """A FASTA file with what ``PLANTED`` says."""
    draw, records = random.Random(6), []
    plans = [plan for plans in PLANTED.values() for plan in plans]
    for (name, sequence), copies in zip(family.items(), plans, strict=True):
        for number, (share, changed) in enumerate(copies):
            piece = sequence[: int(share * len(sequence))]
            piece = "".join(draw.choice(RESIDUES) if draw.random() < changed else residue for residue in piece)
            records.append(f">{name}.{number}\n{piece}\n")
    path = tmp_path_factory.mktemp("proteome") / "planted.faa"
    path.write_text("".join(records))
    return path


@pytest.mark.parametrize(("name", "with_lengths"), [("mini_odb10", True), ("mini_odb12", False)])
def test_planted_markers_are_found_as_they_were_planted(family, proteome, tmp_path, name, with_lengths):
    lineage = build_lineage(tmp_path, family, name, with_lengths=with_lengths)
    result = run_busco(proteome, lineage, threads=2)
    assert result["lineage"] == name and set(result) == set(RESULT_FIELDS)
    assert {status: result[status] for status in PLANTED} == {status: len(plan) for status, plan in PLANTED.items()}
    assert result["markers"] == {key: status for key, status in FOUND.items() if status != "missing"}
    assert (result["complete"], result["n"]) == (5, 10)


@pytest.fixture(scope="module")
def bacterium(tmp_path_factory):
    """Genome of 60 kb, its longer genes, and a lineage of them for prokaryotes."""
    folder = tmp_path_factory.mktemp("bacterium")
    genome = Genome(write_genome(folder / "chr.fna"))
    genes = [gene for gene in label_genome(genome, CODE) if gene.canonical.length > 600]
    genes = [gene for gene in genes if gene.canonical.complete5 and gene.canonical.complete3][::3]
    proteins = {gene.id: CODE.translate(cds_sequence(genome, gene, gene.canonical)).removesuffix("*") for gene in genes}
    return genome, genes, build_lineage(folder, proteins, "coryne_odb10", domain="prokaryota")


@needs("prodigal")
def test_busco_finds_in_dna_the_genes_that_its_regions_hold(bacterium, repository, tmp_path):
    genome, genes, lineage = bacterium
    regions = [Region("chr", 0, 15_000), Region("chr", 30_000, 50_000)]
    inside = {gene.id for region in regions for gene in genes_inside(genes, region)}
    assert 3 <= len(inside) < len(genes)
    result = run_busco_on_genome(genome, regions, lineage, threads=2)
    found = {genes[int(key.partition("at")[0]) - 1].id for key in result["markers"]}
    assert found == inside
    assert set(result) == set(RESULT_FIELDS)
    assert (result["mode"], result["single"], result["n"]) == ("genome", len(inside), len(genes))
    command = [sys.executable, str(repository / "scripts/busco_genome.py"), "--genome", str(genome.path)]
    command += ["--lineage", str(lineage), "--output", str(tmp_path / "all.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "all.json").read_text())["single"] == len(genes)


def genes_inside(genes, region):
    """Those that lie whole in it."""
    return [gene for gene in genes if region.start <= gene.start and gene.end <= region.end]


def test_a_busco_gene_finder_that_is_missing_is_one_line(family, bacterium, tmp_path, monkeypatch):
    genome, _, prokaryote = bacterium
    eukaryote = build_lineage(tmp_path, family, "mini_odb10")
    monkeypatch.setenv("PATH", path_without(tmp_path / "bin", "prodigal", "metaeuk", "miniprot"))
    ending = r"which is not on PATH; install it, or set busco\.genome to false$"
    with pytest.raises(InputError, match=rf"a lineage of prokaryota needs the program prodigal, {ending}"):
        run_busco_on_genome(genome, [Region("chr", 0, 5000)], prokaryote)
    with pytest.raises(InputError, match=rf"a lineage of eukaryota needs the program (metaeuk|miniprot), {ending}"):
        run_busco_on_genome(genome, [Region("chr", 0, 5000)], eukaryote)


def test_proteins_of_the_reference_are_complete_in_busco(bacterium, repository, tmp_path):
    """Its own proteins, so that every marker inside the regions is found, and no other."""
    genome, genes, lineage = bacterium
    write_gff3(tmp_path / "genes.gff3", genes, genome.lengths)
    command = [sys.executable, str(repository / "scripts/reference_proteins.py"), "--genome", str(genome.path)]
    command += ["--reference", str(tmp_path / "genes.gff3"), "--genetic-code", "11", "--regions", "chr:1-20000"]
    done = subprocess.run([*command, "--output", str(tmp_path / "p.faa")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    inside = genes_inside(genes, Region("chr", 0, 20_000))
    assert done.stdout.endswith(f"p.faa: {len(inside)} proteins of {len(inside)} genes\n")
    result = run_busco(tmp_path / "p.faa", lineage, threads=2)
    assert (result["single"], result["missing"]) == (len(inside), len(genes) - len(inside))
