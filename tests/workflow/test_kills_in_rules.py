"""Jobs of the last rules killed midway: the same command gives the files of an undisturbed run."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import patience
import pytest
from patience import killed_at_rename
from small_dag import differences, lay_out, timeless

#: What a job had written when it died, by rule, and whether its Python died alone; in the order of the DAG.
KILLS = (
    ("calibrate", "model/toy/crf/calibration.json", False),
    ("annotate_genome", "annotation/toy/crf/T.oyus.faa", True),
    ("score", "score/toy/crf/T.oyus.json", False),
    ("summary", "score/toy/summary.tsv", True),
    ("report", "report/toy/index.html", False),
)
#: Folders and files that these rules write.
WRITTEN = ("model/toy/crf/calibration.json", "annotation", "score", "report")


@pytest.fixture(scope="module")
def finished(make_workspace, repository: Path) -> tuple:
    """A workspace with the files of an undisturbed run, and the words of its command."""
    workspace = make_workspace()
    words = lay_out(workspace.folder, repository, stages=("crf",))
    result = workspace.run(*words)
    assert result.returncode == 0, result.stdout
    return workspace, words


@pytest.mark.slow
def test_jobs_that_are_killed_midway_are_made_again(finished, make_workspace, tmp_path):
    workspace, words = finished
    data = workspace.folder / "data"
    whole = tmp_path / "whole"
    shutil.copytree(data, whole / "data", symlinks=True)  # checkpoint_latest is a link
    for name in WRITTEN:
        path = data / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert len(differences(workspace.folder, whole)) > 10, "these rules have all to do again"
    for rule, file, alone in KILLS:
        environment = killed_at_rename(file, workspace.environment, alone=alone)
        dead = patience.run(workspace.command(*words), cwd=workspace.folder, env=environment)
        assert dead.returncode == (1 if alone else -signal.SIGKILL), (rule, dead.stdout)
        assert f"rule {rule}:" in dead.stdout
        if alone:  # Snakemake saw the job fail, and removed what it had written
            assert not (data / file).exists(), rule
        else:
            assert (data / file).exists(), rule
            shutil.rmtree(workspace.folder / ".snakemake/locks")  # what --unlock does
    again = workspace.run(*words)
    assert again.returncode == 0, again.stdout
    assert "rule report:" in again.stdout, "a page whose job was killed is not taken for finished"
    assert differences(workspace.folder, whole) == []
    assert "Nothing to be done" in workspace.run(*words, "-n").stdout


def test_files_that_differ_are_found(tmp_path):
    texts = {
        "a/log.csv": "step,loss,elapsed_s\n1,.5,{}\n",
        "a/score.json": '{{"f1": 0.5, "systems": [{{"cpu_s": {}}}]}}',
        "page.html": "<p>{} s, 3 genes</p>",
        "logs/job.log": "{}",
    }
    for folder, clock in (("one", 1.5), ("other", 22.25)):
        for name, text in texts.items():
            path = tmp_path / folder / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.format(clock))
    one, other = tmp_path / "one", tmp_path / "other"
    assert differences(one, other) == []
    assert timeless(one / "data/a/log.csv") == [{"step": "1", "loss": ".5"}]
    (one / "data/a/log.csv").write_text("step,loss,elapsed_s\n1,.6,1\n")
    (one / "data/a/score.json").write_text('{"f1": 0.4, "systems": [{"cpu_s": 1}]}')
    (one / "data/page.html").write_text("<p>1 s, 3 exons</p>")
    (one / "data/new.tmp").touch()
    (other / "data/old.gff3").touch()
    assert differences(one, other) == [
        "differs: a/log.csv", "differs: a/score.json", "differs: page.html", "missing: old.gff3", "too many: new.tmp",
    ]  # fmt: skip
