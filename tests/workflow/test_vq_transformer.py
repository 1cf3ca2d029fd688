"""What Snakemake would do for the study VQ-Transformer, without doing it."""

from __future__ import annotations

import pytest
from dry_runs import commands, jobs
from script_flags import check_flags

SMALL = ("--configfile", "config/studies/vq_small.yaml")


@pytest.fixture(scope="module")
def dry_run(make_workspace) -> str:
    workspace = make_workspace()
    for name in ("S.cerevisiae/fna.gz", "S.cerevisiae/gff.gz"):
        path = workspace.folder / "sources" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    result = workspace.run("vq_transformer", "-n", "-p", *SMALL, "--config", "data_root=sources")
    assert result.returncode == 0, result.stdout
    return result.stdout


def test_vq_every_point_is_trained_and_scored_once(dry_run):
    points = 4
    assert jobs(dry_run) == {
        "download": 2,
        "index_genome": 1,
        "vq_corpus": 1,
        "vq_limits": 1,
        "vq_train": points,
        "vq_evaluate": points,
        "vq_encode": 1,
        "vq_decode": 1,
        "vq_table": 1,
        "vq_report": 1,
        "vq_transformer": 1,
    }


def test_vq_test_chromosomes_are_held_out(dry_run):
    (line,) = [line for line in commands(dry_run) if "vq_corpus.py" in line]
    assert "--held-out S.cerevisiae=BK006940.2,BK006947.3 " in line


def test_vq_commands_use_flags_that_their_scripts_have(dry_run, repository):
    assert len([name for name in check_flags(commands(dry_run), repository) if "vq_" in name]) == 8


def test_vq_reads_a_file_instead_of_species(workspace):
    (workspace.folder / "my.txt").write_text("ACGT\n")
    overlay = workspace.overlay("vq_transformer: {dna: my.txt}")
    result = workspace.run("vq_transformer", "-n", "-p", *SMALL, overlay)
    assert result.returncode == 0, result.stdout
    assert "download" not in jobs(result.stdout) and "index_genome" not in jobs(result.stdout)
    (line,) = [line for line in commands(result.stdout) if "vq_corpus.py" in line]
    assert "--dna dna=my.txt " in line and "--held-out " not in line and "--annotations" not in line


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("main: 4x8", "vq_transformer.main: '4x8' is not in vq_transformer.points (4x256, 4x64, 4x16, 8x256)"),
        ("points: [4x8x1], main: 4x8x1", "vq_transformer.points: found '4x8x1', expected '4x8'"),
        ("points: [4by8]", "vq_transformer.points[0]: '4by8' is not allowed, expected BASESxCODES or"),
        ("train: {lerning_rate: 1.0}", "vq_transformer.train.lerning_rate is unknown; did you mean 'learning_rate'?"),
        ("train: {learning_rate: 1e-4}", "vq_transformer.train.learning_rate: '1e-4' is text"),
    ],
)
def test_vq_mistakes_are_one_line(workspace, section, problem):
    overlay = workspace.overlay(f"vq_transformer: {{{section}}}")
    result = workspace.run("vq_transformer", "-n", *SMALL, overlay)
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1].startswith(f"error: config key {problem}")
