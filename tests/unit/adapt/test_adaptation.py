"""What an adaptation adds is what its arrays say; without arrays nothing changes; its file comes back or is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genet5.adapt.adaptation import HEXAMER_SHARE, Adaptation, load_adaptation, save_adaptation
from genet5.adapt.counting import AROUND_BP, BEFORE_BP, hexamers_before
from genet5.crf.annotating_network import WindowPotentials
from genet5.crf.config import CrfConfig
from genet5.crf.model import make_crf
from genet5.crf.window_decoder import WindowDecoder
from genet5.errors import InputError
from genet5.genome.sites import DONOR_SITE, GeneRules, WindowSites

pytestmark = pytest.mark.usefixtures("one_thread")

RULES = GeneRules(splice_pairs=(("GT", "AG"),), min_intron_bp=10)


def some_adaptation(seed: int = 0, strength: float = 0.5, intron_cost: float = 0.0) -> Adaptation:
    rng = np.random.default_rng(seed)
    zero = Adaptation.neutral()
    hexamers, sites = (rng.normal(size=array.shape).astype(np.float32) for array in (zero.hexamers, zero.sites))
    return Adaptation(hexamers, sites, strength, intron_cost, {"clade": "fungi", "adapted": True})


def some_window(bases: str, seed: int = 0) -> tuple[WindowSites, WindowPotentials]:
    rng = np.random.default_rng(seed)
    size = len(bases)
    potentials = (rng.normal(size=shape).astype(np.float32) for shape in ((2, size, 4), (2, 4, size + 1)))
    return WindowSites(bases, RULES), WindowPotentials(*potentials)


@given(st.text("ACGTN", min_size=1, max_size=80), st.integers(0, 3), st.sampled_from([0.25, 1.0]))
@settings(deadline=None)
def test_it_adds_its_arrays_to_bases_and_sites(bases: str, seed: int, strength: float) -> None:
    sites, potentials = some_window(bases, seed)
    before = [array.copy() for array in potentials]
    adaptation = some_adaptation(seed, strength, intron_cost=2.0)
    found = adaptation(sites, potentials)
    for row, sign in enumerate("+-"):
        strand = sites.strand(sign)
        ids = hexamers_before(strand.codes)
        added = found.bases[row] - potentials.bases[row]
        np.testing.assert_allclose(added, strength * HEXAMER_SHARE * adaptation.hexamers[:, ids].T, atol=1e-5)
        for kind, boundary in np.ndindex(4, len(bases) + 1):
            total = 0.0
            for place in range(AROUND_BP):
                at = boundary - BEFORE_BP + place
                if strand.allowed[kind, boundary] and 0 <= at < len(bases):
                    total += adaptation.sites[kind, place, strand.codes[at]]
            change = found.sites[row, kind, boundary] - potentials.sites[row, kind, boundary]
            cost = 2.0 if kind == DONOR_SITE else 0.0
            assert change == pytest.approx(strength * total - cost, abs=1e-4)
    assert all(np.array_equal(*pair) for pair in zip(before, potentials, strict=True))


def test_without_counts_not_a_bit_changes() -> None:
    """Arrays of zeros, and strength 0; a cost of introns alone changes the genes."""
    crf = make_crf(CrfConfig(stretch_dilations=(1,), codon_dilations=(1,)), seed=3).eval()
    with torch.no_grad():
        crf.networks[0].gene_penalty.fill_(-20.0)
    windows = ["".join(np.random.default_rng(seed).choice(list("ACGT"), size=900)) for seed in range(3)]
    alone = WindowDecoder(crf, RULES).decode(windows)
    assert any(alone)
    zeros = Adaptation(Adaptation.neutral().hexamers, Adaptation.neutral().sites, 1.0)
    for adaptation in (zeros, Adaptation.neutral()):
        assert WindowDecoder(crf, RULES, add=adaptation).decode(windows) == alone
    assert WindowDecoder(crf, RULES, add=some_adaptation()).decode(windows) != alone
    costly = replace(Adaptation.neutral(), intron_cost=1e3)
    introns = [sum(len(scored.gene.cds) - 1 for genes in found for scored in genes)
               for found in (alone, WindowDecoder(crf, RULES, add=costly).decode(windows))]  # fmt: skip
    assert introns[0] > introns[1] == 0


def test_a_file_comes_back_to_the_bit(tmp_path: Path) -> None:
    path, adaptation = tmp_path / "my.adaptation.npz", some_adaptation(intron_cost=1.5)
    save_adaptation(path, adaptation)
    found = load_adaptation(path)
    assert np.array_equal(found.hexamers, adaptation.hexamers) and np.array_equal(found.sites, adaptation.sites)
    assert (found.strength, found.intron_cost) == (0.5, 1.5) and found.about == adaptation.about
    written = path.read_bytes()
    save_adaptation(path, adaptation)
    assert path.read_bytes() == written


def test_a_wrong_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "my.npz"
    with pytest.raises(InputError, match=r"my\.npz: cannot be read: No such file"):
        load_adaptation(path)
    path.write_text("no archive")
    with pytest.raises(InputError, match="no adaptation of a gene finder"):
        load_adaptation(path)
    np.savez(path, tracks=np.zeros(3))
    with pytest.raises(InputError, match="no adaptation of a gene finder"):
        load_adaptation(path)
    good = some_adaptation()
    save_adaptation(path, good)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="no adaptation of a gene finder"):
        load_adaptation(path)
    save_adaptation(path, Adaptation(good.hexamers[:, :-1], good.sites, 0.5))
    with pytest.raises(InputError, match=r"hexamers is float32 \[4, 4096\], allowed: float32 \[4, 4097\]"):
        load_adaptation(path)
    save_adaptation(path, Adaptation(good.hexamers, np.full_like(good.sites, np.nan), 0.5))
    with pytest.raises(InputError, match="sites holds values that are not finite"):
        load_adaptation(path)
    save_adaptation(path, Adaptation(good.hexamers, good.sites, -1.0))
    with pytest.raises(InputError, match="strength is -1, allowed: 0 or more"):
        load_adaptation(path)
    save_adaptation(path, replace(good, intron_cost=float("inf")))
    with pytest.raises(InputError, match="intron_cost is inf, allowed: 0 or more"):
        load_adaptation(path)
