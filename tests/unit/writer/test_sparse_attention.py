"""Block-banded attention: equal to a dense mask, and linear in what it computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from model_toy import LATENTS, SLIDING, toy_batch, toy_model
from torch import Tensor
from torch.nn import attention
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from genet5.writer import banded
from genet5.writer.attention import FULL, joined_masks, prompt_masks, sequence_masks
from genet5.writer.attention import SLIDING as SLIDING_LAYER
from genet5.writer.banded import LEAST_GPU_BLOCK, Band, near_blocks, tiles
from genet5.writer.batch import Batch
from genet5.writer.network import GeneT5Model
from genet5.writer.passes import Branches

SCALE = 0.2


def prompt_band(size: int, window: int, block: int, padding: int = 0) -> Band:
    """Two rows; one token in ten is seen everywhere. The second row ends with padding."""
    generator = torch.Generator().manual_seed(size)
    everywhere = torch.rand(2, size, generator=generator) < 0.1
    everywhere[:, 0] = True
    sequence = torch.zeros(2, size, dtype=torch.int64)
    if padding:
        everywhere[1, -padding:], sequence[1, -padding:] = False, -1
    return Band.make(everywhere, sequence, size, window, window, block)


def sequence_band(prompt: int, size: int, window: int, block: int, padding: int = 0) -> Band:
    """Two rows, of three sequences and of one, behind a prompt; the prompt and sequence of the second are shorter."""
    everywhere = torch.ones(2, prompt + size, dtype=torch.bool)
    everywhere[:, prompt:] = False
    sequence = torch.zeros(2, prompt + size, dtype=torch.int64)
    sequence[0, prompt:] = torch.arange(size) * 3 // size
    if padding:
        everywhere[1, prompt - padding : prompt], sequence[1, prompt - padding : prompt] = False, -1
        sequence[1, -padding:] = -1
    return Band.make(everywhere, sequence, size, window, 1, block)


BANDS = {
    "prompt": prompt_band(200, 16, 16),
    "prompt, padding": prompt_band(203, 32, 16, padding=7),
    "prompt, block over window": prompt_band(130, 16, 64, padding=3),
    "prompt, all near": prompt_band(40, 64, 16, padding=3),
    "sequences": sequence_band(100, 60, 16, 16),
    "sequences, padding": sequence_band(90, 61, 16, 32, padding=4),
}


def inputs(band: Band, key_heads: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(key_heads)
    shapes = ((4, band.num_queries), (key_heads, band.num_keys), (key_heads, band.num_keys))
    tensors = [torch.randn(2, heads, size, 8, generator=generator) for heads, size in shapes]
    return [tensor.to(dtype).requires_grad_() for tensor in tensors]


def dense(band: Band, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    mask = band.dense()[:, None]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=SCALE, enable_gqa=True)


def real(band: Band) -> Tensor:
    """Queries that are no padding, [B, 1, N, 1]."""
    return (band.sequence[:, -band.num_queries :] >= 0)[:, None, :, None]


def with_gradients(attend: Callable[..., Tensor], band: Band, tensors: list[Tensor]) -> list[Tensor]:
    """Output and gradients of a random weighing of it."""
    out = attend(*tensors) * real(band)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(7)).to(out.dtype)
    return [out.detach(), *torch.autograd.grad((out * weights).sum(), tensors)]


@pytest.mark.parametrize("band", BANDS.values(), ids=BANDS)
@pytest.mark.parametrize("key_heads", [4, 2, 1])
def test_sparse_attention_and_its_gradients_are_those_of_the_dense_mask(band: Band, key_heads: int):
    tensors = inputs(band, key_heads)
    found = with_gradients(lambda *qkv: band.attend(*qkv, SCALE), band, tensors)
    wanted = with_gradients(lambda *qkv: dense(band, *qkv), band, tensors)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("band", BANDS.values(), ids=BANDS)
def test_sparse_attention_in_bf16_rounds_no_more_than_dense(band: Band):
    tensors = inputs(band, 2)
    exact = with_gradients(lambda *qkv: dense(band, *qkv), band, tensors)
    halves = inputs(band, 2, torch.bfloat16)
    found = with_gradients(lambda *qkv: band.attend(*qkv, SCALE), band, halves)
    usual = with_gradients(lambda *qkv: dense(band, *qkv), band, halves)
    for one, other, right in zip(found, usual, exact, strict=True):
        assert one.dtype == torch.bfloat16
        assert (one - right).square().mean() < 2 * (other - right).square().mean() + 1e-5


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile:UserWarning")
@pytest.mark.parametrize("band", BANDS.values(), ids=BANDS)
def test_sparse_attention_for_gpus_is_the_dense_mask_too(band: Band, monkeypatch):
    """FlexAttention runs uncompiled on a CPU; it only refuses gradients there, which its plain form has."""
    flex = attention.flex_attention
    monkeypatch.setattr(flex, "_validate_device", lambda *_: None)
    blocks = near_blocks(band.everywhere, band.sequence, band.num_queries, band.before, band.after, band.block)
    band, tensors = replace(band, blocks=blocks), inputs(band, 2)
    found = with_gradients(lambda *qkv: band.attend_by_flex(*qkv, SCALE, flex.flex_attention), band, tensors)
    wanted = with_gradients(lambda *qkv: dense(band, *qkv), band, tensors)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("window", "block", "on_gpu"), [(128, 128, 128), (256, 256, 256), (128, 16, LEAST_GPU_BLOCK)])
def test_sparse_blocks_on_a_gpu_skip_what_is_far(window: int, block: int, on_gpu: int):
    band = prompt_band(2048, window, block)
    blocks = near_blocks(band.everywhere, band.sequence, 2048, window, window, block)
    assert blocks.BLOCK_SIZE == (on_gpu, on_gpu)
    assert blocks.sparsity() > 60


@pytest.mark.parametrize(("size", "prompt", "before", "after", "block"), [(100, 0, 16, 16, 16), (61, 40, 32, 1, 16)])
def test_sparse_tiles_hold_every_near_pair_and_grow_linearly(size, prompt, before, after, block):
    keys = prompt + size
    seen = torch.zeros(keys, keys, dtype=torch.bool)
    for rows, columns in tiles(size, keys, before, after, block):
        assert rows.stop - rows.start <= block
        seen[rows, columns] = True
    apart = torch.arange(keys)[:, None] - torch.arange(keys)
    near = (apart < before) & (apart > -after)
    assert seen[prompt:, prompt:][near[prompt:, prompt:]].all()

    def computed(number: int) -> int:
        return sum(
            (r.stop - r.start) * (c.stop - c.start) for r, c in tiles(number, prompt + number, before, after, block)
        )

    assert computed(64 * block) <= 64 * block * (block + before + after)
    assert computed(64 * block) < 2.1 * computed(32 * block)


def test_the_block_decides_how_many_tokens_a_sparse_tile_has():
    for block in (16, 32, 64):
        assert len(tiles(640, 640, 64, 64, block)) == 640 // block


def test_the_sparse_operator_keeps_pytorchs_rules():
    """Shapes without data, gradients and no hidden changes: what torch.compile relies on."""
    band = BANDS["sequences, padding"]
    tensors = inputs(band, 2)
    arguments = (
        *tensors,
        band.index,
        band.own,
        band.everywhere,
        band.sequence,
        band.before,
        band.after,
        band.block,
        SCALE,
    )
    torch.library.opcheck(banded._banded, arguments)


# ---------------------------------------------------------------- in the network


class LargestTensor(TorchDispatchMode):
    """Elements of the largest tensor that any operation makes."""

    elements = 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = operation(*args, **(kwargs or {}))
        for tensor in found if isinstance(found, tuple) else (found,):
            if isinstance(tensor, Tensor):
                self.elements = max(self.elements, tensor.numel())
        return found


def run(model: GeneT5Model, masks: dict, size: int, changed: tuple[int, ...] = ()) -> Tensor:
    """[N, H] of random vectors, of which some are changed."""
    vectors = torch.randn(1, size, model.config.hidden_size, generator=torch.Generator().manual_seed(0))
    for place in changed:
        vectors[0, place] += 1.0
    with torch.no_grad():
        return model.run_backbone(vectors, masks, torch.arange(size)[None])[0]


def places_changed(model: GeneT5Model, masks: dict, size: int, changed: int) -> list[int]:
    apart = run(model, masks, size, (changed,)) - run(model, masks, size)
    return (apart.abs().amax(-1) > 1e-7).nonzero().flatten().tolist()


def test_sparse_layers_are_three_of_four_and_bind_dna_alone():
    """With one sparse layer, a DNA token far from a change stays as it was; a mile-post sees it at once."""
    assert toy_model(**SLIDING).backbone.config.layer_types == [SLIDING_LAYER] * 3 + [FULL]
    model = toy_model(**SLIDING | {"num_layers": 1})
    local = torch.ones(1, 60, dtype=torch.bool)
    local[0, 50] = False
    masks = prompt_masks(torch.ones_like(local), local, 16, 16)
    assert masks[FULL] is None
    assert places_changed(model, masks, 60, 0) == [*range(16), 50]
    assert places_changed(model, masks, 60, 30) == [*range(15, 46), 50]
    assert places_changed(model, masks, 60, 50) == [*range(60)]


def test_sparse_windows_of_structure_tokens_bind_their_own_sequence():
    """A structure token sees the whole prompt, and its own sequence less than a window back."""
    model = toy_model(**LATENTS | {"num_layers": 1})
    real = torch.ones(1, 30, dtype=torch.bool)
    prompt = prompt_masks(real, real, 0, 0)
    masks = joined_masks(30, prompt, sequence_masks(real, Branches.single(torch.tensor([40]), 40), 16, 16))
    assert places_changed(model, masks, 70, 3) == [*range(70)]
    assert places_changed(model, masks, 70, 32) == [*range(32, 48)]
    wide = joined_masks(30, prompt, sequence_masks(real, Branches.single(torch.tensor([40]), 40), 48, 16))
    assert places_changed(model, wide, 70, 32) == [*range(32, 70)]


@pytest.mark.parametrize("option", ["dna", "structure"])
def test_each_sparse_window_changes_the_loss(option: str):
    batch = toy_batch((600, 500), seed=8)
    assert int(batch.sequences.lengths.max()) > 16
    window = {f"{option}_block_size": 16, f"{option}_window_size": 16}
    with torch.no_grad():
        found = [float(toy_model(num_layers=4, **more).training_losses(batch)["language"]) for more in ({}, window)]
    assert found[0] != pytest.approx(found[1], rel=1e-6)


def test_the_sparse_block_changes_no_loss():
    batch = toy_batch((300, 240), seed=8)
    found = []
    for block in (16, 32, 64):
        model = toy_model(num_layers=4, dna_block_size=block, dna_window_size=64)
        with torch.no_grad():
            found.append(float(model.training_losses(batch)["language"]))
    assert found == pytest.approx([found[0]] * 3, rel=1e-5)


def prompt_pass_elements(model: GeneT5Model, batch: Batch) -> int:
    scores = model.score(batch.prompts)
    with LargestTensor() as largest:
        model.read_prompts(batch.prompts, scores).posts.sum().backward()
    return largest.elements


def test_a_sparse_pass_makes_no_tensor_of_all_pairs():
    batch = toy_batch((1190,), seed=3)
    size = batch.prompts.ids.shape[1]
    shape = {"num_layers": 3, "feed_forward_size": 32}  # all layers have the window
    assert prompt_pass_elements(toy_model(**SLIDING | shape), batch) < size**2 // 2


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable. is deprecated:FutureWarning")
def test_sparse_layers_give_the_same_gradients_with_recomputed_activations():
    gradients = []
    for recompute in (False, True):
        model, batch = toy_model(**LATENTS), toy_batch((400, 300), seed=5)
        if recompute:
            model.recompute_activations()
        model.train()
        model.training_losses(batch)["sum"].backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-5)
