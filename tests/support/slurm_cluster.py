"""Two Slurm nodes, spark1 and spark2, emulated on this machine with the sample files of profiles/dgx.

The scripts of the emulation are not part of the repository: they lie in ``GENET5_SLURM_EMULATION``, or in
``../shared/slurm-two-nodes`` beside the checkout. They need no daemon of the system and change none of its files.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLES = REPOSITORY / "profiles" / "dgx"
SCRIPTS = Path(os.environ.get("GENET5_SLURM_EMULATION", REPOSITORY.parent / "shared" / "slurm-two-nodes"))
PROGRAMS = {"slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "squeue": "slurm-wlm", "munged": "munge", "ip": "iproute2"}
#: Nothing that a test waits for takes this long, however slow the machine.
PATIENCE_S = 600.0

#: Keys of the sample that an emulated node cannot take as they are, and what stands there instead. {} is the sample's
#: own value; the words between @ are those of the emulation's template.
REPLACED = {
    "SlurmctldHost": "@CTL_HOST@(@CTL_ADDR@)",
    "SlurmUser": "@USER@",
    "AuthInfo": "socket=@DIR@/run/munge.sock,{}",
    "StateSaveLocation": "@DIR@/state",
    "SlurmdSpoolDir": "@DIR@/spool/%n",
    "SlurmctldLogFile": "@DIR@/log/slurmctld.log",
    "SlurmdLogFile": "@DIR@/log/slurmd.%n.log",
    "ProctrackType": "proctrack/linuxproc",  # a container has no cgroups to give
    "TaskPlugin": "task/none",  # nor the cores to pin to
    "SlurmdTimeout": "@SLURMD_TIMEOUT@",
}
#: Keys that only nodes on one machine need.
ADDED = (
    "SlurmctldPort=@CTL_PORT@",
    "SlurmdUser=@USER@",
    "SlurmctldPidFile=@DIR@/run/slurmctld.pid",
    "SlurmdPidFile=@DIR@/run/slurmd.%n.pid",
    "@COMMUNICATION@",
    "SlurmdParameters=config_overrides",
    "@NODE_LINES@",
)


def what_is_missing() -> str | None:
    """Why no cluster can start here, or None."""
    search = os.environ["PATH"] + ":/usr/sbin:/sbin"
    packages = sorted({package for name, package in PROGRAMS.items() if not shutil.which(name, path=search)})
    if packages:
        return f"needs programs of Slurm: apt-get install {' '.join(packages)}"
    if not (SCRIPTS / "up.sh").is_file():
        return f"needs the scripts of the emulated cluster, not found at {SCRIPTS}: set GENET5_SLURM_EMULATION"
    return None


def settings(path: Path) -> list[tuple[str, str]]:
    """Keys and values of a configuration of Slurm in the order of the file; a node or partition is one of them."""
    lines = [line.strip() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split("=", 1)) for line in lines]


def emulated(pairs: list[tuple[str, str]]) -> str:
    """The sample slurm.conf as a template of the emulation."""
    unknown = REPLACED.keys() - dict(pairs).keys()
    assert not unknown, f"profiles/dgx/slurm.conf has no {unknown}"
    kept = [f"{key}={REPLACED.get(key, '{}').format(value)}" for key, value in pairs if key != "NodeName"]
    place = next(number for number, line in enumerate(kept) if line.startswith("PartitionName"))
    return "\n".join([*kept[:place], *ADDED, *kept[place:]]) + "\n"


@dataclass(frozen=True)
class Cluster:
    """A running cluster: its folder, and the folder of the scripts that made it."""

    folder: Path
    scripts: Path
    environment: dict[str, str]

    @property
    def has_own_networks(self) -> bool:
        """Whether each node has a network and a host name of its own (as root), or only a port."""
        return "MODE=ns" in (self.folder / "cluster.sh").read_text().splitlines()

    def on(self, node: str, *command: object) -> list[str]:
        """A command as if somebody had logged in on this node."""
        return [str(self.folder / "on"), node, *map(str, command)]

    def ask(self, *command: object) -> str:
        """What a command of Slurm says on the first node."""
        done = subprocess.run(
            self.on("spark1", *command), env=self.environment, cwd=self.folder, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def submit(self, folder: Path, command: str, *options: str) -> str:
        """Queue a shell command; its number. It writes to ``folder``/slurm-NUMBER.out."""
        return self.ask("sbatch", "--parsable", f"--chdir={folder}", *options, f"--wrap={command}").strip()

    def state(self, job: str) -> str:
        return self.ask("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={job}").strip()

    def wait_for_end(self, job: str) -> str:
        """The state in which a job ended."""
        running = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING")
        wait_until(lambda: self.state(job) not in running, f"the end of job {job}")
        return self.state(job)

    @contextmanager
    def without_slurmctld(self, seconds: float) -> Iterator[None]:
        """Kill slurmctld, run the body, and start slurmctld again once it was away so long."""
        since = time.monotonic()
        self._shell('kill -KILL "$(cat "$DIR/run/slurmctld.pid")" && rm "$DIR/run/slurmctld.pid"')
        try:
            yield
            time.sleep(max(0.0, seconds - (time.monotonic() - since)))
        finally:
            self._shell(
                'slurmctld -f "$DIR/etc/slurm.conf" && wait_for 20 test -s "$DIR/run/slurmctld.pid" || exit 1; '
                # The emulation ends the slurmctld it remembers; with networks of their own, a node's first process.
                '[ "$MODE" = ns ] || remember "$DIR/run/slurmctld" "$(cat "$DIR/run/slurmctld.pid")"'
            )

    def _shell(self, text: str) -> None:
        text = f'. "{self.folder}/cluster.sh"; . "$HERE/lib.sh"; PATH=$PATH:/usr/sbin:/sbin; {text}'
        done = subprocess.run(
            self.on("spark1", "bash", "-c", text), env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Ask until it is so."""
    limit = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < limit, f"waited {PATIENCE_S:g} s for {what}"
        time.sleep(0.2)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster in a new folder, with the sample files; it is taken down at the end, whatever happens."""
    scripts = folder / "scripts"
    shutil.copytree(SCRIPTS, scripts)
    (scripts / "slurm.conf.in").write_text(emulated(settings(SAMPLES / "slurm.conf")))
    gres = (SAMPLES / "gres.conf").read_text()
    (scripts / "gres.conf.in").write_text(gres.replace("File=/dev/nvidia0", "File=/dev/null"))
    memory = re.search(r"^NodeName=spark1 .*RealMemory=(\d+)", (SAMPLES / "slurm.conf").read_text(), re.MULTILINE)[1]
    # A job of Slurm that runs these tests has nothing to do with the emulated one.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH", "SRUN"))}
    made = Cluster(folder / "cluster", scripts, environment)
    up = [scripts / "up.sh", made.folder, "--mem", memory, "--wait", "120"]
    try:
        done = subprocess.run(up, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr
        yield made
    finally:
        subprocess.run([scripts / "down.sh", made.folder], env=environment, check=True, capture_output=True)
