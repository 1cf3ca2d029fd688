"""Values of one platform for new samples that were measured on the other one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genet5.errors import InputError
from genet5.studies.cpivae.intervals import INTERVALS_FILE, LEVELS, Intervals, read_intervals
from genet5.studies.cpivae.models.base import PlatformModel
from genet5.studies.cpivae.models.registry import load_model
from genet5.studies.cpivae.names import FINAL_MODEL
from genet5.studies.cpivae.prediction import embed, posterior_variance, predict
from genet5.studies.cpivae.preprocessing import Preprocessor, load_preprocessors
from genet5.studies.cpivae.tables import Table


@dataclass(frozen=True)
class Experiment:
    """A trained model with all that its predictions need."""

    model: PlatformModel
    preprocessors: dict[str, Preprocessor]
    intervals: dict[str, Intervals] | None

    @classmethod
    def load(cls, folder: Path, checkpoint: Path | None = None) -> Experiment:
        """From the folder of a training. Another checkpoint of it has no intervals: they are those of the final model.

        Raises:
            InputError: files are missing or belong to different models.
        """
        model = load_model(checkpoint or folder / FINAL_MODEL)
        preprocessors = load_preprocessors(folder)
        for platform, fitted in preprocessors.items():
            if len(fitted.features) != model.widths[platform]:
                raise InputError(
                    f"{folder}: feature_names_{platform}.txt has {len(fitted.features)} features, the model "
                    f"{model.widths[platform]}"
                )
        return cls(model, preprocessors, None if checkpoint else read_intervals(folder / INTERVALS_FILE))

    def impute(self, table: Table, source: str, target: str) -> Table:
        """Point predictions of ``target`` in its own units; with ``target`` = ``source`` the table's reconstruction.

        The same samples give the same values whatever stands beside them in the table.
        """
        values, _ = self.preprocessors[source].transform(table)
        predicted = self.preprocessors[target].inverse(predict(self.model, values, source, target))
        return Table(table.source, table.samples, self.preprocessors[target].features, predicted)

    def impute_with_interval(
        self, table: Table, source: str, target: str, level: float, draws: int, seed: int
    ) -> tuple[Table, Table, Table]:
        """Predictions, and the lower and upper ends of their intervals, which hold ``level`` of validation cells."""
        if self.intervals is None or source == target:
            raise InputError("intervals are known for the final model and for the other platform alone")
        if level not in LEVELS:
            raise InputError(f"--interval: found {level:g}, allowed: {', '.join(f'{one:g}' for one in LEVELS)}")
        values, _ = self.preprocessors[source].transform(table)
        mean = predict(self.model, values, source, target).astype(np.float64)
        variance = posterior_variance(self.model, values, source, target, draws, seed)
        half = self.intervals[target].half_width(variance, level)
        fitted = self.preprocessors[target]
        ends = (fitted.inverse(scaled) for scaled in (mean, mean - half, mean + half))
        middle, low, high = (Table(table.source, table.samples, fitted.features, end) for end in ends)
        return middle, low, high

    def latent(self, table: Table, source: str) -> np.ndarray:
        """Latent positions of the samples, [samples, latent dimensions]."""
        values, _ = self.preprocessors[source].transform(table)
        return embed(self.model, values, source)
