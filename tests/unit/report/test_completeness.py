"""BUSCO's section of the page: each stage beside what the reference and the genome hold."""

from __future__ import annotations

import json
import re

from genet5.report.completeness import busco_cards, read_busco
from genet5.report.contents import Results
from genet5.report.scoreboard import Scoreboard
from genet5.report.workflow import rules_used


def result(single, duplicated=0, fragmented=0, missing=0, **more):
    return {"single": single, "duplicated": duplicated, "fragmented": fragmented, "missing": missing, **more}


def named(single, lost, **more):
    """Of 100 markers the first ``single``, but for ``lost`` of these."""
    markers = {f"{number}at1": "single" for number in range(lost, single)} | {"99at1": "fragmented"}
    return result(single - lost, fragmented=1, missing=99 - single + lost, markers=markers, **more)


def words(markup):
    return " ".join(re.sub(r"<[^>]+>", " ", str(markup)).split())


def test_busco_of_a_stage_stands_beside_the_reference_and_the_genome():
    results = [
        ("S.one", "genome", result(96, missing=4)),
        ("S.one", "sft", result(90, duplicated=2, fragmented=3, missing=5)),
        ("S.one", "reference", result(95, missing=5)),
        ("S.one", "crf", result(50, missing=50)),
        ("S.two", "sft", result(0, missing=10)),
    ]
    cards = busco_cards(results)
    assert len(cards) == 2
    one, two = map(words, cards)
    said = "Complete: 92.0% (sft), 50.0% (crf), of 95.0% in the reference proteins and 96.0% in the genome."
    assert said in one and "S.two" not in one
    order = ["GeneT5 sft C:92.0%", "GeneT5 crf C:50.0%", "Reference proteins C:95.0%", "finder C:96.0%[S:96.0%"]
    assert [one.index(part) for part in order] == sorted(one.index(part) for part in order)
    assert "Complete: 0.0% (sft)." in two and "reference" not in two


def test_busco_counts_what_a_stage_has_of_the_reference():
    """The reference has markers 0 to 94, the stage 10 to 97: 88 are complete, and 85 of them the reference has, too."""
    results = [("S.one", "sft", named(98, 10)), ("S.one", "reference", named(95, 0))]
    said = words(busco_cards(results))
    assert "Complete: 88.0% (sft)" in said and "Of the 95 in the reference proteins, sft has 85." in said
    results[0] = ("S.one", "sft", result(87, missing=13))  # a file without names
    assert "Of the" not in words(busco_cards(results))
    results[0] = ("S.one", "sft", result(0, missing=100, markers={}))
    assert "Of the 95 in the reference proteins, sft has 0." in words(busco_cards(results))


def test_the_rules_that_made_the_busco_results_are_drawn():
    local = result(1, lineage_path="lineages/x_odb10")
    fetched = result(1, lineage_path="data/lineages/x_odb12.tar.gz")

    def used(*busco):
        names = {"busco", "busco_genome", "reference_proteins", "fetch_lineage"}
        return rules_used(Results("r", busco=[("S.one", *one) for one in busco])) & names

    assert used() == set()
    assert used(("sft", local)) == {"busco"}
    assert used(("sft", local), ("reference", local)) == {"busco", "reference_proteins"}
    assert used(("genome", fetched)) == {"busco_genome", "fetch_lineage"}


def test_a_busco_result_is_read_as_it_was_written(tmp_path):
    content = result(3, missing=1, markers={"1at1": "single"})
    (tmp_path / "x.json").write_text(json.dumps(content))
    assert read_busco(tmp_path / "x.json") == content


def test_a_genome_is_annotated_in_parts_where_the_settings_ask_for_some():
    def used(config):
        names = {"annotate_genome", "annotate_part", "join_annotation"}
        board = Scoreboard("S", None, None, {}, [])
        return rules_used(Results("r", boards=[board], config=config)) & names

    assert used(None) == used({"annotate": {}}) == used({"annotate": {"parts": 1}}) == {"annotate_genome"}
    assert used({"annotate": {"parts": 2}}) == {"annotate_part", "join_annotation"}
