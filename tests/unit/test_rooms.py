"""The order of rooms: a module imports only from rooms before its own, and modules import each other in no circle.

All imports of the library and of the scripts are read from the source: those inside functions and those for type
checkers, too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

#: From first to last. Modules beside these folders (files, errors, ...) come before all of them, scripts after.
ROOMS = (
    "sources", "genome", "clades", "evidence", "evaluate", "tokens", "bake", "training", "crf", "adapt", "writer",
    "grpo", "annotate", "report", "studies", "settings", "plan",
)  # fmt: skip
BASE, SCRIPTS = "the base", "scripts"
PACKAGE = "genet5"
#: The package itself hands out what users call, which is made in this room. Its other names are for everybody.
FRONT_DOOR, HANDED_OUT = "annotate", ("annotate", "load")


class Place(NamedTuple):
    """Where a module stands. study: of a module or a script in a folder of ``studies``, else empty."""

    room: str
    study: str = ""

    @property
    def rank(self) -> int:
        return (BASE, *ROOMS, SCRIPTS).index(self.room)

    def __str__(self) -> str:
        return f"{self.room}/{self.study}" if self.study else self.room


class Import(NamedTuple):
    """Line ``line`` of ``path`` imports ``target``, a module of the library or a script."""

    path: Path
    line: int
    source: str
    target: str


def find_modules(scripts: Path) -> dict[str, Path]:
    """Dotted name -> file, of the library and of all scripts beside it."""
    found = {}
    for path in sorted(scripts.rglob("*.py")):
        parts = path.relative_to(scripts).with_suffix("").parts
        if parts[0] != PACKAGE:
            found[parts[-1]] = path
        else:
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def place_of(module: str, path: Path) -> Place:
    """Raises ``KeyError`` for a folder that is no room."""
    parts = module.split(".")
    if parts[0] != PACKAGE:
        return Place(SCRIPTS, path.parent.name if path.parent.parent.name == "studies" else "")
    if module == PACKAGE:
        return Place(FRONT_DOOR)
    is_package = path.name == "__init__.py"
    if len(parts) == 2 and not is_package:
        return Place(BASE)
    if parts[1] not in ROOMS:
        raise KeyError(parts[1])
    in_study = parts[1] == "studies" and (len(parts) > 3 or (len(parts) == 3 and is_package))
    return Place(parts[1], parts[2] if in_study else "")


def imported_names(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """(line, module, name): ``name`` is what is taken from the module, or empty. A relative import begins with dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node.lineno, module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value, ""


def find_imports(modules: Mapping[str, Path]) -> Iterator[Import]:
    for source, path in modules.items():
        for line, module, name in imported_names(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            whole = f"{module}.{name}"
            target = whole if whole in modules else module
            if target == PACKAGE and name not in HANDED_OUT:
                continue
            if target in modules or target.split(".")[0] == PACKAGE or target.startswith("."):
                yield Import(path, line, source, target)


def check(scripts: Path) -> list[str]:
    """A line for every import that goes up, and for every circle."""
    modules = find_modules(scripts)
    found, imports = [], list(find_imports(modules))
    for name, path in modules.items():
        try:
            place_of(name, path)
        except KeyError as error:
            found.append(f"{path.relative_to(scripts)}:1: {error.args[0]} is no room; known: {', '.join(ROOMS)}")
    if found:
        return found
    for one in imports:
        where = f"{one.path.relative_to(scripts)}:{one.line}"
        if one.target not in modules:
            found.append(f"{where}: imports {one.target}, which is no module")
            continue
        here, there = place_of(one.source, one.path), place_of(one.target, modules[one.target])
        if there.rank > here.rank:
            found.append(f"{where}: {here} imports {one.target} of {there}, which comes later")
        elif there.study not in ("", here.study) and (here.study or here.room == "studies"):
            found.append(f"{where}: {here} imports {one.target} of {there}, another study")
    found += [f"{place}: circle: {' -> '.join(circle)}" for place, circle in find_circles(imports, scripts)]
    return list(dict.fromkeys(found))


def find_circles(imports: list[Import], scripts: Path) -> Iterator[tuple[str, list[str]]]:
    """Each circle of modules once, from its first module in alphabetical order, with the place of that one's import."""
    follow: dict[str, dict[str, Import]] = {}
    for one in imports:
        follow.setdefault(one.source, {}).setdefault(one.target, one)
    for first in sorted(follow):
        circle = _way_back(first, follow)
        if circle:
            start = follow[first][circle[1]]
            yield f"{start.path.relative_to(scripts)}:{start.line}", circle


def _way_back(first: str, follow: Mapping[str, Mapping[str, Import]]) -> list[str]:
    """The shortest way from ``first`` to itself over modules that come behind it in the alphabet; empty if none."""
    ways, seen = [[first]], set()
    while ways:
        way = ways.pop(0)
        for target in sorted(follow.get(way[-1], ())):
            if target == first:
                return [*way, first]
            if target > first and target not in seen:
                seen.add(target)
                ways.append([*way, target])
    return []


# ---------------------------------------------------------------- the library


def test_no_import_goes_up_and_none_goes_in_a_circle(repository: Path) -> None:
    found = check(repository / "scripts")
    assert not found, "\n".join(found)


def test_the_checker_reads_the_whole_library(repository: Path) -> None:
    modules = find_modules(repository / "scripts")
    rooms = {place_of(name, path).room for name, path in modules.items()}
    assert rooms == {BASE, SCRIPTS, *ROOMS}
    assert len(list(find_imports(modules))) > 500


def test_the_command_knows_no_room(repository: Path) -> None:
    """``genet5 --help`` is there at once."""
    modules = find_modules(repository / "scripts")
    for name in ("genet5.cli", "genet5.__main__"):
        if name in modules:
            targets = {one.target for one in find_imports({**modules}) if one.source == name}
            assert {place_of(target, modules[target]).room for target in targets} <= {BASE}


# ---------------------------------------------------------------- the checker


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A library without fault: a script, a module of the base, modules of five rooms, of them two studies."""
    files = {
        "genet5/__init__.py": "import importlib\n\nload = lambda: importlib.import_module('genet5.annotate')\n",
        "genet5/files.py": "import json\n",
        "genet5/genome/__init__.py": "",
        "genet5/genome/fasta.py": "from genet5.files import read_json\n",
        "genet5/crf/__init__.py": "",
        "genet5/crf/model.py": "import torch\nfrom genet5.genome.fasta import Genome\n",
        "genet5/annotate/__init__.py": "",
        "genet5/annotate/run.py": "from genet5.annotate import tiling\nfrom genet5.crf.model import Crf\n",
        "genet5/annotate/tiling.py": "import genet5.genome.fasta\n",
        "genet5/studies/__init__.py": "",
        "genet5/studies/panels.py": "from genet5.files import read_json\n",
        "genet5/studies/one/__init__.py": "",
        "genet5/studies/one/model.py": "from genet5.studies.panels import panel\n",
        "genet5/studies/two/__init__.py": "",
        "genet5/studies/two/model.py": "from genet5.studies import panels\nfrom genet5.studies.two import page\n",
        "genet5/studies/two/page.py": "",
        "annotate_genome.py": "from genet5.annotate.run import run\n",
        "studies/one/one_train.py": "from genet5.studies.one.model import Model\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def plant(tree: Path, name: str, text: str) -> list[str]:
    """What the checker finds once ``text`` stands at the end of a file."""
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text() if path.is_file() else ""
    path.write_text(before + text)
    return check(tree)


def test_a_library_without_fault_passes(tree: Path) -> None:
    assert check(tree) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("from genet5.crf.model import Crf\n", 2),
        ("import genet5.crf.model\n", 2),
        ("from genet5.crf import model\n", 2),
        ("def late():\n    from genet5.crf.model import Crf\n", 3),
        ("from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from genet5.crf.model import Crf\n", 5),
        ("import importlib\n\nlate = importlib.import_module('genet5.crf.model')\n", 4),
        ("try:\n    import numpy\nexcept ImportError:\n    import genet5.crf.model as other\n", 5),
    ],
    ids=["from", "import", "module", "function", "types", "importlib", "try"],
)
def test_a_planted_upward_import_is_found(text: str, line: int, tree: Path) -> None:
    found = plant(tree, "genet5/genome/fasta.py", text)
    upward = f"genet5/genome/fasta.py:{line}: genome imports genet5.crf.model of crf, which comes later"
    assert found[0] == upward
    # crf.model imports genome.fasta, so it is a circle, too.
    assert found[1:] == ["genet5/crf/model.py:2: circle: genet5.crf.model -> genet5.genome.fasta -> genet5.crf.model"]


def test_a_planted_circle_within_a_room_is_found(tree: Path) -> None:
    found = plant(tree, "genet5/annotate/tiling.py", "def late():\n    from genet5.annotate.run import run\n")
    assert found == [
        "genet5/annotate/run.py:1: circle: genet5.annotate.run -> genet5.annotate.tiling -> genet5.annotate.run"
    ]


def test_a_planted_circle_of_three_is_found_once(tree: Path) -> None:
    plant(tree, "genet5/annotate/stitch.py", "from genet5.annotate.run import run\n")
    found = plant(tree, "genet5/annotate/tiling.py", "from genet5.annotate.stitch import stitch\n")
    assert found == [
        "genet5/annotate/run.py:1: circle: genet5.annotate.run -> genet5.annotate.tiling -> genet5.annotate.stitch -> "
        "genet5.annotate.run"
    ]


def test_a_module_that_imports_itself_is_a_circle(tree: Path) -> None:
    found = plant(tree, "genet5/files.py", "import genet5.files\n")
    assert found == ["genet5/files.py:2: circle: genet5.files -> genet5.files"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("genet5/files.py", "import genet5.annotate.run\n", ":2: the base imports genet5.annotate.run of annotate, "),
        ("genet5/files.py", "from annotate_genome import main\n", ":2: the base imports annotate_genome of scripts"),
        ("genet5/cli.py", "from genet5.genome import fasta\n", ":1: the base imports genet5.genome.fasta of genome"),
        ("genet5/annotate/run.py", "import one_train\n", ":3: annotate imports one_train of scripts/one, which"),
        ("genet5/crf/model.py", "from genet5 import load\n", ":3: crf imports genet5 of annotate, which comes later"),
        (
            "genet5/studies/one/model.py", "import genet5.studies.two.page\n",
            ":2: studies/one imports genet5.studies.two.page of studies/two, another study",
        ),
        (
            "genet5/studies/panels.py", "from genet5.studies.two import page\n",
            ":2: studies imports genet5.studies.two.page of studies/two, another study",
        ),
        ("genet5/crf/model.py", "from . import other\n", ":3: imports ., which is no module"),
        ("genet5/crf/model.py", "import genet5.crf.gone\n", ":3: imports genet5.crf.gone, which is no module"),
        ("genet5/utils/text.py", "", ":1: utils is no room; known: sources, genome"),
    ],
)  # fmt: skip
def test_other_planted_mistakes_are_named_with_file_and_line(name: str, text: str, message: str, tree: Path) -> None:
    found = plant(tree, name, text)
    assert any(line.startswith(f"{name}{message}") for line in found), found


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("genet5/settings/schema.py", "import genet5.annotate.run\nimport genet5.studies.one.model\n"),
        ("annotate_genome.py", "import genet5.settings.schema\nimport one_train\n"),
        ("genet5/report/page.py", "from genet5.annotate.tiling import tile\n"),
        ("genet5/crf/model.py", "import genet5\nfrom genet5 import __version__\n"),
    ],
)
def test_what_is_allowed_is_not_found(name: str, text: str, tree: Path) -> None:
    plant(tree, "genet5/settings/schema.py", "")
    assert plant(tree, name, text) == []
