"""The network of the study VQ-Transformer: what learns, what it sees, what a quantiser does."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from vq_toy import SMALL, toy_batch, toy_network

from genet5.errors import InputError
from genet5.studies.vq_transformer.network import (
    VqConfig,
    VqTransformer,
    load_network,
    parameter_count,
    save_network,
)
from genet5.studies.vq_transformer.quantiser import VectorQuantiser, batch_decay, kmeans, nearest


def test_every_parameter_learns_and_the_codebook_follows():
    network = toy_network()
    # Layers begin as the identity: one step makes the weights inside them reachable.
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for seed in range(2):
        optimizer.zero_grad()
        before = network.quantiser.codebook.clone()
        losses = network.training_losses(toy_batch(seed=seed))
        (losses["sum"] / losses["weight"]).backward()
        optimizer.step()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent
    assert not torch.equal(before, network.quantiser.codebook)


def test_a_codebook_without_averages_learns_by_gradient():
    network = toy_network(dataclasses.replace(SMALL, decay=0.0))
    losses = network.training_losses(toy_batch())
    losses["sum"].backward()
    assert network.quantiser.codebook.grad.abs().sum() > 0
    assert network.encoder.positions.grad.abs().sum() > 0


def test_training_and_evaluation_have_one_loss():
    network, batch = toy_network(), toy_batch()
    training = {name: float(value.detach()) for name, value in network.training_losses(batch).items()}
    network = toy_network().eval()
    book = network.quantiser.codebook.clone()
    assert {name: float(value.detach()) for name, value in network.training_losses(batch).items()} == training
    assert torch.equal(book, network.quantiser.codebook)


def test_the_loss_is_what_it_says():
    network, batch = toy_network().eval(), toy_batch()
    batch["bases"][0, :4] = 4
    losses = network.training_losses(batch)
    logits, quantised = network(batch["tokens"])
    known = batch["bases"] < 4
    chances = logits.softmax(-1)[known]
    wanted = torch.nn.functional.one_hot(batch["bases"][known], 4).float()
    entropy = torch.nn.functional.cross_entropy(logits[known], batch["bases"][known])
    expected = entropy + 0.5 * torch.nn.functional.mse_loss(chances, wanted) + 0.25 * quantised.commitment
    assert float(losses["weight"]) == known.sum()
    assert math.isclose(float((losses["sum"] / losses["weight"]).detach()), float(expected.detach()), rel_tol=1e-5)


def test_positions_matter():
    network = toy_network().eval()
    tokens = toy_batch(rows=2)["tokens"]
    with torch.no_grad():
        # Whole slots change places: without positions the vectors would only change places, too.
        order = torch.randperm(8, generator=torch.Generator().manual_seed(1))
        turned = tokens.unflatten(1, (8, 2))[:, order].flatten(1)
        assert not torch.allclose(network.encode(turned), network.encode(tokens)[:, order], atol=1e-4)
        network.encoder.positions.zero_()
        assert torch.allclose(network.encode(turned), network.encode(tokens)[:, order], atol=1e-4)
        logits = network.decode(network.encode(tokens))
        assert not torch.allclose(network.decode(network.encode(tokens)[:, order]),
                                  logits.unflatten(1, (8, 2))[:, order].flatten(1, 2), atol=1e-4)  # fmt: skip


def test_a_code_sees_its_block_once_layers_have_learned():
    network, tokens = toy_network().eval(), toy_batch(rows=1)["tokens"]
    torch.nn.init.normal_(network.encoder.layers.layers[0].self_attn.out_proj.weight)
    changed = tokens.clone()
    changed[0, 15] = (changed[0, 15] + 1) % 4
    with torch.no_grad():
        assert not torch.allclose(network.encode(tokens)[0, 0], network.encode(changed)[0, 0])


@pytest.mark.parametrize(
    ("changes", "tokens"),
    [
        ({"encoding": "base_2k"}, 8),
        ({"encoding": "base_2k", "overlapping": True}, 16),
        ({"encoding": "base_4k", "bases_per_code": 4}, 4),
        ({"groups": 2, "codebook_size": 4}, 16),
    ],
)
def test_every_encoding_gives_codes_and_bases(changes, tokens):
    config = dataclasses.replace(SMALL, **changes)
    network, batch = toy_network(config), toy_batch(config, rows=3)
    assert batch["tokens"].shape == (3, tokens)
    logits, quantised = network(batch["tokens"])
    assert logits.shape == (3, 16, 4)
    assert quantised.codes.shape == (3, 16 // config.bases_per_code, config.groups)
    assert torch.equal(network.eval().codes(batch["tokens"]), network(batch["tokens"])[1].codes)


def test_codes_under_autocast_are_those_of_training():
    network, batch = toy_network().eval(), toy_batch(rows=64)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(network.codes(batch["tokens"]), network(batch["tokens"])[1].codes)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"block_size": 17}, "block_size: 17 is no multiple of bases_per_code"),
        ({"heads": 3}, "width: 16 is no multiple of heads"),
        ({"encoding": "base_3k"}, "bases_per_code: 2 is no multiple of the 3 bases"),
        ({"encoding": "base_9k"}, "encoding: found 'base_9k'"),
        ({"codebook_size": 1}, "codebook_size: found 1, allowed: 2 to 65536"),
        ({"codebook_size": 65_537}, "codebook_size: found 65537, allowed: 2 to 65536"),
        ({"decay": 1.0}, "decay: found 1.0"),
        ({"layers": 0}, "layers: found 0"),
        ({"layers": 10**12}, "layers: found 1000000000000, allowed: 1 to 1000"),
        ({"feed_forward": 10**60}, "feed_forward: found 10{39}, allowed: 1 to 1000000"),
    ],
)
def test_shapes_that_make_no_network(changes, problem):
    with pytest.raises(InputError, match=problem):
        dataclasses.replace(SMALL, **changes)


def test_bits_per_base_and_parameters():
    assert VqConfig().bits_per_base == 2.0
    assert dataclasses.replace(SMALL, groups=2).bits_per_base == 4.0
    network = VqTransformer(SMALL)
    assert parameter_count(network) == sum(p.numel() for p in network.parameters()) + 16 * 8


def test_a_network_comes_back_from_disk(tmp_path):
    network, batch = toy_network().eval(), toy_batch()
    save_network(network, tmp_path)
    back = load_network(tmp_path)
    assert torch.equal(back(batch["tokens"])[0], network(batch["tokens"])[0])
    (tmp_path / "config.json").write_text("{}x")
    with pytest.raises(InputError, match="no network of this study"):
        load_network(tmp_path)


# -------------------------------------------------------------------- the quantiser


def test_codes_are_the_nearest_vectors_and_gradients_go_straight_through():
    quantiser = VectorQuantiser(3, 2).eval()
    quantiser.codebook.copy_(torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]]))
    inputs = torch.tensor([[0.9, 0.2], [0.1, 1.5]], requires_grad=True)
    found = quantiser(inputs)
    assert found.codes.tolist() == [[1], [2]]
    assert torch.allclose(found.vectors, torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    assert math.isclose(float(found.commitment.detach()), (0.01 + 0.04 + 0.01 + 0.25) / 4, rel_tol=1e-5)
    (found.vectors * torch.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    assert torch.allclose(inputs.grad, torch.tensor([[1.0, 2.0], [3.0, 4.0]]))


def test_groups_are_quantised_apart():
    quantiser = VectorQuantiser(2, 2, groups=2).eval()
    quantiser.codebook.copy_(torch.tensor([[[0.0], [1.0]], [[5.0], [7.0]]]))
    found = quantiser(torch.tensor([[0.8, 5.1], [0.1, 9.0]]))
    assert found.codes.tolist() == [[1, 0], [0, 1]]
    assert found.vectors.tolist() == [[1.0, 5.0], [0.0, 7.0]]
    assert quantiser.vectors(found.codes).tolist() == found.vectors.tolist()


def test_a_moving_average_by_hand():
    quantiser = VectorQuantiser(2, 1, decay=0.5, restart_below=0.0)
    quantiser.codebook.copy_(torch.tensor([[[0.0], [10.0]]]))
    quantiser.sums.copy_(quantiser.codebook)
    quantiser(torch.tensor([[1.0], [2.0], [3.0], [8.0]]))
    # Counts 3 and 1 are 1.5 and .5 in units of the mean; sums 6 and 8 are 3 and 4; half-way from 1, 1 and 0, 10.
    assert torch.allclose(quantiser.counts, torch.tensor([[1.25, 0.75]]))
    assert torch.allclose(quantiser.codebook, torch.tensor([[[1.5 / 1.25], [7.0 / 0.75]]]))


@pytest.mark.parametrize(("vectors", "kept"), [(4, 0.9), (400, 0.9), (2, math.sqrt(0.9)), (1, 0.9**0.25), (0, 1.0)])
def test_a_batch_of_few_vectors_for_each_code_forgets_less(vectors, kept):
    assert math.isclose(float(batch_decay(0.9, torch.tensor([float(vectors)]), size=8)), kept, rel_tol=1e-6)


def test_averages_depend_on_the_vectors_and_not_on_how_they_are_cut_into_batches():
    """One batch of 4, and four of 1, of a codebook of 8: both keep the decay."""
    vectors = torch.arange(4.0)[:, None]
    found = []
    for batches in (vectors[None], vectors.reshape(4, 1, 1)):
        quantiser = VectorQuantiser(8, 1, decay=0.9, restart_below=0.0)
        quantiser.codebook.copy_(torch.arange(8.0)[None, :, None])
        quantiser.sums.copy_(quantiser.codebook)
        quantiser.counts.fill_(2.0)  # of codes that were used more, or the mean would stay whatever is forgotten
        for batch in batches:
            quantiser(batch)
        found.append(quantiser.counts.mean())
    assert math.isclose(found[0], 0.9 * 2 + 0.1, rel_tol=1e-6)
    assert math.isclose(found[1], found[0], rel_tol=1e-6)


def test_all_codes_of_a_large_codebook_stay_alive_in_small_batches():
    """4,096 codes and batches of 192 vectors, as at the point 8x4096 with the default batch."""
    torch.manual_seed(0)
    places = torch.randn(4096, 8) * 10
    quantiser = VectorQuantiser(4096, 8, decay=0.9)
    quantiser.codebook.copy_(places)
    quantiser.sums.copy_(places)
    for _ in range(150):
        quantiser(places[torch.randint(4096, (192,))])
    assert int(quantiser.restarts) == 0
    assert nearest(places, quantiser.codebook[0]).unique().numel() == 4096


def test_dead_codes_move_to_where_the_error_is():
    torch.manual_seed(0)
    quantiser = VectorQuantiser(3, 1, decay=0.5, restart_below=0.1)
    quantiser.codebook.copy_(torch.tensor([[[0.0], [4.0], [100.0]]]))
    quantiser.sums.copy_(quantiser.codebook)
    inputs = torch.tensor([[0.0]] * 50 + [[4.0]] * 40 + [[5.0]] * 10)
    for _ in range(12):
        quantiser(inputs)
    assert int(quantiser.restarts) >= 1
    assert torch.allclose(quantiser.codebook.flatten().sort().values, torch.tensor([0.0, 4.0, 5.0]), atol=0.1)


def test_the_nearest_centres_are_found_in_pieces(monkeypatch):
    points, centres = torch.randn(50, 3), torch.randn(7, 3)
    expected = torch.cdist(points, centres).argmin(1)
    for at_once in (1, 7, 30, 1000):
        monkeypatch.setattr("genet5.studies.vq_transformer.quantiser.DISTANCES_AT_ONCE", at_once)
        assert torch.equal(nearest(points, centres), expected)


def test_no_table_of_distances_is_larger_than_256_mb():
    sizes = []

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            made = func(*args, **(kwargs or {}))
            sizes.extend(each.nbytes for each in (made if isinstance(made, (list, tuple)) else [made]))
            return made

    points, centres = (torch.empty(number, 8, device="meta") for number in (20 * 16_384, 16_384))
    with Recorder():
        assert nearest(points, centres).shape == (20 * 16_384,)
    assert max(sizes) <= 2**28


def test_kmeans_finds_clusters_even_when_they_are_as_many_as_centres():
    torch.manual_seed(0)
    truth = torch.randn(30, 4) * 10
    points = truth.repeat(20, 1) + torch.randn(600, 4) * 0.01
    centres, counts = kmeans(points, 30)
    assert nearest(truth, centres).unique().numel() == 30
    assert counts.tolist() == [20.0] * 30
    few, _ = kmeans(points[:3], 8)
    assert torch.isfinite(few).all()
