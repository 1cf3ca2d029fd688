"""What a window's decoder adds to what the networks say, and what it hands on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import pytest
from toy_bacterium import toy_crf

from genet5.crf.annotating_network import WindowPotentials
from genet5.crf.config import CrfConfig, crf_config
from genet5.crf.distilling import DistilOptions
from genet5.crf.expected import ExpectedOptions
from genet5.crf.isoforms import IsoformOptions
from genet5.crf.window_decoder import WindowDecoder, without_masked
from genet5.errors import InputError
from genet5.genome.genes import Interval, Region
from genet5.genome.sites import GeneRules, WindowSites
from genet5.genome.window_genes import WindowGene
from genet5.training.options import RunOptions

pytestmark = pytest.mark.usefixtures("one_thread")

RULES = GeneRules()
WINDOW = "ACGTTTGG"
PLACE = Region("chr", 0, 8)


class Adding:
    """An adaptation that doubles, and adds to introns."""

    introns = np.array([0.5, 0.25])

    def __call__(self, _sites: WindowSites, potentials: WindowPotentials) -> WindowPotentials:
        return WindowPotentials(potentials.bases * 2, potentials.sites * 2)


class Hints:
    """Evidence that adds its number, and the begin of the place."""

    def add(
        self, _sites: WindowSites, place: Region, bases: np.ndarray, sites: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        return bases + 100 + place.start, sites + 1000


def made(bases: float) -> WindowPotentials:
    return WindowPotentials(np.full((2, 8, 4), float(bases)), np.full((2, 4, 9), float(bases)))


def masked(cost: float) -> np.ndarray:
    """Of the window whose first two bases are in lower case."""
    expected = np.zeros((2, 8, 4))
    expected[0, :2, :3] = expected[1, 6:, :3] = -cost
    return expected


def test_masked_bases_cost_their_coding_on_both_strands() -> None:
    bases = np.zeros((2, 8, 4), np.float32)
    found = without_masked(bases, np.arange(8) < 2, 0.5)
    assert found.dtype == np.float32 and (found == masked(0.5)).all() and not bases.any()


@pytest.mark.parametrize("place", [None, PLACE, Region("chr", 7, 15)])
def test_the_cost_of_masked_bases_comes_first_then_the_adaptation_then_the_hints(place: Region | None) -> None:
    decoder = WindowDecoder(toy_crf(), RULES, add=Adding(), evidence=Hints(), masked_cost=0.5)
    found = decoder.completed(WindowSites("acGTTTGG", RULES), made(3), place)
    hints = (0, 0) if place is None else (100 + place.start, 1000)
    assert (found.bases == 6 + 2 * masked(0.5) + hints[0]).all() and (found.sites == 6 + hints[1]).all()


def test_nothing_is_added_unless_asked_for() -> None:
    decoder, potentials = WindowDecoder(toy_crf(), RULES), made(3)
    assert (decoder.masked_cost, decoder.precision, len(decoder.introns)) == (0.0, "fp32", 0)
    assert decoder.completed(WindowSites("acGTTTGG", RULES), potentials, PLACE) is potentials
    assert WindowDecoder(toy_crf(), RULES, add=Adding()).introns.tolist() == [0.5, 0.25]
    costly = WindowDecoder(toy_crf(), RULES, masked_cost=0.5)
    assert costly.completed(WindowSites(WINDOW, RULES), potentials, PLACE) is potentials


def test_what_is_made_of_a_window_beside_its_genes_sees_its_completed_potentials() -> None:
    """Genes are chosen by what the decoder is given for it."""
    chosen = [WindowGene("+", (Interval(0, 8),), True, True, 0)]
    seen: list[tuple[int, bool]] = []

    def choose(sites: WindowSites, potentials: WindowPotentials) -> list[WindowGene]:
        seen.append((sites.window_bp, bool((potentials.bases > 50).all())))
        return chosen

    def also(sites: WindowSites, potentials: WindowPotentials, genes: Sequence[WindowGene]) -> tuple:
        return sites.window_bp, bool((potentials.bases > 50).all()), list(genes)

    decoder = WindowDecoder(toy_crf(), RULES, evidence=Hints(), choose=choose)
    windows = [WINDOW, WINDOW + "ACG"]
    found = decoder.decode_with(windows, also, [PLACE, Region("chr", 8, 19)])
    assert [what for _, what in found] == [(8, True, chosen), (11, True, chosen)]
    assert [[one.gene for one in genes] for genes, _ in found] == [chosen, chosen]
    assert all(genes[0].log_probability <= 0 for genes, _ in found)
    without = decoder.decode_with(windows, also)
    assert [what for _, what in without] == [(8, False, chosen), (11, False, chosen)]
    assert [[one.gene for one in genes] for genes in decoder.decode(windows)] == [chosen, chosen]
    decoder.decode(windows, [PLACE, PLACE])
    assert sorted(seen) == sorted([(8, True), (11, True), (8, False), (11, False)] * 2)


# -------------------------------------------------------------------- options


def test_options_of_decoding_have_these_defaults() -> None:
    assert IsoformOptions() == IsoformOptions(number=1, posterior=0.1, samples=64, seed=42)
    assert ExpectedOptions() == ExpectedOptions(samples=64, temperature=1.0, threshold=0.0, gene_weight=1.0, seed=42)


def test_a_distillation_differs_from_other_trainings_in_these() -> None:
    usual, found = RunOptions(), DistilOptions()
    names = {field.name for field in fields(RunOptions)}
    assert {
        field.name: getattr(found, field.name)
        for field in fields(found)
        if field.name not in names or getattr(found, field.name) != getattr(usual, field.name)
    } == {
        "windows": 3000, "window_bp": 6000, "validation_windows": 50, "overrides": {}, "base_weight": 5.0, "lr": 2e-3,
        "betas": (0.9, 0.98), "weight_decay": 0.0, "min_lr_ratio": 0.01, "max_grad_norm": 5.0, "eval_steps": 500,
        "save_steps": 500, "log_every": 50,
    }  # fmt: skip


def test_named_sizes_of_the_gene_finder() -> None:
    base = CrfConfig(192, 288, 384, 16, 48, (1, 1), (1, 2, 4, 8), (1, 2, 4, 8, 16, 32), (1, 1, 1), 0.1, 1)
    small = CrfConfig(stem_channels=96, codon_channels=144, stretch_channels=192)
    demo = CrfConfig(stem_channels=64, codon_channels=96, stretch_channels=128)
    assert [crf_config(size) for size in ("demo", "small", "base", "recipe")] == [demo, small, base, base]
    assert crf_config("base", {"num_networks": 2}).one_network == base.one_network
    with pytest.raises(InputError) as error:
        crf_config("huge")
    assert str(error.value) == "config key crf.size: 'huge' is unknown, allowed: demo, small, base, recipe"
