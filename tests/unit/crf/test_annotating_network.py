"""The network as it annotates says what the trained network says, however a window is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genet5.crf import annotating_network, window_decoder
from genet5.crf.annotating_network import AnnotatingNetwork, WindowPotentials, pieces, readable_bp
from genet5.crf.config import CrfConfig
from genet5.crf.model import Crf, make_crf, score_codes, window_codes
from genet5.crf.window_decoder import Reader, WindowDecoder, cpu_reader
from genet5.genome.sites import GeneRules, WindowSites

pytestmark = pytest.mark.usefixtures("one_thread")

RULES = GeneRules(splice_pairs=(("GT", "AG"), ("GC", "AG")), min_intron_bp=10)


@pytest.fixture(scope="module")
def crf() -> Crf:
    """Small, with weights that no layer hides: fresh ones of the upward layers and of the chain head are zero."""
    crf = make_crf(
        CrfConfig(stretch_dilations=(1, 2), codon_dilations=(1, 4), site_dilations=(1, 3), num_networks=2), seed=3
    )
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.03)
    return crf.eval()


def bases(size: int, seed: int = 0) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT" * 8 + "N"), size=size))


def plain(crf: Crf, sites: WindowSites) -> WindowPotentials:
    scores = score_codes(crf, window_codes([sites]), "fp32")
    return WindowPotentials(scores.potentials[0].numpy(), scores.site_potentials[0].numpy())


@pytest.mark.parametrize("size", [1, 2, 5, 11, 12, 13, 300, 1001, 4000])
def test_it_says_what_the_trained_network_says(crf: Crf, size: int) -> None:
    sites = WindowSites(bases(size), RULES)
    found, wanted = cpu_reader(crf, "fp32")(sites), plain(crf, sites)
    np.testing.assert_allclose(found.bases, wanted.bases, atol=1e-5)
    scored = np.stack([sites.plus.scored, sites.minus.scored])[:, None].repeat(4, axis=1)
    np.testing.assert_allclose(found.sites[scored], wanted.sites[scored], atol=2e-4)
    assert not found.sites[~scored].any()
    assert (scored | ~sites.allowed).all()


def test_bf16_is_close(crf: Crf) -> None:
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this processor does not compute in bf16")
    sites = WindowSites(bases(900), RULES)
    found, wanted = cpu_reader(crf, "bf16")(sites), plain(crf, sites)
    assert 0 < np.abs(found.bases - wanted.bases).mean() < 0.02 * np.abs(wanted.bases).mean() + 1e-4
    assert np.abs(found.sites - wanted.sites)[sites.allowed].mean() < 0.02 * np.abs(wanted.sites).mean()


@pytest.mark.parametrize("size", [3000, 3001, 3011])
def test_pieces_of_a_window_say_what_the_whole_says(crf: Crf, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sites = WindowSites(bases(size), RULES)
    asked = np.stack([sites.plus.scored, sites.minus.scored])
    network = AnnotatingNetwork(crf.networks[0], torch.float32)
    whole = network.potentials(sites.strand_codes, asked)
    assert len(pieces(size, network.reach)) == 1
    monkeypatch.setattr(annotating_network, "READ_BP", 2 * network.reach + 12 * 30)
    assert len(pieces(size, network.reach)) > 3
    cut = network.potentials(sites.strand_codes, asked)
    np.testing.assert_allclose(cut.bases, whole.bases, atol=1e-5)
    np.testing.assert_allclose(cut.sites, whole.sites, atol=2e-4)


@given(st.integers(1, 10**6), st.integers(1, 200).map(lambda number: 12 * number))
@settings(deadline=None)
def test_pieces_cover_a_window_on_one_grid(width: int, reach: int) -> None:
    found = pieces(width, reach)
    assert [piece.start for piece in found] == [0, *(piece.end for piece in found[:-1])] and found[-1].end == width
    for piece in found:
        assert piece.first % 12 == 0 and (width - piece.last) % 12 == 0
        assert piece.first == 0 or piece.start - piece.first >= reach
        assert piece.last == width or piece.last - piece.end >= reach
        assert 0 <= piece.last - piece.first <= annotating_network.READ_BP
    assert width <= readable_bp(width) <= width + max(width // 16, 12)


def test_windows_do_not_depend_on_each_other_or_on_threads(crf: Crf) -> None:
    windows = [bases(size, seed) for seed, size in enumerate((900, 40, 1, 1300))]
    alone = [WindowDecoder(crf, RULES).decode([window])[0] for window in windows]
    torch.set_num_threads(3)
    together = WindowDecoder(crf, RULES).decode(windows)
    assert together == alone
    assert any(alone)


@pytest.mark.parametrize("plain_is_slower", [False, True])
def test_an_unknown_processor_takes_the_faster_network(
    crf: Crf, plain_is_slower: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sites = WindowSites(bases(400), RULES)
    taken = []

    def seconds(read: Reader) -> float:
        taken.append(read)
        return 1.0 + plain_is_slower * (len(taken) - 1)

    monkeypatch.setattr(window_decoder, "MEASURED_CAPABILITIES", ())
    monkeypatch.setattr(window_decoder, "LEAST_GAIN", 0.9)
    monkeypatch.setattr(window_decoder, "_seconds", seconds)
    chosen = cpu_reader(crf, "fp32")
    assert chosen is taken[0 if plain_is_slower else 1]
    np.testing.assert_allclose(chosen(sites).bases, plain(crf, sites).bases, atol=1e-5)
    assert (chosen(sites).sites == 0).any() == plain_is_slower  # the plain one scores sites everywhere


def test_windows_that_are_read_together_have_the_genes_of_windows_read_one_by_one(crf: Crf) -> None:
    """As a GPU reads them, padded to the longest."""
    windows = [bases(size, seed) for seed, size in enumerate((900, 40, 1300))]
    wanted = WindowDecoder(crf, RULES).decode(windows)
    decoder = WindowDecoder(crf, RULES)
    decoder.read = None
    found = decoder.decode(windows)
    assert [[one.gene for one in genes] for genes in found] == [[one.gene for one in genes] for genes in wanted]
    assert any(found)


def test_reading_takes_time(crf: Crf) -> None:
    assert window_decoder._seconds(cpu_reader(crf, "fp32")) > 0


def test_bf16_that_the_processor_lacks_is_computed_plainly(crf: Crf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_decoder, "native_bf16", lambda: False)
    sites = WindowSites(bases(100), RULES)
    scores = score_codes(crf, window_codes([sites]), "bf16")
    np.testing.assert_array_equal(cpu_reader(crf, "bf16")(sites).bases, scores.potentials[0].numpy())
