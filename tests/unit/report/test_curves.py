"""Curves of the logs of training: which lines are drawn, on which scale, and the facts above them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from report_files import Page

from genet5.report.curves import evaluation_charts, training_charts, training_summary
from genet5.report.results import Log


def charts(text: object) -> list[tuple[str, list[str], list[float]]]:
    """Title, lines with their classes, and ends of the upright axis of every chart."""
    found, page = [], Page(str(text))
    for tag, attrs, _ in page.elements:
        if tag == "svg" and "lines" in (attrs.get("class") or ""):
            found.append((attrs["aria-label"].split(". ")[0], [], json.loads(attrs["data-plot"])["y"][:2]))
        elif tag == "polyline" and "data-name" in attrs:
            found[-1][1].append(f"{attrs['data-name']}: {attrs['class']}")
    return found


def test_a_loss_of_many_steps_is_drawn_faint_and_smoothed() -> None:
    steps = np.arange(1.0, 101.0)
    few = {"step": steps[:10], "train_loss": np.linspace(0, 1, 10), "val_loss": np.linspace(0, 1, 10)}
    many = {"step": steps, "train_loss": np.linspace(0, 1, 100)}
    ends = [-0.06, 1.06]
    assert charts(training_charts(Log("sft", few, {}))) == [
        ("Loss per target token", ["training: line s1", "validation: line s2"], pytest.approx(ends))
    ]
    assert charts(training_charts(Log("crf", many, {}))) == [
        ("Loss", ["training: line s1 faint", "training, smoothed: line s1"], pytest.approx(ends))
    ]


def test_a_speed_is_drawn_from_zero_and_one_line_needs_no_legend() -> None:
    numbers = {
        "step": np.array([1.0, 2.0]),
        "tokens_per_s": np.array([0.25, 0.5]),
        "mfu": np.array([0.0, 0.0]),
        "lr": np.array([1.0, 2.0]),
    }
    page = training_charts(Log("sft", numbers, {}))
    assert charts(page) == [
        ("Tokens per second", ["tokens_per_s: line s1"], [0, 0.53]),
        ("Learning rate", ["lr: line s1"], pytest.approx([0.94, 2.06])),
        ("Share of the device's peak arithmetic", ["mfu: line s1"], [-1, 1]),
    ]
    assert Page(str(page)).with_class("legend") == []
    folded = str(page).partition("More curves")[2]
    assert "mfu" in folded and "tokens_per_s" not in folded


def test_scores_and_parts_of_the_loss_have_charts_of_their_own() -> None:
    numbers = {
        "step": np.array([1.0, 2.0]),
        "exon_f1": np.array([0.2, 0.4]),
        "gene_f1": np.array([0.1, 0.3]),
        "val_site": np.array([1.0, 2.0]),
        "val_loss": np.array([1.0, 2.0]),
    }
    page = evaluation_charts(Log("sft", numbers, {}))
    site = "CRF: cross-entropy of a possible site (nats)"
    assert charts(page) == [
        ("F1 on validation windows", ["exon: line s1", "gene: line s2"], [0, 1]),
        (site, ["site: line s2"], pytest.approx([0.94, 2.06])),
    ]
    assert len(Page(str(page)).with_class("legend")) == 1 and len(Page(str(page)).with_class("dot")) == 6


@pytest.mark.parametrize("numbers", [{}, {"step": np.array([1.0])}, {"gene_f1": np.array([1.0])}])
def test_an_evaluation_without_scores_says_so(numbers: dict[str, np.ndarray]) -> None:
    assert Page(str(evaluation_charts(Log("sft", numbers, {})))).text == "The sft evaluation log has no F1 column."


@pytest.mark.parametrize("numbers", [{}, {"step": np.array([np.nan])}])
def test_a_log_without_steps_has_no_curves_and_no_facts(numbers: dict[str, np.ndarray]) -> None:
    assert Page(str(training_charts(Log("sft", numbers, {})))).text == "The sft training log has no steps."
    assert training_summary(Log("sft", numbers, {})) == []


def test_facts_are_of_the_steps_that_were_measured() -> None:
    nothing = np.full(3, np.nan)
    numbers = {"step": np.array([1.0, 2.0, 3.0]), "val_loss": nothing, "elapsed_s": nothing}
    assert training_summary(Log("sft", numbers, {})) == [("steps", "3")]
    numbers |= {"val_loss": np.array([np.nan, 0.5, 0.75]), "elapsed_s": np.array([10.0, np.nan, 10.0])}
    assert training_summary(Log("sft", numbers, {})) == [
        ("steps", "3"),
        ("lowest validation loss", "0.5"),
        ("training time", "10 s"),
    ]
