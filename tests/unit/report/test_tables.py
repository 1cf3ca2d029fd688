"""Score tables: who is best, the teacher apart, intervals, near misses; logs and times as they are read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from report_files import Page, table_cells

from genet5.evaluate.sanity import Check
from genet5.genome.genes import Region
from genet5.report.checks import check_value
from genet5.report.curves import STYLES, evaluation_charts, training_charts, training_summary
from genet5.report.datacard import DataCard, data_card
from genet5.report.provenance import read_step_time
from genet5.report.results import Log, read_log, species_of, stage_of
from genet5.report.scoreboard import Scoreboard, System, read_scoreboards
from genet5.report.tables import detail_table, near_misses, score_table
from genet5.report.workflow import RULES, workflow_graph


def entry(f1: float | None, interval: tuple | None = None, **others: object) -> dict:
    level = {"tp": 6, "fp": 2, "fn": 4, "ignored": 1, "precision": 0.75, "recall": 0.6, "f1": f1}
    found = {"gene": level, **others}
    if interval:
        found["bootstrap"] = {"f1": {"gene": list(interval)}}
    return found


def board(teacher: str | None = None, **systems: dict) -> Scoreboard:
    names = {name.replace("__", "/"): value for name, value in systems.items()}
    return Scoreboard("S", None, teacher, {}, [System(name, value) for name, value in names.items()])


def best_cells(text: str) -> list[str]:
    page = Page(text)
    return [attrs.get("title") or "" for tag, attrs, _ in page.elements if tag == "td" and attrs.get("class") == "best"]


def test_the_best_of_a_column_is_marked_ties_included() -> None:
    text = score_table(board(genet5__sft=entry(0.7), orf_atg=entry(0.5), prodigal=entry(0.7)))
    assert len(best_cells(text)) == 2
    rows = {row[0]: row for row in table_cells(text, "scores")}
    assert rows["GeneT5 sft"][6] == "0.700" and rows["GeneT5 sft"][1] == "–"


def test_the_teacher_is_named_and_never_best() -> None:
    text = score_table(board("prodigal", genet5__sft=entry(0.7), prodigal=entry(1.0, cpu_s=0.1), orf_atg=entry(0.6)))
    assert len(best_cells(text)) == 1
    assert "teacher: made the labels" in Page(text).text
    assert board("prodigal", prodigal=entry(1.0), orf_atg=entry(0.6)).best_baseline("gene").name == "orf_atg"


def test_fewest_seconds_and_most_speed_are_best() -> None:
    fast, slow = entry(0.5, cpu_s=0.5, kb_per_cpu_s=400.0), entry(0.4, cpu_s=50.0, kb_per_cpu_s=4.0)
    page = Page(score_table(board(genet5__sft=slow, orf_atg=fast)))
    marked = [i for i, (tag, attrs, _) in enumerate(page.elements) if attrs.get("class") == "best"]
    assert len(marked) == 3


def test_intervals_stand_beside_the_value_and_undefined_ones_do_not() -> None:
    assert "0.610–0.790" in Page(score_table(board(genet5__sft=entry(0.7, (0.61, 0.79))))).text
    undefined = Page(score_table(board(genet5__sft=entry(0.7, (None, None)))))
    assert "0.700" in undefined.text and not undefined.inside("small")


def test_values_of_checks_are_shown_in_their_unit() -> None:
    assert check_value(Check("x", 0.061, None, "share", None), 0.061) == "6.1 %"
    assert check_value(Check("x", 1, (3.0, 60.0), "number", None), (3.0, 60.0)) == "3 to 60"
    assert check_value(Check("x", None, None, "ratio", None), None) == "–"


def test_details_hold_precision_recall_and_counts() -> None:
    classes = {"found": 3, "reference": 5, "right": 3, "predicted": 4, "precision": 0.75, "recall": 0.6, "f1": 0.667}
    system = entry(0.667, gene_multi_exon=classes, without_dont_care={"gene": {"f1": 0.5}})
    text = detail_table(board(genet5__sft=system)).replace("<table>", '<table class="details">')
    rows = {row[1]: row[2:] for row in table_cells(text, "details")}
    assert rows["Gene"] == ["0.750", "0.600", "0.667", "6", "2", "4", "1", "0.500"]
    assert rows["Gene, multi-exon"] == ["0.750", "0.600", "0.667", "3", "1", "2", "–", "–"]


def test_ladder_steps_add_up_to_the_reference() -> None:
    ladder = {
        "base_f1_95": {"found": 7, "right": 7}, "base_f1_80": {"found": 8, "right": 8},
        "missed": 1, "wrong": 2, "split": 0, "fused": 3,
    }  # fmt: skip
    offsets = {">=100": 1, "<-99": 2, "0": 9, "-1": 4, "4..9": 0}
    exons = {"exact": 9, "one_border": 3, "overlap_only": 2, "missed": 1, "offset_5prime": offsets}
    text = near_misses(board(genet5__sft=entry(0.7, near_misses={"gene": ladder, "exon": exons})))
    labels = [attrs["aria-label"] for tag, attrs, _ in Page(text).elements if tag == "svg" and "aria-label" in attrs]
    genes = next(label for label in labels if label.startswith("Reference genes"))
    assert genes.endswith(
        "exact 60.0 %, at least 95 % of the bases 10.0 %, at least 80 % 10.0 %, some bases 10.0 %, missed 10.0 %"
    )
    several = ladder | {"base_f1_95": {"found": 5, "right": 5}}  # a gene that is annotated twice is exact twice
    text = near_misses(board(genet5__sft=entry(0.7, near_misses={"gene": several, "exon": exons})))
    shown = [attrs["aria-label"] for tag, attrs, _ in Page(text).elements if tag == "svg" and "aria-label" in attrs]
    assert next(label for label in shown if label.startswith("Reference genes")).endswith(
        "exact 60.0 %, at least 80 % 20.0 %, some bases 10.0 %, missed 10.0 %"
    )
    bars = next(label for label in labels if label.startswith("5′"))
    assert bars.endswith("<-99 2, -1 4, 4..9 0, >=100 1")
    assert "9 of 16 exact (56.2 %)" in Page(text).text
    assert near_misses(board(genet5__sft=entry(0.7))) is None


def test_boards_merge_stages_and_keep_regions_apart(tmp_path: Path) -> None:
    def write(name: str, regions: object, *systems: str) -> Path:
        document = {"species": "S", "regions": regions, "systems": dict.fromkeys(systems, entry(0.5))}
        path = tmp_path / name
        path.write_text(json.dumps(document))
        return path

    paths = [
        write("a.json", [["chrI", 0, 1000]], "genet5/sft", "prodigal", "orf_all", "orf_atg", "mine"),
        write("b.json", [["chrI", 0, 1000]], "genet5/grpo", "orf_atg"),
        write("c.json", None, "genet5/sft"),
    ]
    first, second = read_scoreboards(paths)
    assert [system.name for system in first.systems] == [
        "genet5/grpo", "genet5/sft", "orf_atg", "orf_all", "prodigal", "mine",
    ]  # fmt: skip
    assert first.regions == (Region("chrI", 0, 1000),) and first.where == "held-out chrI:1-1,000"
    assert second.regions is None and second.where == "whole genome"


def test_names_come_from_paths() -> None:
    assert species_of("data/annotation/r/sft/S.pombe.gff3") == "S.pombe"
    assert species_of("a/grpo/S.pombe.tracks.npz") == "S.pombe" and stage_of("a/grpo/S.pombe.tracks.npz") == "grpo"


def test_logs_have_numbers_words_and_gaps(tmp_path: Path) -> None:
    path = tmp_path / "sft" / "training_log.csv"
    path.parent.mkdir()
    path.write_text("timestamp,step,val_loss\nnoon,1,\nlater,2,0.5\nkilled,3")
    log = read_log(path)
    assert log.stage == "sft" and len(log) == 2
    assert log.numbers["step"].tolist() == [1, 2]
    assert np.isnan(log.numbers["val_loss"][0]) and log.numbers["val_loss"][1] == 0.5
    assert log.words["timestamp"] == ["noon", "later"]


def test_training_time_adds_up_over_resumes() -> None:
    clock = np.array([10.0, 20.0, 5.0, 15.0])
    facts = dict(training_summary(Log("sft", {"step": np.arange(4.0), "elapsed_s": clock, "val_loss": clock / 10}, {})))
    assert facts == {"steps": "3", "lowest validation loss": "0.5", "training time": "35 s"}


def test_the_parts_of_the_crf_loss_are_no_f1() -> None:
    steps = np.arange(1.0, 11.0)
    names = ("train_loss", "chain", "base", "soft_f1", "site", "refused")
    page = Page(training_charts(Log("crf", {"step": steps} | dict.fromkeys(names, steps / 7), {})))
    assert [data.strip() for parent, data in page.texts if parent == "figcaption"] == [
        "Loss",
        "CRF: nats per kb for the right chain of genes",
        "CRF: cross-entropy of a base (nats)",
        "CRF: one minus the F1 of coding bases",
        "CRF: cross-entropy of a possible site (nats)",
        "CRF: share of strands whose labels the rules do not allow",
    ]
    columns = {"val_loss": steps, "val_chain": steps, "val_soft_f1": steps / 20}
    page = Page(evaluation_charts(Log("crf", {"step": steps, **columns}, {})))
    titles = [data.strip() for parent, data in page.texts if parent == "figcaption"]
    assert titles == ["CRF: nats per kb for the right chain of genes", "CRF: one minus the F1 of coding bases"]


def test_every_column_of_a_log_is_drawn_once() -> None:
    steps = np.arange(1.0, 101.0)
    names = ("train_loss", "val_loss", "base_loss", "lr", "grad_norm", "reward_mean")
    text = training_charts(Log("grpo", {"step": steps, "epoch": steps} | dict.fromkeys(names, steps / 7), {}))
    titles = [data.strip() for parent, data in Page(text).texts if parent == "figcaption"]
    assert titles == [
        "Loss per target token",
        "Parts of the loss",
        "Learning rate",
        "Reward of sampled completions",
        "Gradient norm",
    ]


def test_f1_is_drawn_per_species_on_a_fixed_scale() -> None:
    numbers = {
        "step": np.array([1.0, 1.0, 2.0, 2.0]),
        "gene_f1": np.array([0.1, 0.2, 0.3, 0.4]),
        "val_loss": np.ones(4),
    }
    page = Page(evaluation_charts(Log("sft", numbers, {"species": ["a", "b", "a", "b"], "timestamp": list("wxyz")})))
    charts = [attrs for _, attrs in page.with_class("lines")]
    assert [chart["aria-label"].split(". ")[0] for chart in charts] == [
        "F1 on validation windows, a", "F1 on validation windows, b",
    ]  # fmt: skip
    assert all(json.loads(chart["data-plot"])["y"][:2] == [0.0, 1.0] for chart in charts)
    assert "gene from 0.1 to 0.3" in charts[0]["aria-label"]


@pytest.mark.parametrize(("cell", "expected"), [("12.5", 12.5), ("NA", None), ("-", None), ("nan", None)])
def test_benchmark_tables_of_snakemake(tmp_path: Path, cell: str, expected: float | None) -> None:
    path = tmp_path / "sft" / "demo.tsv"
    path.parent.mkdir()
    path.write_text(f"s\th:m:s\tmax_rss\tcpu_time\n3.5\t0:00:03\t10\t{cell}\n")
    time = read_step_time(path)
    assert (time.rule, time.item, time.wall_s, time.cpu_s, time.memory_mb) == ("sft", "demo", 3.5, expected, 10)


def test_data_card_tells_what_was_left_out() -> None:
    windows = {"kept": 30, "kept_empty": 3, "dropped": {"mostly_n": 8, "empty": 2, "over_cap": 0}}
    split = {"bases": 4000, "n_bases": 1500, "genes": 12, "windows": windows}
    stats = {
        "bases": 5000, "contigs": 1, "genes": {"trusted": 12, "flagged": 4},
        "flags": {"no_stop": 4}, "splits": {"train": split},
    }  # fmt: skip
    card = DataCard("S", stats, "fungi", "prodigal")
    page = Page(data_card(card))
    assert "5 kb · 1 sequence · 1.5 kb of it N · fungi · labelled by Prodigal" in page.text
    assert "16 coding genes read, 25.0 % flagged" in page.text and "30 of 40 kept" in page.text
    labels = [attrs["aria-label"] for tag, attrs, _ in page.elements if tag == "svg" and "aria-label" in attrs]
    assert labels == [
        "Splits. Training 80.0 %, unused 20.0 %",
        "Genes. trusted 75.0 %, flagged 25.0 %",
        "Windows. kept with genes 67.5 %, kept without genes 7.5 %, "
        "dropped: without genes 5.0 %, dropped: mostly N 20.0 %",
    ]
    assert "no stop" in page.text and card.trains and card.training_genes == 12


def test_workflow_picture_marks_what_ran_and_counts_time_once(tmp_path: Path) -> None:
    (tmp_path / "annotate_genome").mkdir()
    (tmp_path / "annotate_genome" / "S.tsv").write_text("s\tcpu_time\n40.0\t70.0\n")
    (tmp_path / "sft").mkdir()
    (tmp_path / "sft" / "S.json").write_text(json.dumps({"timing": {"wall_s": 38.0, "cpu_s": 66.0}}))
    times = [read_step_time(tmp_path / "annotate_genome" / "S.tsv"), read_step_time(tmp_path / "sft" / "S.json")]
    page = Page(workflow_graph(times, frozenset({"annotate_genome", "score"})))
    boxes = [attrs["class"] for tag, attrs, _ in page.elements if tag == "rect"]
    assert boxes.count("stage") == 2 and boxes.count("stage idle") == len(RULES) - 2
    assert page.text.count("40 s") == 1 and "78" not in page.text


def test_each_part_of_a_loss_has_its_own_line() -> None:
    steps = np.arange(1.0, 11.0)
    names = ("base_loss", "site_loss", "chain_loss")
    text = str(training_charts(Log("sft", {"step": steps} | dict.fromkeys(names, steps), {})))
    assert [style for style in STYLES if re.search(rf'class="[^"]*\b{style}\b', text)] == list(STYLES[:3])


def test_an_empty_log_has_no_rows() -> None:
    assert len(Log("sft", {}, {})) == 0 and len(Log("sft", {"a": np.ones(2)}, {"b": ["x"]})) == 2


def test_a_card_without_numbers_shows_none() -> None:
    card = DataCard("S", {})
    assert (card.training_bases, card.training_genes, card.trains) == (0, 0, False)
    assert Page(data_card(card)).text == "S– · – sequences"
    flagged = Page(data_card(DataCard("S", {"genes": {"flagged": 4}}))).text
    assert "4 coding genes read, 100.0 % flagged" in flagged
    trusted = Page(data_card(DataCard("S", {"genes": {"trusted": 4}}))).text
    assert "4 coding genes read, 0.0 % flagged" in trusted
    assert (
        "8 coding genes read, 50.0 % flagged"
        in Page(data_card(DataCard("S", {"genes": {"trusted": 4, "flagged": 4}}))).text
    )


def test_counts_that_the_scores_lack_are_dashes() -> None:
    def counts(**of_class: int) -> list[str]:
        text = detail_table(board(genet5__sft={"gene": {"f1": 0.5} | of_class})).replace("<table>", '<table class="x">')
        ((_, _, *cells),) = table_cells(text, "x")[1:]
        return cells[3:7]

    assert counts(right=3, predicted=4, reference=5, found=2) == ["3", "1", "3", "–"]
    assert counts(right=3, predicted=4, reference=5) == ["3", "1", "–", "–"]
    assert counts(right=3, found=2) == ["3", "–", "–", "–"]
    assert counts(predicted=4) == ["–", "–", "–", "–"]


@pytest.mark.parametrize("gene", [None, [], {"base_f1_95": {"found": 7}, "missed": 1}, {"base_f1_95": 3, "missed": 1}])
def test_ladders_that_are_not_whole_are_left_out(gene: object) -> None:
    assert "Reference genes" not in near_misses(board(genet5__sft=entry(0.7, near_misses={"gene": gene})))
