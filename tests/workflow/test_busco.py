"""BUSCO in the workflow: what a plain run plans, and the rules themselves on a small genome, without a network."""

from __future__ import annotations

import csv
import json
import re
import shutil

import pytest
import yaml
from busco_lineage import build_lineage, publish_lineages
from dry_runs import commands, jobs
from programs import needs
from script_flags import check_flags
from toy_bacterium import CODE, write_genome

from genet5.genome.fasta import Genome
from genet5.genome.prodigal import label_genome
from genet5.genome.writing import cds_sequence, write_gff3, write_proteins

COLUMNS = "species clade genetic_code split validation_regions test_regions genome annotation busco_lineage".split()


def table(repository) -> list[dict[str, str]]:
    with (repository / "config/species.tsv").open() as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_a_plain_run_has_busco_for_every_stage_and_the_reference_of_each_test_species(
    workspace, repository, default_config
):
    result = workspace.run("all", "-n", "-p")
    assert result.returncode == 0, result.stdout
    tested = [row for row in table(repository) if row["split"] == "test"]
    assert len(tested) == 3
    places = {f"{stage}/{row['species']}" for stage in (*default_config["stages"], "reference") for row in tested}
    lines = [line for line in commands(result.stdout) if "scripts/busco.py" in line]
    assert {re.search(r"--output data/busco/main/(\S+)\.json", line)[1] for line in lines} == places
    for line in lines:
        stage, species = re.search(r"--output data/busco/main/(\w+)/(\S+)\.json", line).groups()
        folder = "busco" if stage == "reference" else "annotation"
        (row,) = [row for row in tested if row["species"] == species]
        assert f"--proteins data/{folder}/main/{stage}/{species}.faa " in line
        assert f"--lineage data/lineages/{row['busco_lineage']}.tar.gz " in line
    fetched = [line for line in commands(result.stdout) if "scripts/fetch_lineage.py" in line]
    named = {row["busco_lineage"] for row in tested}
    assert {re.search(r"--name (\S+)", line)[1] for line in fetched} == named and len(fetched) == len(named)
    assert all(" --data https://busco-data.ezlab.org/v5/data/ --retries 5 " in line for line in fetched)
    counted = jobs(result.stdout)
    assert (counted["busco"], counted["reference_proteins"], counted["fetch_lineage"]) == (len(places), 3, 3)
    assert "busco_genome" not in counted
    check_flags(commands(result.stdout), repository)


def test_every_default_species_names_a_busco_lineage_as_busco_does(repository):
    rows = table(repository)
    assert len(rows) == 12
    for row in rows:
        assert re.fullmatch(r"[a-z]+_odb12", row["busco_lineage"]), row["species"]


def sheet(workspace, *rows: str) -> None:
    text = "".join("\t".join(row.split()) + "\n" for row in rows)
    (workspace.folder / "species.tsv").write_text("\t".join(COLUMNS) + "\n" + text)


def test_a_busco_lineage_of_two_species_is_fetched_once_and_the_genome_is_searched_on_request(workspace, repository):
    sheet(
        workspace,
        "A.one fungi 1 train I:1-9 I:10-19 a.fna.gz a.gff.gz fungi_odb12",
        "A.two fungi 1 test - - a.fna.gz a.gff.gz fungi_odb12",
        "A.three fungi 1 test - - a.fna.gz a.gff.gz -",
    )
    overlay = workspace.overlay(
        "stages: [crf]\nspecies_sheet: species.tsv\nbusco: {data: /mirror, genome: true}\ndownload: {retries: 2}"
    )
    result = workspace.run("all", "-n", "-p", "--configfile", overlay)
    assert result.returncode == 0, result.stdout
    counted = jobs(result.stdout)
    assert {rule: counted[rule] for rule in ("fetch_lineage", "busco", "reference_proteins", "busco_genome")} == {
        "fetch_lineage": 1, "busco": 4, "reference_proteins": 2, "busco_genome": 2,
    }  # fmt: skip
    (line,) = [line for line in commands(result.stdout) if "scripts/fetch_lineage.py" in line]
    assert "--name fungi_odb12 --data /mirror --retries 2 --output data/lineages/fungi_odb12.tar.gz " in line
    for script, times in (("busco_genome", 2), ("reference_proteins", 2)):
        lines = [line for line in commands(result.stdout) if f"scripts/{script}.py" in line]
        assert len(lines) == times
        assert all(("--regions I:10-19 " in line) == ("/A.one/" in line) for line in lines)
    check_flags(commands(result.stdout), repository)


@pytest.fixture(scope="module")
def small(make_workspace):
    """A genome of 60 kb whose second third is tested, and a lineage of its genes, published in a folder."""
    made = make_workspace()
    path = write_genome(made.folder / "chr.fna")
    with Genome(path) as genome:
        genes = label_genome(genome, CODE)
        write_gff3(made.folder / "genes.gff3", genes, genome.lengths)
        chosen = [gene for gene in genes if gene.canonical.length > 600][1:-1:2]
        # BUSCO may find what a border cuts, the reference has it not: there is none here.
        chosen = [gene for gene in chosen if not any(gene.start < border < gene.end for border in (20_000, 40_000))]
        proteins = {gene.id: CODE.translate(cds_sequence(genome, gene, gene.canonical))[:-1] for gene in chosen}
        inside = [gene for gene in chosen if gene.start >= 20_000 and gene.end <= 40_000]
        lineage = build_lineage(made.folder, proteins, "coryne_odb12", domain="prokaryota", with_lengths=False)
        publish_lineages(made.folder / "mirror", lineage)
        shutil.rmtree(lineage)
        # What a model would have written: all but one of the genes.
        write_proteins(made.folder / "data/annotation/toy/crf/T.oyus.faa", inside[1:], genome, CODE)
    sheet(made, "T.oyus bacteria 11 train chr:1-9000 chr:20001-40000 chr.fna genes.gff3 coryne_odb12")
    config = {"run": "toy", "stages": ["crf"], "species_sheet": "species.tsv"}
    config["busco"] = {"data": "mirror", "genome": True}
    made.overlay(yaml.safe_dump(config))
    return made, len(inside), len(chosen)


@needs("busco")
@needs("hmmsearch")
@needs("hmmbuild")
@needs("prodigal")
def test_busco_of_predictions_reference_and_genome_from_a_lineage_by_name(small):
    workspace, inside, markers = small
    assert 3 <= inside < markers
    wanted = [f"data/busco/toy/{stage}/T.oyus.json" for stage in ("crf", "reference", "genome")]
    rules = ("download", "index_genome", "fetch_lineage", "reference_proteins", "busco", "busco_genome")
    done = workspace.run(*wanted, "--configfile", "overlay.yaml", "--cores", "2", "--allowed-rules", *rules)
    assert done.returncode == 0, done.stdout
    complete = {}
    for path in wanted:
        result = json.loads((workspace.folder / path).read_text())
        assert (result["lineage"], result["n"]) == ("coryne_odb12", markers)
        assert result["lineage_path"] == "data/lineages/coryne_odb12.tar.gz"
        complete[path.split("/")[3]] = result["complete"]
    assert complete == {"crf": inside - 1, "reference": inside, "genome": inside}


@needs("hmmsearch")
@needs("hmmbuild")
def test_a_busco_lineage_with_a_wrong_name_stops_the_run_with_one_line(small):
    workspace, _, _ = small
    done = workspace.run("data/lineages/corine_odb12.tar.gz", "--configfile", "overlay.yaml", "--cores", "1")
    assert done.returncode != 0
    log = (workspace.folder / "data/logs/fetch_lineage/corine_odb12.log").read_text().splitlines()
    assert log[-1] == ("error: lineage 'corine_odb12' is not in mirror/file_versions.tsv; near it: coryne_odb12")
    assert not (workspace.folder / "data/lineages/corine_odb12.tar.gz").exists()
