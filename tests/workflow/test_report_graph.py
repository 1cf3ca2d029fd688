"""The report draws the workflow as Snakemake runs it: the same rules, in the same order."""

from __future__ import annotations

import json
import re

import pytest
from dry_runs import arrows, jobs

from genet5.report.contents import Results
from genet5.report.datacard import DataCard
from genet5.report.provenance import StepTime
from genet5.report.scoreboard import Scoreboard
from genet5.report.workflow import RULES, rules_used, workflow_graph

RULE = r"^(?:use rule \w+ as|rule) (\w+)(?: with)?:"
DEMO = ("--configfile", "config/examples/demo.yaml")


def drawn(results: Results) -> tuple[set[str], set[tuple[str, str]]]:
    """Names of the solid boxes, and the solid arrows."""
    picture = workflow_graph((), rules_used(results))
    boxes = set(re.findall(r'class="stage-name middle">(\w+)<', picture))
    return boxes, set(re.findall(r'data-from="(\w+)" data-to="(\w+)"><polyline points="[^"]+" class="edge">', picture))


def order(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """All pairs of (earlier, later), over any number of arrows."""
    pairs = set(edges)
    while more := {(first, last) for first, middle in pairs for other, last in edges if middle == other} - pairs:
        pairs |= more
    return pairs


def graphs(workspace, *settings: str) -> tuple[set[str], set[tuple[str, str]], dict]:
    """Snakemake's rules and arrows of a run, and the settings that its report is given."""
    plan = workspace.run("-n", "-p", "--configfile", *settings, "--", "all")
    assert plan.returncode == 0, plan.stdout
    graph = workspace.run("--rulegraph", "--configfile", *settings, "--", "all")
    assert graph.returncode == 0, graph.stdout
    settings_of_page = json.loads(re.search(r"--config <\(printf %s '(.+?)'\)", plan.stdout)[1])
    edges = {pair for pair in arrows(graph.stdout) if "all" not in pair}
    return set(jobs(plan.stdout)) - {"all"}, edges, settings_of_page


@pytest.mark.parametrize("stages", [["crf"], ["crf", "grpo_crf", "sft"], ["crf", "sft", "grpo"]])
def test_the_page_draws_what_snakemake_runs(workspace, stages):
    overlay = workspace.overlay(f"stages: {json.dumps(stages)}")
    rules, edges, config = graphs(workspace, "config/examples/demo.yaml", overlay)
    assert config["stages"] == stages
    card = DataCard("C.diphtheriae", {}, "bacteria", "prodigal")
    board = Scoreboard("C.diphtheriae", None, "prodigal", {})
    boxes, solid = drawn(Results("demo", config=config, cards=[card], boards=[board]))
    assert boxes == rules
    assert solid <= edges
    assert order(solid) == order(edges)


def test_an_annotation_by_several_jobs_is_drawn(workspace):
    overlay = workspace.overlay("stages: [crf]\nannotate: {parts: 2}")
    rules, edges, config = graphs(workspace, "config/examples/demo.yaml", overlay)
    card = DataCard("C.diphtheriae", {}, "bacteria", "prodigal")
    board = Scoreboard("C.diphtheriae", None, "prodigal", {})
    results = Results("demo", config=config, cards=[card], boards=[board])
    boxes, solid = drawn(results)
    assert boxes == rules >= {"annotate_part", "join_annotation"} and "annotate_genome" not in boxes
    assert solid <= edges and order(solid) == order(edges)
    picture = workflow_graph([StepTime("annotate_genome (crf)", "x", 40.0, 70.0)], rules_used(results))
    assert re.search(r">annotate_part<(?:(?!<rect).)*>40 s<", picture)


def test_a_published_annotation_and_busco_are_drawn(workspace):
    (workspace.folder / "lineage").mkdir()
    sheet = workspace.folder / "species.tsv"
    columns = "species clade genetic_code split validation_regions test_regions genome annotation busco_lineage"
    row = "A.one fungi 1 train I:1-9 I:10-19 a.fna.gz a.gff.gz lineage"
    sheet.write_text("\t".join(columns.split()) + "\n" + "\t".join(row.split()) + "\n")
    overlay = workspace.overlay("stages: [crf]\nspecies_sheet: species.tsv")
    rules, edges, config = graphs(workspace, overlay)
    results = Results(
        "main", config=config, cards=[DataCard("A.one", {})], boards=[Scoreboard("A.one", None, None, {})]
    )
    results.busco = [("A.one", "crf", {}), ("A.one", "reference", {})]
    boxes, solid = drawn(results)
    assert boxes == rules and "busco" in rules and not rules & {"label_genome", "fetch_lineage", "busco_genome"}
    assert solid <= edges and order(solid) == order(edges)


def test_a_fetched_lineage_and_busco_on_the_genome_are_drawn(workspace):
    sheet = workspace.folder / "species.tsv"
    columns = "species clade genetic_code split validation_regions test_regions genome annotation busco_lineage"
    row = "A.one bacteria 11 train I:1-9 I:10-19 a.fna.gz prodigal bacteria_odb12"
    sheet.write_text("\t".join(columns.split()) + "\n" + "\t".join(row.split()) + "\n")
    overlay = workspace.overlay("stages: [crf]\nspecies_sheet: species.tsv\nbusco: {genome: true}")
    rules, edges, config = graphs(workspace, overlay)
    card, board = DataCard("A.one", {}, "bacteria", "prodigal"), Scoreboard("A.one", None, "prodigal", {})
    fetched = {"lineage_path": "data/lineages/bacteria_odb12.tar.gz"}
    busco = [("A.one", stage, fetched) for stage in ("crf", "reference", "genome")]
    boxes, solid = drawn(Results("main", config=config, cards=[card], boards=[board], busco=busco))
    assert boxes == rules >= {"fetch_lineage", "reference_proteins", "busco", "busco_genome", "label_genome"}
    assert solid <= edges and order(solid) == order(edges)


def test_every_rule_of_the_main_path_has_a_box(repository):
    files = ("download", "bake", "model", "train", "grpo", "annotate", "annotate_parts", "evaluate", "report")
    text = "".join((repository / "workflow" / "rules" / f"{name}.smk").read_text() for name in files)
    targets = {"annotate", "bake_species"}
    assert {rule.name for rule in RULES} == set(re.findall(RULE, text, flags=re.MULTILINE)) - targets
