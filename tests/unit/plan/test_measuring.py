"""What a device is said to do in a second follows from the seconds that were measured."""

from __future__ import annotations

import pytest
import torch

from genet5.crf.config import crf_config
from genet5.crf.model import make_crf
from genet5.crf.options import CrfOptions
from genet5.crf.training import CrfTraining
from genet5.plan import measuring
from genet5.writer.cost import PASSES


def test_seconds_become_operations_and_seconds_of_a_base(default_config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of 5 s, of which the sum over chains took 3 s, read ``ROWS`` windows of ``WINDOW_BP``."""
    monkeypatch.setattr(measuring, "timed", lambda *_: 5.0)
    monkeypatch.setattr(measuring, "_chain_seconds", lambda *_: 3.0)
    monkeypatch.setattr(measuring, "_writer", lambda *_: (7e9, 0.25))
    bases = measuring.ROWS * measuring.WINDOW_BP
    found = measuring.measure(default_config, 1000.0, "cpu")
    assert found.crf_flops == pytest.approx(PASSES * 1000 * bases / 2)
    assert found.chain_s == pytest.approx(3 / bases)
    assert (found.writer_flops, found.token_s) == (7e9, 0.25)


def test_the_sums_over_chains_that_are_timed_are_those_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of windows without genes: the loss of their chains is that of training, and has a gradient to time."""
    shape = {"stem_channels": 8, "codon_channels": 8, "stretch_channels": 8, "site_channels": 8}
    crf = CrfTraining(make_crf(crf_config("demo", shape), 0), CrfOptions()).eval()
    batch = measuring.crf_batch(measuring.random_windows(2, 300))
    seen = []

    def timed(model, losses, device, precision) -> float:
        loss = losses()
        loss.backward()
        seen.append(float(loss.detach()))
        return 2.0

    monkeypatch.setattr(measuring, "timed", timed)
    assert measuring._chain_seconds(crf, batch) == 2.0
    with torch.no_grad():
        output = crf.network(batch.codes)
        strands = [
            measuring.chain_loss(
                output.potentials[:, row],
                output.site_potentials[:, row],
                crf.network.gene_penalty,
                batch.sites[:, row] > measuring.NOT_A_SITE,
                batch.chains[:, row],
                batch.lengths,
            ).loss.sum()
            for row in (0, 1)
        ]
    assert seen == [pytest.approx(float(sum(strands)), rel=1e-5)] and seen[0] > 0


def test_the_first_step_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compilation would be timed with it."""
    clock = iter([0.0, 90.0, 100.0, 101.0, 200.0, 203.0, 300.0, 302.0])
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(clock))
    model = torch.nn.Linear(1, 1)
    found = measuring.timed(model, lambda: model(torch.ones(1)).sum(), torch.device("cpu"), "fp32")
    assert found == 2.0 and next(clock, None) is None


def test_a_writers_step_counts_what_it_reads_and_what_it_writes(
    default_config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of one second: its operations are those of all tokens of prompt and completion."""
    batches, together = [], measuring.collate

    def collated(examples):
        batches.append(together(examples))
        return batches[-1]

    monkeypatch.setattr(measuring, "collate", collated)
    monkeypatch.setattr(measuring, "timed", lambda *_: 1.0)
    seen = []
    monkeypatch.setattr(measuring, "flops_per_token", lambda shape, tokens: seen.append(tokens) or 2.0)
    config = default_config | {"writer": default_config["writer"] | {"size": "demo"}}
    flops, token_s = measuring._writer(config, measuring.random_windows(1, 600), torch.device("cpu"))
    (batch,) = batches
    tokens = int(batch.prompts.prompt_lengths[0]) + int(batch.sequences.lengths[0])
    assert int(batch.prompts.prompt_lengths[0]) >= 100 and int(batch.sequences.lengths[0]) > 0
    assert seen == [tokens] and flops == 2.0 * tokens and token_s > 0


@pytest.mark.parametrize(("step_s", "written_s"), [(1e-9, 31.0), (6.0, 29.0), (90.0, 3.1)])
def test_a_token_of_a_deep_writer_takes_the_time_of_its_layers(
    step_s: float, written_s: float, default_config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of the layers are timed: one second before decoding and 31 after it. A third of a step read the prompt."""
    clock = iter([1.0, 32.0])
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(measuring, "timed", lambda *_: step_s)
    monkeypatch.setattr(measuring, "flops_per_token", lambda *_: 1.0)
    monkeypatch.setattr(measuring, "MOST_LAYERS", 2)
    batches, together = [], measuring.collate
    monkeypatch.setattr(measuring, "collate", lambda examples: batches.append(together(examples)) or batches[-1])
    shape = {"num_layers": 6, "hidden_size": 32, "num_heads": 2, "num_kv_heads": 1, "feed_forward_size": 32}
    config = default_config | {"writer": default_config["writer"] | {"size": "demo", "overrides": shape}}
    _, token_s = measuring._writer(config, measuring.random_windows(1, 600), torch.device("cpu"))
    assert token_s == pytest.approx(written_s / int(batches[0].sequences.lengths[0]) * 3)
