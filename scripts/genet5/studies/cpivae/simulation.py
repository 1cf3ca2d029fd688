"""Two proteomics platforms of the same blood samples with a known truth, at the size of Olink and SomaScan.

A few dozen latent factors (age, inflammation, kidney function, ...) move the concentrations of all proteins, and each
protein has its own variation beside. A platform measures some proteins, many of them on both platforms. What it
reports of a protein is a saturating curve of the concentration, off by an interference from another protein (antibody
and aptamer bind more than their target), by noise of the assay, by a sample-wide error, and nothing where a value is
below the limit of detection.

With ``correlations``, the two assays of a protein agree as much as is asked. Where they agree little, noise is not the
only reason, as it is not in blood: one of the two binds another protein, too, and follows it reliably.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genet5.studies.cpivae.agreement import noise_limit, rank_correlations, solve_angles, spread_over

_LESS_NOISE = 0.7


@dataclass(frozen=True)
class Simulation:
    """Sizes, and shares of variance. ``noise_range``: share of an assay's variance that is noise, drawn per feature.

    ``correlations``: quantiles at even steps, from the least to the largest, of Spearman's correlation between the two
    assays of a protein, over the proteins that both platforms measure; () asks for nothing.
    """

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
    correlations: tuple[float, ...] = ()


@dataclass
class _Assays:
    """What is drawn for the assays of a platform: ``signal``, ``noise``, ``sample_error`` [samples, features], the
    others [features]. ``sample_error`` is part of a value as it is, noise by its share of the variance."""

    signal: np.ndarray
    middle: np.ndarray
    slope: np.ndarray
    noise_share: np.ndarray
    noise: np.ndarray
    sample_error: np.ndarray
    scale: np.ndarray
    offset: np.ndarray
    limited: np.ndarray

    def curve(self, features: np.ndarray, signal: np.ndarray) -> np.ndarray:
        """What assays say of a signal without noise: a logistic curve whose middle lies above the mean, so values
        saturate at the top; mean 0 and variance 1."""
        bent = np.log2(1 / (1 + np.exp(-self.slope[features] * (signal - self.middle[features]))))
        return (bent - bent.mean(axis=0)) / bent.std(axis=0)

    def noisy(self, features: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """The same with noise, with the errors of samples beside it."""
        share = self.noise_share[features]
        values = np.sqrt(1 - share) * truth + np.sqrt(share) * self.noise[:, features]
        values += self.sample_error[:, features]
        return values


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
    assays = [_draw(levels, measured, options, rng) for measured in (measured_a, measured_b)]
    if options.correlations:
        own = slice(options.features_a - options.shared, None), slice(None, options.shared)
        places = [np.arange(len(measured))[part] for measured, part in zip((measured_a, measured_b), own, strict=True)]
        _agree(assays, places, levels, measured_a[own[0]], options, rng)
    platforms = [
        _report(drawn, [f"{prefix}_{names[place]}" for place in measured], options)
        for prefix, measured, drawn in zip(("olink", "soma"), (measured_a, measured_b), assays, strict=True)
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


def _draw(levels: np.ndarray, measured: np.ndarray, options: Simulation, rng: np.random.Generator) -> _Assays:
    """The assays of a platform."""
    samples, number = len(levels), len(measured)
    # Of the reported variance: interference from one other protein, on some assays.
    interfering = levels[:, rng.integers(0, levels.shape[1], number)]
    strength = options.interference * rng.random(number)
    return _Assays(
        signal=np.sqrt(1 - strength) * levels[:, measured] + np.sqrt(strength) * interfering,
        middle=rng.uniform(0.5, 3.0, number),
        slope=rng.uniform(0.8, 1.6, number),
        noise_share=rng.uniform(*options.noise_range, number),
        noise=rng.standard_normal((samples, number)),
        sample_error=np.sqrt(options.sample_error) * rng.standard_normal((samples, 1)) + np.zeros(number),
        scale=rng.uniform(0.3, 1.5, number),
        offset=rng.uniform(2, 12, number),
        limited=rng.random(number) < 1 / 3,
    )


def _agree(
    assays: list[_Assays],
    places: list[np.ndarray],
    levels: np.ndarray,
    proteins: np.ndarray,
    options: Simulation,
    rng: np.random.Generator,
) -> None:
    """Change the assays of the shared ``proteins`` (features ``places`` of each platform) so that two of a protein
    correlate as asked: one of them, drawn for each protein, reports a mixture of it and of another protein."""
    number = len(proteins)
    correlations = spread_over(options.correlations, number, rng)
    # Another protein, never the same one.
    others = (proteins + rng.integers(1, levels.shape[1], number)) % levels.shape[1]
    own, strange = levels[:, proteins], levels[:, others]
    misled = rng.integers(0, 2, number)
    for drawn, features in zip(assays, places, strict=True):
        # The errors of a sample become a part of the noise, whose share can be as small as a high correlation needs.
        error = drawn.noise[:, features] + drawn.sample_error[:, features]
        drawn.noise[:, features] = error / np.sqrt(1 + options.sample_error)
        drawn.sample_error[:, features] = 0.0
        drawn.noise_share[features] = np.minimum(drawn.noise_share[features], noise_limit(correlations))
        drawn.signal[:, features] = own

    def mixed(angles: np.ndarray) -> np.ndarray:
        return np.cos(angles) * own + np.sin(angles) * strange

    def values(platform: int, signal: np.ndarray) -> np.ndarray:
        drawn, features = assays[platform], places[platform]
        return drawn.noisy(features, drawn.curve(features, signal))

    plain = [values(platform, own) for platform in (0, 1)]
    # Of skewed values, noise takes more of a rank correlation than of normal ones.
    while (short := rank_correlations(*plain) < np.abs(correlations)).any():
        for drawn, features in zip(assays, places, strict=True):
            drawn.noise_share[features[short]] *= _LESS_NOISE
        plain = [values(platform, own) for platform in (0, 1)]
    reference = np.where(misled == 0, plain[1], plain[0])

    def values_at(angles: np.ndarray) -> np.ndarray:
        signal = mixed(angles)
        return np.where(misled == 0, values(0, signal), values(1, signal))

    signal = mixed(solve_angles(reference, values_at, correlations))
    for platform, (drawn, features) in enumerate(zip(assays, places, strict=True)):
        drawn.signal[:, features] = np.where(misled == platform, signal, own)


def _report(drawn: _Assays, names: list[str], options: Simulation) -> SimulatedPlatform:
    """What a platform reports."""
    every = np.arange(len(names))
    truth = drawn.curve(every, drawn.signal)
    values = drawn.offset + drawn.scale * drawn.noisy(every, truth)
    truth = drawn.offset + drawn.scale * np.sqrt(1 - drawn.noise_share) * truth
    # Below the limit of detection: the lowest values of a third of the features, so that the mean share is as asked.
    share = np.where(drawn.limited, 3 * options.missing, 0.0)
    limits = np.array([np.quantile(column, q) if q else -np.inf for column, q in zip(values.T, share, strict=True)])
    return SimulatedPlatform(names, np.where(values < limits, np.nan, values), truth)
