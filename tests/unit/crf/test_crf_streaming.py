"""The CRF on streamed shards: the samples of local training, exact resume, several processes, and plain mistakes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import patience
import pytest
import safetensors.torch
import torch
import toy_streaming
from folder_server import serve_folder
from patience import killed_at_rename
from toy_bacterium import CLADE, CODE, WINDOW_BP, ToyRun, write_genome, write_run
from toy_streaming import train

from genet5.bake.manifest import read_manifest, shard_paths
from genet5.bake.shards import ShardSet
from genet5.bake.species import SpeciesSource, bake_species
from genet5.bake.validation import merge_validation
from genet5.bake.windows import WindowRules
from genet5.clades import read_clades
from genet5.crf.data import CrfData, CrfWindows
from genet5.crf.folder import load_crf
from genet5.crf.options import CrfOptions
from genet5.errors import InputError
from genet5.genome.fasta import Genome
from genet5.genome.prodigal import SOURCE, label_genome
from genet5.genome.writing import write_gff3

pytestmark = pytest.mark.usefixtures("one_thread")

STREAM = {"reading": "stream", "shuffle_windows": 12}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> ToyRun:
    """Two species: 27 training windows of one in three shards, and 13 of another in two."""
    run = write_run(tmp_path_factory.mktemp("toy") / "run")
    raw = run.folder / "raw"
    raw.mkdir()
    write_genome(raw / "fna", start=2_000_000, length_bp=21_000, name="other")
    with Genome(raw / "fna") as opened:
        write_gff3(raw / "gff.gz", label_genome(opened, CODE), opened.lengths, source=SOURCE)
    source = SpeciesSource("T.iny", raw / "fna", raw / "gff.gz", CODE.table, CLADE, "train")
    other = bake_species(source, WindowRules(WINDOW_BP, WINDOW_BP // 2, flank_bp=300), 7, run.baked / "T.iny")
    merge_validation([run.manifest, other], 2, 1, run.baked)
    return run


@pytest.fixture(scope="module")
def url(whole: ToyRun) -> Iterator[str]:
    with serve_folder(whole.baked.parent) as (address, _):
        yield address


@pytest.fixture
def small(whole: ToyRun, tmp_path: Path) -> ToyRun:
    """The same run on a machine with a small disk: no training shards."""
    shutil.copytree(whole.folder, tmp_path / "small", ignore=shutil.ignore_patterns("train_*"))
    run = ToyRun(tmp_path / "small")
    assert run.manifest.is_file() and not list(run.baked.rglob("train_*"))
    return run


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the samples that are trained on, in order."""
    keys: list[str] = []
    plain = CrfWindows.shown

    def watched(self, samples, rng):
        keys.extend(sample.key for sample in samples)
        return plain(self, samples, rng)

    monkeypatch.setattr(CrfWindows, "shown", watched)
    return keys


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "final/model.safetensors")


def assert_same_weights(one: Path, two: Path) -> None:
    first, second = weights(one), weights(two)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def all_keys(run: ToyRun) -> Counter[str]:
    with ShardSet(
        [path for m in sorted(run.baked.glob("*/manifest.json")) for path in shard_paths(m, "train")]
    ) as all_:
        return Counter(all_.key(index) for index in range(len(all_)))


def message(run: ToyRun, output: Path, **options) -> str:
    with pytest.raises(InputError) as caught:
        train("crf", run, output, STREAM | options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_streamed_training_sees_the_samples_of_local_training_once_an_epoch(
    whole: ToyRun, small: ToyRun, url: str, tmp_path: Path, seen: list[str]
) -> None:
    train("crf", whole, tmp_path / "local", {"epochs": 2})
    local, number = list(seen), len(seen) // 2
    seen.clear()
    train("crf", small, tmp_path / "stream", STREAM | {"shards_url": f"{url}/{{run}}"})
    assert number > 35 and len(seen) == len(local)
    for keys in (local[:number], local[number:], seen[:number], seen[number:]):
        assert Counter(keys) == all_keys(whole)
    assert seen[:number] not in (seen[number:], sorted(seen[:number]))
    steps = [json.loads((tmp_path / name / "finished.json").read_text())["steps"] for name in ("local", "stream")]
    assert steps == [2 * number, 2 * number]
    assert "shards_url | " not in (tmp_path / "stream/README.md").read_text()


@pytest.mark.parametrize("step", [5, 29])
def test_a_stopped_stream_goes_on_to_the_same_weights(
    step: int, small: ToyRun, whole: ToyRun, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another number of workers, and from another address, too."""
    options = STREAM | {"shards_url": f"{url}/toy", "max_batch_size": 2, "windows_per_step": 2}
    train("crf", small, tmp_path / "unbroken", options)
    plain, steps = CrfWindows.shown, iter(range(1, 10**6))

    def stopped(self, samples, rng):
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(self, samples, rng)

    monkeypatch.setattr(CrfWindows, "shown", stopped)
    with pytest.raises(SystemExit):
        train("crf", small, tmp_path / "broken", options)
    monkeypatch.setattr(CrfWindows, "shown", plain)
    assert not (tmp_path / "broken/finished.json").exists()
    piped = f"pipe:cat {whole.baked}/{{species}}/{{shard}}"
    train("crf", small, tmp_path / "broken", options | {"shards_url": piped, "num_workers": 2})
    assert_same_weights(tmp_path / "unbroken", tmp_path / "broken")


@pytest.mark.slow
def test_two_processes_split_the_shards_and_a_kill_changes_nothing(
    small: ToyRun, whole: ToyRun, url: str, tmp_path: Path
) -> None:
    changed = {"shards_url": f"{url}/toy", "hexamer_windows": 8, "num_workers": 1, "windows_per_step": 2}
    options = json.dumps(STREAM | changed)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def run(name: str, env: dict[str, str]):
        words = [sys.executable, toy_streaming.__file__, "crf", small.folder, tmp_path / name, options]
        return patience.run([*words, "--processes", "2"], env=env)

    done = run("unbroken", environment)
    assert done.stdout.splitlines()[-1] == "[0, 0]", done.stdout
    parts = [(tmp_path / f"unbroken-keys-{rank}.txt").read_text().split() for rank in (0, 1)]
    keys = all_keys(whole)
    assert Counter(parts[0]) + Counter(parts[1]) == keys + keys
    assert not set(parts[0]) & set(parts[1]) and min(map(len, parts)) > 0.6 * max(map(len, parts))
    dead = run("killed", killed_at_rename("checkpoint_step_12", environment))
    assert dead.returncode == -signal.SIGKILL, dead.stdout
    assert (tmp_path / "killed/checkpoint_step_12").is_dir() and not (tmp_path / "killed/finished.json").exists()
    done = run("killed", environment)
    assert "resumed at step 12 of" in done.stdout and done.stdout.splitlines()[-1] == "[0, 0]", done.stdout
    assert_same_weights(tmp_path / "unbroken", tmp_path / "killed")


@pytest.mark.slow
def test_a_stream_goes_on_with_another_number_of_processes(small: ToyRun, whole: ToyRun, tmp_path: Path) -> None:
    """Each process takes the batches that are its own from the readers that the run began with."""
    options = STREAM | {"shards_url": str(whole.baked), "windows_per_step": 2, "save_steps": 12, "hexamer_windows": 8}
    options |= {"keep_checkpoints": 9}

    def run(name: str, processes: int, **changed) -> str:
        words = [sys.executable, toy_streaming.__file__, "crf", small.folder, tmp_path / name]
        return patience.run([*words, json.dumps(options | changed), "--processes", str(processes)]).stdout

    for first, then in ((2, 1), (1, 2)):
        unbroken, changed = f"by_{first}", f"by_{first}_then_{then}"
        run(unbroken, first)
        shutil.copytree(tmp_path / unbroken, tmp_path / changed)
        (tmp_path / changed / "finished.json").unlink()
        for path in (tmp_path / changed).glob("checkpoint_*"):
            if path.name != "checkpoint_step_12":
                path.unlink() if path.is_symlink() else shutil.rmtree(path)
        shutil.rmtree(tmp_path / changed / "final")
        said = run(changed, then, num_workers=2)
        assert "resumed at step 12 of" in said and said.splitlines()[-1] == str([0] * then), said
        assert_same_weights(tmp_path / unbroken, tmp_path / changed)


def test_local_reading_leaves_no_trace_in_the_fingerprint_and_the_address_never() -> None:
    local, streamed = CrfOptions().fingerprint(), CrfOptions(reading="stream", shards_url="https://h").fingerprint()
    assert streamed == local | {"reading": "stream", "shuffle_windows": 4096}


def test_species_are_balanced(small: ToyRun, whole: ToyRun, tmp_path: Path, seen: list[str]) -> None:
    """With power 0 either species makes half of an epoch, though one has twice the windows of the other."""
    options = {"shards_url": str(whole.baked), "species_balance": 0.0, "epochs": 4, "hexamer_windows": 0}
    train("crf", small, tmp_path / "crf", STREAM | options)
    with ShardSet(shard_paths(whole.baked / "T.iny/manifest.json", "train")) as shards:
        tiny = {shards.key(index) for index in range(len(shards))}
    number = all_keys(whole).total()
    assert len(tiny) < 0.4 * number
    counts = Counter(seen)
    assert abs(len(seen) - 4 * number) <= 2
    assert sum(counts[key] for key in tiny) == pytest.approx(2 * number, abs=1)
    for keys in (tiny, all_keys(whole).keys() - tiny):
        drawn = 2 * number / len(keys)  # pass after pass: no sample is ahead of another by more than one
        assert {counts[key] for key in keys} <= {int(drawn), int(drawn) + 1}


def test_first_weights_come_from_the_first_windows_of_each_species(
    small: ToyRun, whole: ToyRun, tmp_path: Path
) -> None:
    options = {"shards_url": str(whole.baked), "hexamer_windows": 12, "max_steps": 1, "lr": 1e-12}
    train("crf", small, tmp_path / "crf", STREAM | options)
    sizes = {name: read_manifest(whole.baked / name / "manifest.json")["counts"] for name in ("T.iny", "T.oyus")}
    total = sum(count["train"]["samples"] for count in sizes.values())
    chosen = []
    for name, count in sizes.items():
        with ShardSet(shard_paths(whole.baked / name / "manifest.json", "train")) as shards:
            data = CrfData(shards, read_clades())
            chosen += [shards.read(index) for index in range(-(-12 * count["train"]["samples"] // total))]
    expected = data.hexamers(chosen).log_odds()[1:4]
    table = load_crf(tmp_path / "crf").networks[0].stem.scores.weight[:, :3].T
    assert table.detach().numpy() == pytest.approx(expected, abs=1e-5)
    assert not np.isnan(expected).any()


def test_what_is_wrong_with_a_stream_is_one_line(small: ToyRun, whole: ToyRun, url: str, tmp_path: Path) -> None:
    output = tmp_path / "crf"
    found = message(small, output, shards_url=f"{url}/elsewhere")
    assert found == f"{url}/elsewhere/T.iny/train_000.tar: HTTP 404 File not found"
    assert re.search(r"T.iny/train_000.tar: cannot be read \(No such file or directory\)$", message(small, output))
    assert message(small, output, reading="local", shards_url=url) == (
        f"--shards-url: found '{url}', but reading is local; set reading: stream"
    )
    assert message(small, output, shards_url="gs://bucket").startswith("shards_url: gs://bucket: not an address of")
    assert re.search("train_000.tar: is missing, .*manifest.json says", message(small, output, reading="local"))
    other = tmp_path / "other"
    shutil.copytree(whole.baked, other)
    (other / "T.oyus/train_000.tar").write_bytes((other / "T.oyus/train_001.tar").read_bytes())
    assert re.match(
        rf"{other}/T.oyus/train_000.tar: (\d+ bytes, .* says \d+|its sha256 is \w+..., .* says \w+...; it is damaged)",
        message(small, output, shards_url=str(other), hexamer_windows=0),
    )
    assert not (output / "model.safetensors").exists()
