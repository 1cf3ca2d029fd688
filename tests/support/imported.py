"""Which packages Python files import, read without running them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

#: Top-level module -> name of the package, where they differ.
PACKAGES = {
    "Bio": "biopython", "huggingface_hub": "huggingface-hub", "lightning_fabric": "pytorch-lightning",
    "sklearn": "scikit-learn", "yaml": "pyyaml",
}  # fmt: skip


def packages(files: Iterable[Path]) -> set[str]:
    """Packages that the files name, also inside functions; without the standard library and our own."""
    trees = (ast.parse(path.read_text()) for path in files)
    return package_names(name for tree in trees for name in _names(ast.walk(tree)))


def package_names(names: Iterable[str]) -> set[str]:
    """Packages of imported names; without the standard library and our own."""
    tops = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"genet5"}
    return {PACKAGES.get(top, top) for top in tops}


def _names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
