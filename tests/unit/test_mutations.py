"""The mistakes that ``tests/mutate.py`` makes: in what a program does, and in nothing that it only says."""

from __future__ import annotations

import ast
from pathlib import Path

import mutations
import pytest

SAID = '''
"""A module of 3 parts."""
from typing import Literal

def speak(count: Literal[3]) -> tuple[int, 4]:
    """Not 5 and not 6."""
    print(7)
    log.info("eight", 8)
    x: Literal[9]
    raise_it = f"{10} bases"
'''


def changed(source: str) -> list[tuple[str, str]]:
    """Kind of each mutation, and the module with it."""
    found = mutations.mutations(source)
    return [(one.kind, one.applied(source.encode()).decode()) for one in found]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", [("comparison", "(a <= b)")]),
        ("a not in b", [("comparison", "(a in b)")]),
        ("a and b", [("and, or", "(a or b)")]),
        ("x = not a", [("negation", "x = bool(a)")]),
        ("x = a - b", [("operator", "x = (a + b)")]),
        ("x = 2.5", [("constant", "x = 3.5")]),
        ("x = True", [("constant", "x = False")]),
        ("f(a)", [("statement", "pass")]),
        ("x += a", [("statement", "pass")]),
        ("def f():\n    return a", [("return", "def f():\n    return None")]),
        ("def f():\n    return False", [("constant", "def f():\n    return True")]),
        ("axes.annotate(a, xytext=(6, 1), fontsize=8)", [("statement", "pass")]),
        ("x = a if b else c", [("condition", "x = a if (not (b)) else c")]),
        ("if a:\n    raise ValueError(3)", [("condition", "if (not (a)):\n    raise ValueError(3)"),
                                           ("statement", "if a:\n    pass")]),
        ("'é'; x = 1", [("constant", "'é'; x = 2")]),  # columns of a tree count bytes
    ],
)  # fmt: skip
def test_a_mutation_changes_one_thing(source: str, expected: list[tuple[str, str]]) -> None:
    assert changed(source) == expected


def test_what_is_only_said_stays() -> None:
    assert changed(SAID) == []


def test_a_method_that_is_only_declared_stays() -> None:
    assert changed("def f(self):\n    raise NotImplementedError") == []


@pytest.mark.parametrize("source", ["TIMEOUT_S = 10.5", "ONE = OTHER = 3000", "pairs = zip(a, b, strict=True)"])
def test_what_was_chosen_and_checks_of_itself_stay(source: str) -> None:
    assert changed(source) == []


@pytest.mark.parametrize("source", ["FRAMES = 3", "timeout_s = 10.5", "f = zip(a, b, longest=True)"])
def test_what_is_counted_changes(source: str) -> None:
    assert len(changed(source)) == 1


def test_every_mutation_of_the_library_is_a_valid_module(repository: Path) -> None:
    source = (repository / "scripts/genet5/evaluate/matching.py").read_text()
    found = changed(source)
    assert len(found) > 20 and {kind for kind, _ in found} >= {"comparison", "operator", "constant", "return"}
    for _, text in found:
        assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(source))
