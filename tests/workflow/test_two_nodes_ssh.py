"""Two machines without Slurm: scripts/launch.sh and profiles/sparks between two network namespaces with sshd."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import patience
import pytest
from two_nodes import CABLE, LAN, NODES, TwoNodes, toy_run_in, two_nodes

pytestmark = pytest.mark.slow

#: Seconds after which something hangs.
DEADLINE_S = 300
OPTIONS = '{"epochs": 60, "save_steps": 20, "windows_per_step": 16}'
STEP = re.compile(r"step +(\d+)/(\d+)")


@pytest.fixture(scope="module")
def nodes(repository) -> Iterator[TwoNodes]:
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as folder:
        yield from two_nodes(repository, Path(folder) / "c")


@pytest.fixture
def environment(nodes, tmp_path) -> dict[str, str]:
    own = {"WORKER": NODES[1], "FAST_IF": CABLE, "GENET5_LOCKS": str(tmp_path / "locks"), "OMP_NUM_THREADS": "1"}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "GENET5_DEVICE": "cpu", **own}


class Training:
    """A toy training on both nodes, and what it wrote."""

    def __init__(self, nodes: TwoNodes, repository: Path, environment: dict[str, str], folder: Path) -> None:
        self.nodes, self.environment, self.folder = nodes, environment, folder
        self.script = repository / "tests/support/toy_training.py"
        self.launch = repository / "scripts/launch.sh"
        self.log = folder / "log"
        folder.mkdir()

    def start(self, *more: object) -> subprocess.Popen:
        words = ["bash", self.launch, "--nodes", 2, self.script, self.folder / "out", OPTIONS, *more]
        with self.log.open("wb") as log:
            command = self.nodes.command(NODES[0], *words)
            return subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)

    def end(self, job: subprocess.Popen) -> int:
        try:
            return job.wait(DEADLINE_S)
        finally:
            job.kill()

    def wait_for_step(self, step: int) -> None:
        wait_until(lambda: any(int(at) >= step for at, _ in STEP.findall(self.log.read_text())))

    @property
    def weights(self) -> bytes:
        return (self.folder / "out/final/model.safetensors").read_bytes()


def wait_until(reached: Callable[[], object]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not reached():
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.1)


def no_process_is_left(nodes: TwoNodes, folder: Path) -> None:
    # Each command of a job names its folder; "ps" and the launcher's own dead children do not.
    wait_until(lambda: not nodes.running(str(folder)))


@pytest.fixture
def train(nodes, repository, environment, tmp_path) -> Callable[[str], Training]:
    return lambda name: Training(nodes, repository, environment, tmp_path / name)


@pytest.fixture(scope="module")
def undisturbed(nodes, repository, tmp_path_factory) -> tuple[bytes, int, int]:
    """Weights of an undisturbed training, and the bytes it sent over the cable and over the other network."""
    folder = tmp_path_factory.mktemp("undisturbed")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    own = {"WORKER": NODES[1], "FAST_IF": CABLE, "GENET5_LOCKS": str(folder / "locks"), "OMP_NUM_THREADS": "1"}
    training = Training(nodes, repository, {**os.environ, "PATH": path, "GENET5_DEVICE": "cpu", **own}, folder / "run")
    before = nodes.sent(CABLE), nodes.sent(LAN)
    status = training.end(training.start())
    assert status == 0, training.log.read_text()
    assert "2 processes" in training.log.read_text()
    return training.weights, nodes.sent(CABLE) - before[0], nodes.sent(LAN) - before[1]


def test_a_training_on_both_machines_uses_the_cable(undisturbed):
    _, cable, lan = undisturbed
    assert cable > 500_000 and lan < cable / 5


def test_a_dead_process_of_the_worker_ends_the_job_with_its_status_and_a_rerun_ends_right(nodes, train, undisturbed):
    training = train("rank")
    assert training.end(training.start("--kill-at", 130, "--kill-rank", 1)) == 128 + signal.SIGKILL
    no_process_is_left(nodes, training.folder)
    assert training.end(training.start()) == 0, training.log.read_text()
    assert "resum" in training.log.read_text() and training.weights == undisturbed[0]


def test_a_process_that_hears_nothing_of_a_failure_is_ended(nodes, repository, environment, tmp_path):
    (tmp_path / "x.py").write_text(
        "import os, sys, time\nos.environ['RANK'] == '1' and sys.exit(3)\ntime.sleep(9999)\n"
    )
    words = ["bash", repository / "scripts/launch.sh", "--nodes", 2, "--processes-per-node", 1, tmp_path / "x.py"]
    job = subprocess.Popen(nodes.command(NODES[0], *words), cwd=tmp_path, env=environment)
    try:
        assert job.wait(DEADLINE_S) == 3
    finally:
        job.kill()
    no_process_is_left(nodes, tmp_path)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_signal_to_the_launcher_ends_both_machines_and_a_rerun_ends_right(nodes, train, undisturbed, name):
    training = train(name)
    job = training.start()
    training.wait_for_step(30)
    launchers = nodes.output(NODES[0], "pgrep", "-f", f"^bash {training.launch} --nodes 2 .*{training.folder}").split()
    nodes.output(NODES[0], "kill", f"-{name.removeprefix('SIG')}", launchers[0])
    status = training.end(job)
    no_process_is_left(nodes, training.folder)
    number = signal.Signals[name]
    # nsenter, around the launcher here, ends by the same SIGKILL.
    assert status in (-number, 128 + number) if number == signal.SIGKILL else status == 128 + number
    if number != signal.SIGKILL:  # all processes stopped in agreement, with a checkpoint
        step = re.search(r"stopped by a signal after step (\d+)", training.log.read_text())
        assert step and (training.folder / f"out/checkpoint_step_{step[1]}").is_dir()
    assert training.end(training.start()) == 0, training.log.read_text()
    assert "resum" in training.log.read_text() and training.weights == undisturbed[0]


SHOW = """
import os, socket, sys, time
print(socket.gethostname(), os.getcwd(), os.environ.get("GENET5_NOTE"), sys.argv[1:], flush=True)
print("second", file=sys.stderr, flush=True)
print("third", flush=True)
end = time.monotonic() + 60
while len(sys.argv) > 3 and not os.path.exists(sys.argv[3]) and time.monotonic() < end:
    time.sleep(.05)
sys.exit(7)
"""


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_two_single_jobs_go_to_both_machines(nodes, repository, environment, tmp_path, kind):
    (tmp_path / "show.py").write_text(SHOW)
    odd = ["two  words", 'it\'s "$HOME" `x` *']
    environment["GENET5_NOTE"] = "a 'b' $c"
    command = ["bash", repository / "scripts/launch.sh", "--one", kind, "show.py", *odd, "go"]
    jobs = []
    for number in range(2):
        with (tmp_path / f"log{number}").open("wb") as log:
            words = nodes.command(NODES[0], *command)
            jobs.append(subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=log, stderr=log))
        wait_until(lambda number=number: "third" in (tmp_path / f"log{number}").read_text())
    (tmp_path / "go").touch()
    assert [job.wait(DEADLINE_S) for job in jobs] == [7, 7]
    for number, node in enumerate(NODES):
        expected = f"{node} {tmp_path} a 'b' $c {[*odd, 'go']}\nsecond\nthird\n"
        assert (tmp_path / f"log{number}").read_text() == expected


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"WORKER": "nowhere"}, "error: launch.sh: WORKER=nowhere cannot be reached: "),
        ({"FAST_IF": "eth9"}, "error: launch.sh: FAST_IF=eth9: spark1 has no such network interface"),
    ],
)
def test_a_pair_that_is_not_there_is_one_line(nodes, repository, environment, tmp_path, variables, line):
    settings = [f"{name}={value}" for name, value in variables.items()]
    words = ["env", *settings, "bash", repository / "scripts/launch.sh", "--nodes", 2, "x.py"]
    done = subprocess.run(
        nodes.command(NODES[0], *words), cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(line) and len(done.stderr.splitlines()) == 1


def test_the_check_says_what_is_right_and_what_is_wrong(nodes, repository, environment, tmp_path):
    def check(*settings: str) -> tuple[int, list[str]]:
        words = ["env", *settings, "bash", repository / "scripts/launch.sh", "--check"]
        done = subprocess.run(
            nodes.command(NODES[0], *words), cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.stderr == ""
        return done.returncode, done.stdout.splitlines()

    status, lines = check()
    assert status == 0 and all(line.startswith("ok ") for line in lines), lines
    assert lines[-1].endswith(f"FAST_IF={CABLE}: spark2 (192.168.100.11) connects to this machine (192.168.100.10)")
    status, lines = check("FAST_IF=eth9", "GENET5_DEVICE=auto", "NCCL_IB_HCA=mlx9", "CUDA_VISIBLE_DEVICES=")
    wrong = " ".join(line for line in lines if line.startswith("WRONG "))
    assert status == 1 and all(word in wrong for word in ("FAST_IF=eth9", "GPUs: none", "mlx9 here", "mlx9 on spark2"))
    assert list(tmp_path.iterdir()) == []


def test_a_rule_of_the_workflow_trains_on_both_machines(nodes, environment, make_workspace, tmp_path):
    workspace = make_workspace()
    overlay = toy_run_in(workspace, tmp_path, device="cpu", epochs=1)
    target = "data/model/toy/sft/model.safetensors"
    command = workspace.command("--profile", "profiles/sparks", target, "--configfile", overlay)
    done = patience.run(nodes.command(NODES[0], *command), cwd=workspace.folder, env=environment)
    assert done.returncode == 0, done.stdout
    assert "2 processes" in (workspace.folder / "data/logs/train_sft/toy.log").read_text()
    assert (workspace.folder / target).is_file() and not nodes.running(str(workspace.folder))
