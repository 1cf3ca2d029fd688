"""The sections of the page. Each one says in one line what is missing when there is nothing to show."""

from __future__ import annotations

from collections.abc import Sequence

from genet5.genome.simulation_origin import simulated_in_words
from genet5.report.browser import locus_figure
from genet5.report.checks import check_cell, check_value
from genet5.report.completeness import busco_cards
from genet5.report.confidence import confidence_chart, dial_chart
from genet5.report.contents import Results
from genet5.report.curves import evaluation_charts, training_charts
from genet5.report.datacard import data_card
from genet5.report.decoders import decoder_card
from genet5.report.figures import legend
from genet5.report.genomes import Prediction
from genet5.report.markup import Markup, tag
from genet5.report.numbers import count
from genet5.report.provenance import configuration, pairs_table, time_table
from genet5.report.scoreboard import system_label
from genet5.report.shell import absent, card, heading
from genet5.report.tables import detail_table, near_misses, score_charts, score_table
from genet5.report.workflow import rules_used, workflow_graph

MOST_LOCI = 6
EVALUATION_NOTES = {"crf": "parts of the loss on validation windows"}
VERDICT_KEYS = (
    ("exact", "exact"),
    ("partly right", "partial"),
    ("wrong", "wrong"),
    ("missed", "missed"),
    ("not judged (flagged in the reference)", "unjudged"),
)


def scores_section(results: Results) -> list[Markup]:
    """The score tables, one card for each species and scored region."""
    text = "How often the predicted genes are right, beside simple gene finders on the same DNA."
    content = heading("scores", "Scores", text)
    if not results.boards:
        return [*content, absent("No scores: give --scores the JSON files that score.py wrote.")]
    for board in results.boards:
        note = board.where
        genes = board.reference.get("genes")
        if isinstance(genes, int):
            note += f" · {count(genes)} reference genes"
        teacher = None
        if board.teacher:
            teacher = tag(
                "p",
                f"{system_label(board.teacher)} made the reference labels of this genome, not a curator. "
                "Scores tell how well this teacher is imitated. Its own row is no independent result.",
                class_="note",
            )
        content.append(card(board.species, note, score_table(board), teacher, score_charts(board), detail_table(board)))
    decoders = decoder_card(results.decoders)
    return [*content, decoders] if decoders else content


def sanity_section(results: Results) -> list[Markup]:
    """The shape of each predicted gene set beside that of its reference."""
    content = heading(
        "sanity",
        "Sanity",
        "Do the predicted gene sets look like gene sets? Can their scores be trusted?",
    )
    if not results.predictions:
        return [*content, absent("Not checked: give --predictions (GFF3) and --references.")]
    species = dict.fromkeys(prediction.species for prediction in results.predictions)
    return [
        *content,
        *(_check_card(name, [one for one in results.predictions if one.species == name]) for name in species),
    ]


def _check_card(species: str, predictions: Sequence[Prediction]) -> Markup:
    """The checks of one species: a column for the reference and one for every stage."""
    expected = "Reference" if predictions[0].has_reference else "Usual in the clade"
    head = [tag("th", "", scope="col"), tag("th", expected, scope="col")]
    head += [tag("th", f"GeneT5 {prediction.stage}", scope="col") for prediction in predictions]
    rows = []
    for checks in zip(*(prediction.checks for prediction in predictions), strict=True):
        if any(value is not None for check in checks for value in (check.predicted, check.expected)):
            cells = [check_cell(check) for check in checks]
            rows.append(
                tag(
                    "tr",
                    tag("th", checks[0].name, scope="row"),
                    tag("td", check_value(checks[0], checks[0].expected)),
                    cells,
                )
            )
    table = tag("table", tag("thead", tag("tr", head)), tag("tbody", rows), class_="checks")
    note = "" if predictions[0].has_reference else "no reference annotation"
    drawn = (
        chart
        for one in predictions
        for chart in (
            confidence_chart(one.confidence, f"GeneT5 {one.stage}"),
            dial_chart(one.dial, f"GeneT5 {one.stage}"),
        )
    )
    charts = [chart for chart in drawn if chart]
    return card(species, note, tag("div", table, class_="scroll"), tag("div", charts, class_="two") if charts else None)


def drawn_loci(prediction: Prediction) -> list[Markup]:
    """The loci of a prediction as figures, ``MOST_LOCI`` at most."""
    title = f"{prediction.species}, {prediction.stage}"
    return [locus_figure(locus, prediction.tracks, title, locus.reason) for locus in prediction.loci[:MOST_LOCI]]


def loci_section(results: Results, drawn: Sequence[Sequence[Markup]], most: int) -> list[Markup]:
    """Drawn loci, at most ``most`` of each prediction."""
    text = (
        "A few stretches of the scored DNA. Arrows show the strand. Rest the pointer on a gene for its name and score."
    )
    content = heading("loci", "Loci", text)
    if not any(drawn):
        return [*content, absent("Nothing to draw: give --predictions (GFF3) and --references.")]
    content.append(_locus_keys(results))
    left_out = 0
    for prediction, figures in zip(results.predictions, drawn, strict=True):
        left_out += len(figures[most:])
        if not figures[:most]:
            continue
        note = None
        if not any(locus.tracks for locus in prediction.loci):
            note = absent("Genes only: no CRF scores (--tracks) were given for this species.")
        content.append(card(f"{prediction.species}, {prediction.stage}", "", figures[:most], note))
    if left_out:
        content.append(absent(f"{left_out} more loci were left out to keep the page small."))
    return content


def _locus_keys(results: Results) -> Markup:
    keys = list(VERDICT_KEYS)
    if any(locus.tracks for prediction in results.predictions for locus in prediction.loci):
        keys += [("coding probability (+ strand up, − strand down)", "s3"), ("intron probability", "s6")]
    return tag("div", legend(keys), class_="keys")


def near_misses_section(results: Results) -> list[Markup]:
    """Ladders of near misses, for every species whose scores hold them."""
    content = heading(
        "near-misses",
        "Near misses",
        "Wrong genes are nearly right, lost, made up, split or fused. Wrong borders are off by some bases.",
    )
    cards = [
        card(board.species, board.where, found) for board in results.boards if (found := near_misses(board)) is not None
    ]
    return [*content, *(cards or [absent("No near-miss ladder in the scores of this run.")])]


def busco_section(results: Results) -> list[Markup]:
    """BUSCO bars of every species: each stage, beside the reference and the genome."""
    content = heading(
        "busco",
        "BUSCO",
        "BUSCO genes occur once in almost every genome of a lineage. The bars show how many were found as predicted "
        "proteins, and how many the reference annotation has on the same DNA.",
    )
    if not results.busco:
        return [
            *content,
            absent("No BUSCO results: no species of this run names a lineage, or --busco was not given."),
        ]
    return [*content, *busco_cards(results.busco)]


def training_section(results: Results) -> list[Markup]:
    """Curves of the training and evaluation logs."""
    content = heading("training", "Training")
    if not results.training and not results.evaluation:
        return [*content, absent("No training log: give --training-log and --eval-log.")]
    for log in results.training:
        content.append(card(f"{log.stage}: training log", "", training_charts(log)))
    for log in results.evaluation:
        content.append(
            card(
                f"{log.stage}: scores while training",
                EVALUATION_NOTES.get(log.stage, "genes written for validation windows, the likeliest token each time"),
                evaluation_charts(log),
            )
        )
    return content


def data_section(results: Results) -> list[Markup]:
    """A data card for each species."""
    content = heading("data", "Data", "What was read from each genome, and what was kept and left out.")
    if not results.cards:
        return [*content, absent("No data cards: give --stats the stats.json files of the baked species.")]
    simulated = simulated_in_words([(one.simulated_from or "", one.training_bases) for one in results.cards])
    if simulated:
        content.append(tag("p", simulated))
    return [*content, tag("div", [data_card(one) for one in results.cards], class_="cards")]


def provenance_section(results: Results) -> list[Markup]:
    """Workflow, times, versions, checksums and settings."""
    content = heading("provenance", "Provenance", "The run can be repeated with these versions, files and settings.")
    content.append(
        card(
            "Workflow",
            "solid: used by this run; times are wall time",
            tag("div", workflow_graph(results.times, rules_used(results)), class_="scroll"),
        )
    )
    if results.times:
        content.append(card("Time", "", time_table(results.times)))
    else:
        content.append(absent("No step times: give --times the benchmark tables or the annotation summaries."))
    cards = []
    if results.versions:
        cards.append(card("Versions", "installed where this page was made", pairs_table(results.versions)))
    if results.checksums:
        cards.append(card("Checksums", "SHA-256", pairs_table(results.checksums, code=True)))
    else:
        content.append(absent("No checksums: give --model and --manifests."))
    content.append(tag("div", cards, class_="cards above"))
    content.append(
        card("Settings", "", configuration(results.config)) if results.config else absent("No settings: give --config.")
    )
    return content
