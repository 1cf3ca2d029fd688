"""Which packages Python files import, read without running them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

#: Top-level module -> name of the package, where they differ.
PACKAGES = {"Bio": "biopython", "huggingface_hub": "huggingface-hub", "sklearn": "scikit-learn", "yaml": "pyyaml"}


def packages(files: Iterable[Path]) -> set[str]:
    """Packages that the files name, also inside functions; without the standard library and our own."""
    trees = (ast.parse(path.read_text()) for path in files)
    return _packages(name for tree in trees for name in _names(ast.walk(tree)))


def packages_at_start(script: Path, library: Path) -> set[str]:
    """Packages that are loaded when a script starts, through all modules of the folder ``library`` that it imports."""
    todo, seen, found = [script], {script}, set()
    while todo:
        names = set(_names(_at_start(ast.parse(todo.pop().read_text()).body)))
        found |= _packages(names)
        paths = {path for name in names if name.startswith("genet5.") for path in _modules(name, library)} - seen
        seen |= paths
        todo += paths
    return found


def _packages(names: Iterable[str]) -> set[str]:
    tops = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"genet5"}
    return {PACKAGES.get(top, top) for top in tops}


def _names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _at_start(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Statements that run when a module is imported."""
    for node in nodes:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield node
            yield from _at_start(ast.iter_child_nodes(node))


def _modules(name: str, library: Path) -> Iterator[Path]:
    """Files that run when ``genet5.room.module.thing`` is imported."""
    parts = name.split(".")
    for number in range(1, len(parts) + 1):
        place = library.joinpath(*parts[:number])
        yield from (path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file())
