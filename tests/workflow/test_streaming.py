"""Training on a machine without training shards: rules ask for manifests and the validation set alone."""

from __future__ import annotations

import shutil

import pytest
import yaml
from dry_runs import commands, jobs
from folder_server import serve_folder
from toy_bacterium import CRF_SHAPE, SPECIES, TEST, VALIDATION, write_run

FILES = (f"{SPECIES}/manifest.json", "validation.tar", "eval.json")
CRF = "data/model/toy/crf/model.safetensors"


@pytest.fixture
def small_disk(workspace, tmp_path):
    """A workspace with the files that streamed training needs, and the folder where the rest is."""
    run = write_run(tmp_path / "elsewhere")
    baked = workspace.folder / "data/baked/toy"
    (baked / SPECIES).mkdir(parents=True)
    for name in FILES:
        shutil.copy(run.baked / name, baked / name)
    workspace.sheet(f"{SPECIES} bacteria 11 train {VALIDATION} {TEST} genome.fa genes.gff3")
    return workspace, run.baked.parent


def overlay(workspace, url: str) -> list[str]:
    crf = {"size": "demo", "overrides": {**CRF_SHAPE, "stem_dilations": [1], "codon_dilations": [1, 2]}}
    crf["overrides"]["stretch_dilations"] = [1, 2]
    crf |= {"max_steps": 2, "reading": "stream", "shards_url": url}
    text = yaml.safe_dump({"run": "toy", "device": "auto", "species_sheet": "species.tsv", "crf": crf})
    return ["--configfile", workspace.overlay(text), "--cores", "1"]


def test_shards_come_through_the_network_and_placeholders_reach_the_command(small_disk):
    workspace, baked = small_disk
    with serve_folder(baked) as (url, asked):
        words = [CRF, *overlay(workspace, f"{url}/{{run}}/{{species}}/{{shard}}")]
        planned = workspace.run("-n", "-p", *words)
        assert jobs(planned.stdout) == {"train_crf": 1}, planned.stdout
        (line,) = commands(planned.stdout)
        assert f"--reading stream --shards-url '{url}/{{run}}/{{species}}/{{shard}}' --shuffle-windows 4096 " in line
        done = workspace.run(*words)
        assert done.returncode == 0, done.stdout
    assert (workspace.folder / CRF).is_file()
    assert set(asked) == {f"/toy/{SPECIES}/train_00{number}.tar" for number in range(3)}
    assert not list((workspace.folder / "data").rglob("train_*.tar"))


def test_shards_that_are_not_there_are_one_line(small_disk):
    workspace, _ = small_disk
    failed = workspace.run(CRF, *overlay(workspace, "/nowhere"))
    assert failed.returncode == 1
    line = f"error: /nowhere/{SPECIES}/train_000.tar: cannot be read (No such file or directory)"
    assert line in failed.stdout.splitlines(), failed.stdout
