"""scripts/launch.sh: one node runs the script itself, more go through srun and torchrun of the Slurm job."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def launch(repository, tmp_path):
    """Runs launch.sh with stand-ins for Slurm's programs that write down how they were called."""
    for name, body in {
        "python": f'exec {sys.executable} "$@"',
        "squeue": 'echo "squeue $*" >> calls; echo 36',
        "srun": 'echo "srun $*" | head -n 1 >> calls; while [ "$1" != bash ]; do shift; done; '
        'SLURM_NNODES=2 SLURM_NODEID=1 SLURM_LAUNCH_NODE_IPADDR=10.0.0.1 exec "$@"',
        "torchrun": 'echo "torchrun $*" >> calls; echo "$OMP_NUM_THREADS" > threads; exit "${FAIL:-0}"',
    }.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/bash\n{body}\n")
        program.chmod(0o755)

    def run(*arguments: str, **variables: str) -> tuple[subprocess.CompletedProcess, list[str]]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
        environment |= {"PATH": f"{tmp_path}:{environment['PATH']}", **variables}
        result = subprocess.run(
            ["bash", repository / "scripts" / "launch.sh", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        calls = tmp_path / "calls"
        return result, calls.read_text().splitlines() if calls.exists() else []

    return run


def script(folder: Path) -> str:
    path = folder / "show.py"
    path.write_text("import sys\nprint(sys.argv[1:])\nsys.exit(3 if 'fail' in sys.argv else 0)\n")
    return str(path)


def test_one_node_runs_the_script_with_its_arguments_and_status(launch, tmp_path):
    result, calls = launch("1", script(tmp_path), "--a", "two words", "")
    assert (result.returncode, result.stdout, calls) == (0, "['--a', 'two words', '']\n", [])
    assert launch("1", script(tmp_path), "fail")[0].returncode == 3


def test_two_nodes_start_one_process_each_with_a_common_meeting_point(launch, tmp_path):
    result, calls = launch("2", "scripts/train_sft.py", "--a", "two words", SLURM_JOB_ID="20007")
    assert result.returncode == 0, result.stderr
    squeue, srun, torchrun = calls
    assert "--jobs 20007" in squeue
    for flag in ("--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--cpus-per-task=18", "--kill-on-bad-exit=1"):
        assert flag in srun
    assert torchrun == (
        "torchrun --nnodes=2 --nproc-per-node=1 --node-rank=1 --master-addr=10.0.0.1 --master-port=20007 "
        "-- scripts/train_sft.py --a two words"
    )
    assert (tmp_path / "threads").read_text() == "18\n"


def test_a_failed_rank_fails_the_job(launch):
    assert launch("2", "x.py", SLURM_JOB_ID="5", FAIL="7")[0].returncode == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((), "usage: launch.sh NODES"), (("two", "x.py"), "usage: launch.sh NODES"), (("0", "x.py"), "usage:")],
)
def test_wrong_use_is_one_line(launch, arguments, message):
    result, _ = launch(*arguments)
    assert result.returncode == 2 and message in result.stderr and len(result.stderr.splitlines()) == 1


def test_two_nodes_outside_slurm_are_refused(launch):
    result, _ = launch("2", "x.py")
    assert result.returncode == 1
    assert result.stderr.startswith("error: launch.sh: 2 nodes asked for outside a Slurm job")
