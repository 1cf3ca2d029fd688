"""The stages of the workflow as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genet5.report.figures import picture
from genet5.report.markup import Markup, coordinate, tag
from genet5.report.numbers import seconds
from genet5.report.provenance import StepTime

BOX_PX = (107.0, 42.0)
STEP_PX = (123.0, 66.0)


@dataclass(frozen=True, slots=True)
class Stage:
    """A rule at (column, row) of the picture, with the rules it waits for."""

    rule: str
    column: int
    row: int
    after: tuple[str, ...] = ()


STAGES = (
    Stage("download", 0, 0),
    Stage("index_genome", 1, 0, ("download",)),
    Stage("label_genome", 1, 1, ("index_genome",)),
    Stage("bake_shards", 2, 0, ("index_genome", "label_genome")),
    Stage("merge_validation", 3, 0, ("bake_shards",)),
    Stage("expand_tokenizer", 2, 2),
    Stage("init_model", 3, 2, ("expand_tokenizer",)),
    Stage("resize_model", 4, 2, ("init_model",)),
    Stage("crf", 5, 0, ("merge_validation", "resize_model")),
    Stage("sft", 6, 0, ("merge_validation", "crf")),
    Stage("grpo_prompts", 3, 1, ("bake_shards",)),
    Stage("grpo", 7, 1, ("sft", "grpo_prompts")),
    Stage("annotate", 8, 0, ("crf", "sft", "grpo")),
    Stage("score", 9, 0, ("annotate",)),
    Stage("busco", 9, 1, ("annotate",)),
    Stage("report", 10, 0, ("score", "busco")),
)


def workflow_graph(times: Sequence[StepTime], done: frozenset[str]) -> Markup:
    """The rules as boxes and arrows; those in ``done`` are solid, with their summed wall time where it was measured."""
    whole = {time.rule for time in times if not time.inner}
    wall: dict[str, float] = {}
    for time in times:
        if time.wall_s is not None and not (time.inner and time.rule in whole):
            wall[time.rule] = wall.get(time.rule, 0.0) + time.wall_s
    corners = {stage.rule: (2 + stage.column * STEP_PX[0], 4 + stage.row * STEP_PX[1]) for stage in STAGES}
    arrows, boxes = [], []
    for stage in STAGES:
        for earlier in stage.after:
            solid = stage.rule in done and earlier in done
            arrows.append(_arrow(corners[earlier], corners[stage.rule], "edge" if solid else "edge idle"))
        boxes.append(_box(stage.rule, corners[stage.rule], stage.rule in done, wall.get(stage.rule)))
    width = 4 + max(stage.column for stage in STAGES) * STEP_PX[0] + BOX_PX[0]
    height = 8 + max(stage.row for stage in STAGES) * STEP_PX[1] + BOX_PX[1]
    said = ", then ".join(stage.rule for stage in STAGES if stage.rule in done)
    return picture(width, height, "Stages of the workflow", said, arrows, boxes, class_="graph")


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


def _arrow(start: tuple[float, float], end: tuple[float, float], style: str) -> Markup:
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
    return tag("g", [tag("polyline", points=_path(line), class_=style) for line in (points, head)])


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in points)
