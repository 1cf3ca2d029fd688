"""The run's folder: lock, fingerprint, checkpoints that are complete or absent."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from toy_training import ToyModel, ToyOptions, toy_source

from genet5.errors import InputError
from genet5.training import checkpoints, runs, state
from genet5.training.checkpoints import RunFolder, load_checkpoint
from genet5.training.optimizer import build_optimizer
from genet5.training.state import TrainingState


def trained(steps: int = 2) -> tuple[ToyModel, torch.optim.Optimizer]:
    model = ToyModel()
    optimizer = build_optimizer(model, ToyOptions())
    source = toy_source(20, ToyOptions(token_budget=64))
    for batch in source.plan.batches(0)[:steps]:
        model.training_losses(source.make_batch(batch, 0, np.random.default_rng(0)))["sum"].backward()
        optimizer.step()
    return model, optimizer


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.claim({"lr": 0.1, "data": {"fly": "abc"}})
    yield folder
    folder.release()


def test_a_checkpoint_brings_model_and_optimizer_back_bit_for_bit(folder):
    model, optimizer = trained()
    path = folder.save_checkpoint(2, model, optimizer, {"step": 2, "loss": 0.1 + 0.2}, keep=2)
    other = ToyModel()
    other_optimizer = build_optimizer(other, ToyOptions())
    assert load_checkpoint(path, other, other_optimizer) == {"step": 2, "loss": 0.1 + 0.2}
    assert other.head.weight is other.embed.weight
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    for p, q in pairs:
        for key, value in optimizer.state[p].items():
            assert torch.equal(value, other_optimizer.state[q][key]), key
    assert sorted(p.name for p in path.iterdir()) == ["model.safetensors", "optimizer.safetensors", "state.json"]


def test_files_of_a_checkpoint_have_the_usual_permissions(folder):
    path = folder.save_checkpoint(1, *trained(), {}, keep=1)
    (path / "plain").touch()
    assert {p.stat().st_mode for p in path.iterdir()} == {(path / "plain").stat().st_mode}


def test_a_checkpoint_and_its_name_are_on_the_disk_before_it_counts(folder, monkeypatch):
    synced = []
    monkeypatch.setattr(checkpoints, "_sync", lambda path: synced.append((path.name, path.parent.name)))
    folder.save_checkpoint(1, *trained(), {}, keep=1)
    names = [name for name, parent in synced if parent.startswith(".checkpoint")]
    assert sorted(names) == ["model.safetensors", "optimizer.safetensors", "state.json"]
    assert (folder.path.name, folder.path.parent.name) in synced[4:]  # after the files and their folder


def test_the_newest_checkpoints_are_kept_and_latest_points_at_the_last(folder):
    model, optimizer = trained()
    for step in (8, 9, 10, 11):
        folder.save_checkpoint(step, model, optimizer, {}, keep=2)
    assert sorted(p.name for p in folder.path.glob("checkpoint_step_*")) == ["checkpoint_step_10", "checkpoint_step_11"]
    assert (folder.path / "checkpoint_latest").resolve().name == "checkpoint_step_11"
    assert folder.newest_checkpoint().name == "checkpoint_step_11"


def test_what_a_kill_left_half_written_is_never_read(folder):
    model, optimizer = trained()
    folder.save_checkpoint(3, model, optimizer, {}, keep=2)

    def killed(path):
        (path / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folder.save_folder("checkpoint_step_4", killed)
    assert folder.newest_checkpoint().name == "checkpoint_step_3"
    folder.release()
    again = RunFolder(folder.path)
    again.claim({"lr": 0.1, "data": {"fly": "abc"}})
    assert not list(folder.path.glob(".*.tmp"))
    again.release()


def test_a_folder_is_replaced_as_a_whole_or_kept(folder, monkeypatch):
    folder.save_folder("best", lambda path: (path / "old").touch())
    folder.save_folder("best", lambda path: (path / "new").touch())
    assert [p.name for p in (folder.path / "best").iterdir()] == ["new"]

    replace = os.replace

    def killed_between_the_renames(source, target):
        if str(source).endswith(".tmp"):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed_between_the_renames)
    with pytest.raises(KeyboardInterrupt):
        folder.save_folder("best", lambda path: (path / "newer").touch())
    monkeypatch.undo()
    folder.release()
    folder.claim({"lr": 0.1, "data": {"fly": "abc"}})
    assert [p.name for p in (folder.path / "best").iterdir()] == ["new"]
    (folder.path / ".best.old").mkdir()  # of a kill after both renames
    folder.release()
    folder.claim({"lr": 0.1, "data": {"fly": "abc"}})
    assert [p.name for p in (folder.path / "best").iterdir()] == ["new"] and not (folder.path / ".best.old").exists()


def test_a_second_process_is_refused(folder):
    with pytest.raises(InputError, match="another process is training here"):
        RunFolder(folder.path).claim({"lr": 0.1, "data": {"fly": "abc"}})


def test_other_settings_are_refused_by_name_and_restart_forgets_only_the_run(folder):
    (folder.path / "notes.txt").write_text("mine")
    folder.save_checkpoint(1, *trained(), {}, keep=1)
    folder.finish({"steps": 1})
    folder.release()
    with pytest.raises(InputError) as caught:
        RunFolder(folder.path).claim({"lr": 0.2, "data": {"fly": "abd"}})
    message = str(caught.value)
    assert "lr is 0.1 there, 0.2 here" in message
    assert 'data.fly is "abc" there, "abd" here' in message
    assert "--restart" in message
    assert "\n" not in message
    again = RunFolder(folder.path)
    again.claim({"lr": 0.2}, restart=True)
    assert again.newest_checkpoint() is None
    assert again.finished() is None
    assert (folder.path / "notes.txt").read_text() == "mine"
    again.release()


def test_numbers_of_a_state_are_those_that_fit_64_bits():
    assert all(map(state._is_number, (0, -1.5, 2**63 - 1, 1 - 2**63, float("inf"))))
    assert not any(map(state._is_number, (2**63, -(2**63), True, None, "1")))


@pytest.mark.parametrize("text", ['{"steps": 3}', '{"x": 1}'])
def test_a_result_of_something_else_is_one_line(tmp_path, text):
    folder = RunFolder(tmp_path)
    (tmp_path / "finished.json").write_text(text)
    with pytest.raises(InputError, match=r"finished\.json: no result of a training \(.*\); train anew with --restart"):
        runs._result(folder)


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000, '{"lr": ' + "9" * 5000 + "}", "\x00"])
def test_a_damaged_fingerprint_or_result_is_one_line(tmp_path, text):
    run = RunFolder(tmp_path)
    run.claim({"lr": 1})
    run.release()
    (tmp_path / "fingerprint.json").write_text(text)
    (tmp_path / "finished.json").write_text(text)
    with pytest.raises(InputError, match=r"fingerprint\.json: ") as caught:
        run.claim({"lr": 1})
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"finished\.json: "):
        run.finished()
    (tmp_path / "fingerprint.json").write_text('{"lr": 1}')
    run.claim({"lr": 1})  # the refused one let go of the lock
    run.release()


@pytest.mark.parametrize(
    "change",
    [{"step": "x"}, {"step": -1}, {"step": 10**40}, {"step": True}, {"names": [1]}, {"sums": ["x"]}, {"metrics": [1]},
     {"best_value": "x"}, {"elapsed_s": None}, {"unknown": 1}, {"group": None}],
)  # fmt: skip
def test_a_damaged_state_of_a_training_is_one_line(change):
    sound = vars(TrainingState(1, step=3, names=["loss"], sums=[0.5], metrics={"loss": None}, best_value=0.5))
    assert TrainingState.stored(sound, "state.json").step == 3
    with pytest.raises(InputError, match=r"^state\.json: .*; delete the checkpoint to use an older one$"):
        TrainingState.stored(sound | change, "state.json")
    del sound["group"]
    with pytest.raises(InputError, match=r"^state\.json: group is missing"):
        TrainingState.stored(sound, "state.json")


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_one_clear_line(folder, name):
    path = folder.save_checkpoint(5, *trained(), {}, keep=1)
    (path / name).write_bytes((path / name).read_bytes()[: 10 if name != "state.json" else 1])
    model = ToyModel()
    with pytest.raises(InputError, match="checkpoint_step_5: cannot resume from this") as caught:
        load_checkpoint(path, model, build_optimizer(model, ToyOptions()))
    assert "\n" not in str(caught.value)
