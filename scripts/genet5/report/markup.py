"""HTML and SVG as nested calls: whatever is not already markup is escaped, so no name from a file breaks the page."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable

VOID_ELEMENTS = frozenset({"br", "hr", "img", "input", "link", "meta", "col"})


class Markup(str):
    """Text that is already valid HTML or SVG and is not escaped again."""

    __slots__ = ()


Child = str | int | float | None | Iterable["Child"]


def render(child: Child) -> Markup:
    """One child, or any nesting of children, as markup; ``None`` is nothing."""
    if child is None:
        return Markup("")
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return Markup(html.escape(child, quote=True))
    if isinstance(child, int | float):
        return Markup(html.escape(str(child)))
    return Markup("".join(render(part) for part in child))


def tag(name: str, /, *children: Child, **attributes: object) -> Markup:
    """The element ``name``. ``class_`` becomes ``class``, ``data_x`` ``data-x``. None and False are left out."""
    written = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        if value is True:
            written.append(f" {attribute}")
            continue
        text = coordinate(value) if isinstance(value, float) else str(value)
        written.append(f' {attribute}="{html.escape(text, quote=True)}"')
    opening = f"<{name}{''.join(written)}>"
    if name in VOID_ELEMENTS:
        return Markup(opening)
    return Markup(f"{opening}{render(children)}</{name}>")


def coordinate(value: float) -> str:
    """A drawing coordinate in pixels, one decimal, without a trailing zero."""
    if not math.isfinite(value):
        raise ValueError(f"a drawing coordinate must be finite, not {value}")
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text
