"""annotate.parts: several jobs annotate one genome, and its files are those of one job."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from dry_runs import jobs
from toy_bacterium import write_genome

DEMO = ("--configfile", "config/examples/demo.yaml")
ENDINGS = ("gff3", "faa", "cds.fna", "tracks.npz")
FAILING = """
import os, sys
if "2/2" in sys.argv and os.path.exists("power.cut"):
    sys.exit("the power was cut")
"""


def settings(workspace, **annotate: object) -> str:
    """An overlay with keys of ``annotate``; a run of its own for each number of parts."""
    keys = {"batch_size": 1, "window_bp": 8000, "overlap_bp": 1000, **annotate}
    name = f"{'_'.join(f'{key}{value}' for key, value in annotate.items())}.yaml"
    content = {"run": f"run{annotate['parts']}", "device": "auto", "annotate": keys}
    (workspace.folder / name).write_text(json.dumps(content))
    return name


def annotate(workspace, configuration: str, *options: str):
    words = ("--cores", "2", "--set-threads", "annotate_genome=1", "annotate_part=1", *options)
    return workspace.run("annotate", *words, "--configfile", configuration, "--config", "genome=my.fa", "clade=fungi")


def folder_of(workspace, parts: int) -> Path:
    return workspace.folder / f"data/annotation/run{parts}/shipped-fungi"


@pytest.fixture(scope="module")
def workspace(make_workspace):
    """A genome of three contigs, annotated by one job. Part 2 of 2 fails while there is a file ``power.cut``."""
    made = make_workspace()
    shutil.copytree((made.folder / "scripts").resolve(), made.folder / "scripts.mine")
    (made.folder / "scripts").unlink()
    (made.folder / "scripts.mine").rename(made.folder / "scripts")
    script = made.folder / "scripts/annotate_genome.py"
    marker = "from __future__ import annotations\n"
    script.write_text(script.read_text().replace(marker, marker + FAILING, 1))
    lengths = (2_000, 17_000, 8_000)
    pieces = [write_genome(made.folder / f"{n}.fa", 100_000 * n, bp, f"c{n}") for n, bp in enumerate(lengths)]
    (made.folder / "my.fa").write_text("".join(path.read_text() for path in pieces))
    return made


@pytest.fixture(scope="module")
def by_one(workspace) -> Path:
    result = annotate(workspace, settings(workspace, parts=1))
    assert result.returncode == 0, result.stdout
    assert jobs(result.stdout) == {"index_genome": 1, "annotate_genome": 1, "annotate": 1}
    return folder_of(workspace, 1)


@pytest.fixture(scope="module")
def by_two(workspace, by_one) -> Path:
    """Annotated by two jobs. The second one failed at first."""
    cut = workspace.folder / "power.cut"
    cut.touch()
    configuration = settings(workspace, parts=2)
    failed = annotate(workspace, configuration, "--keep-going")
    assert failed.returncode == 1 and "the power was cut" in failed.stdout
    assert [path.name for path in folder_of(workspace, 2).iterdir()] == ["my.part_1of2.npz"]
    cut.unlink()
    result = annotate(workspace, configuration)
    assert result.returncode == 0, result.stdout
    assert jobs(result.stdout) == {"annotate_part": 1, "join_annotation": 1, "annotate": 1}
    return folder_of(workspace, 2)


def assert_same(one: Path, other: Path) -> None:
    names = [f"my.{ending}" for ending in (*ENDINGS, "json")]
    assert sorted(path.name for path in other.iterdir()) == sorted(names)  # the parts are gone
    for ending in ENDINGS:
        assert (other / f"my.{ending}").read_bytes() == (one / f"my.{ending}").read_bytes()
    summaries = [json.loads((folder / "my.json").read_text()) for folder in (one, other)]
    for summary in summaries:
        summary["chosen"].pop("seconds", None)  # several jobs choose by themselves, each in its own time
    times = {"cpu_s": 0, "wall_s": 0}
    assert summaries[0] | times == summaries[1] | times
    assert summaries[0]["counts"]["genes"] > 5


@pytest.mark.slow
def test_a_failed_part_is_made_again_alone_and_the_bytes_are_those_of_one_job(by_one, by_two):
    assert_same(by_one, by_two)


@pytest.mark.slow
def test_more_parts_than_batches(workspace, by_one):
    result = annotate(workspace, settings(workspace, parts=6))
    assert result.returncode == 0, result.stdout
    assert jobs(result.stdout) == {"annotate_part": 6, "join_annotation": 1, "annotate": 1}
    assert_same(by_one, folder_of(workspace, 6))


@pytest.mark.slow
def test_nothing_is_left_to_do_until_an_option_changes(workspace, by_two):
    """The parts are deleted by then; Snakemake remembers what they were made with."""
    again = annotate(workspace, settings(workspace, parts=2), "-n")
    assert again.returncode == 0 and "Nothing to be done" in again.stdout
    for changed in ({"window_bp": 5000}, {"min_confidence": 0.5}):
        result = annotate(workspace, settings(workspace, parts=2, **changed), "-n")
        assert jobs(result.stdout) == {"annotate_part": 2, "join_annotation": 1, "annotate": 1}


@pytest.mark.slow
def test_a_run_scores_what_parts_made(make_workspace):
    workspace = make_workspace()
    one = workspace.run("-n", *DEMO, "--", "all")
    two = workspace.run("-n", *DEMO, workspace.overlay("annotate: {parts: 2}"), "--", "all")
    assert one.returncode == two.returncode == 0, two.stdout
    expected = jobs(one.stdout)
    genomes = expected.pop("annotate_genome")
    assert jobs(two.stdout) == expected | {"annotate_part": 2 * genomes, "join_annotation": genomes}


@pytest.mark.slow
def test_a_module_annotates_by_parts(make_workspace, repository, workspace_of, tmp_path):
    (tmp_path / "my.fa").write_text(">chr\nACGTACGT\n")
    (tmp_path / "mine.yaml").write_text("genome: my.fa\nclade: fungi\nannotate: {parts: 3}\n")
    (tmp_path / "Snakefile").write_text(
        f'configfile: "mine.yaml"\n\nmodule genet5:\n    snakefile: "{repository}/workflow/Snakefile"\n'
        "    config: config\n\nuse rule * from genet5 as genet5_*\n"
    )
    result = workspace_of(tmp_path).run("genet5_annotate", "-n", "--cores", "1")
    assert result.returncode == 0, result.stdout
    planned = {"index_genome": 1, "annotate_part": 3, "join_annotation": 1, "annotate": 1}
    assert jobs(result.stdout) == {f"genet5_{rule}": count for rule, count in planned.items()}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ("0", "config key annotate.parts: 0 is out of range, expected at least 1"),
        ("1.5", "config key annotate.parts: 1.5"),
        ("two", "config key annotate.parts: 'two' is text, expected a whole number"),
    ],
)
def test_a_wrong_number_of_parts_is_one_line(make_workspace, found, message):
    workspace = make_workspace()
    result = workspace.run("annotate", "-n", "--configfile", workspace.overlay(f"annotate: {{parts: {found}}}"))
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1].startswith(f"error: {message}"), result.stdout
