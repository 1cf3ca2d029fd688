"""Two Slurm nodes, emulated: a training on both, its end and its resumption, and an outage of slurmctld."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm_cluster
from slurm_cluster import Cluster, wait_until
from two_nodes import toy_run_in

MISSING = slurm_cluster.what_is_missing()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(MISSING is not None, reason=MISSING or "")]

LAUNCH = "scripts/launch.sh --nodes 2"  # of the toy jobs; rules write this line themselves
FAST_IF = "enp1s0f1np1"
TWO_NODES = ("--nodes=2", "--ntasks=2", "--gres=gpu:1", "--partition=spark", "--mem=90000", "--cpus-per-task=18")
TOY = {"epochs": 6, "save_steps": 4, "log_every": 1, "windows_per_step": 16}
STOP, KILL = 19, 9


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    with slurm_cluster.cluster(tmp_path_factory.mktemp("slurm")) as made:
        yield made


def logged_steps(folder: Path) -> list[int]:
    log = folder / "training_log.csv"
    if not log.is_file():
        return []
    with log.open(newline="") as stream:
        return [int(row["step"]) for row in csv.DictReader(stream) if row["step"]]


def start_toy(cluster: Cluster, repository: Path, output: Path, *flags: object) -> str:
    """Queue the toy training on both nodes; the number of the job."""
    words = [f"{repository}/{LAUNCH}", f"{repository}/tests/support/toy_training.py", output, f"'{json.dumps(TOY)}'"]
    command = " ".join(map(str, ["bash", *words, *flags]))
    network = f"export FAST_IF={FAST_IF}; " if cluster.has_own_networks else ""
    python = Path(sys.executable).parent  # launch.sh starts python and torchrun
    return cluster.submit(output.parent, f"{network}PATH={python}:$PATH {command}", *TWO_NODES)


def said_by(folder: Path, job: str) -> str:
    output = folder / f"slurm-{job}.out"
    return output.read_text() if output.is_file() else ""


def test_slurm_takes_every_line_of_the_sample_files(cluster: Cluster) -> None:
    shown = dict(
        (word.strip() for word in line.split("=", 1))
        for line in cluster.ask("scontrol", "show", "config").splitlines()
        if "=" in line
    )
    sample = slurm_cluster.settings(slurm_cluster.SAMPLES / "slurm.conf")
    for key, value in sample:
        if key not in {"NodeName", "PartitionName", *slurm_cluster.REPLACED}:
            assert shown[key].split()[0].lower() == value.lower(), key
    assert "cred_expire=20" in shown["AuthInfo"]

    nodes = [value for key, value in sample if key == "NodeName"]
    assert [value.split()[0] for value in nodes] == ["spark1", "spark2"]
    for value in nodes:
        name, _, shape = value.partition(" ")
        shown = cluster.ask("scontrol", "--oneliner", "show", "node", name).split()
        for word in ("RealMemory=96000", "Gres=gpu:gb10:1", "CPUTot=20", "State=IDLE"):
            assert word in shown, word
        assert {"CPUs=20", "RealMemory=96000", "Gres=gpu:gb10:1"} <= set(shape.split())


def test_small_jobs_go_to_both_nodes(cluster: Cluster, tmp_path: Path) -> None:
    jobs = [cluster.submit(tmp_path, "sleep 20", "--cpus-per-task=1", "--mem=8000") for _ in range(6)]
    wait_until(lambda: all(cluster.state(job) == "RUNNING" for job in jobs), "six running jobs")
    nodes = [cluster.ask("squeue", "--noheader", f"--jobs={job}", "--format=%N").strip() for job in jobs]
    cluster.ask("scancel", *jobs)
    assert nodes.count("spark1") == nodes.count("spark2") == 3


def test_a_killed_or_cancelled_training_on_both_nodes_ends_as_an_undisturbed_one(
    cluster: Cluster, repository: Path, tmp_path: Path
) -> None:
    whole, disturbed = tmp_path / "whole", tmp_path / "disturbed"
    job = start_toy(cluster, repository, whole)
    assert cluster.wait_for_end(job) == "COMPLETED", said_by(tmp_path, job)
    assert cluster.ask("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%N %D").strip() == (
        "spark[1-2] 2"
    )
    assert "2 processes" in said_by(tmp_path, job)
    steps = logged_steps(whole)
    assert steps == list(range(1, len(steps) + 1)) and len(steps) > 12

    # A dead process ends the other one, and the job.
    job = start_toy(cluster, repository, disturbed, "--kill-at", 6, "--kill-rank", 1, "--signal", KILL)
    assert cluster.wait_for_end(job) == "FAILED", said_by(tmp_path, job)
    assert not (disturbed / "final/model.safetensors").exists()
    assert logged_steps(disturbed)[-1] < len(steps)

    # The second start goes on from a checkpoint. It halts at a step until scancel: Slurm lets a halted process go on
    # and then tells it to end, so that it writes a checkpoint of the step it is at.
    job = start_toy(cluster, repository, disturbed, "--kill-at", 4, "--signal", STOP)
    wait_until(lambda: "resumed at step 4" in said_by(tmp_path, job) and logged_steps(disturbed)[-1] >= 7, "step 7")
    cluster.ask("scancel", job)
    assert cluster.wait_for_end(job) == "CANCELLED"
    reached = max(int(path.name.rpartition("_")[2]) for path in disturbed.glob("checkpoint_step_*"))
    assert reached % TOY["save_steps"] and reached < len(steps), said_by(tmp_path, job)

    job = start_toy(cluster, repository, disturbed)
    assert cluster.wait_for_end(job) == "COMPLETED", said_by(tmp_path, job)
    assert f"resumed at step {reached}" in said_by(tmp_path, job)
    assert logged_steps(disturbed) == steps
    assert (disturbed / "final/model.safetensors").read_bytes() == (whole / "final/model.safetensors").read_bytes()


def test_snakemake_asks_squeue_where_it_would_ask_sacct(cluster: Cluster, repository: Path, tmp_path: Path) -> None:
    ended = cluster.submit(tmp_path, "exit 3", "--job-name=run-7")
    assert cluster.wait_for_end(ended) == "FAILED"
    other = cluster.submit(tmp_path, "exit 0", "--job-name=run-8")
    assert cluster.wait_for_end(other) == "COMPLETED"

    sacct = [repository / "scripts/slurm/sacct", "-X", "--parsable2", "--clusters", "all", "--noheader"]
    asked = [*sacct, "--format=JobIdRaw,State", "--starttime", "2026-01-01T00:00", "--endtime", "now"]
    assert cluster.ask(*asked, "--name", "run-7") == f"{ended}|FAILED\n"
    assert cluster.ask(sacct[0], "-j", ended, "-n", "-X", "-o", "nodelist%-256") == ""
    # Any other question is for Slurm's own sacct, which knows nothing here.
    done = subprocess.run(cluster.on("spark1", sacct[0], "-j", ended), capture_output=True, text=True)
    assert done.returncode == 1 and "accounting storage is disabled" in done.stderr
    # A refusal is no outage: it is not tried again.
    refused = [repository / "scripts/slurm/sbatch", "--mem=96001", "--wrap=true"]
    done = subprocess.run(cluster.on("spark1", *refused), capture_output=True, text=True)
    assert done.returncode == 1 and "Memory specification can not be satisfied" in done.stderr


def test_a_rule_on_both_nodes_outlives_an_outage_of_slurmctld(cluster: Cluster, make_workspace, tmp_path: Path) -> None:
    workspace = make_workspace()
    overlay = toy_run_in(workspace, tmp_path, device="auto", epochs=3)
    target = "data/model/toy/sft/model.safetensors"
    command = workspace.command("--profile", "profiles/dgx", target, "--configfile", overlay, "--latency-wait", "5")
    environment = {**cluster.environment, **({"FAST_IF": FAST_IF} if cluster.has_own_networks else {})}

    output = workspace.folder / "snakemake.log"
    with output.open("w") as stream:
        snakemake = subprocess.Popen(
            cluster.on("spark1", *command), cwd=workspace.folder, env=environment, stdout=stream, stderr=stream
        )
    log = workspace.folder / "data/logs/train_sft/toy.log"
    try:
        wait_until(
            lambda: snakemake.poll() is not None or (log.is_file() and "2 processes" in log.read_text()), "steps"
        )
        (job,) = cluster.ask("squeue", "--noheader", "--format=%i %D %N %C %m").splitlines()
        with cluster.without_slurmctld(45):
            submitted = subprocess.Popen(
                cluster.on("spark1", workspace.folder / "scripts/slurm/sbatch", "--parsable", "--wrap=true"),
                **{"cwd": tmp_path, "env": environment, "stdout": subprocess.PIPE, "text": True},
            )
            wait_until(lambda: "Falling back to 'sacct'" in output.read_text(), "a question while slurmctld is away")
        assert cluster.wait_for_end(submitted.communicate()[0].strip()) == "COMPLETED"
        wait_until(lambda: snakemake.poll() is not None, "the end of Snakemake")
    finally:
        snakemake.kill()
        snakemake.wait()
    assert snakemake.returncode == 0, output.read_text()
    assert (workspace.folder / target).is_file()
    number, *place = job.split()
    assert place == ["2", "spark[1-2]", "36", "90000M"] and cluster.state(number) == "COMPLETED"
