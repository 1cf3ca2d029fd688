"""Layers with a way back of their own against PyTorch's functions and automatic gradients."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from genet5.crf.hexamer_loops import HEXAMERS, hexamer_ids
from genet5.crf.hexamer_table import HexamerTable
from genet5.crf.layers import Convolution, Dropout, Known, RMSNorm, rows_at
from genet5.crf.network import SITE_GRADIENT_TO_STEM
from genet5.crf.stem import frame_means
from genet5.crf.stem import hexamer_ids as plain_ids
from genet5.crf.stored_numbers import stored_array, stored_as

pytestmark = pytest.mark.usefixtures("one_thread")


def gradients(found: Tensor, *leaves: Tensor) -> list[Tensor]:
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(9))
    return list(torch.autograd.grad((found.float() * weights).sum(), leaves, retain_graph=True))


def agree(found: list[Tensor], wanted: list[Tensor], tolerance: float = 1e-5) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        assert (one - other).norm() <= tolerance * (other.norm() + 1e-6)


@pytest.fixture
def codes() -> Tensor:
    """Two strands of 40 and 33 bases, some unknown."""
    drawn = torch.randint(0, 5, (2, 40), generator=torch.Generator().manual_seed(2)).to(torch.uint8)
    drawn[1, 33:] = 5
    return drawn


@pytest.mark.parametrize("dilation", [1, 2, 16, 30])
@pytest.mark.parametrize("padded", [False, True])
def test_a_convolution_and_its_gradients(padded: bool, dilation: int, codes: Tensor) -> None:
    """With the longest dilations some taps lie beyond the row for some or all bases."""
    torch.manual_seed(1)
    layer = Convolution(8, 5, dilation, dropout=0.0)
    values = torch.randn(2, 40, 8, requires_grad=True)
    known = Known.of(codes if padded else codes.clamp(max=4))
    assert (known.mask is None) != padded
    leaves = (values, layer.conv.weight, layer.conv.bias)
    made = F.conv1d(values.transpose(1, 2), layer.conv.weight, layer.conv.bias, padding=2 * dilation, dilation=dilation)
    wanted = known.only(values + F.silu(made).transpose(1, 2))
    found = layer(values, known)
    agree([found], [wanted])
    agree(gradients(found, *leaves), gradients(wanted, *leaves))


def test_dropout_takes_its_share_and_the_same_elements_on_the_way_back() -> None:
    torch.manual_seed(4)
    layer = Convolution(16, 3, 1, dropout=0.25).train()
    values = torch.zeros(1, 4000, 16, requires_grad=True)
    with torch.no_grad():
        layer.conv.bias.fill_(2.0)
    added = F.silu(layer.conv.bias[0].detach() + 0.0)
    found = layer(values, Known(None))
    kept = found != 0
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.01)
    torch.testing.assert_close(found[kept], (added / 0.75).expand(int(kept.sum())))
    assert len({float(kept[0, :, channel].float().mean()) for channel in range(16)}) > 8  # not the same in each
    # Where the convolution's output is dropped, its bias gets no gradient.
    bias = torch.autograd.grad(found.sum(), layer.conv.bias)[0]
    slope = torch.autograd.grad(F.silu(made := torch.tensor(2.0, requires_grad=True)), made)[0]
    torch.testing.assert_close(bias, kept[0].sum(0) * slope / 0.75, rtol=1e-4, atol=0)
    assert torch.equal(layer.eval()(values, Known(None)), layer(values, Known(None)))


def test_dropout_is_drawn_from_the_generator() -> None:
    dropout, values = Dropout(0.5).train(), torch.ones(1, 100, 4)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(dropout(values))
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert set(drawn[0].unique().tolist()) == {0.0, 2.0}


def test_the_norm_and_its_gradients() -> None:
    torch.manual_seed(1)
    norm = RMSNorm(24)
    with torch.no_grad():
        norm.weight.normal_()
    values = torch.randn(2, 700, 24, requires_grad=True)
    wanted = F.rms_norm(values, (24,), norm.weight)
    agree([norm(values)], [wanted])
    agree(gradients(norm(values), values, norm.weight), gradients(wanted, values, norm.weight))


def test_ids_and_rows_and_means_of_hexamers(codes: Tensor) -> None:
    ids = plain_ids(codes)
    assert torch.equal(torch.from_numpy(hexamer_ids(codes.numpy(), 40)).long(), ids)
    torch.manual_seed(1)
    table = HexamerTable(HEXAMERS, 6)
    wanted = F.embedding(ids, table.weight)
    agree(gradients(table(ids), table.weight), gradients(wanted, table.weight))
    wanted = frame_means(wanted * (codes <= 4).unsqueeze(-1))
    found = table.means(ids, codes, frame_means)
    agree([found], [wanted])
    agree(gradients(found, table.weight), gradients(wanted, table.weight))


def test_frame_means_reach_beyond_the_longest() -> None:
    long = torch.randint(0, 4, (1, 700), generator=torch.Generator().manual_seed(6)).to(torch.uint8)
    ids, table = plain_ids(long), HexamerTable(HEXAMERS, 3)
    found, wanted = table.means(ids, long, frame_means), frame_means(F.embedding(ids, table.weight))
    agree([found], [wanted])
    agree(gradients(found, table.weight), gradients(wanted, table.weight))


def test_what_stands_around_places() -> None:
    torch.manual_seed(1)
    features, near = torch.randn(1, 2, 30, 5, requires_grad=True), torch.randn(1, 2, 30, 3, requires_grad=True)
    places = torch.rand(1, 2, 31) < 0.4
    places[..., [0, 1, 30]] = True
    seen = features * SITE_GRADIENT_TO_STEM + features.detach() * (1 - SITE_GRADIENT_TO_STEM)
    both = torch.cat([seen, near], dim=-1)
    wanted = torch.cat([F.pad(both, (0, 0, 1, 0)), F.pad(both, (0, 0, 0, 1))], dim=-1)[places]
    found = rows_at(features, near, places, SITE_GRADIENT_TO_STEM)
    agree([found], [wanted])
    agree(gradients(found, features, near), gradients(wanted, features, near))


@numba.njit
def stored(values: np.ndarray, found: np.ndarray) -> None:
    for place in range(len(values)):
        found[place] = stored_as(values[place], found[place])


def test_numbers_are_rounded_to_the_nearest_even_bfloat16() -> None:
    """The second and third lie in the middle between two."""
    drawn = np.random.default_rng(1).normal(0, 1, 1000) * 10.0 ** np.random.default_rng(2).integers(-30, 30, 1000)
    values = np.concatenate([[1.0, 1.00390625, 1.01171875, -1.01171875, 1e-40, 3e38], drawn]).astype(np.float32)
    found = torch.empty(len(values), dtype=torch.bfloat16)
    stored(values, stored_array(found))
    assert torch.equal(found, torch.from_numpy(values).bfloat16())
    same = torch.empty(len(values))
    stored(values, stored_array(same))
    assert torch.equal(same, torch.from_numpy(values))
