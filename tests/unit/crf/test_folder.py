"""A CRF on disk: saved and loaded by itself, whole or not at all, and every damage is one line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_bacterium import chromosome, toy_crf, write_crf, write_model

from genet5.clades import read_clades
from genet5.crf.config import crf_config
from genet5.crf.folder import load_crf, save_crf
from genet5.crf.window_decoder import WindowDecoder
from genet5.errors import InputError
from genet5.files import file_sha256

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def failure(folder: Path) -> str:
    """The one line that loading ends with."""
    with pytest.raises(InputError) as error:
        load_crf(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


# ---------------------------------------------------------------- saved and loaded


@pytest.mark.parametrize("networks", [1, 3])
def test_a_crf_is_read_back_as_it_was(networks: int, tmp_path: Path) -> None:
    crf = toy_crf(5, num_networks=networks)
    save_crf(crf, tmp_path)
    found = load_crf(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [CONFIG, WEIGHTS]
    assert found.config == crf.config and not found.training and len(found.networks) == networks
    assert found.state_dict().keys() == crf.state_dict().keys()
    assert all(torch.equal(tensor, found.state_dict()[name]) for name, tensor in crf.state_dict().items())


def test_a_folder_is_the_same_bytes_whenever_it_is_written(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_crf(toy_crf(5), tmp_path / name)
    for file in (CONFIG, WEIGHTS):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_loading_draws_nothing_from_the_random_state(tmp_path: Path) -> None:
    write_crf(tmp_path)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load_crf(tmp_path)
    assert torch.equal(torch.rand(1), expected)


def test_saving_and_loading_needs_neither_tokenizer_nor_language_model(tmp_path: Path) -> None:
    script = f"""
import sys
from genet5.crf.config import CrfConfig
from genet5.crf.folder import load_crf, save_crf
from genet5.crf.model import make_crf
save_crf(make_crf(CrfConfig(stem_channels=16), seed=1), {str(tmp_path)!r})
load_crf({str(tmp_path)!r})
print(*sorted(sys.modules), sep="\\n")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=python_path())
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "genet5.crf.folder" in loaded
    assert not {"transformers", "tokenizers", "lightning", "genet5.tokens", "genet5.writer"} & loaded


def python_path() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(path for path in sys.path if path), "OMP_NUM_THREADS": "1"}


def test_half_precision_is_half_as_large_and_finds_the_same_genes(tmp_path: Path) -> None:
    crf = toy_crf(2)
    with torch.no_grad():
        crf.networks[0].gene_penalty.fill_(-3.0)  # or a fresh network would find no genes
    save_crf(crf, tmp_path / "full")
    save_crf(crf, tmp_path / "half", torch.float16)
    stored = load_file(tmp_path / "half" / WEIGHTS)
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    sizes = [(tmp_path / name / WEIGHTS).stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.6 * sizes[1]
    halved = load_crf(tmp_path / "half")
    assert {tensor.dtype for tensor in halved.state_dict().values()} == {torch.float32}
    assert crf.networks[0].gene_penalty.dtype == torch.float32  # saving changes nothing
    rules, windows = read_clades()["bacteria"].gene_rules(11), [chromosome()[:3000]]
    whole, rounded = (WindowDecoder(one, rules).decode(windows)[0] for one in (crf, halved))
    assert whole and [scored.gene for scored in whole] == [scored.gene for scored in rounded]


def test_a_folder_that_is_there_is_replaced(tmp_path: Path) -> None:
    for seed, channels in ((1, 16), (2, 24)):
        save_crf(toy_crf(seed, stem_channels=channels), tmp_path)
    assert load_crf(tmp_path).config.stem_channels == 24
    assert len(list(tmp_path.iterdir())) == 2


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/crf: cannot write the model here: Not a directory$"):
        save_crf(toy_crf(), tmp_path / "file/crf")


# ---------------------------------------------------------------- killed while it saves


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_killed_save_leaves_no_weights(call: str, tmp_path: Path) -> None:
    """The process dies at the second file's call: over a CRF that was there, neither old nor new weights are left."""
    write_crf(tmp_path, seed=1)
    script = f"""
import os, signal
from toy_bacterium import toy_crf
from genet5.crf.folder import save_crf
crf, calls, plain = toy_crf(2, stem_channels=24), [], os.{call}
def deadly(*arguments):
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(*arguments)
os.{call} = deadly
save_crf(crf, {str(tmp_path)!r})
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=python_path())
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / WEIGHTS).exists()
    assert failure(tmp_path) == f"{tmp_path / WEIGHTS}: no such file, a CRF's folder has {CONFIG} and {WEIGHTS}"
    save_crf(toy_crf(2, stem_channels=24), tmp_path)  # the next one succeeds
    assert load_crf(tmp_path).config.stem_channels == 24


# ---------------------------------------------------------------- damaged


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_crf(tmp_path / "crf")


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_missing_file_is_one_line(name: str, folder: Path) -> None:
    (folder / name).unlink()
    assert failure(folder) == f"{folder / name}: no such file, a CRF's folder has {CONFIG} and {WEIGHTS}"


def test_a_missing_a_left_over_and_a_misshapen_tensor_are_one_line(folder: Path) -> None:
    path = folder / WEIGHTS
    whole = load_file(path)
    name = "networks.0.class_head.weight"
    save_file({key: tensor for key, tensor in whole.items() if key != name}, path)
    assert failure(folder) == (f"{path}: no tensor {name} (1 missing, 0 unknown); its config.json is of another model")
    save_file({**whole, "networks.1.gene_penalty": torch.zeros(())}, path)
    assert failure(folder) == (
        f"{path}: unknown tensor networks.1.gene_penalty (0 missing, 1 unknown); its config.json is of another model"
    )
    save_file({**whole, name: torch.zeros(5, 24)}, path)
    assert failure(folder) == f"{path}: {name} has shape (5, 24), config.json asks for (5, 16)"


@pytest.mark.parametrize("damage", ["cut", "empty", "text"])
def test_a_damaged_file_of_weights_is_one_line(damage: str, folder: Path) -> None:
    path = folder / WEIGHTS
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"no weights at all"}[damage])
    assert failure(folder).startswith(f"{path}: not a safetensors file (")


def test_another_kind_of_model_is_named(folder: Path, tmp_path: Path) -> None:
    writer = write_model(tmp_path / "writer")
    assert failure(writer) == f"{writer / CONFIG}: model_type 'genet5', must be 'genet5_crf'"
    change_config(folder, model_type=None)
    assert failure(folder) == f"{folder / CONFIG}: model_type None, must be 'genet5_crf'"


def change_config(folder: Path, **changed: object) -> None:
    content = json.loads((folder / CONFIG).read_text()) | changed
    kept = {key: value for key, value in content.items() if value is not None}
    (folder / CONFIG).write_text(json.dumps(kept))


def test_a_config_of_another_version_is_one_line(folder: Path) -> None:
    path = folder / CONFIG
    change_config(folder, num_readers=2)
    assert failure(folder).startswith(f"{path}: unknown option 'num_readers'")
    for text, message in (("{", "not JSON ("), ("[]", "holds a list, expected a JSON object")):
        path.write_text(text)
        assert failure(folder).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stem_channels": "wide"}, "stem_channels: found text 'wide', expected a whole number"),
        ({"stem_channels": 0}, "stem_channels: found 0, allowed: at least 1"),
        ({"num_networks": 0}, "num_networks: found 0, allowed: at least 1"),
        ({"stem_dilations": [1, "x"]}, "stem_dilations: found text 'x', expected a whole number"),
        ({"stem_dilations": []}, "stem_dilations: it is empty"),
        ({"stem_dropout": 2.0}, "stem_dropout: found 2.0, allowed: at least 0 and less than 1"),
    ],
)
def test_a_shape_that_no_network_has_is_one_line(changed: dict, message: str, folder: Path) -> None:
    change_config(folder, **changed)
    assert failure(folder) == f"{folder / CONFIG}: {message}"
    with pytest.raises(InputError) as error:
        crf_config("demo", changed)
    assert str(error.value) == f"config key crf.overrides: {message}"


def test_the_folder_may_be_copied_anywhere(folder: Path, tmp_path: Path) -> None:
    moved = folder.rename(tmp_path / "elsewhere")
    assert file_sha256(moved / WEIGHTS) and load_crf(moved).config == toy_crf().config
