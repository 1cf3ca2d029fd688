"""Study cpiVAE: simulated platforms agree as much as they are asked to."""

from __future__ import annotations

import cpivae_simulate
import numpy as np
import pytest
from scipy.stats import spearmanr

from genet5.errors import InputError
from genet5.studies.cpivae.agreement import (
    OLINK_SOMASCAN,
    noise_limit,
    rank_correlations,
    read_quantiles,
    solve_angles,
    spread_over,
)
from genet5.studies.cpivae.simulation import Simulation, simulate
from genet5.studies.cpivae.tables import read_table

SIZES = {"samples": 1200, "features_a": 230, "features_b": 260, "shared": 200, "factors": 12}


def agreement(options: Simulation) -> np.ndarray:
    """Spearman's correlation of both assays of each shared protein, over samples with both values, by scipy."""
    _, a, b = simulate(options)
    found = []
    for column, name in enumerate(b.features[: options.shared]):
        x = a.values[:, a.features.index(f"olink_{name.removeprefix('soma_')}")]
        y = b.values[:, column]
        both = ~np.isnan(x) & ~np.isnan(y)
        found.append(spearmanr(x[both], y[both])[0])
    return np.array(found)


@pytest.mark.parametrize("asked", [OLINK_SOMASCAN, (-0.5, 0.0, 0.9), (0.7, 0.7)])
def test_the_agreement_of_a_big_pair_has_the_quantiles_it_was_asked_for(asked):
    found = agreement(Simulation(**SIZES, correlations=asked, missing=0.0))
    wanted = np.interp(np.linspace(0, 1, 201), np.linspace(0, 1, len(asked)), asked)
    # 200 proteins stand at 200 quantiles; the angle of each is found to pi / 2^12.
    np.testing.assert_allclose(np.quantile(found, np.linspace(0, 1, 201)), wanted, atol=0.02)


def test_another_sample_of_samples_agrees_as_much_within_sampling_error():
    """The mixture is of the population and not of the samples it was found on: split them, and both halves agree."""
    _, a, b = simulate(Simulation(**{**SIZES, "samples": 4000}, correlations=OLINK_SOMASCAN, missing=0.0))
    x, y = a.values[:, -200:], b.values[:, :200]
    halves = [rank_correlations(x[half], y[half]) for half in (slice(0, 2000), slice(2000, None))]
    for found in halves:
        quartiles = np.quantile(found, [0, 0.25, 0.5, 0.75, 1])
        np.testing.assert_allclose(quartiles, OLINK_SOMASCAN, atol=0.06)
    # The error of one correlation over 2,000 samples is 1 / sqrt(2000) at most, about.
    assert 0 < np.std(halves[0] - halves[1]) < 2 / np.sqrt(2000)


def test_without_it_assays_agree_as_they_come_and_with_it_the_shape_is_that_of_the_publications():
    plain = agreement(Simulation(**SIZES, missing=0.0))
    found = agreement(Simulation(**SIZES, correlations=OLINK_SOMASCAN, missing=0.0))
    assert np.ptp(np.quantile(plain, [0.25, 0.75])) < 0.3 < np.ptp(np.quantile(found, [0.25, 0.75]))
    # NHS and HPFS (817 proteins): 14.7 % above .75. ARIC: 19 % of 417 at .8 or more.
    assert 0.1 < np.mean(found > 0.75) < 0.2 and np.mean(found < 0.1) == pytest.approx(0.25, abs=0.02)


def test_values_below_the_limit_of_detection_take_little_of_it():
    found = agreement(Simulation(**SIZES, correlations=OLINK_SOMASCAN, missing=0.02))
    np.testing.assert_allclose(np.quantile(found, [0.25, 0.5, 0.75]), OLINK_SOMASCAN[1:4], atol=0.06)
    _, a, b = simulate(Simulation(**SIZES, correlations=OLINK_SOMASCAN, missing=0.02))
    assert all(0.005 < np.isnan(platform.values).mean() < 0.04 for platform in (a, b))


def test_low_agreement_is_not_only_noise():
    """Values without noise disagree, too, so another platform can predict an assay better than its own partner does."""
    _, a, b = simulate(Simulation(**SIZES, correlations=(0.0, 0.0), missing=0.0))
    without_noise = rank_correlations(a.truth[:, -200:], b.truth[:, :200])
    assert np.abs(np.median(without_noise)) < 0.2
    r = [np.corrcoef(v, t)[0, 1] for v, t in zip(b.values.T[:200], b.truth.T, strict=False)]
    assert np.median(r) > 0.5


def test_the_other_features_and_the_same_seed_are_as_before():
    options = Simulation(**SIZES, correlations=(0.1, 0.5), missing=0.0)
    _, first, _ = simulate(options)
    _, again, _ = simulate(options)
    _, plain, _ = simulate(Simulation(**SIZES, missing=0.0))
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_allclose(first.values[:, :30], plain.values[:, :30], rtol=1e-9)


def test_ranks_and_angles_by_hand():
    x = np.array([[1.0, 5.0], [2.0, 1.0], [3.0, 3.0]])
    np.testing.assert_allclose(rank_correlations(x, np.array([[1.0, 1.0], [3.0, 2.0], [2.0, 3.0]])), [0.5, -0.5])
    rng = np.random.default_rng(0)
    u, v = rng.standard_normal((2, 20_000, 3))
    angles = solve_angles(u, lambda angle: np.cos(angle) * u + np.sin(angle) * v, np.array([0.5, 0.0, -0.8]))
    # Spearman's of normal values is 6/pi asin(r/2), and r is the cosine of the angle.
    np.testing.assert_allclose(6 / np.pi * np.arcsin(np.cos(angles) / 2), [0.5, 0.0, -0.8], atol=0.02)
    np.testing.assert_allclose(noise_limit(np.array([0.0, 1.0])), [0.9, 0.0], atol=1e-12)
    spread = spread_over((0.0, 1.0), 4, rng)
    np.testing.assert_allclose(sorted(spread), [0.125, 0.375, 0.625, 0.875])


def test_the_command_takes_a_name_or_numbers(tmp_path):
    files = [word for name in ("platform-a", "platform-b", "truth-a", "truth-b")
             for word in (f"--{name}", str(tmp_path / f"{name}.csv"))]  # fmt: skip
    sizes = ["--samples", "150", "--features-a", "40", "--features-b", "50", "--shared", "30", "--missing", "0"]
    for words, median in ((["olink_somascan"], 0.29), (["-0.2", "-0.1", "0.05"], -0.1)):
        cpivae_simulate.main([*files, *sizes, "--correlations", *words])
        a, b = (read_table(tmp_path / f"platform-{p}.csv").values for p in "ab")
        assert np.median(rank_correlations(a[:, -30:], b[:, :30])) == pytest.approx(median, abs=0.05)
    for words, found in ((["olink"], "olink"), (["0.5", "0.1"], "0.5 0.1"), (["0.5"], "0.5"), (["0", "1"], "0 1")):
        with pytest.raises(InputError, match=f"--correlations: found {found}, allowed: olink_somascan, or two or more"):
            cpivae_simulate.main([*files, *sizes, "--correlations", *words])
    with pytest.raises(InputError, match="--correlations needs proteins that both platforms measure"):
        cpivae_simulate.main([*files, *sizes, "--shared", "0", "--correlations", "olink_somascan"])
    assert read_quantiles(["olink_somascan"], "x") == OLINK_SOMASCAN
