"""Fast passes say what the plain ones say: the last layer, reading on, linear layers, the grammar's memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_toy import GRAMMAR, PLAIN_GRAMMAR, SHAPES, random_bases, toy_batch, toy_model
from torch.nn import functional as F
from transformers.cache_utils import DynamicCache

from genet5.tokens.grammar import Cursor
from genet5.tokens.grammar_steps import Step
from genet5.writer.cpu_linear import LEAST_ROWS, OneDnnLinear, takes_onednn
from genet5.writer.decisions import FORWARD, next_decision
from genet5.writer.growing_cache import FIRST_CAPACITY, Continuation, GrowingCache
from genet5.writer.sequences import candidate_units, choosable
from genet5.writer.threads import in_threads, threads


@pytest.mark.parametrize("name", ["dense", "sliding", "latents"])
def test_the_last_layer_says_of_few_tokens_what_it_says_of_all(name, monkeypatch):
    model = toy_model(seed=2, **SHAPES[name])
    batch = toy_batch((300, 180, 240), seed=3)
    found = []
    for alone in (True, False):
        monkeypatch.setattr(model, "_reads_ends_alone", lambda alone=alone: alone)
        model.zero_grad()
        losses = model.training_losses(batch)
        losses["sum"].backward()
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        read = model.read_prompts(batch.prompts, model.score(batch.prompts))
        found.append((losses["sum"].item(), gradients, read))
    (one, first, short), (two, second, whole) = found
    assert one == pytest.approx(two, rel=1e-5)
    assert first.keys() == second.keys()
    for key, gradient in second.items():
        torch.testing.assert_close(first[key], gradient, rtol=1e-3, atol=1e-4 * float(gradient.abs().max() + 1))
    torch.testing.assert_close(short.posts, whole.posts, rtol=0, atol=1e-4)
    torch.testing.assert_close(short.last, whole.last, rtol=0, atol=1e-4)
    for layer, other in zip(short.cache.layers, whole.cache.layers, strict=True):
        torch.testing.assert_close(layer.keys, other.keys, rtol=0, atol=1e-4)
        torch.testing.assert_close(layer.values, other.values, rtol=0, atol=1e-4)


def test_experts_and_dropout_pass_through_the_last_layer_whole():
    assert toy_model()._reads_ends_alone()
    assert not toy_model(**SHAPES["experts"])._reads_ends_alone()
    dropping = toy_model(dropout=0.1)
    assert dropping._reads_ends_alone() and not dropping.train()._reads_ends_alone()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("count", [1, 3])
def test_prompts_read_apart_are_those_read_together(shape, count):
    model = toy_model(seed=2, **shape)
    prompts = toy_batch((300, 180, 240, 60), seed=5).prompts
    with torch.no_grad():
        scores = model.score_apart(prompts)
        together = model.read_prompts(prompts, scores)
    with threads(count):
        apart = model.read_prompts_apart(prompts, scores)
    torch.testing.assert_close(apart.last, together.last, rtol=0, atol=1e-4)
    for row, (tokens, window_bp) in enumerate(zip(prompts.prompt_lengths, prompts.lengths, strict=True)):
        posts = int(window_bp) // model.config.segment_bp + 1
        torch.testing.assert_close(apart.posts[row, :posts], together.posts[row, :posts], rtol=0, atol=1e-4)
        size = int(tokens) + model.config.num_latents
        for one, two in zip(apart.cache.layers, together.cache.layers, strict=True):
            torch.testing.assert_close(one.keys[row, :, :size], two.keys[row, :, :size], rtol=0, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(st.integers(1, FIRST_CAPACITY), min_size=1, max_size=4),
    padding=st.integers(0, 5),
    seed=st.integers(0, 2**30),
)
def test_reading_on_is_attention_over_prompt_and_all_that_follows(steps: list[int], padding: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    batch, heads, groups, num_prompt, size = 3, 4, 2, 9, 8
    keys, values = draw(batch, groups, num_prompt, size), draw(batch, groups, num_prompt, size)
    prompts = DynamicCache()
    prompts.update(keys, values, 0)
    cache = GrowingCache(prompts)
    real = torch.ones(batch, num_prompt, dtype=torch.bool)
    real[1, num_prompt - padding :] = False
    bias = torch.where(real, 0.0, -torch.inf)[:, None, None]
    rows = torch.arange(batch)
    assert steps
    for tokens in steps:
        if len(rows) == 3 and cache.size:  # one prompt is done
            rows = torch.tensor([0, 1])
            cache.keep(rows)
            keys, values, bias, real = keys[rows], values[rows], bias[rows], real[rows]
        query = draw(len(rows), heads, tokens, size)
        new = draw(len(rows), groups, tokens, size), draw(len(rows), groups, tokens, size)
        keys, values = torch.cat([keys, new[0]], 2), torch.cat([values, new[1]], 2)
        own_keys, own_values = cache.update(*new, 0)
        own = torch.rand(len(rows), tokens, cache.size + tokens, generator=generator) < 0.5
        mask = Continuation(cache.prompt, bias, own[:, None, None])
        found = mask.attend(query, own_keys, own_values, 0, 0.3)
        seen = torch.cat([real[:, None].expand(-1, tokens, -1), own], dim=2)[:, None]
        wanted = F.scaled_dot_product_attention(
            query, keys.repeat_interleave(2, 1), values.repeat_interleave(2, 1), attn_mask=seen, scale=0.3
        )
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
        cache.advance(tokens)


def test_onednn_computes_what_it_may_and_nothing_else():
    if not torch.backends.mkldnn.is_available():
        pytest.skip("PyTorch without oneDNN")
    values, weight, bias = torch.randn(2, LEAST_ROWS, 96), torch.randn(64, 96), torch.randn(64)
    with torch.no_grad():
        assert takes_onednn(values, weight, bias)
        assert not takes_onednn(values[:1, 1:], weight), "too few rows"
        assert not takes_onednn(values.double(), weight.double())
        assert not takes_onednn(values[..., :0], weight[:, :0]), "experts that share nothing"
        with torch.autocast("cpu", torch.bfloat16):
            assert not takes_onednn(values, weight)
        plain = F.linear(values, weight, bias)
        with OneDnnLinear():
            torch.testing.assert_close(F.linear(values, weight, bias), plain, rtol=1e-5, atol=1e-4)
            torch.testing.assert_close(F.linear(values, weight), plain - bias, rtol=1e-5, atol=1e-4)
    assert not takes_onednn(values, weight.requires_grad_()), "gradients are wanted"


def test_threads_keep_order_precision_and_number():
    before = torch.get_num_threads()
    with threads(3), torch.autocast("cpu", torch.bfloat16):
        found = in_threads(
            lambda n: (n, torch.get_num_threads(), torch.is_autocast_enabled("cpu"), torch.is_grad_enabled()), range(7)
        )
    assert found == [(n, 1, True, False) for n in range(7)]
    assert torch.get_num_threads() == before


# ---------------------------------------------------------------- the grammar's memory


def forget(cursor: Cursor) -> None:
    """What the cursor remembers of its place, so that all is found anew."""
    cursor._legal, cursor._gene_starts, cursor._cut_phases, cursor._reach = None, {}, {}, {}


@pytest.mark.parametrize("grammar", [GRAMMAR, PLAIN_GRAMMAR])
@pytest.mark.parametrize("seed", range(12))
def test_what_a_cursor_remembers_is_what_it_would_find(grammar, seed):
    rng = np.random.default_rng(seed)
    bases = random_bases(rng, int(rng.integers(30, 700)), 0.01)
    cursor, tokens = grammar.begin(grammar.sites(bases)), grammar.tokenizer
    while not cursor.finished:
        fresh = cursor.fork()
        forget(fresh)
        decision, anew = next_decision(cursor, tokens), next_decision(fresh, tokens)
        assert np.array_equal(decision.table, anew.table) and np.array_equal(decision.groups, anew.groups)
        legal = cursor.legal_ids()
        assert legal.tolist() == fresh.legal_ids().tolist()
        if decision.structure is None:
            units = candidate_units(decision, tokens.segment_bp)
            assert choosable(decision, tokens.segment_bp).tolist() == np.unique(units).tolist()
            assert decision.table[:, FORWARD].min() >= 0
        if cursor.step is Step.GENE and len(legal) > 1 and rng.random() < 0.8:
            legal = legal[legal != tokens.eos]
        token = int(rng.choice(legal))
        twin = cursor.fork()
        cursor.advance(token)
        assert twin.legal_ids().tolist() == fresh.legal_ids().tolist(), "a fork keeps its place"
