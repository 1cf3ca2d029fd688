"""The workflow in another folder: by its path, and as a module of another workflow."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import patience
import pytest
from dry_runs import commands, jobs
from programs import needs
from wheel import installed_package

MODULE = """configfile: "mine.yaml"


module genet5:
    snakefile:
        {snakefile}
    config:
        config


use rule * from genet5{names}
"""


@pytest.fixture
def elsewhere(workspace_of, repository, tmp_path):
    """A folder with nothing of the repository in it; the path of the repository has a blank."""
    (tmp_path / "a checkout").symlink_to(repository)
    (tmp_path / "my folder").mkdir()
    (tmp_path / "my folder/my.fa").write_text(">chr\nACGTACGT\n")
    return workspace_of(tmp_path / "my folder")


@pytest.fixture
def snakefile(tmp_path) -> Path:
    return tmp_path / "a checkout/workflow/Snakefile"


def use_as_module(workspace, snakefile: Path | str, configuration: str, names: str = "") -> None:
    named = snakefile if isinstance(snakefile, str) else f'"{snakefile}"'
    (workspace.folder / "Snakefile").write_text(MODULE.format(snakefile=named, names=names))
    (workspace.folder / "mine.yaml").write_text(configuration)


def test_a_module_plans_the_jobs_of_the_demo(elsewhere, snakefile, repository):
    demo = (repository / "config/examples/demo.yaml").read_text()
    use_as_module(elsewhere, snakefile, demo)
    result = elsewhere.run("-n", "-p", "all")
    assert result.returncode == 0, result.stdout
    inside = elsewhere.run("-n", "-s", str(snakefile), "--configfile", str(repository / "config/examples/demo.yaml"))
    assert jobs(result.stdout) == jobs(inside.stdout)
    assert jobs(result.stdout)["annotate_genome"] == 6
    (command,) = [line for line in commands(result.stdout) if "bake_shards.py" in line and "C.diphtheriae" in line]
    assert "--window-bp 6000 " in command and "--samples-per-shard 500 " in command  # the demo's
    assert "--empty-share 0.1 " in command  # a default that the demo does not name
    use_as_module(elsewhere, snakefile, demo, " as genet5_*")
    named = elsewhere.run("-n", "genet5_all")
    assert named.returncode == 0, named.stdout
    assert jobs(named.stdout) == {f"genet5_{rule}": count for rule, count in jobs(result.stdout).items()}


def test_a_rule_of_a_module_runs_in_the_folder_of_its_user(elsewhere, snakefile, repository):
    use_as_module(elsewhere, snakefile, "genome: my.fa\nclade: fungi\n")
    result = elsewhere.run("data/raw/my/fna", "--cores", "1")
    assert result.returncode == 0, result.stdout
    assert (elsewhere.folder / "data/raw/my/fna.fai").read_text().startswith("chr\t8\t")
    assert (elsewhere.folder / "data/logs/index_genome/my.log").is_file()
    # Another path to the same checkout makes nothing out of date.
    use_as_module(elsewhere, repository / "workflow/Snakefile", "genome: my.fa\nclade: fungi\n")
    again = elsewhere.run("data/raw/my/fna", "--cores", "1")
    assert again.returncode == 0 and "Nothing to be done" in again.stdout


def test_a_module_annotates_with_a_shipped_model(elsewhere, snakefile):
    use_as_module(elsewhere, snakefile, "genome: my.fa\nclade: fungi\n")
    result = elsewhere.run("-n", "annotate")
    assert result.returncode == 0, result.stdout
    assert jobs(result.stdout) == {"index_genome": 1, "annotate_genome": 1, "annotate": 1}


@needs("git")
def test_a_module_that_is_no_file_uses_the_installed_package(elsewhere, repository, tmp_path):
    """As the workflow catalogue deploys it: the rules come from a repository, without the scripts."""
    git = ["git", "-c", "user.name=me", "-c", "user.email=me@localhost", "-C", str(tmp_path / "remote")]
    for name in ("workflow", "envs"):
        shutil.copytree(repository / name, tmp_path / "remote" / name)
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], check=True)
    remote = f'gitfile("{tmp_path}/remote", path="workflow/Snakefile", ref="main")'
    use_as_module(elsewhere, remote, "genome: my.fa\nclade: fungi\n")
    # Where the package is installed, this one stands before it.
    absent = tmp_path / "absent/genet5/__init__.py"
    absent.parent.mkdir(parents=True)
    absent.write_text("raise ImportError\n")
    without = {**elsewhere.environment, "PYTHONPATH": str(tmp_path / "absent")}
    missing = patience.run(elsewhere.command("-n", "annotate"), cwd=elsewhere.folder, env=without)
    assert (missing.returncode, missing.stdout.splitlines()[-1]) == (
        1,
        "error: the rules need the package genet5: pip install it, or name the Snakefile of a clone",
    )
    environment = {**elsewhere.environment, "PYTHONPATH": str(installed_package(repository, tmp_path / "wheel"))}
    command = elsewhere.command("data/raw/my/fna", "--cores", "1")
    result = patience.run(command, cwd=elsewhere.folder, env=environment)
    assert result.returncode == 0, result.stdout
    assert (elsewhere.folder / "data/raw/my/fna.fai").is_file()
    planned = patience.run(elsewhere.command("-n", "annotate"), cwd=elsewhere.folder, env=environment)
    assert jobs(planned.stdout) == {"annotate_genome": 1, "annotate": 1}


@pytest.mark.slow
def test_a_clade_of_ones_own_annotates_and_its_new_calibration_annotates_again(elsewhere, repository):
    """The clade is known to the rules, and its folder to the scripts; another calibration gives other scores."""
    own = elsewhere.folder / "clades"
    shutil.copytree(repository / "resources/models/fungi", own / "model")
    text = (repository / "resources/clades/fungi.yaml").read_text().replace("../models/fungi", "model")
    (own / "moulds.yaml").write_text(text)
    words = ["-s", str(repository / "workflow/Snakefile"), "annotate", "--cores", "1"]
    words += ["--config", "genome=my.fa", "clade=moulds", "clade_folder=clades"]
    first = elsewhere.run(*words)
    assert first.returncode == 0, first.stdout
    assert (elsewhere.folder / "data/annotation/main/shipped-moulds/my.gff3").is_file()
    assert "Nothing to be done" in elsewhere.run(*words).stdout
    calibration = own / "model/calibration.json"
    calibration.write_text(calibration.read_text() + "\n")
    again = elsewhere.run("-n", *words)
    assert jobs(again.stdout) == {"annotate_genome": 1, "annotate": 1}


def test_mistakes_in_a_module_are_one_line(elsewhere, snakefile):
    use_as_module(elsewhere, snakefile, "speceis: all\n")
    result = elsewhere.run("-n", "all")
    assert (result.returncode, result.stdout.splitlines()[-1]) == (
        1,
        "error: config key speceis is unknown; did you mean 'species'?",
    )


def test_the_workflow_runs_in_any_folder_with_its_defaults_and_profile(elsewhere, snakefile):
    result = elsewhere.run("-s", str(snakefile), "-n", "-p", "all")
    assert result.returncode == 0, result.stdout
    assert "workflow/profiles/default for setting default" in result.stdout
    assert jobs(result.stdout)["download"] > 20
    other = elsewhere.folder.parent / "other"
    moved = elsewhere.run("-s", str(snakefile), "-d", str(other), "-n", "all")
    assert moved.returncode == 0, moved.stdout
    assert jobs(moved.stdout) == jobs(result.stdout)


def test_a_configuration_in_the_folder_goes_before_the_defaults(elsewhere, snakefile):
    (elsewhere.folder / "config").mkdir()
    (elsewhere.folder / "config/config.yaml").write_text("run: mine\nbake: {seed: 7}\n")
    result = elsewhere.run("-s", str(snakefile), "-n", "-p", "bake_species", "--config", "species=E.coli")
    assert result.returncode == 0, result.stdout
    (command,) = [line for line in commands(result.stdout) if "bake_shards.py" in line]
    assert "--seed 7 " in command and "--output-dir data/baked/mine/E.coli" in command
    assert "--samples-per-shard 5000 " in command
