"""What simple methods predict from the same training samples: mean, ridge regression, PLS, k nearest neighbours, WNN.

Each is fitted for one direction on the training split; what it leaves open (penalty, components, neighbours) is
chosen by the mean feature-wise correlation on the validation split, as the models' epochs are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.cross_decomposition import PLSRegression
from sklearn.neighbors import KNeighborsRegressor

from genet5.studies.cpivae import metrics, wnn
from genet5.studies.cpivae.evaluation import Predictor
from genet5.studies.cpivae.names import BASELINES
from genet5.studies.cpivae.paired_data import PairedData, Part, other
from genet5.studies.cpivae.tables import Table

#: Values -> predictions, both [rows, features], scaled.
Fitted = Callable[[np.ndarray], np.ndarray]

_PENALTIES = tuple(10.0**power for power in np.arange(-2, 6.5, 0.5))
_COMPONENTS = (1, 2, 3, 5, 8, 12, 16, 24, 32)
_NEIGHBORS = (3, 5, 7, 10, 15, 30, 50, 100, 200)


@dataclass(frozen=True)
class Choice:
    """What was chosen for a direction, and what it predicts."""

    setting: dict[str, Any]
    fitted: Fitted


def baseline_predictor(name: str, data: PairedData, seed: int) -> tuple[Predictor, dict[str, dict[str, Any]]]:
    """Fit a baseline of ``BASELINES`` in both directions. Returns the predictor and what was chosen, by target."""
    chosen = {target: _choose(name, data, target, seed) for target in ("a", "b")}

    def predictor(part: Part, source: str, target: str) -> tuple[np.ndarray, np.ndarray]:
        mean = chosen[target].fitted(part.values[source]).astype(np.float32)
        return mean, np.zeros_like(mean)

    return predictor, {target: choice.setting for target, choice in chosen.items()}


def truth_predictor(data: PairedData, tables: Mapping[str, Table]) -> Predictor:
    """Noise-free values of a simulation in place of predictions, by target."""

    def predictor(part: Part, _source: str, target: str) -> tuple[np.ndarray, np.ndarray]:
        mean, _ = data.preprocessors[target].transform(tables[target].rows(part.samples))
        return mean, np.zeros_like(mean)

    return predictor


def _choose(name: str, data: PairedData, target: str, seed: int) -> Choice:
    source = other(target)
    train, validation = data.parts["train"], data.parts["val"]
    candidates = _CANDIDATES[name](train.values[source], train.values[target], seed)
    best, highest = None, -np.inf
    for setting, fitted in candidates:
        predicted = fitted(validation.values[source])
        found = metrics.feature_correlations(predicted, validation.values[target], validation.observed[target])
        r = metrics.mean(found)
        # Without any correlation on validation (two samples, say) the first candidate stays.
        if best is None or r > highest:
            best, highest = Choice(setting, fitted), r if np.isfinite(r) else -np.inf
    assert best is not None
    return best


def _mean(x: np.ndarray, y: np.ndarray, _seed: int) -> Iterator[tuple[dict[str, Any], Fitted]]:
    average = y.mean(axis=0, keepdims=True)
    yield {}, lambda values: np.repeat(average, len(values), axis=0)


def _ridge(x: np.ndarray, y: np.ndarray, _seed: int) -> Iterator[tuple[dict[str, Any], Fitted]]:
    """All penalties from one singular value decomposition of the centred source."""
    x_mean, y_mean = x.mean(axis=0, dtype=np.float64), y.mean(axis=0, dtype=np.float64)
    u, singular, vt = np.linalg.svd(x.astype(np.float64) - x_mean, full_matrices=False)
    projected = u.T @ (y - y_mean)

    def fitted(penalty: float) -> Fitted:
        weights = (singular / (singular**2 + penalty))[:, None] * projected
        return lambda values: ((values - x_mean) @ vt.T) @ weights + y_mean

    for penalty in _PENALTIES:
        yield {"penalty": float(penalty)}, fitted(penalty)


def _pls(x: np.ndarray, y: np.ndarray, _seed: int) -> Iterator[tuple[dict[str, Any], Fitted]]:
    """Fewer components are the first ones of the largest model."""
    most = min(max(_COMPONENTS), len(x) - 1, x.shape[1], y.shape[1])
    model = PLSRegression(n_components=most, scale=False, max_iter=200, tol=1e-4).fit(x, y)
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)

    def fitted(components: int) -> Fitted:
        rotations, loadings = model.x_rotations_[:, :components], model.y_loadings_[:, :components]
        return lambda values: ((values - x_mean) @ rotations) @ loadings.T + y_mean

    for components in sorted({min(number, most) for number in _COMPONENTS}):
        yield {"components": components}, fitted(components)


def _knn(x: np.ndarray, y: np.ndarray, _seed: int) -> Iterator[tuple[dict[str, Any], Fitted]]:
    """Neighbours on the source platform, weighted by the inverse of their distance."""
    for number in sorted({min(number, len(x)) for number in _NEIGHBORS}):
        model = KNeighborsRegressor(n_neighbors=number, weights="distance").fit(x, y)
        yield {"neighbors": number}, model.predict


_CANDIDATES = {"mean": _mean, "ridge": _ridge, "pls": _pls, "knn": _knn, "wnn": wnn.candidates}
assert tuple(_CANDIDATES) == BASELINES
