#!/usr/bin/env python
"""The study DNA-LLM at full size without Snakemake: the same commands as its rules, several at a time on one GPU.

For a machine with a GPU and little else: needs torch, lightning, matplotlib and this checkout. Reads the
configuration (``config/config.yaml`` and ``--config``), genomes as ``DATA/{species}/fna.gz`` and the windows from
``DATA/tf-binding``. Prints the table and packs tables, pictures, losses and logs, without the weights, into
``OUTPUT/dna_llm.tar.gz``. A stopped run goes on where it was; predictors that ``--seconds`` leaves no time for
are named and left out.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))

from genet5.errors import InputError, run_command  # noqa: E402
from genet5.studies.dna_llm.variants import CONTROLS, VARIANTS  # noqa: E402

TAIL_LINES = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with tf-binding/ and the genomes")
    parser.add_argument("--output", type=Path, required=True, help="folder of dna_llm.tar.gz and comparison.json")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "data/studies/dna_llm/full", help="(%(default)s)")
    parser.add_argument("--config", type=Path, default=REPOSITORY / "config/dna_llm.yaml", help="(%(default)s)")
    parser.add_argument("--jobs", type=int, default=6, help="commands at a time (%(default)s)")
    parser.add_argument(
        "--predictors", nargs="+", choices=VARIANTS, metavar="NAME", help="(default: the configuration's)"
    )
    parser.add_argument("--epochs", type=int, help="of fine-tuning (default: the configuration's)")
    parser.add_argument("--seconds", type=float, default=3600, help="stop training after this time (%(default)s)")
    arguments = parser.parse_args()
    study = merged(read_yaml(REPOSITORY / "config/config.yaml"), read_yaml(arguments.config))
    settings = study["dna_llm"]
    if arguments.epochs:
        settings["finetune"]["epochs"] = arguments.epochs
    names = arguments.predictors or settings["predictors"]
    genomes = find_genomes(arguments.data, REPOSITORY / study["species_sheet"], settings["species"])
    run = Study(arguments.work, arguments.data, settings, genomes, arguments.jobs, arguments.seconds)
    failed = run.train(names)
    done = [name for name in (*CONTROLS, *names) if name not in failed]
    run.compare(done)
    pack(arguments.work, [run.folder(name) for name in done], arguments.output)
    print(f"all: {time.monotonic() - run.started:.0f} s", flush=True)
    if failed:
        raise InputError(f"no result of {', '.join(failed)}; their messages stand above")


class Study:
    """The commands of the study and what each has to wait for."""

    def __init__(
        self,
        work: Path,
        data: Path,
        settings: Mapping[str, Any],
        genomes: Mapping[str, Path],
        jobs: int,
        seconds: float,
    ):
        self.work, self.data, self.settings, self.genomes = work, data, settings, genomes
        self.slots = threading.Semaphore(jobs)
        self.started = time.monotonic()
        self.deadline = self.started + seconds
        self.windows, self.models, self.outputs = work / "windows.npz", work / "models", work / "outputs"
        (work / "logs").mkdir(parents=True, exist_ok=True)

    def folder(self, name: str) -> Path:
        """Where a predictor's result is."""
        return self.models / (name if name in CONTROLS else VARIANTS[name].folder)

    def train(self, names: Sequence[str]) -> list[str]:
        """Everything up to the predictors; names of those that have no result."""
        network = flags(self.settings["network"])
        with ThreadPoolExecutor(max_workers=len(names) + 8) as pool:
            split = pool.submit(self.split_windows)
            alphabets = {VARIANTS[name].alphabet for name in names if VARIANTS[name].pretrained}
            cores = {alphabet: pool.submit(self.pretrain, alphabet, split, network) for alphabet in sorted(alphabets)}
            jobs = {
                name: pool.submit(self.call, "control", [split], ["--control", name, *self._result_flags(name)], name)
                for name in CONTROLS
            }
            for name in sorted(names, key=lambda name: VARIANTS[name].pretrained):
                variant = VARIANTS[name]
                needs, words = [split], ["--variant", name, *network, *flags(self.settings["finetune"])]
                if variant.pretrained:
                    needs.append(cores[variant.alphabet])
                    words += ["--core", self.outputs / f"ckpt_{variant.alphabet}"]
                jobs[name] = pool.submit(self.call, "finetune", needs, [*words, *self._result_flags(name)], name)
        failed = []
        for name, job in jobs.items():
            if error := job.exception():
                if not isinstance(error, InputError):
                    raise error
                print(f"error: {name}: {error}", flush=True)
                failed.append(name)
        return failed

    def split_windows(self) -> None:
        """Read and split the windows."""
        paths = {key: str(self.settings["windows"][key]).format(data_root=self.data) for key in ("sequences", "scores")}
        words = flags(self.settings["windows"] | paths)
        self.call("windows", [], [*words, "--output", self.windows, "--report", self.work / "split.json"])

    def pretrain(self, alphabet: str, split: Future, network: Sequence[str]) -> None:
        """Write the corpus of an alphabet and pretrain on it."""
        corpus = self.work / "data" / alphabet
        words = ["--genomes", *(f"{name}={path}" for name, path in self.genomes.items()), "--alphabet", alphabet]
        words += ["--held-out", self.windows, "--context", self.settings["network"]["context"]]
        words += [*flags(self.settings["corpus"]), "--output-dir", corpus]
        self.call("corpus", [split], words, alphabet)
        words = ["--corpus", corpus, *network, *flags(self.settings["pretrain"])]
        words += ["--losses", self._losses(alphabet), "--output-dir", self.outputs / f"ckpt_{alphabet}"]
        self.call("pretrain", [], words, alphabet)

    def compare(self, names: Sequence[str]) -> None:
        """Table and pictures of these predictors."""
        losses = [path.name for alphabet in ("full", "vocab4") if (path := self._losses(alphabet)).is_file()]
        words = ["--study", self.work, "--losses", *losses, "--predictors", *(self.folder(name).name for name in names)]
        words += ["--bootstrap", self.settings["bootstrap"], "--seed", self.settings["seed"]]
        self.deadline = float("inf")
        self.call("compare", [], words)
        print((self.work / "logs" / "compare.log").read_text(encoding="utf-8"), flush=True)

    def _losses(self, alphabet: str) -> Path:
        return self.outputs / f"losses_{alphabet}.json"

    def _result_flags(self, name: str) -> list[object]:
        return ["--windows", self.windows, "--output-dir", self.folder(name)]

    def call(self, script: str, needs: Sequence[Future], words: Sequence[object], label: str = "") -> None:
        """Wait for ``needs`` and a free slot, then run a script of the study; its output goes to a log."""
        for job in needs:
            job.result()
        log = self.work / "logs" / f"{'_'.join(filter(None, (script, label)))}.log"
        with self.slots, open(log, "w", encoding="utf-8") as stream:
            began = time.monotonic()
            command = [sys.executable, str(REPOSITORY / "scripts" / f"dna_llm_{script}.py"), *map(str, words)]
            process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=environment())
            try:
                code = process.wait(timeout=max(self.deadline - began, 0.1))
            except subprocess.TimeoutExpired:
                process.terminate()  # it saves a checkpoint
                code = process.wait()
        lines = log.read_text(encoding="utf-8").splitlines()
        if code:
            raise InputError("\n".join([f"{log}: exit status {code}", *lines[-TAIL_LINES:]]))
        ended = time.monotonic()
        print(f"[{ended - self.started:4.0f} s] {script} {label} ({ended - began:.0f} s): {lines[-1]}", flush=True)


def environment() -> dict[str, str]:
    """Two threads a process, which sleep while they wait."""
    return {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE", **os.environ}


def flags(section: Mapping[str, Any]) -> list[str]:
    """A section of the configuration as flags."""
    words: list[str] = []
    for key, value in section.items():
        name = key.replace("_", "-")
        words += [f"--{name}" if value else f"--no-{name}"] if isinstance(value, bool) else [f"--{name}", str(value)]
    return words


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the values of ``over``, sections merged."""
    both = {key: merged(base[key], over[key]) for key in over if isinstance(over[key], dict) and key in base}
    return {**base, **over, **both}


def read_yaml(path: Path) -> dict[str, Any]:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path}: {error}") from None


def find_genomes(data: Path, sheet: Path, selection: str) -> dict[str, Path]:
    """The chosen species of the sheet, in its order, with their FASTA files below ``data``."""
    with open(sheet, newline="", encoding="utf-8") as stream:
        rows = {row["species"]: row["genome"] for row in csv.DictReader(stream, delimiter="\t")}
    chosen = list(rows) if selection == "all" else [name.strip() for name in selection.split(",")]
    return {name: Path(rows[name].format(data_root=data)) for name in chosen}


def pack(work: Path, results: Sequence[Path], output: Path) -> None:
    """Pack everything but weights, corpora and predictions."""
    output.mkdir(parents=True, exist_ok=True)
    wanted = [work / "split.json", *work.glob("logs/*"), *work.glob("outputs/*.*"), *work.glob("models/*.*")]
    wanted += [path for folder in results for path in folder.glob("*") if path.suffix in (".csv", ".json")]
    with tarfile.open(output / "dna_llm.tar.gz", "w:gz") as archive:
        for path in wanted:
            archive.add(path, arcname=path.relative_to(work))
    (output / "comparison.json").write_bytes((work / "models" / "comparison.json").read_bytes())


if __name__ == "__main__":
    run_command(main)
