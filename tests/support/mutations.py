"""Small mistakes that a program could have: one comparison, constant, operator, condition or statement changed.

What is no behaviour is left alone: docstrings, type hints, messages, lines of logs, the measures of drawings, and
methods that are only declared (``raise NotImplementedError``). Left alone are checks of the program by itself
(``strict=True``), too, and amounts that were chosen, of which the next number is as right (``TIMEOUT_S = 10``).
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
}
#: Calls that only say something, draw something, or declare a text for help.
_SPEAKING = frozenset(
    "print write_line log info warning warn debug argument_parser TypeVar tag heading card tile "
    "signed title_block absent".split()
)

#: Arguments that check the program, or place and size a text in a drawing.
_NO_BEHAVIOUR = frozenset({"strict", "xytext", "fontsize"})


@dataclass(frozen=True)
class Mutation:
    """The text from ``start`` to ``end`` (offsets in bytes) of a source becomes ``text``."""

    line: int
    kind: str
    start: int
    end: int
    text: str

    def applied(self, source: bytes) -> bytes:
        """The source with this mistake."""
        return source[: self.start] + self.text.encode() + source[self.end :]


def mutations(source: str) -> list[Mutation]:
    """All mutations of a module, in the order of its lines."""
    raw = source.encode()
    starts = [0]
    for line in raw.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node, kind, text in _walk(ast.parse(source)):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        mutation = Mutation(node.lineno, kind, start, end, text)
        if raw[start:end].decode() != text:
            found.append(mutation)
    return sorted(found, key=lambda one: (one.line, one.start, one.kind))


def _walk(node: ast.AST) -> Iterator[tuple[ast.AST, str, str]]:
    """Nodes that may change, what is changed, and their new text."""
    yield from _changes(node)
    for child in _behaviour(node):
        yield from _walk(child)


def _behaviour(node: ast.AST) -> Iterator[ast.AST]:
    """Children of a node that say what the program does."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from node.args.defaults
        yield from (default for default in node.args.kw_defaults if default is not None)
        yield from node.body
    elif isinstance(node, ast.ClassDef):
        yield from node.body
    elif isinstance(node, ast.AnnAssign):
        yield from () if node.value is None else (node.value,)
    elif isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom) or _speaks(node):
        return
    elif (isinstance(node, ast.keyword) and node.arg in _NO_BEHAVIOUR) or _is_chosen(node):
        return
    elif isinstance(node, ast.Assert):
        yield node.test
    elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    else:
        yield from ast.iter_child_nodes(node)


def _is_chosen(node: ast.AST) -> bool:
    """Whether a name in capitals gets a number above 9."""
    if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)):
        return False
    names = [target.id for target in node.targets if isinstance(target, ast.Name)]
    return type(node.value.value) in (int, float) and abs(node.value.value) > 9 and all(map(str.isupper, names))


def _speaks(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in _SPEAKING or name.endswith(("Error", "Warning"))


def _changes(node: ast.AST) -> Iterator[tuple[ast.AST, str, str]]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            changed = copy.deepcopy(node)
            changed.ops[place] = _COMPARISONS[type(operator)]()
            yield node, "comparison", f"({ast.unparse(changed)})"
    elif isinstance(node, ast.BoolOp):
        changed = copy.deepcopy(node)
        changed.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield node, "and, or", f"({ast.unparse(changed)})"
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS and not _is_text(node):
        changed = copy.deepcopy(node)
        changed.op = _OPERATORS[type(node.op)]()
        yield node, "operator", f"({ast.unparse(changed)})"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node, "negation", f"bool({ast.unparse(node.operand)})"
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        yield node, "constant", repr(not node.value)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield node, "constant", repr(node.value + 1)
    elif isinstance(node, ast.If | ast.While | ast.IfExp):
        yield node.test, "condition", f"(not ({ast.unparse(node.test)}))"
    # False and None are one where a truth is asked for: that constant becomes True above.
    elif isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) not in ("None", "False"):
        yield node, "return", "return None"
    elif isinstance(node, ast.Raise) and ast.unparse(node) == "raise NotImplementedError":
        return
    elif isinstance(node, ast.AugAssign | ast.Raise) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and not _speaks(node.value)
    ):
        yield node, "statement", "pass"


def _is_text(node: ast.BinOp) -> bool:
    """Whether an operator joins texts, or gives a text its values."""
    sides = (node.left, node.right)
    return any(isinstance(side, ast.JoinedStr) or isinstance(getattr(side, "value", None), str) for side in sides)
