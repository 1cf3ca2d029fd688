"""Models: tokenizer, weights, calibration, adaptation, relatives, and the files of a training that may go on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import mutators
import torch
from reader import Reader, as_json, beside
from safetensors.torch import save

from genet5.adapt.adaptation import Adaptation, load_adaptation, save_adaptation
from genet5.adapt.relatives import FILE as RELATIVES_FILE
from genet5.adapt.relatives import load_relatives
from genet5.annotate.calibration_file import load_calibration
from genet5.crf.folder import load_weights, read_config
from genet5.files import resource
from genet5.tokens.tokenizer import SETTINGS_FILE, GeneTokenizer
from genet5.training.checkpoints import RunFolder, load_checkpoint
from genet5.training.state import TrainingState

FINGERPRINT = {"options": {"lr": 0.1, "seed": 1}, "inputs": {"manifest": "0" * 64}}


def model_readers(data: Path, folder: Path) -> dict[str, Reader]:
    save_adaptation(folder / "adaptation.npz", Adaptation.neutral())
    made = folder / "tokenizer"
    GeneTokenizer.build("char", segment_bp=20, max_window_bp=200).save(made)
    curve = {"slope": 1.0, "intercept": 0.0, "genes": 60, "exact": 30, "error_before": 0.1, "error_after": 0.1,
             "reason": ""}  # fmt: skip
    calibration = {"weights": "0" * 64, "decoders": {"viterbi": curve}, "regions": {"s": ["c:1-9"]}}
    model = resource("models") / "fungi"
    relatives = (resource("models") / "nematode" / RELATIVES_FILE).read_bytes()
    of_tokenizer = partial(beside, made, GeneTokenizer.load)
    return {
        "adaptation": Reader("a.npz", (folder / "adaptation.npz").read_bytes(), mutators.ARRAYS, load_adaptation),
        "relatives": Reader(RELATIVES_FILE, relatives, mutators.ARRAYS, load_relatives),
        "tokenizer settings": Reader(
            SETTINGS_FILE, (made / SETTINGS_FILE).read_bytes(), mutators.JSON, of_tokenizer
        ),
        "tokenizer": Reader("tokenizer.json", (made / "tokenizer.json").read_bytes(), mutators.JSON, of_tokenizer),
        "config of a model": Reader(
            "config.json", (model / "config.json").read_bytes(), mutators.JSON, lambda path: read_config(path.parent)
        ),
        "weights": Reader("model.safetensors", save(_network().state_dict()), mutators.BYTES, _read_weights),
        "calibration": Reader(
            "calibration.json",
            as_json(calibration),
            mutators.JSON,
            lambda path: load_calibration(path, path, "viterbi"),
        ),
        **_training(folder / "training"),
    }  # fmt: skip


def _network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Linear(3, 2)


def _read_weights(path: Path) -> None:
    load_weights(torch.nn.Linear(3, 2), path)


def _training(folder: Path) -> dict[str, Reader]:
    """The fingerprint and the result of a run, and its checkpoint."""
    network = _network()
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    run = RunFolder(folder)
    run.claim(FINGERPRINT)
    state = TrainingState(1, step=3, names=["loss"], sums=[0.5], metrics={"eval_loss": 0.4}, best_value=0.4)
    sound = run.save_checkpoint(3, network, optimizer, vars(state), 1)
    run.finish({"steps": 3, "stopped": "all steps", "metrics": {"eval_loss": 0.4}})
    run.release()

    def go_on(at: Path) -> None:
        fresh = torch.nn.Linear(3, 2)
        TrainingState.stored(load_checkpoint(at, fresh, torch.optim.AdamW(fresh.parameters())), str(at / "state.json"))

    def claim(path: Path) -> None:
        other = RunFolder(path.parent)
        try:
            other.claim(FINGERPRINT)
        finally:
            other.release()

    of_checkpoint = partial(beside, sound, go_on)
    return {
        "fingerprint": Reader(
            "fingerprint.json", (folder / "fingerprint.json").read_bytes(), mutators.JSON, claim
        ),
        "result of a training": Reader(
            "finished.json",
            (folder / "finished.json").read_bytes(),
            mutators.JSON,
            lambda path: RunFolder(path.parent).finished(),
        ),
        "state of a training": Reader(
            "state.json", (sound / "state.json").read_bytes(), mutators.JSON, of_checkpoint
        ),
        "optimizer": Reader(
            "optimizer.safetensors", (sound / "optimizer.safetensors").read_bytes(), mutators.BYTES, of_checkpoint
        ),
    }  # fmt: skip
