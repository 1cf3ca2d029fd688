"""``compile: true`` in the training of the CRF, in SFT and in GRPO: one graph for the network, and the same results.

The graphs are run by PyTorch itself (backend ``eager``). ``benchmarks/compile.py`` makes code of them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpo_toy
import pytest
import torch
import torch._inductor.config
from model_toy import SHAPES, TOKENIZER, toy_batch, toy_model
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter
from torch._dynamo.utils import counters
from toy_bacterium import CRF_SHAPE, ToyRun, toy_crf, write_run

from genet5.bake.crops import crop
from genet5.bake.manifest import shard_paths
from genet5.bake.shards import ShardSet
from genet5.clades import read_clades
from genet5.crf.data import CrfData
from genet5.crf.options import CrfOptions
from genet5.crf.training import CrfTraining, run_crf_training
from genet5.errors import InputError
from genet5.training import compiling
from genet5.training.run import Run
from genet5.training.trainable import Trainable, TrainableModule
from genet5.writer.building import save_model
from genet5.writer.options import SftOptions
from genet5.writer.sft import run_sft

CLOCK = {"timestamp", "elapsed_s", "tokens_per_s", "eta_s", "eval_s", "ram_used_gb"}


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Iterator[CompileCounter]:
    """Counts the graphs that are compiled."""
    torch._dynamo.reset()
    counters.clear()
    found = CompileCounter()
    monkeypatch.setattr(compiling, "BACKEND", found)
    yield found
    torch._dynamo.reset()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ToyRun:
    return write_run(tmp_path_factory.mktemp("toy") / "run")


def gradients(model: Trainable, batch: Any) -> dict[str, Tensor]:
    """The loss and its gradients; the seed is the same in each call."""
    model.zero_grad()
    torch.manual_seed(3)
    loss = model.training_losses(batch)["sum"]
    loss.backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return found | {"loss": loss.detach()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor], rtol: float = 1e-5) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=rtol, atol=rtol / 10)


# ---------------------------------------------------------------- one graph


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable. is deprecated:FutureWarning")
@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_compiled_writers_have_one_graph_a_pass_and_the_same_gradients(
    shape: dict[str, Any], recompute: bool, counter: CompileCounter
) -> None:
    # Recomputed dropout is PyTorch's business, which the backend of this test leaves out; see the next one.
    plain, compiled = (toy_model(dropout=0.0 if recompute else 0.2, **shape).train() for _ in range(2))
    names = list(compiled.state_dict())
    for model in (plain, compiled):
        if recompute:
            model.recompute_activations()
    compiled.compile_network()
    assert list(compiled.state_dict()) == names
    passes = 1 if recompute else 2  # prompts, then sequences behind the cache
    graphs = []
    for sizes in ((300, 300), (300, 240), (360, 420, 420), (300, 180, 180), (240, 390)):
        batch = toy_batch(sizes, seed=len(sizes))
        assert_same(*(gradients(model, batch) for model in (plain, compiled)))
        graphs.append(counter.frame_count)
    assert graphs[0] == passes
    assert graphs[-1] <= 5 * passes, "lengths that change become variables of a few graphs"
    assert not counters["graph_break"]


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable. is deprecated:FutureWarning")
def test_compiled_dropout_is_the_same_when_it_is_recomputed(counter: CompileCounter, monkeypatch) -> None:
    monkeypatch.setattr(compiling, "BACKEND", "aot_eager")
    batch, found = toy_batch((300, 240)), []
    for compile_it in (False, True):
        model = toy_model(dropout=0.2).train()
        model.recompute_activations()
        if compile_it:
            model.compile_network()
        found.append(gradients(model, batch))
    assert_same(*found)


@pytest.mark.slow
def test_compiled_crf_networks_are_one_graph_with_the_same_gradients(run: ToyRun, counter: CompileCounter) -> None:
    with ShardSet(shard_paths(run.manifest, "train")) as shards:
        data = CrfData(shards, read_clades())
        read = [shards.read(index) for index in range(8)]
        batches = []
        for cut, numbers in zip((0, 30, 300, 7), ((0, 1), (2, 3), (4, 5, 6), (7, 0)), strict=True):
            cores = [(read[number], *read[number].core) for number in numbers]
            batches.append(data.batch([crop(sample, low, high - cut) for sample, low, high in cores]))
    plain, compiled = (
        CrfTraining(toy_crf(stem_dropout=0.0), CrfOptions(size="demo", overrides=CRF_SHAPE)).train() for _ in range(2)
    )
    names = list(compiled.state_dict())
    compiled.compile_network()
    assert list(compiled.state_dict()) == names
    graphs = []
    for batch in batches:
        # The plain network sums over bases in float64, and over the places of sites alone.
        assert_same(*(gradients(model, batch) for model in (plain, compiled)), rtol=1e-3)
        graphs.append(counter.frame_count)
    assert graphs[0] == 1 and graphs[-1] <= 3
    assert not counters["graph_break"]


def test_passes_without_gradients_leave_compiled_writers_alone(counter: CompileCounter) -> None:
    model, batch = toy_model().train(), toy_batch((200, 150))
    model.compile_network()
    with torch.no_grad():
        model.training_losses(batch)
        assert counter.frame_count == 0
    model.training_losses(batch)
    assert counter.frame_count > 0


class Squares(TrainableModule):
    """A model of a study."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def training_losses(self, batch: Tensor) -> dict[str, Tensor]:
        return {"sum": (batch * self.weight).square().sum(), "weight": torch.tensor(1.0)}


def test_other_models_are_compiled_with_their_loss(counter: CompileCounter) -> None:
    model = Squares()
    model.compile_network()
    assert float(model.training_losses(torch.arange(3.0))["sum"].detach()) == 5.0
    assert counter.frame_count == 1 and list(model.state_dict()) == ["weight"]


# ---------------------------------------------------------------- whole trainings


def log(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return [{k: v for k, v in row.items() if k not in CLOCK} for row in csv.DictReader(stream)]


def assert_same_logs(one: Path, other: Path) -> None:
    rows = [log(folder) for folder in (one, other)]
    assert len(rows[0]) == len(rows[1]) > 1
    for first, second in zip(*rows, strict=True):
        for name, value in first.items():
            if value:
                assert float(second[name]) == pytest.approx(float(value), rel=1e-4, abs=1e-6), name


def crf_run(run: ToyRun, folder: Path, **options: Any) -> Path:
    # In a compiled network dropout takes other elements.
    defaults = {
        "size": "demo",
        "overrides": CRF_SHAPE | {"stem_dropout": 0.0},
        "max_steps": 3,
        "eval_steps": 2,
        "log_every": 1,
    }
    options = CrfOptions(**defaults | {"hexamer_windows": 5, "precision": "fp32", **options})
    run_crf_training([run.manifest], run.baked / "validation.tar", read_clades(), options, folder)
    return folder


def sft_run(run: ToyRun, folder: Path, **options: Any) -> Path:
    defaults = {
        "max_steps": 4,
        "eval_steps": 2,
        "log_every": 1,
        "max_batch_size": 2,
        "windows_per_step": 4,
        "save_steps": 2,
    }
    options = SftOptions(**defaults | {"precision": "fp32", "early_stopping": 0, "lr": 1e-3, **options})
    tars = (run.baked / "validation.tar", run.baked / "eval.json")
    run_sft(run.model, [run.manifest], *tars, read_clades(), options, folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("train", [crf_run, sft_run], ids=["crf", "sft"])
def test_a_compiled_training_has_the_log_of_a_plain_one(
    train: Callable[..., Path], run: ToyRun, tmp_path: Path, counter: CompileCounter
) -> None:
    plain = train(run, tmp_path / "plain")
    assert counter.frame_count == 0
    compiled = train(run, tmp_path / "compiled", compile=True)
    assert counter.frame_count > 0 and not counters["graph_break"]
    for name in ("training_log.csv", "eval_log.csv"):
        assert_same_logs(plain / name, compiled / name)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_compiled_reinforcement_learning_has_the_log_of_a_plain_one(
    precision: str, tmp_path: Path, counter: CompileCounter
) -> None:
    inputs = grpo_toy.write_inputs(tmp_path / "inputs", num_experts=3)
    options = {"max_steps": 3, "updates_per_rollout": 2, "precision": precision}
    for compile_it in (False, True):
        grpo_toy.run_toy(inputs, tmp_path / str(compile_it), options | {"compile": compile_it})
        assert (counter.frame_count > 0) == compile_it
    assert not counters["graph_break"]
    plain, compiled = (grpo_toy.rows(tmp_path / name / "grpo_log.csv") for name in ("False", "True"))
    for column in ("reward_mean", "completion_tokens", "kl", "policy_loss", "grad_norm", "router_loss"):
        found = grpo_toy.numbers(compiled, column)
        assert found == pytest.approx(grpo_toy.numbers(plain, column), rel=1e-4, abs=1e-6), column


@pytest.mark.slow
def test_a_compiled_run_resumes_exactly(
    run: ToyRun, tmp_path: Path, counter: CompileCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sft_run(run, tmp_path / "whole", compile=True)
    advance = Run._advance

    def die_after_three(self: Run, seconds: float) -> None:
        advance(self, seconds)
        if self.state.step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Run, "_advance", die_after_three)
        with pytest.raises(KeyboardInterrupt):
            sft_run(run, tmp_path / "cut", compile=True)
    torch._dynamo.reset()
    cut = sft_run(run, tmp_path / "cut", compile=True)
    assert log(whole / "training_log.csv") == log(cut / "training_log.csv")
    assert (whole / "model.safetensors").read_bytes() == (cut / "model.safetensors").read_bytes()


def test_compile_without_a_cpp_compiler_is_one_line(
    run: ToyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("no-such-compiler",))
    with pytest.raises(InputError, match=r"^compile: found true, but there is no C\+\+ compiler here; install one"):
        crf_run(run, tmp_path / "crf", compile=True)


def test_a_compiled_model_is_stored_as_any(tmp_path: Path, counter: CompileCounter) -> None:
    model = toy_model()
    model.compile_network()
    save_model(model, TOKENIZER, tmp_path / "compiled")
    save_model(toy_model(), TOKENIZER, tmp_path / "plain")
    one, other = (tmp_path / name / "model.safetensors" for name in ("compiled", "plain"))
    assert one.read_bytes() == other.read_bytes()
