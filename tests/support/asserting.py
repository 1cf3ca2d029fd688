"""Tests that cannot fail, found in their source: those that check nothing, or only inside a loop that may be empty."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

#: Calls that fail by themselves when something is not as it should be.
_CHECKS = frozenset({"raises", "warns", "fail", "assert_close", "check_call", "check_returncode"})
#: Calls that give as many items as they are given, and syntax around them.
_SAME_NUMBER = frozenset("enumerate zip sorted reversed list tuple set iter product permutations chain items".split())


@dataclass(frozen=True)
class Finding:
    """A test, where it is, and why it may pass whatever the program does."""

    path: Path
    line: int
    name: str
    reason: str


def checking_functions(trees: Iterable[ast.Module]) -> frozenset[str]:
    """Names of functions that check something, themselves or through another one of these."""
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    checking: set[str] = set()
    while found := {one.name for one in functions if one.name not in checking and any(_checks(one, checking))}:
        checking |= found
    return frozenset(checking)


def findings(path: Path, tree: ast.Module, checking: frozenset[str]) -> list[Finding]:
    """Tests of a module that cannot fail."""
    full = _full_names(tree)
    found = []
    for test in ast.walk(tree):
        if not isinstance(test, ast.FunctionDef) or not test.name.startswith("test_"):
            continue
        checks = list(_checks(test, checking))
        if not checks:
            found.append(Finding(path, test.lineno, test.name, "asserts nothing"))
        elif doubts := {_loop_around(test, check, full) for check in checks}:
            if None not in doubts:
                loop = min(doubts, key=lambda node: node.lineno)
                reason = f"asserts only inside a loop over {ast.unparse(loop.iter)}, which may be empty"
                found.append(Finding(path, test.lineno, test.name, reason))
    return found


def _checks(function: ast.FunctionDef, checking: Collection[str]) -> Iterator[ast.AST]:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            yield node
        elif isinstance(node, ast.Call):
            name = _name(node.func)
            # A method may share its name with a helper that checks, as run(): only functions count.
            if name in _CHECKS or name.startswith("assert_") or (isinstance(node.func, ast.Name) and name in checking):
                yield node


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _loop_around(test: ast.FunctionDef, check: ast.AST, full: frozenset[str]) -> ast.For | None:
    """The outermost loop around a check that may run no round; None where every loop around it runs."""
    known = full | _filled(test)
    for node in ast.walk(test):
        if isinstance(node, ast.For) and any(inside is check for part in node.body for inside in ast.walk(part)):
            if not _has_items(node.iter, known):
                return node
    return None


def _full_names(tree: ast.Module) -> frozenset[str]:
    """Constants of a module, its own and imported ones: they are written by hand, and not empty."""
    names = {name.id for name in ast.walk(tree) if isinstance(name, ast.Name) and name.id.isupper()}
    return frozenset(names)


def _filled(test: ast.FunctionDef) -> frozenset[str]:
    """Local names that hold a literal with items."""
    names: set[str] = set()
    for node in ast.walk(test):
        if isinstance(node, ast.Assign) and _has_items(node.value, names):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        # Parameters that pytest.mark.parametrize fills are literals as well.
    return frozenset(names)


def _has_items(node: ast.expr, known: Iterable[str]) -> bool:
    """Whether an expression surely has items."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str | bytes) and bool(node.value)
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(not isinstance(one, ast.Starred) or _has_items(one.value, known) for one in node.elts)
    if isinstance(node, ast.Dict):
        return bool(node.keys)
    if isinstance(node, ast.Name):
        return node.id in known
    if isinstance(node, ast.Attribute):
        return node.attr.isupper()
    if isinstance(node, ast.Subscript):
        return _name(node.value).isupper()  # what a table written by hand has for a key
    if isinstance(node, ast.BinOp):
        sides = [_has_items(side, known) for side in (node.left, node.right)]
        return any(sides) if isinstance(node.op, ast.Add | ast.BitOr) else sides[0]
    if isinstance(node, ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp):
        return all(not part.ifs and _has_items(part.iter, known) for part in node.generators)
    if isinstance(node, ast.Call):
        return _call_has_items(node, known)
    return False


def _call_has_items(node: ast.Call, known: Iterable[str]) -> bool:
    name = _name(node.func)
    if name == "range":
        if len(node.args) == 1:
            return _is_positive(node.args[0])
        return all(isinstance(one, ast.Constant) or _name(one).isupper() for one in node.args[:2])
    if name in ("fields", "get_type_hints"):
        return True  # of a dataclass
    if name in ("items", "values", "keys", "split", "splitlines") and isinstance(node.func, ast.Attribute):
        return _has_items(node.func.value, known)
    if name == "zip" and any(word.arg == "strict" for word in node.keywords):
        return any(_has_items(one, known) for one in node.args)  # the others have as many
    return name in _SAME_NUMBER and bool(node.args) and all(_has_items(one, known) for one in node.args)


def _is_positive(node: ast.expr) -> bool:
    """Whether a number is surely above 0."""
    if isinstance(node, ast.Constant):
        return bool(node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _is_positive(node.left) or _is_positive(node.right)
    if isinstance(node, ast.Call) and _name(node.func) == "len":
        return _name(node.args[0]).isupper()
    return _name(node).isupper()
