#!/usr/bin/env python
"""Does a test see a mistake? Change one line of the library at a time, in a copy of the tree, and run its tests.

    python tests/mutate.py --mutants 100 --seed 1

Lines are drawn from all rooms of scripts/genet5, the same number from each (``tests/support/mutations.py`` says what
may change). A mutant meets the test files that import its module, or a module that imports it, the nearest first, until
a test fails. It is caught when that test passes without the mutation, and survives when all of them pass, or when the
time for it is over. Survivors are printed as diffs: some of them are no mistake, since the result is the same.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import difflib
import functools
import itertools
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests/support"))

from mutations import Mutation, mutations  # noqa: E402 (tests/support is no package)

COPIED = "scripts tests workflow config resources profiles envs docs benchmarks".split()
FILES = "pyproject.toml setup.py README.md CHANGELOG.md CONTRIBUTING.md Makefile requirements.lock".split()
SLOW = ("tests/workflow/", "tests/fuzz/")
PASSED, NOTHING_RAN = 0, 5
# A test whose outcome is not told yet, or that a crash of the interpreter ended.
BEGUN = r"^(tests/[^:\n]+::(?:(?! PASSED| SKIPPED| XFAIL).)+?)(?: *Fatal Python error.*)? *$"
WORD = re.compile(r"[A-Za-z]\w{3,}")
MOST_WAITING = 4  # wall seconds for one of the processor: a mutant may wait for ever
RARE = 5  # test files, of a word that says which tests a line has
PAGE_OF_DEFAULTS = Path("tests/unit/settings/test_sections.py")  # compares all options with docs/config.md
NEAREST = 2  # test files that are run first, so that the others need not be imported


@dataclass(frozen=True)
class Mutant:
    """One line of a module of the library with a mistake. ``path`` starts at the root of the tree."""

    path: Path
    mutation: Mutation

    @property
    def room(self) -> str:
        inside = self.path.parts[2:]
        return inside[0] if len(inside) > 1 else "(base)"

    @property
    def place(self) -> str:
        return f"{self.path}:{self.mutation.line} ({self.mutation.kind})"


def draw(root: Path, number: int, seed: int, rooms: Sequence[str] = ()) -> list[Mutant]:
    """``number`` mutants of different lines, dealt to the rooms in turn."""
    by_room: dict[str, list[list[Mutant]]] = {}
    for path in sorted((root / "scripts/genet5").rglob("*.py")):
        relative = path.relative_to(root)
        found = [Mutant(relative, one) for one in mutations(path.read_text(encoding="utf-8"))]
        for _, line in itertools.groupby(found, key=lambda one: one.mutation.line):
            same_line = list(line)
            by_room.setdefault(same_line[0].room, []).append(same_line)
    letters = random.Random(seed)
    kept = {room: letters.sample(lines, len(lines)) for room, lines in sorted(by_room.items())}
    turns = itertools.zip_longest(*(lines for room, lines in kept.items() if not rooms or room in rooms))
    drawn = (lines for turn in turns for lines in turn if lines is not None)
    return [letters.choice(lines) for lines in itertools.islice(drawn, number)]


class Tests:
    """Which test files have to do with which module of the library."""

    def __init__(self, root: Path) -> None:
        self.root = root
        sources = [
            *(root / "scripts").rglob("*.py"),
            *(root / "tests").rglob("*.py"),
            *(root / "benchmarks").glob("*.py"),
        ]
        self.files = {path.relative_to(root): path for path in sorted(sources)}
        self.modules = {_module(path): path for path in self.files}
        self.imports = {path: self._imported(path) for path in self.files}
        # A script may also be run by its name, and the package as one.
        self.texts = {path: full.read_text(encoding="utf-8") for path, full in self.files.items() if _is_test(path)}
        self.words = {path: set(WORD.findall(text)) for path, text in self.texts.items()}

    def _imported(self, path: Path) -> set[Path]:
        found = set()
        for node in ast.walk(ast.parse(self.files[path].read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            found |= {self.modules[name] for name in names if name in self.modules}
        return found - {path}

    def of(self, path: Path, line: str = "", body: str = "") -> list[Path]:
        """Test files that reach a module within three steps of imports, the nearest first, slow ones last.

        Words of a line that few test files have lead to its tests, however far they are, and then those of the
        ``body`` of its function. Of those as near, the ones that share more words come first.
        """
        words = set(WORD.findall(line))
        rare, rare_around = self._rare(words), self._rare(set(WORD.findall(body)))
        distance, reached = {path: 0}, [path]
        for step in (1, 2, 3):
            names = {f"{one.stem}.py" for one in reached if one.parts[0] == "scripts" and one.parts[1] != "genet5"}
            names |= {'"-m", "genet5"' for one in reached if one.name == "__main__.py"}
            reached = [
                one
                for one in self.files
                if one not in distance
                and (self.imports[one] & set(reached) or any(name in self.texts.get(one, "") for name in names))
            ]
            distance.update(dict.fromkeys(reached, step))
        room = path.parts[2] if len(path.parts) > 3 else ""

        def order(test: Path) -> tuple:
            away = path.stem not in test.stem and test.stem.removeprefix("test_") not in path.stem
            return (
                str(test).startswith(SLOW),
                not (test == PAGE_OF_DEFAULTS and (path.stem == "options" or "option" in words)),
                -len(rare & self.words[test]),
                -len(rare_around & self.words[test]),
                distance[test],
                away,
                -len(words & self.words[test]),
                room not in test.parts,
                self.files[test].stat().st_size,
            )

        return sorted((one for one in distance if _is_test(one)), key=order)

    def _rare(self, words: set[str]) -> set[str]:
        """Those that few test files have."""
        return {word for word in words if sum(word in found for found in self.words.values()) <= RARE}


def _module(path: Path) -> str:
    if path.parts[:2] == ("scripts", "genet5"):
        parts = path.with_suffix("").parts[1:]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return path.stem


def _is_test(path: Path) -> bool:
    return path.name.startswith("test_")


class Runner:
    """Runs tests in a copy of the tree. What is not of the tree is imported once, and handed on by fork."""

    def __init__(self, root: Path, data: Path, limit_s: float) -> None:
        self.root, self.limit_s = root, limit_s
        self.log = root / "mutant.log"
        os.environ.update(
            OMP_NUM_THREADS="1", PYTHONPATH=str(root / "scripts"), PYTHONDONTWRITEBYTECODE="1", GENET5_DATA=str(data)
        )
        sys.dont_write_bytecode = True  # the code of a mutant is never found again
        compileall.compile_dir(str(root / "scripts"), quiet=2)
        for name in "numba torch pytest hypothesis transformers lightning safetensors pandas sklearn Bio.Seq".split():
            __import__(name)

    def run(self, words: Iterable[str | Path], numba_cache: Path | None = None) -> tuple[int, str]:
        """Exit status and output of pytest; a negative one where the time was over."""
        child = os.fork()
        if child == 0:
            self._be_pytest([str(word) for word in words], numba_cache)
        status = signal.SIGKILL  # where the time is over
        try:
            until = time.monotonic() + MOST_WAITING * self.limit_s
            while time.monotonic() < until:
                ended, waited = os.waitpid(child, os.WNOHANG)
                if ended:
                    status = waited
                    break
                time.sleep(0.05)
        finally:
            _end_group(child)
        if not ended:
            os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status), self.log.read_text(errors="replace")

    def _be_pytest(self, words: list[str], numba_cache: Path | None) -> None:
        status = 99
        try:
            os.setsid()
            os.chdir(self.root)
            with self.log.open("wb") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            resource.setrlimit(resource.RLIMIT_CPU, (int(self._used_s() + self.limit_s), resource.RLIM_INFINITY))
            sys.path[:] = [
                str(self.root / "scripts"),
                *(p for p in sys.path if not p.startswith(str(REPOSITORY / "tests"))),
            ]
            sys.modules.pop("mutations", None)
            if numba_cache:
                os.environ["NUMBA_CACHE_DIR"] = str(numba_cache)
                sys.modules["numba"].config.CACHE_DIR = str(numba_cache)
            import pytest

            status = int(
                pytest.main(["-x", "-vv", "--no-header", "--tb=line", "-rfE", "-p", "no:cacheprovider", *words])
            )
        finally:
            sys.stdout.flush()
            os._exit(status)

    @staticmethod
    def _used_s() -> float:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime


def _end_group(leader: int) -> None:
    """SIGKILL to what a child and its tests left running."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


class Judge:
    """Says what became of a mutant. A test that fails without it proves nothing, and is left out from then on."""

    def __init__(self, runner: Runner, tests: Tests) -> None:
        self.runner, self.tests = runner, tests
        self.broken: list[str] = []
        self.sound: set[str] = set()

    def verdict(self, mutant: Mutant, most_files: int) -> tuple[bool, str]:
        """Whether the mutant is caught, and by what, or what it survived."""
        path = self.runner.root / mutant.path
        before = path.read_bytes()
        names, body = enclosing(before, mutant.mutation.line)
        line = f"{before.decode().splitlines()[mutant.mutation.line - 1]} {names}"
        files = self.tests.of(mutant.path, line, body)[:most_files]
        if not files:
            return False, "no test file imports it"
        compiled = list(path.parent.glob(f"__pycache__/{path.stem}.*.pyc"))
        for one in compiled:
            one.unlink()
        jitted = b"njit" in before
        try:
            path.write_bytes(mutant.mutation.applied(before))
            for first, last in ((0, NEAREST), (NEAREST, most_files)):
                if caught := self._met(files[first:last], path, before, jitted):
                    return True, caught
        finally:
            path.write_bytes(before)
        return False, f"{len(files)} test files"

    def _met(self, files: Sequence[Path], path: Path, before: bytes, jitted: bool) -> str:
        """The first test of some files that fails because of the mutation in ``path``; empty where none does."""
        mutated = path.read_bytes()
        while files:
            status, output = self._run(files, jitted)
            if status in (PASSED, NOTHING_RAN):
                return ""
            failed = re.findall(r"^(?:FAILED|ERROR) (tests/.+?)(?: - .*)?$", output, flags=re.MULTILINE)
            begun = re.findall(BEGUN, output, flags=re.MULTILINE)
            if status < 0 and begun and self._run(begun[-1:], jitted)[0] == PASSED:
                return ""  # the time was over, and no test hangs
            suspect = (failed or begun[-1:] or [str(files[0])])[0]
            path.write_bytes(before)
            sound = self._is_sound(suspect)
            path.write_bytes(mutated)
            if sound:
                return suspect if failed else f"{suspect} does not end any more"
            if status < 0:
                return ""
        return ""

    def _run(self, words: Sequence[str | Path], jitted: bool = False) -> tuple[int, str]:
        """Compiled loops keep no code of a mutant: a loop that calls it would not be compiled again."""
        with tempfile.TemporaryDirectory() as folder:
            return self.runner.run([*words, *self._left_out()], Path(folder) if jitted else None)

    def _left_out(self) -> Iterator[str]:
        for name in self.broken:
            yield from ("--deselect", name)

    def _is_sound(self, name: str) -> bool:
        """Whether a test passes without any mutation."""
        if name in self.sound:
            return True
        if self.runner.run([name])[0] == PASSED:
            self.sound.add(name)
            return True
        self.broken.append(name)
        print(f"  left out, since it fails without a mutation: {name}", flush=True)
        return False


def enclosing(source: bytes, line: int) -> tuple[str, str]:
    """Names of the functions and classes that a line stands in, and the code of the innermost function."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    around = [node for node in nodes if node.lineno <= line <= (node.end_lineno or node.lineno)]
    functions = [node for node in around if isinstance(node, ast.FunctionDef)]
    if not functions:
        return " ".join(node.name for node in around), ""
    said = ast.get_docstring(functions[-1]) is not None
    body = "\n".join(ast.unparse(node) for node in functions[-1].body[said:])
    return " ".join(node.name for node in around), body


def difference(source: str, mutant: Mutant) -> str:
    """The mutation as a diff without its headers."""
    changed = mutant.mutation.applied(source.encode()).decode()
    lines = difflib.unified_diff(source.splitlines(), changed.splitlines(), lineterm="", n=0)
    return "\n".join(f"    {line}" for line in list(lines)[3:])


def copy_tree(target: Path) -> Path:
    """What the tests need of the checkout."""
    ignored = shutil.ignore_patterns("*.nbc", "*.nbi", ".pytest_cache", ".ruff_cache")
    for name in COPIED:
        shutil.copytree(REPOSITORY / name, target / name, ignore=ignored, symlinks=True)
    for name in FILES:
        shutil.copy2(REPOSITORY / name, target / name)
    if (REPOSITORY / ".venv").exists():
        (target / ".venv").symlink_to((REPOSITORY / ".venv").resolve())
    return target


@functools.cache
def _started() -> float:
    return time.monotonic()


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=100, help="lines to change (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the draw (default: %(default)s)")
    parser.add_argument("--rooms", nargs="*", default=[], help="rooms to draw from (default: all)")
    parser.add_argument("--only", nargs="*", type=int, default=[], help="numbers of the draw to run (default: all)")
    parser.add_argument("--limit-s", type=float, default=20, help="CPU seconds for a mutant (default: %(default)s)")
    parser.add_argument("--files", type=int, default=8, help="test files that it meets at most (default: %(default)s)")
    parser.add_argument("--target", type=float, default=0.9, help="share to be caught (default: %(default)s)")
    arguments = parser.parse_args()
    data = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared/data")).resolve()
    _started()
    with tempfile.TemporaryDirectory(prefix="genet5.mutants.") as folder:
        root = copy_tree(Path(folder) / "tree")
        drawn = list(enumerate(draw(root, arguments.mutants, arguments.seed, arguments.rooms)))
        judge = Judge(Runner(root, data, arguments.limit_s), Tests(root))
        caught, met, survivors = Counter(), Counter(), []
        for number, mutant in drawn:
            if arguments.only and number not in arguments.only:
                continue
            found, how = judge.verdict(mutant, arguments.files)
            met[mutant.room] += 1
            caught[mutant.room] += found
            print(f"{number:4d} {'caught  ' if found else 'SURVIVED'} {mutant.place}: {how}", flush=True)
            if not found:
                diff = difference((root / mutant.path).read_text(encoding="utf-8"), mutant)
                print(diff, flush=True)
                survivors.append(number)
    print("\n| room | mutants | caught |\n|---|---|---|")
    for room, number in sorted(met.items()):
        print(f"| {room} | {number} | {caught[room]} |")
    share = caught.total() / max(1, met.total())
    print(f"survivors: {' '.join(map(str, survivors)) or 'none'}; {time.monotonic() - _started():.0f} s")
    print(f"bar: mutants_caught {share:.3f} share target {arguments.target:g}")
    sys.exit(0 if share >= arguments.target else 1)


if __name__ == "__main__":
    main()
