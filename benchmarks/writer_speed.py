#!/usr/bin/env python
"""What the writer does in a second of a processor: kilobases written, windows learnt from, GRPO steps.

A network of size demo with fresh weights around the shipped CRF of fungi writes windows of S.pombe, which
``GENET5_DATA`` holds: with fresh weights it writes about the genes of the CRF. It learns from the CRF's genes of the
same windows. With ``--base FOLDER``, another checkout of GeneT5 does the same in turn, and both must write the same
genes, and lose and earn the same. Measured are user and system seconds of the process, all its threads counted.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# Behind PYTHONPATH: a worker has that of its checkout.
sys.path.append(str(Path(__file__).resolve().parent.parent / "scripts"))

from genet5.errors import InputError, run_command

REPOSITORY = Path(__file__).resolve().parent.parent
SPECIES, CLADE, SEED = "S.pombe", "fungi", 1
FIRST_BP, WINDOW_BP, STEP_BP = 1_000_000, 6000, 4000
DECODED, LEARNT, PROMPTS = "decoding, without the CRF's networks", "SFT", "GRPO"
UNITS = {DECODED: "kb of genome / CPU s", LEARNT: "windows / CPU s", PROMPTS: "steps / CPU s"}
TOLERANCE = 2e-3  # of losses and rewards, relative; of log-probabilities of genes, in nats


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="8 windows and one round: under a minute")
    parser.add_argument("--base", type=Path, help="folder of another checkout, which is measured in turn")
    parser.add_argument("--windows", type=int, default=32, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of each side; medians count (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.windows, arguments.rounds = 8, 1
    if arguments.worker:
        work(arguments)
        return
    rows = measure(arguments.base, arguments.windows, arguments.rounds, arguments.threads)
    for what, unit, ours, base, ratio in rows:
        beside = f"   base {base:8.2f}   ratio {ratio:.2f}" if base is not None else ""
        print(f"{what:38s} {ours:8.2f} {unit:22s}{beside}")


def measure(
    base: Path | None = None, windows: int = 8, rounds: int = 1, threads: int = 1
) -> list[tuple[str, str, float, float | None, float | None]]:
    """Rows (what, unit, ours, base, ratio); without a base the last two are None.

    Raises ``InputError`` for a base that writes other genes, or loses or earns otherwise.
    """
    sides = [REPOSITORY] if base is None else [REPOSITORY, base.resolve()]
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker(side, windows, threads)) for side in sides]
        found: list[dict[str, list[float]]] = [{} for _ in workers]
        for what in UNITS:
            for _ in range(rounds):
                answers = [worker.ask(what) for worker in workers]
                for side, answer in zip(found, answers, strict=True):
                    side.setdefault(what, []).append(answer["rate"])
                if len(answers) == 2:
                    check_same(what, *(answer["result"] for answer in answers))
    rows = []
    for what, unit in UNITS.items():
        ours, *others = (statistics.median(side[what]) for side in found)
        rows.append((what, unit, ours, *others, ours / others[0]) if others else (what, unit, ours, None, None))
    return rows


def check_same(what: str, ours: Any, base: Any) -> None:
    """Raise ``InputError`` for results that differ by more than rounding."""
    if what == DECODED:
        same = [gene for gene, _ in ours] == [gene for gene, _ in base]
        near = same and all(abs(one - two) < TOLERANCE for (_, one), (_, two) in zip(ours, base, strict=True))
        if not near:
            differ = {gene for gene, _ in ours} ^ {gene for gene, _ in base}
            raise InputError(f"{what}: genes that one side alone writes, or other log-probabilities: {sorted(differ)}")
    elif not all(math.isclose(one, two, rel_tol=TOLERANCE) for one, two in zip(ours, base, strict=True)):
        raise InputError(f"{what}: {ours} here, {base} in the base")


class Worker:
    """A process of one checkout that answers one question after the other."""

    def __init__(self, checkout: Path, windows: int, threads: int) -> None:
        scripts = checkout / "scripts"
        if not (scripts / "genet5").is_dir():
            raise InputError(f"{checkout}: no checkout of GeneT5, it has no scripts/genet5")
        command = [sys.executable, __file__, "--worker", f"--windows={windows}", f"--threads={threads}"]
        environment = os.environ | {"PYTHONPATH": str(scripts)}
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.stdin.close()
        self._process.wait()

    def ask(self, what: str) -> dict[str, Any]:
        print(what, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise InputError(f"{what}: the worker ended with status {self._process.wait()}")
        return json.loads(line)


# ---------------------------------------------------------------- in a worker


def work(arguments: argparse.Namespace) -> None:
    """Answer questions on standard input, one line each, until it ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what training prints is no answer
    import torch

    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        subjects = make_subjects(read_windows(arguments.windows), Path(folder))
        for line in sys.stdin:
            rate, result = subjects[line.strip()]()
            print(json.dumps({"rate": rate, "result": result}), file=answers, flush=True)


def read_windows(count: int) -> list[str]:
    path = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared/data")) / SPECIES / "fna.gz"
    if not path.is_file():
        raise InputError(f"{path}: no such file; GENET5_DATA must name the folder of reference data")
    with gzip.open(path, "rt") as stream:
        next(stream)
        bases = ""
        while len(bases) < FIRST_BP + STEP_BP * count + WINDOW_BP:
            bases += next(stream).strip().upper()
    return [bases[FIRST_BP + STEP_BP * n :][:WINDOW_BP] for n in range(count)]


def viterbi_genes(crf: Any, rules: Any, bases: Sequence[str]) -> list[list[Any]]:
    """Genes of windows; older checkouts have a function where newer ones have a class."""
    try:
        from genet5.crf.window_decoder import WindowDecoder
    except ImportError:
        from genet5.crf.decoding import decode_windows

        return decode_windows(crf, rules, bases)
    return WindowDecoder(crf, rules).decode(bases)


def make_subjects(bases: Sequence[str], folder: Path) -> dict[str, Callable[[], tuple[float, Any]]]:
    """By subject: a function that does it once and gives its rate and its result. Each has run once before."""
    import torch

    from genet5.bake.crops import Window
    from genet5.clades import read_clades
    from genet5.crf.folder import load_crf
    from genet5.tokens.grammars import Grammars
    from genet5.tokens.tokenizer import GeneTokenizer
    from genet5.writer import network
    from genet5.writer.batch import collate, make_example
    from genet5.writer.building import new_model, resize_model
    from genet5.writer.decoding import write_genes

    tokenizer = GeneTokenizer.build("kmer", segment_bp=60, max_window_bp=WINDOW_BP)

    def fresh_model() -> Any:
        crf = load_crf(REPOSITORY / "resources/models" / CLADE)
        return resize_model(new_model("demo", tokenizer.dna_only(), crf, SEED), tokenizer, SEED)

    grammars = Grammars(tokenizer, read_clades())
    grammar = grammars.of(CLADE, 1)
    writer = fresh_model().eval()
    found = viterbi_genes(writer.crf, grammar.rules, bases)
    scored = [[one.gene for one in genes] for genes in found]
    windows = [Window(text, genes, [], CLADE, 1) for text, genes in zip(bases, scored, strict=True)]

    def decoding() -> tuple[float, Any]:
        crf_s = [0.0]
        score = network.score_codes

        def timed(*values: Any) -> Any:
            started = time.thread_time()
            found = score(*values)
            crf_s[0] += time.thread_time() - started
            return found

        network.score_codes = timed
        started = time.process_time()
        written = [w for at in range(0, len(bases), 8) for w in write_genes(writer, grammar, bases[at : at + 8], CLADE)]
        seconds = time.process_time() - started - crf_s[0]
        network.score_codes = score
        genes = [
            (f"window {number}: {gene}", chance)
            for number, one in enumerate(written)
            for gene, chance in zip(one.genes, one.gene_log_probability, strict=True)
        ]
        return len(bases) * STEP_BP / 1000 / seconds, genes

    def learning() -> tuple[float, Any]:
        model = fresh_model().train()
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3, fused=True)
        losses, started = [], time.process_time()
        for at in range(0, len(windows) - 1, 2):
            examples = [make_example(one.bases, CLADE, one.genes, grammar) for one in windows[at : at + 2]]
            found = model.training_losses(collate(examples))
            (found["sum"] / found["weight"]).backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(found["language"].item() / found["weight"].item())
        return len(losses) * 2 / (time.process_time() - started), losses

    rounds = iter(range(1000))

    def reinforcing() -> tuple[float, Any]:
        run, stream = make_run(fresh_model(), grammars, windows, folder / f"run_{next(rounds)}")
        rewards, started = [], time.process_time()
        steps = max(len(windows) // 8, 1)
        for _ in range(steps):
            run._step(stream)
            rewards.append(run.state.close_row()["reward"])
        return steps / (time.process_time() - started), rewards

    subjects = {DECODED: decoding, LEARNT: learning, PROMPTS: reinforcing}
    write_genes(writer, grammar, bases[:2], CLADE)  # numba compiles
    return subjects


def make_run(model: Any, grammars: Any, windows: Sequence[Any], folder: Path) -> tuple[Any, Any]:
    """A run of GRPO on ``windows``, four prompts in a batch and eight in a step, that measures nothing but rewards."""
    import numpy as np

    from genet5.grpo.options import GrpoOptions
    from genet5.grpo.run import GrpoRun
    from genet5.training.batches import BatchSource
    from genet5.training.checkpoints import RunFolder
    from genet5.training.evaluation import Evaluation
    from genet5.training.fabric import Fabric, LightningEnvironment
    from genet5.training.run import RunSpec
    from genet5.training.sampler import BatchPlan
    from genet5.training.signals import StopRequest

    options = GrpoOptions(
        epochs=1,
        early_stopping=0,
        batch_size=4,
        windows_per_step=min(8, len(windows)),
        group_size=8,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        beta=0.0,
        lr=1e-5,
        max_steps_without_variance=0,
        log_memory=False,
    )
    fabric = Fabric(accelerator="cpu", devices=1, precision="32-true", plugins=[LightningEnvironment()])
    plan = BatchPlan(np.full(len(windows), 2000), options.token_budget, options.batch_size, options.seed)
    source = BatchSource(plan, lambda indices, _epoch, _rng: [windows[index] for index in indices])
    stop = StopRequest()
    folder.mkdir()
    evaluation = Evaluation(fabric, stop, options, None, None)
    spec = RunSpec(fabric, RunFolder(folder), model, source, options, evaluation, stop, lambda _: None)
    run = GrpoRun(grammars, spec)
    run.model.train()
    return run, run._stream()


if __name__ == "__main__":
    run_command(main)
