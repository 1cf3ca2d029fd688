"""The score document of one species: our predictions and the baselines against the reference, on the same DNA."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from genet5.errors import InputError
from genet5.evaluate.baselines import BASELINES, run_baseline
from genet5.evaluate.predictions import read_predictions, sources
from genet5.evaluate.scores import score_annotation
from genet5.files import read_json
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome
from genet5.genome.genes import Region
from genet5.genome.genetic_code import GeneticCode


@dataclass(frozen=True)
class Prediction:
    """An annotation to score: the name it gets, its file, and the file that says how long it took (or None)."""

    name: str
    path: Path
    timing: Path | None = None


def compare(
    species: str,
    reference: Path,
    genome: Genome,
    code: GeneticCode,
    *,
    predictions: Sequence[Prediction] = (),
    baselines: Iterable[str] = (),
    regions: Sequence[Region] | None = None,
    isoforms: str = "all",
    bootstrap: int = 0,
    seed: int = 0,
) -> dict:
    """Score everything. In ``systems`` the predictions come first, then the baselines, in the order given.

    The document holds species, regions (``[[seqid, start, end], ...]``, 0-based half-open, None for the whole genome),
    genetic_code, isoforms, ``reference`` counts, ``teacher`` (the baseline that made the reference's labels, or None)
    and ``systems``: for each the result of ``score_annotation``, cpu_s and kb_per_cpu_s (None where not measured), and
    options. Raises InputError as the readers do, for unknown baselines, repeated names and unusable timing files.
    """
    baselines = list(baselines)
    for name in baselines:
        if name not in BASELINES:
            raise InputError(f"baselines: {name!r} is not known; allowed: {', '.join(BASELINES)}")
    names = [*(prediction.name for prediction in predictions), *baselines]
    if not names:
        raise InputError("nothing to score: give a prediction, or baselines, or both")
    if len(set(names)) < len(names):
        raise InputError(f"systems: names must differ, found {', '.join(names)}")
    # Predictions first: they are what can be wrong, and reading them is quick.
    read = [(prediction, *read_predictions(prediction.path, genome, code)) for prediction in predictions]
    timings = [read_timing(prediction.timing) for prediction in predictions]
    truth = read_annotation(reference, genome, code)
    document: dict = {
        "species": species,
        "regions": None if regions is None else [list(region) for region in regions],
        "genetic_code": code.table,
        "isoforms": isoforms,
        "teacher": _teacher(reference),
        "systems": {},
    }

    def add(name: str, genes: Sequence, extra: dict) -> None:
        report = score_annotation(
            truth, genes, genome.lengths, regions=regions, isoforms=isoforms, bootstrap=bootstrap, seed=seed
        )
        document["reference"] = report.pop("reference")
        document["systems"][name] = report | extra

    for (prediction, genes, left_out), timing in zip(read, timings, strict=True):
        add(prediction.name, genes, timing | {"left_out": left_out})
    for name in baselines:
        made = run_baseline(name, genome, code, regions)
        speed = {"cpu_s": round(made.cpu_s, 3), "kb_per_cpu_s": round(made.kb_per_cpu_s, 1)}
        add(name, made.genes, speed | {"options": made.options})
    return document


def read_timing(path: Path | None) -> dict[str, float | None]:
    """cpu_s and kb_per_cpu_s from a JSON file with bases and cpu_s, at its top or under ``timing``."""
    if path is None:
        return {"cpu_s": None, "kb_per_cpu_s": None}
    content = read_json(path)
    timing = content.get("timing", content)
    try:
        bases, cpu_s = float(timing["bases"]), float(timing["cpu_s"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: expected numbers 'bases' and 'cpu_s', at the top or under 'timing'") from error
    return {"cpu_s": round(cpu_s, 3), "kb_per_cpu_s": round(bases / 1000 / cpu_s, 1) if cpu_s > 0 else None}


def _teacher(reference: Path) -> str | None:
    """``prodigal`` when all coding rows of the reference name Prodigal as their source: then it made the labels."""
    named = {source.lower() for source in sources(reference)}
    return "prodigal" if named and all(source.startswith(("prodigal", "pyrodigal")) for source in named) else None
