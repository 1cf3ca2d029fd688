"""The whole workflow on pieces of a bacterial genome: every stage runs, and what it leaves is valid and complete."""

from __future__ import annotations

import json
from pathlib import Path

import pandas
import pytest
import yaml
from programs import check_gff3, needs
from toy_bacterium import CODE, TEST, VALIDATION, write_genome

from genet5.genome.fasta import Genome
from genet5.genome.prodigal import label_genome
from genet5.genome.writing import write_gff3

TOY = {
    "run": "toy",
    "species_sheet": "species.tsv",
    "bake": {
        "windows": {"bacteria": {"window_bp": 3000, "stride_bp": 1500}},
        "flank_bp": 300,
        "samples_per_shard": 10,
        "eval_samples": 2,
    },
    "tokenizer": {"segment_bp": 60, "max_window_bp": 3000},
    "writer": {
        "size": "demo",
        "overrides": {
            "hidden_size": 32,
            "num_layers": 1,
            "num_heads": 2,
            "num_kv_heads": 1,
            "feed_forward_size": 32,
            "pointer_size": 16,
        },
    },
    "device": "auto",
    "stages": ["crf", "sft", "grpo"],
    "crf": {
        "size": "demo",
        "overrides": {"stem_channels": 16, "codon_channels": 16, "stretch_channels": 16, "stem_dilations": [1]},
        "epochs": 1,
        "log_every": 2,
    },
    "sft": {
        "epochs": 3,
        "lr": 3.0e-3,
        "token_budget": 4000,
        "max_batch_size": 4,
        "windows_per_step": 4,
        "log_every": 2,
    },
    "grpo_prompts": {"num_prompts": 12},
    "grpo": {
        "max_steps": 2,
        "batch_size": 3,
        "windows_per_step": 6,
        "group_size": 4,
        "eval_samples": 2,
        "eval_steps": 1,
    },
    "annotate": {"overlap_bp": 1000},
    "score": {"bootstrap": 20},
}
SPECIES = {"T.oyus": 12_000, "T.estus": 25_000}  # annotated bases: a test region, a whole genome
# One thread for such a small network: two wait for each other most of the time, and long on a busy machine.
OPTIONS = (
    "--configfile",
    "overlay.yaml",
    "--cores",
    "2",
    "--set-threads",
    "train_crf=1",
    "train_sft=1",
    "train_grpo=1",
    "calibrate=1",
    "annotate_genome=1",
)
STAGES = ("crf", "sft", "grpo")
FILES = {
    **{f"annotation/toy/{stage}/{{}}": ("gff3", "faa", "cds.fna", "json", "tracks.npz") for stage in STAGES},
    **{f"score/toy/{stage}/{{}}": ("json", "tsv") for stage in STAGES},
    "raw/{}/": ("fna", "fna.fai", "gff.gz"),
}


@pytest.fixture(scope="module")
def workspace(make_workspace):
    """Two species from files: one labelled by Prodigal in the run, one with a GFF3 of its own; and the finished run."""
    made = make_workspace()
    write_genome(made.folder / "train.fa")
    own = write_genome(made.folder / "test.fa", start=1_500_000, length_bp=SPECIES["T.estus"], name="scaffold_1")
    with Genome(own) as genome:
        write_gff3(made.folder / "test.gff3", label_genome(genome, CODE), genome.lengths)
    made.sheet(
        f"T.oyus bacteria 11 train {VALIDATION} {TEST} train.fa prodigal",
        f"T.estus bacteria 11 test - - file://{own} test.gff3",
    )
    made.overlay(yaml.safe_dump(TOY))
    result = made.run("all", *OPTIONS)
    assert result.returncode == 0, result.stdout
    return made


def gene_count(path: Path) -> int:
    return sum(line.split("\t")[2:3] == ["gene"] for line in path.read_text().splitlines())


def count_records(path: Path) -> int:
    return path.read_text().count(">")


def test_every_stage_leaves_its_files(workspace):
    data = workspace.folder / "data"
    for name in SPECIES:
        for prefix, endings in FILES.items():
            place = prefix.format(name)
            for ending in endings:
                assert (data / (place + ending if place.endswith("/") else f"{place}.{ending}")).is_file()
    assert {path.name for path in (data / "baked/toy/T.oyus").iterdir()} >= {
        "manifest.json",
        "stats.json",
        "gene_index.json",
        "train_000.tar",
        "validation_000.tar",
    }
    assert {path.name for path in (data / "baked/toy").iterdir()} >= {"validation.tar", "eval.json", "bake_config.json"}
    for stage in ("init", "resized", *STAGES):
        assert (data / "model/toy" / stage / "model.safetensors").is_file()
    for stage in STAGES:
        assert (data / "model/toy" / stage / "calibration.json").is_file()
    assert (data / "model/toy/sft/training_log.csv").read_text().count("\n") > 3
    assert (data / "model/toy/grpo/grpo_log.csv").read_text().count("\n") == 3
    assert not [path for path in data.rglob("*.tmp") if "logs" not in path.parts]


@needs("gt")
@pytest.mark.parametrize("stage", STAGES)
def test_annotations_are_valid(workspace, stage):
    for name in SPECIES:
        check_gff3(workspace.folder / f"data/annotation/toy/{stage}/{name}.gff3")


def test_annotations_agree_with_their_summaries(workspace):
    for name, bases in SPECIES.items():
        folder = workspace.folder / "data/annotation/toy/grpo"
        genes = gene_count(folder / f"{name}.gff3")
        summary = json.loads((folder / f"{name}.json").read_text())
        assert summary["bases"] == bases and summary["counts"]["genes"] == genes
        assert summary["options"]["window_bp"] == 3000 and summary["cpu_s"] > 0
        assert summary["calibrated"] is False  # 9 kb of validation DNA hold too few genes
        assert count_records(folder / f"{name}.cds.fna") == genes
        assert count_records(folder / f"{name}.faa") <= genes


@pytest.mark.parametrize("stage", STAGES)
def test_scores_have_every_system_and_level(workspace, stage):
    for name in SPECIES:
        path = workspace.folder / f"data/score/toy/{stage}/{name}.json"
        document = json.loads(path.read_text())
        assert document["species"] == name and document["reference"]["genes"] > 5
        systems = document["systems"]
        assert set(systems) == {f"genet5/{stage}", "orf_atg", "orf_all", "prodigal"}
        for scores in systems.values():
            assert {"nucleotide", "exon", "stop", "gene"} <= set(scores) and scores["kb_per_cpu_s"] > 0
        # The reference is Prodigal's own opinion (of the whole genome): it finds nearly all of it again.
        assert systems["prodigal"]["gene"]["f1"] > 0.8 > systems[f"genet5/{stage}"]["gene"]["f1"]
        assert path.with_suffix(".tsv").read_text().count("\n") > 4


def test_the_summary_has_all_scores_of_the_run(workspace):
    folder = workspace.folder / "data/score/toy"
    table = pandas.read_parquet(folder / "summary.parquet")
    assert len(table) == len(pandas.read_csv(folder / "summary.tsv", sep="\t"))
    genes = table[table["level"] == "gene"]
    assert len(genes) == len(SPECIES) * (len(STAGES) + 3)  # and three baselines
    for row in genes[genes["stage"].notna()].itertuples():
        document = json.loads((folder / row.stage / f"{row.species}.json").read_text())
        assert row.f1 == document["systems"][row.system]["gene"]["f1"]
    species = pandas.read_parquet(folder / "species.parquet").set_index("species")
    for name in SPECIES:
        stats = json.loads((workspace.folder / f"data/baked/toy/{name}/stats.json").read_text())
        assert species.loc[name, "genes_trusted"] == stats["genes"]["trusted"]


def test_the_report_is_one_offline_page_that_names_what_was_done(workspace):
    page = (workspace.folder / "data/report/toy/index.html").read_text()
    for word in (*SPECIES, "Prodigal", "validation", "GeneT5 grpo", "GeneT5 sft"):
        assert word in page
    assert "<script src" not in page and 'href="http' not in page and 'src="http' not in page


def test_a_second_run_does_nothing(workspace):
    again = workspace.run("all", *OPTIONS)
    assert again.returncode == 0 and "Nothing to be done" in again.stdout


@pytest.fixture(scope="module")
def new_genome(workspace) -> Path:
    """The GFF3 of a genome that the finished run has not seen."""
    write_genome(workspace.folder / "my.new.fa", start=2_000_000, length_bp=9_000, name="new_1")
    result = workspace.run("annotate", *OPTIONS, "--config", "genome=my.new.fa")
    assert result.returncode == 0, result.stdout
    return workspace.folder / "data/annotation/toy/grpo/my.new.gff3"


def test_a_new_genome_is_annotated(new_genome):
    summary = json.loads(new_genome.with_suffix(".json").read_text())
    assert summary["bases"] == 9_000 and summary["counts"]["genes"] == gene_count(new_genome)
    assert "##sequence-region new_1 1 9000" in new_genome.read_text()
    assert new_genome.with_suffix(".faa").is_file() and new_genome.with_suffix(".cds.fna").is_file()


@needs("gt")
def test_the_annotation_of_a_new_genome_is_valid(new_genome):
    check_gff3(new_genome)
