"""The rules of the workflow as one picture, and which of them a run has used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genet5.report.completeness import GENOME, REFERENCE, was_fetched
from genet5.report.contents import Results
from genet5.report.figures import picture
from genet5.report.markup import Markup, coordinate, tag
from genet5.report.numbers import seconds
from genet5.report.provenance import StepTime

BOX_PX = (112.0, 42.0)
STEP_PX = (128.0, 60.0)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of Snakemake at (column, row) of the picture, with the rules it waits for."""

    name: str
    column: int
    row: int
    after: tuple[str, ...] = ()


# An arrow to a box above runs along the row where it starts, so that row must be free.
RULES = (
    Rule("download", 0, 0),
    Rule("index_genome", 0, 1, ("download",)),
    Rule("label_genome", 0, 2, ("index_genome",)),
    Rule("bake_shards", 1, 0, ("index_genome", "label_genome")),
    Rule("merge_validation", 2, 3, ("bake_shards",)),
    Rule("grpo_prompts", 2, 4, ("bake_shards",)),
    Rule("train_crf", 2, 0, ("bake_shards", "merge_validation")),
    Rule("train_grpo_crf", 3, 5, ("train_crf", "grpo_prompts", "merge_validation")),
    Rule("expand_tokenizer", 1, 2),
    Rule("init_model", 3, 1, ("train_crf", "train_grpo_crf", "expand_tokenizer")),
    Rule("resize_model", 4, 1, ("init_model", "expand_tokenizer")),
    Rule("train_sft", 5, 1, ("resize_model", "merge_validation")),
    Rule("train_grpo", 6, 2, ("train_sft", "grpo_prompts", "merge_validation")),
    Rule("calibrate", 7, 0, ("train_crf", "train_grpo_crf", "train_sft", "train_grpo")),
    Rule("annotate_genome", 8, 0, ("calibrate",)),
    Rule("annotate_part", 8, 1, ("calibrate",)),
    Rule("join_annotation", 8, 2, ("annotate_part",)),
    Rule("score", 9, 0, ("annotate_genome", "join_annotation")),
    Rule("fetch_lineage", 8, 3),
    Rule("reference_proteins", 8, 6, ("index_genome", "label_genome")),
    Rule("busco", 9, 1, ("annotate_genome", "join_annotation", "fetch_lineage", "reference_proteins")),
    Rule("busco_genome", 9, 5, ("index_genome", "fetch_lineage")),
    Rule("report", 10, 0, ("score", "busco", "busco_genome")),
    Rule("summary", 10, 2, ("score", "busco", "busco_genome")),
)
# The writer is built around the CRF of the last stage that trains one.
INSTEAD = {("train_crf", "init_model"): "train_grpo_crf"}
WRITER_RULES = frozenset({"expand_tokenizer", "init_model", "resize_model", "train_sft"})
PART_RULES = frozenset({"annotate_part", "join_annotation"})


def rules_used(results: Results) -> frozenset[str]:
    """The rules that made the results of a page."""
    used = {"report"}
    if results.cards:
        used |= {"download", "index_genome", "bake_shards"}
    if any(item.teacher for item in (*results.cards, *results.boards)):
        used.add("label_genome")
    # A stage starts from the one before it, which is trained but neither annotated with nor scored.
    stages = results.stages
    if stages:
        used |= {"merge_validation", "train_crf", "calibrate"}
    if {"sft", "grpo"} & stages:
        used |= WRITER_RULES
    if "grpo_crf" in stages:
        used |= {"grpo_prompts", "train_grpo_crf"}
    if "grpo" in stages:
        used |= {"grpo_prompts", "train_grpo"}
    if results.predictions or results.boards:
        used |= PART_RULES if _in_parts(results) else {"annotate_genome"}
    if results.boards:
        used |= {"score", "summary"}
    searched = {stage for _, stage, _ in results.busco}
    if searched - {GENOME}:
        used.add("busco")
    if REFERENCE in searched:
        used.add("reference_proteins")
    if GENOME in searched:
        used.add("busco_genome")
    if any(was_fetched(result) for _, _, result in results.busco):
        used.add("fetch_lineage")
    return frozenset(used)


def _in_parts(results: Results) -> bool:
    """Whether several jobs annotated each genome."""
    section = (results.config or {}).get("annotate")
    return isinstance(section, Mapping) and section.get("parts", 1) != 1


def workflow_graph(times: Sequence[StepTime], used: frozenset[str]) -> Markup:
    """The rules as boxes and arrows; those in ``used`` are solid, with their summed wall time where it was measured."""
    whole = {time.rule for time in times if not time.inner}
    wall: dict[str, float] = {}
    for time in times:
        if time.wall_s is not None and not (time.inner and time.rule in whole):
            wall[time.rule] = wall.get(time.rule, 0.0) + time.wall_s
    # The summary of an annotation does not say whether one job made it.
    if used >= PART_RULES and "annotate_genome" in wall:
        wall["annotate_part"] = wall.pop("annotate_genome")
    corners = {rule.name: (2 + rule.column * STEP_PX[0], 4 + rule.row * STEP_PX[1]) for rule in RULES}
    solid, idle, boxes = [], [], []
    for rule in RULES:
        for earlier in rule.after:
            runs = {rule.name, earlier} <= used and INSTEAD.get((earlier, rule.name)) not in used
            arrow = _arrow(corners[earlier], corners[rule.name], "edge" if runs else "edge idle")
            (solid if runs else idle).append(tag("g", arrow, data_from=earlier, data_to=rule.name))
        boxes.append(_box(rule.name, corners[rule.name], rule.name in used, wall.get(rule.name)))
    width = 4 + max(rule.column for rule in RULES) * STEP_PX[0] + BOX_PX[0]
    height = 8 + max(rule.row for rule in RULES) * STEP_PX[1] + BOX_PX[1]
    said = ", then ".join(rule.name for rule in RULES if rule.name in used)
    # Solid arrows are drawn last: where two share a line, the solid one is seen.
    return picture(width, height, "Rules of the workflow", said, idle, solid, boxes, class_="graph")


def _box(rule: str, corner: tuple[float, float], ran: bool, wall_s: float | None) -> Markup:
    x, y = corner
    idle = "" if ran else " idle"
    note = seconds(wall_s) if wall_s is not None else ("" if ran else "not in this run")
    middle = y + BOX_PX[1] / 2
    parts = [
        tag("rect", x=x, y=y, width=BOX_PX[0], height=BOX_PX[1], rx=8, class_=f"stage{idle}"),
        tag("text", rule, x=x + BOX_PX[0] / 2, y=middle - 2 if note else middle + 4, class_=f"stage-name middle{idle}"),
    ]
    if note:
        parts.append(tag("text", note, x=x + BOX_PX[0] / 2, y=middle + 12, class_="tick middle"))
    return tag("g", parts)


def _arrow(start: tuple[float, float], end: tuple[float, float], style: str) -> list[Markup]:
    """From box to box: straight down or up in a column, else out to the right and into the left side."""
    (x1, y1), (x2, y2) = start, end
    wide, tall = BOX_PX
    if x1 == x2:
        down = y2 > y1
        tip = y2 if down else y2 + tall
        back = -5 if down else 5
        points = [(x1 + wide / 2, y1 + tall if down else y1), (x1 + wide / 2, tip)]
        head = [(x1 + wide / 2 - 3.5, tip + back), (x1 + wide / 2, tip), (x1 + wide / 2 + 3.5, tip + back)]
    else:
        middle1, middle2 = y1 + tall / 2, y2 + tall / 2
        bend = x1 + wide + (STEP_PX[0] - wide) / 2 if y2 > y1 else x2 - (STEP_PX[0] - wide) / 2
        points = [(x1 + wide, middle1), (bend, middle1), (bend, middle2), (x2, middle2)]
        head = [(x2 - 5, middle2 - 3.5), (x2, middle2), (x2 - 5, middle2 + 3.5)]
    return [tag("polyline", points=_path(line), class_=style) for line in (points, head)]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in points)
