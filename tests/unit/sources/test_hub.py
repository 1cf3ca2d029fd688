"""What is fetched of a repository of the hub, and what is said where that cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from file_servers import Hub

from genet5.errors import InputError
from genet5.sources import hub as client
from genet5.sources.hub import hub_folder, is_hub_id

NEEDED = [("config.json",), ("model.safetensors", "pytorch_model.bin")]
WELCOME = ("tokenizer.json", "genet5_tokenizer.json")
FILES = {
    "config.json": b"{}",
    "pytorch_model.bin": b"weights",
    "tokenizer.json": b'{"of": "bases"}',
    "bert_layers.py": b"raise SystemExit('never run')",
    "README.md": b"a card",
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub(dict(FILES)) as started:
        started.meet(monkeypatch, tmp_path / "cache")
        yield started


def fetched(hub_id: str = "owner/model") -> Path:
    return hub_folder(hub_id, "key", NEEDED, WELCOME)


def refused(hub_id: str = "owner/model") -> str:
    with pytest.raises(InputError) as caught:
        fetched(hub_id)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_only_what_is_needed_is_fetched_and_once(hub: Hub) -> None:
    folder = fetched()
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "pytorch_model.bin", "tokenizer.json"]
    assert all((folder / path.name).read_bytes() == FILES[path.name] for path in folder.iterdir())
    assert fetched() == folder
    assert sorted(hub.sent) == ["config.json", "pytorch_model.bin", "tokenizer.json"]


def test_of_two_files_of_weights_the_safe_one_is_taken(hub: Hub) -> None:
    hub.files["model.safetensors"] = b"safe"
    assert sorted(path.name for path in fetched().iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]


def test_a_revision_can_be_pinned(hub: Hub) -> None:
    hub.version_2 = {"config.json": b"{}", "model.safetensors": b"later", "tokenizer.json": b"later"}
    folder = fetched("owner/model@v2")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert (folder / "tokenizer.json").read_bytes() == b"later"
    assert fetched(f"owner/model@{hub.commits['v2']}") == folder != fetched()
    assert "(it has no such revision)" in refused("owner/model@v3")


def test_a_repository_without_a_needed_file_is_named_with_it(hub: Hub) -> None:
    del hub.files["pytorch_model.bin"]
    assert refused() == "key: owner/model on the hub has no model.safetensors or pytorch_model.bin"
    assert hub.sent == []


ADVICE = (
    "; put config.json, tokenizer.json and pytorch_model.bin (or model.safetensors) into a folder, and name it in "
    "tokenizer.base and writer.init_from"
)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503, -1])
def test_a_hub_that_gives_nothing_is_one_line_with_the_remedy(
    status: int, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TIMEOUT_S", 0.2)
    hub.status = status
    message = refused()
    assert message.startswith("key: 'owner/model' is no path here, and not from the hub (")
    assert message.endswith(f"){ADVICE}")
    assert len(hub.asked) == 1, "nobody waits for a second and third answer"


def test_without_network_it_is_one_line_too(hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "(it has no such repository, or a private one); put" in refused("owner/other")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "(HF_HUB_OFFLINE is set); put" in refused()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with Hub({}) as gone:
        pass
    gone.meet(monkeypatch, tmp_path / "other")
    assert "(ConnectError: " in refused() and refused().endswith(ADVICE)


def test_an_earlier_download_is_used_without_network_and_said(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    folder = fetched()
    capsys.readouterr()
    for status, offline, reason in ((503, False, "503"), (0, True, "HF_HUB_OFFLINE is set")):
        hub.status = status
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
        assert fetched() == folder
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("owner/model: ") and reason in line and line.endswith(str(folder))
        assert ADVICE in refused("owner/model@v2"), "of another revision there is no download"
    with pytest.raises(InputError):
        hub_folder("owner/model", "key", [*NEEDED, ("vocab.txt",)])


@pytest.mark.parametrize(
    ("text", "is_id"),
    [
        ("zhihan1996/DNABERT-2-117M", True),
        ("zhihan1996/DNABERT-2-117M@main", True),
        ("owner/model@refs/pr/1", True),
        ("model", False),
        ("owner/model/tokenizer.json", False),
        ("models/tokenizer.json", False),
        ("./models/dnabert", False),
        ("../dnabert", False),
        ("/owner/model", False),
        ("~/model", False),
        ("", False),
    ],
)
def test_what_reads_as_a_hub_id(text: str, is_id: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_hub_id(text) is is_id
    if is_id:
        (tmp_path / text).mkdir(parents=True)
        assert not is_hub_id(text), "a folder of this machine comes first"
