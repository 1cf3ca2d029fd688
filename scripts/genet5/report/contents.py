"""All results that the page of a run is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from genet5.report.datacard import DataCard
from genet5.report.decoders import DecoderScore
from genet5.report.genomes import Prediction
from genet5.report.provenance import StepTime
from genet5.report.results import Log
from genet5.report.scoreboard import STAGES, Scoreboard


@dataclass(slots=True)
class Results:
    """Everything a page is made of; each list may be empty, and its section then says so."""

    run: str
    cards: list[DataCard] = field(default_factory=list)
    boards: list[Scoreboard] = field(default_factory=list)
    busco: list[tuple[str, str, Mapping[str, object]]] = field(default_factory=list)
    decoders: list[DecoderScore] = field(default_factory=list)
    training: list[Log] = field(default_factory=list)
    evaluation: list[Log] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    times: list[StepTime] = field(default_factory=list)
    config: Mapping[str, object] | None = None
    versions: list[tuple[str, str]] = field(default_factory=list)
    checksums: list[tuple[str, str]] = field(default_factory=list)
    parameters: int | None = None

    @property
    def stages(self) -> frozenset[str]:
        """The stages that were trained for this page: those of the settings, else those that left a result."""
        chosen = (self.config or {}).get("stages")
        if isinstance(chosen, Sequence) and not isinstance(chosen, str):
            return frozenset(str(stage) for stage in chosen)
        named = {log.stage for log in (*self.training, *self.evaluation)}
        named |= {prediction.stage for prediction in self.predictions} | {stage for _, stage, _ in self.busco}
        return frozenset(named & set(STAGES))
