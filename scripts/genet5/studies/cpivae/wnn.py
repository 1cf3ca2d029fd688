"""Prediction by weighted nearest neighbours, after Hao et al. 2021 (Seurat v4).

Training samples have both platforms: each gets a weight for each platform by how well its neighbours there predict
it, and the weighted graph of neighbours is what a supervised PCA of the source platform keeps. A new sample has the
source alone: it is projected there, and the target is a weighted mean over its nearest training samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

NEIGHBORS, UNION, COMPONENTS, REGULARISATION = 20, 200, 50, 1e-4
"""Of the published baseline of cpiVAE: neighbours of the graph, candidates per platform, principal components."""
_TRANSFER = (5, 10, 20, 50, 100)
_TINY = 1e-12


def candidates(
    x: np.ndarray, y: np.ndarray, seed: int
) -> Iterator[tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]]:
    """Predictors of ``y`` from ``x`` (training samples, [rows, features]), one for each number of neighbours."""
    graph = neighbor_graph(_principal(x, seed), _principal(y, seed))
    center = x.mean(axis=0)
    axes = supervised_axes(x - center, graph, COMPONENTS)
    reference = (x - center) @ axes
    for number in sorted({min(number, len(x)) for number in _TRANSFER}):
        tree = NearestNeighbors(n_neighbors=number).fit(reference)

        def predict(values: np.ndarray, tree: NearestNeighbors = tree) -> np.ndarray:
            distances, neighbors = tree.kneighbors((values - center) @ axes)
            dense = np.zeros((len(values), len(y)))
            np.put_along_axis(dense, neighbors, transfer_weights(distances), axis=1)
            return dense @ y

        yield {"neighbors": number, "components": axes.shape[1]}, predict


def neighbor_graph(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Symmetric similarities of training samples over both platforms, [rows, rows], 0 for what is not near."""
    parts = [_Platform(values) for values in (x, y)]
    ratios = np.stack([part.ratio(parts[1 - place]) for place, part in enumerate(parts)])
    weights = np.exp(ratios - ratios.max(axis=0))
    weights /= weights.sum(axis=0)
    near = parts[0].near(UNION) | parts[1].near(UNION)
    similarity = np.where(near, sum(w[:, None] * part.affinity for w, part in zip(weights, parts, strict=True)), 0.0)
    np.fill_diagonal(similarity, 0.0)
    number = min(NEIGHBORS, len(x) - 1)
    kept = np.argpartition(-similarity, number - 1, axis=1)[:, :number]
    graph = np.zeros_like(similarity)
    np.put_along_axis(graph, kept, np.take_along_axis(similarity, kept, axis=1), axis=1)
    return (graph + graph.T) / 2


def supervised_axes(x: np.ndarray, graph: np.ndarray, number: int) -> np.ndarray:
    """Directions of the centred source that keep the graph: leading eigenvectors of x' K x, [features, number].

    K is the graph with the diagonal of its row sums, which makes it positive semidefinite.
    """
    number = min(number, *x.shape)
    kernel = graph + np.diag(graph.sum(axis=1))
    # With x = u s v', the eigenvectors of x' K x are v times those of s u' K u s: a matrix of at most rows x rows.
    u, singular, vt = np.linalg.svd(x.astype(np.float64), full_matrices=False)
    small = (singular[:, None] * (u.T @ kernel @ u)) * singular
    values, vectors = np.linalg.eigh((small + small.T) / 2)
    return vt.T @ vectors[:, np.argsort(-values)[:number]]


def transfer_weights(distances: np.ndarray) -> np.ndarray:
    """Weights of neighbours that fall with their distance, to nearly 0 for the last one; rows sum to 1.

    Of Seurat's transfer of values: 1 - exp(-(1 - d / d_last) / 4), bandwidth 1.
    """
    weights = 1 - np.exp(-(1 - distances / np.maximum(distances[:, -1:], _TINY)) / 4) + REGULARISATION
    return weights / weights.sum(axis=1, keepdims=True)


class _Platform:
    """Distances of one platform, and the affinities that Seurat derives from them."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), _TINY)
        squares = (self.values**2).sum(axis=1)
        distances = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * self.values @ self.values.T, 0))
        np.fill_diagonal(distances, np.inf)
        self.number = min(NEIGHBORS, len(values) - 1)
        self.order = np.argsort(distances, axis=1)
        ranked = np.take_along_axis(distances, self.order, axis=1)
        self.nearest = ranked[:, :1]
        # Bandwidth: distance to the last neighbour that counts.
        self.width = np.maximum(ranked[:, self.number - 1 : self.number] - self.nearest, REGULARISATION)
        self.affinity = np.exp(-np.maximum(distances - self.nearest, 0) / self.width)

    def near(self, number: int) -> np.ndarray:
        """Which samples are among the ``number`` nearest, bool [rows, rows]."""
        near = np.zeros_like(self.affinity, dtype=bool)
        np.put_along_axis(near, self.order[:, : min(number, len(near) - 1)], True, axis=1)
        return near

    def ratio(self, other: _Platform) -> np.ndarray:
        """How much better the own neighbours predict a sample than those of the other platform, [rows]."""
        own, across = (self._affinity_of(part.order[:, : part.number]) for part in (self, other))
        return own / (across + REGULARISATION)

    def _affinity_of(self, neighbors: np.ndarray) -> np.ndarray:
        predicted = self.values[neighbors].mean(axis=1)
        distance = np.linalg.norm(self.values - predicted, axis=1)
        return np.exp(-np.maximum(distance - self.nearest[:, 0], 0) / self.width[:, 0])


def _principal(values: np.ndarray, seed: int) -> np.ndarray:
    number = min(COMPONENTS, len(values) - 1, values.shape[1])
    return PCA(n_components=number, random_state=seed).fit_transform(values.astype(np.float64))
