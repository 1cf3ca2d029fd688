"""Two proteomics platforms of the same blood samples with a known truth, at the size of Olink and SomaScan.

A few dozen latent factors (age, inflammation, kidney function, ...) move the concentrations of all proteins, and each
protein has its own variation beside. A platform measures some proteins, many of them on both platforms. What it
reports of a protein is a saturating curve of the concentration, off by an interference from another protein (antibody
and aptamer bind more than their target), by noise of the assay, by a sample-wide error, and nothing where a value is
below the limit of detection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Simulation:
    """Sizes, and shares of variance. ``noise_range``: share of an assay's variance that is noise, drawn per feature."""

    samples: int = 4000
    features_a: int = 2168
    features_b: int = 2731
    shared: int = 1700
    factors: int = 40
    factor_share: float = 0.45
    noise_range: tuple[float, float] = (0.2, 0.9)
    interference: float = 0.35
    sample_error: float = 0.1
    missing: float = 0.02
    seed: int = 42


@dataclass(frozen=True)
class SimulatedPlatform:
    """``values`` [samples, features] as reported, NaN where nothing was; ``truth`` the same without noise and gaps."""

    features: list[str]
    values: np.ndarray
    truth: np.ndarray


def simulate(options: Simulation) -> tuple[list[str], SimulatedPlatform, SimulatedPlatform]:
    """Sample ids and both platforms."""
    rng = np.random.default_rng(options.seed)
    proteins = options.features_a + options.features_b - options.shared
    levels = _concentrations(options, proteins, rng)
    measured_a = np.arange(options.features_a)
    measured_b = np.arange(options.features_a - options.shared, proteins)
    names = [f"P{number:05d}" for number in range(proteins)]
    platforms = [
        _measure(levels, measured, [f"{prefix}_{names[place]}" for place in measured], options, rng)
        for prefix, measured in (("olink", measured_a), ("soma", measured_b))
    ]
    return [f"S{number:05d}" for number in range(options.samples)], platforms[0], platforms[1]


def _concentrations(options: Simulation, proteins: int, rng: np.random.Generator) -> np.ndarray:
    """Log concentrations with mean 0 and variance 1, [samples, proteins]; a protein follows a few of the factors."""
    factors = rng.standard_normal((options.samples, options.factors))
    # Factors also act together: a quarter of them are products of two others.
    crossed = options.factors // 4
    if crossed:
        left, right = rng.integers(crossed, options.factors, (2, crossed))
        factors[:, :crossed] = factors[:, left] * factors[:, right]
    loadings = rng.standard_normal((options.factors, proteins))
    loadings *= rng.random(loadings.shape) < min(1.0, 6 / options.factors)
    common = factors @ loadings
    common /= np.maximum(common.std(axis=0), 1e-9)
    # How much of a protein is common varies between proteins, around factor_share.
    share = rng.beta(4 * options.factor_share, 4 * (1 - options.factor_share), proteins)
    return np.sqrt(share) * common + np.sqrt(1 - share) * rng.standard_normal((options.samples, proteins))


def _measure(
    levels: np.ndarray, measured: np.ndarray, names: list[str], options: Simulation, rng: np.random.Generator
) -> SimulatedPlatform:
    samples, number = len(levels), len(measured)
    # Of the reported variance: interference from one other protein, on some assays.
    interfering = levels[:, rng.integers(0, levels.shape[1], number)]
    strength = options.interference * rng.random(number)
    signal = np.sqrt(1 - strength) * levels[:, measured] + np.sqrt(strength) * interfering
    # Saturation at the top: a logistic curve whose middle lies above the mean.
    middle, slope = rng.uniform(0.5, 3.0, number), rng.uniform(0.8, 1.6, number)
    truth = 1 / (1 + np.exp(-slope * (signal - middle)))
    truth = np.log2(truth)
    truth = (truth - truth.mean(axis=0)) / truth.std(axis=0)
    noise_share = rng.uniform(*options.noise_range, number)
    noise = rng.standard_normal((samples, number))
    values = np.sqrt(1 - noise_share) * truth + np.sqrt(noise_share) * noise
    values += np.sqrt(options.sample_error) * rng.standard_normal((samples, 1))
    scale, offset = rng.uniform(0.3, 1.5, number), rng.uniform(2, 12, number)
    values, truth = offset + scale * values, offset + scale * np.sqrt(1 - noise_share) * truth
    # Below the limit of detection: the lowest values of a third of the features, so that the mean share is as asked.
    limited = rng.random(number) < 1 / 3
    share = np.where(limited, 3 * options.missing, 0.0)
    limits = np.array([np.quantile(column, q) if q else -np.inf for column, q in zip(values.T, share, strict=True)])
    return SimulatedPlatform(names, np.where(values < limits, np.nan, values), truth)
