"""Every test can fail: it checks something, and not only inside a loop that may run no round."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from asserting import checking_functions, findings

HELPERS = """
def check(x): assert x
def twice(x): check(x)
def written(x): return x
"""


def reasons(body: str) -> list[str]:
    tree = ast.parse(HELPERS + "def test_it(folder):\n" + "".join(f"    {line}\n" for line in body.splitlines()))
    return [found.reason for found in findings(Path("test_it.py"), tree, checking_functions([tree]))]


@pytest.mark.parametrize("body", [
    "assert folder",
    "twice(folder)",
    "with pytest.raises(ValueError):\n    written(folder)",
    "np.testing.assert_array_equal(folder, 1)",
    "for x in (1, 2):\n    assert x",
    "for x in range(3):\n    for y in NAMES:\n        assert x",
    "for n, x in enumerate(zip(folder, 'ab', strict=True)):\n    assert x",
    "paths = list(folder)\nassert paths\nfor path in paths:\n    assert path.is_file()",
    "names = ['a']\nfor x in [f(one) for one in names]:\n    check(x)",
])  # fmt: skip
def test_a_test_that_can_fail_is_taken(body: str) -> None:
    assert reasons(body) == []


@pytest.mark.parametrize("body", ["written(folder)", "folder.check()"])  # what a method does is not known
def test_a_test_that_checks_nothing_is_found(body: str) -> None:
    assert reasons(body) == ["asserts nothing"]


@pytest.mark.parametrize(("body", "items"), [
    ("for path in folder.glob('*'):\n    assert path", "folder.glob('*')"),
    ("for x in (1, 2):\n    for y in folder:\n        check(y)", "folder"),
    ("for x in range(len(folder)):\n    assert x", "range(len(folder))"),
    ("for x in [y for y in NAMES if y]:\n    assert x", "[y for y in NAMES if y]"),
])  # fmt: skip
def test_a_test_that_checks_in_a_loop_that_may_be_empty_is_found(body: str, items: str) -> None:
    assert reasons(body) == [f"asserts only inside a loop over {items}, which may be empty"]


def test_every_test_can_fail(repository: Path) -> None:
    trees = {path: ast.parse(path.read_bytes()) for path in sorted((repository / "tests").rglob("*.py"))}
    checking = checking_functions(trees.values())
    assert len(trees) > 100
    found = [one for path, tree in trees.items() for one in findings(path, tree, checking)]
    assert not found, "\n".join(f"{one.path}:{one.line} {one.name} {one.reason}" for one in found)
