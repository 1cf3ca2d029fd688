"""scripts/launch.sh: where a script runs, in how many processes, and with which variables.

Slurm's programs and nvidia-smi are stand-ins here. test_two_nodes_ssh.py has the real second machine.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

#: Variables that the caller of pytest may have, and that decide where a script runs.
PLACES = ("SLURM_", "WORKER", "FAST_IF", "NCCL_", "GLOO_", "CUDA_VISIBLE_DEVICES", "GENET5_", "OMP_", "MALLOC_")


@pytest.fixture
def launch(repository, tmp_path):
    """Runs launch.sh with stand-ins for Slurm's programs that write down how they were called, and without a GPU."""
    for name, body in {
        "python": f'exec {sys.executable} "$@"',
        "squeue": 'echo "squeue $*" >> calls; echo 36',
        "srun": 'echo "srun $*" | head -n 1 >> calls; while [ "$1" != bash ]; do shift; done; '
        'SLURM_NNODES=2 SLURM_NODEID=1 SLURM_CPUS_PER_TASK=18 SLURM_LAUNCH_NODE_IPADDR=10.0.0.1 exec "$@"',
        "nvidia-smi": 'for ((i = 0; i < ${GPUS:-0}; i++)); do echo "GPU $i: NVIDIA (UUID: GPU-$i)"; done',
    }.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/bash\n{body}\n")
        program.chmod(0o755)

    def run(*arguments: str, **variables: str) -> tuple[subprocess.CompletedProcess, list[str]]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(PLACES)}
        environment |= {
            "PATH": f"{tmp_path}:{environment['PATH']}",
            "GENET5_LOCKS": str(tmp_path / "locks"),
            **variables,
        }
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


NAMES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "TORCHELASTIC_RUN_ID")
SHOW = f"""
import json, os, sys
names = {NAMES!r}
shown = {{name: os.environ[name] for name in names if name in os.environ}}
more = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "NCCL_SOCKET_IFNAME", "FAST_IF", "NOTE")
shown |= {{name: os.environ[name] for name in more if name in os.environ}}
os.write(1, (json.dumps([sys.argv[1:], shown]) + "\\n").encode())
sys.exit(3 if sys.argv[-1] == os.environ.get("RANK", "fail") else 0)
"""


def script(folder: Path) -> str:
    path = folder / "show.py"
    path.write_text(SHOW)
    return str(path)


def shown(result: subprocess.CompletedProcess) -> list:
    """Arguments and variables of each process, by rank."""
    assert result.returncode == 0, result.stderr
    return sorted(map(json.loads, result.stdout.splitlines()), key=lambda line: line[1].get("RANK", ""))


@pytest.mark.parametrize("flags", [(), ("--nodes", "1"), ("--processes-per-node", "gpu"), ("--one", "gpu")])
def test_one_process_is_the_script_with_its_arguments_and_status(launch, tmp_path, flags):
    result, calls = launch(*flags, script(tmp_path), "--a", "two words", "")
    assert shown(result) == [[["--a", "two words", ""], {"OMP_WAIT_POLICY": "PASSIVE"}]] and calls == []
    assert launch(*flags, script(tmp_path), "fail")[0].returncode == 3
    assert not (tmp_path / "locks").exists()  # one machine with one GPU: Snakemake counts it


def test_jobs_of_the_cpu_do_not_keep_memory_nor_change_threads(launch, tmp_path):
    result, _ = launch("--one", "cpu", script(tmp_path))
    assert shown(result) == [[[], {}]]


@pytest.mark.parametrize(
    ("variables", "count"),
    [({"GPUS": "3"}, 3), ({"GPUS": "3", "CUDA_VISIBLE_DEVICES": "2,0"}, 2), ({"GPUS": "3", "GENET5_DEVICE": "cpu"}, 1)],
)
def test_a_machine_with_several_gpus_trains_with_one_process_each(launch, tmp_path, variables, count):
    found = shown(launch("--processes-per-node", "gpu", script(tmp_path), "--a", "two words", **variables)[0])
    assert len(found) == count
    for rank, (arguments, names) in enumerate(found):
        assert arguments == ["--a", "two words"]
        if count > 1:
            assert (names["RANK"], names["LOCAL_RANK"], names["WORLD_SIZE"]) == (str(rank), str(rank), str(count))
            assert names["MASTER_ADDR"] == "127.0.0.1" and int(names["OMP_NUM_THREADS"]) >= 1


def test_a_failed_process_ends_the_job_with_its_status(launch, tmp_path):
    result, _ = launch("--processes-per-node", "2", script(tmp_path), "1")
    assert result.returncode == 3


def test_a_process_that_hears_nothing_of_a_failure_is_ended(launch, tmp_path):
    (tmp_path / "x.py").write_text(
        "import os, sys, time\nos.environ['RANK'] == '1' and sys.exit(3)\ntime.sleep(9999)\n"
    )
    assert launch("--processes-per-node", "2", str(tmp_path / "x.py"))[0].returncode == 3


def test_more_processes_than_gpus_are_one_line(launch):
    result, _ = launch("--processes-per-node", "3", "x.py", GPUS="2")
    assert result.returncode == 1 and result.stderr.endswith("has 2 GPUs for 3 processes\n")


def test_single_jobs_get_a_gpu_each_and_wait_where_none_is_free(launch, tmp_path):
    locks = tmp_path / "locks"
    locks.mkdir()
    with (locks / "gpu.here.0").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        (found,) = shown(launch("--one", "gpu", script(tmp_path), GPUS="2")[0])
        assert found[1]["CUDA_VISIBLE_DEVICES"] == "1"
        with (locks / "gpu.here.1").open("w") as also_held:
            fcntl.flock(also_held, fcntl.LOCK_EX)
            (tmp_path / "wait.sh").write_text(f'bash "$1" --one gpu {script(tmp_path)} 2>said\n')
            launcher = Path(__file__).resolve().parents[2] / "scripts/launch.sh"
            path = f"{tmp_path}:{os.environ['PATH']}"
            environment = {key: value for key, value in os.environ.items() if not key.startswith(PLACES)}
            waiting = subprocess.Popen(
                ["bash", tmp_path / "wait.sh", launcher],
                cwd=tmp_path,
                env={**environment, "PATH": path, "GPUS": "2", "GENET5_LOCKS": str(locks)},
                stdout=subprocess.PIPE,
                text=True,
            )
            said = tmp_path / "said"
            while not (said.is_file() and said.read_text()):
                assert waiting.poll() is None
                time.sleep(0.05)
        output, _ = waiting.communicate()
    assert json.loads(output)[1]["CUDA_VISIBLE_DEVICES"] == "1"
    assert said.read_text() == "launch.sh: waiting for a free GPU\n"


def test_two_nodes_of_slurm_start_processes_with_a_common_meeting_point(launch, tmp_path):
    flags = ("--nodes", "2", "--processes-per-node", "gpu")
    result, calls = launch(*flags, script(tmp_path), "--a", "two words", SLURM_JOB_ID="20007", GPUS="2")
    squeue, srun = calls
    assert "--jobs 20007" in squeue
    for flag in ("--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--cpus-per-task=18", "--kill-on-bad-exit=1"):
        assert flag in srun
    found = shown(result)
    assert [arguments for arguments, _ in found] == [["--a", "two words"]] * 2
    for rank, (_, names) in enumerate(found, start=2):
        expected = {"RANK": str(rank), "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "1"}
        assert names | expected == names and names["MASTER_ADDR"] == "10.0.0.1" and names["OMP_NUM_THREADS"] == "18"


def test_a_failed_rank_fails_the_job_of_slurm(launch, tmp_path):
    assert launch("--nodes", "2", script(tmp_path), "1", SLURM_JOB_ID="5")[0].returncode == 3


def test_a_job_of_slurm_with_one_node_runs_the_script_there(launch, tmp_path):
    for kind in ("gpu", "cpu"):
        result, calls = launch("--one", kind, script(tmp_path), SLURM_JOB_ID="5", WORKER="nowhere", GPUS="2")
        assert len(shown(result)) == 1 and calls == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no SCRIPT"),
        (("--nodes", "two", "x.py"), "--nodes: 'two' is no number of at least 1"),
        (("--nodes", "0", "x.py"), "--nodes: '0' is no number"),
        (("--processes-per-node", "all", "x.py"), "--processes-per-node: 'all' is neither gpu nor a number"),
        (("--one", "tpu", "x.py"), "--one: 'tpu' is neither gpu nor cpu"),
        (("--one", "gpu", "--nodes", "2", "x.py"), "--nodes and --one exclude each other"),
        (("--twice", "x.py"), "no flag --twice"),
        (("--check", "x.py"), "--check stands alone"),
    ],
)
def test_wrong_use_is_one_line(launch, arguments, message):
    result, _ = launch(*arguments)
    assert result.returncode == 2 and message in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "variables", "message"),
    [
        (
            ("--nodes", "2", "x.py"),
            {},
            "2 nodes asked for, but this is no Slurm job, and WORKER names no",
        ),
        (("--nodes", "3", "x.py"), {"WORKER": "b"}, "3 nodes asked for, but without Slurm there are two"),
        (("--nodes", "2", "x.py"), {"WORKER": "b"}, "FAST_IF is not set"),
        (("--check",), {}, "WORKER is not set"),
        (("x.py",), {"GENET5_ENVIRONMENT": "none.sh"}, "GENET5_ENVIRONMENT=none.sh: no such file"),
    ],
)
def test_what_is_missing_is_one_line(launch, flags, variables, message):
    result, _ = launch(*flags, **variables)
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"error: launch.sh: {message}")


def test_variables_come_from_the_file_and_the_users_own_win(launch, tmp_path):
    (tmp_path / "mine.sh").write_text("# a comment\nFAST_IF=eth7\nNOTE='of the file'\n")
    settings = {"GENET5_ENVIRONMENT": str(tmp_path / "mine.sh")}
    ((_, names),) = shown(launch("--one", "cpu", script(tmp_path), **settings)[0])
    assert names == {"FAST_IF": "eth7", "NCCL_SOCKET_IFNAME": "eth7", "NOTE": "of the file"}
    ((_, names),) = shown(launch("--one", "cpu", script(tmp_path), **settings, FAST_IF="eth8", NOTE="mine 'own'")[0])
    assert names == {"FAST_IF": "eth8", "NCCL_SOCKET_IFNAME": "eth8", "NOTE": "mine 'own'"}


def test_the_shipped_file_sets_nothing_until_its_values_are_switched_on(launch, repository, tmp_path):
    sample = repository / "profiles/environment.sh"
    assert all(line.startswith("#") for line in sample.read_text().splitlines() if line)
    values = dict(re.findall(r"^# ([A-Z_]+)=(\S+)$", sample.read_text(), re.MULTILINE))
    assert values["NCCL_IB_HCA"] == "rocep1s0f1,roceP2p1s0f1" and set(values) == {
        "WORKER", "FAST_IF", "NCCL_IB_HCA", "NCCL_IB_TIMEOUT", "NCCL_IB_RETRY_CNT", "NCCL_IB_MERGE_NICS",
        "NCCL_NET_GDR_LEVEL", "NCCL_NET_GDR_READ",
    }  # fmt: skip
    ((_, names),) = shown(launch("--one", "cpu", script(tmp_path))[0])
    assert names == {}
    on = tmp_path / "on.sh"
    on.write_text(re.sub(r"^# ([A-Z_]+=\S+)$", r"\1", sample.read_text(), flags=re.MULTILINE))
    (tmp_path / "all.py").write_text("import json, os\nprint(json.dumps(dict(os.environ)))\n")
    result, _ = launch("--one", "cpu", str(tmp_path / "all.py"), GENET5_ENVIRONMENT=str(on), SLURM_JOB_ID="5")
    seen = json.loads(result.stdout)
    assert seen | values | {"WORKER": ""} == seen and seen["NCCL_SOCKET_IFNAME"] == values["FAST_IF"]
