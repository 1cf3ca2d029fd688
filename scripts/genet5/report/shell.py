"""The frame of every page and the blocks of its layout. A page holds all it needs and loads nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from genet5.report.markup import Markup, tag


def whole_page(
    title: str,
    header: Markup,
    above: Sequence[Markup | None],
    sections: Sequence[tuple[str, str, Sequence[Markup]]],
    footer: str,
) -> str:
    """A page as HTML text. ``above`` comes before the sections, which are (anchor, name, content)."""
    first_anchor, first_name, _ = sections[0]
    script = _asset("page.js")
    links = [tag("a", name, href=f"#{anchor}") for anchor, name, _ in sections]
    body = tag(
        "body",
        tag("a", f"Skip to {first_name.lower()}", href=f"#{first_anchor}", class_="skip"),
        header,
        tag(
            "nav",
            tag("div", links),
            aria_label="Sections",
        ),
        tag(
            "main",
            above,
            [tag("section", content, id=anchor, aria_labelledby=f"{anchor}-title") for anchor, _, content in sections],
        ),
        tag("footer", footer),
        tag("div", "", id="tip", aria_hidden="true"),
        tag("script", script),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=content_policy(script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("link", rel="icon", href="data:,"),
        tag("style", _asset("page.css")),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def content_policy(script: str) -> str:
    """What a browser may do with a page: run this one script, known by its hash, and load nothing.

    Styles stand in attributes of the figures too, which no hash covers.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:"


def _asset(name: str) -> Markup:
    return Markup("\n" + Path(__file__).with_name(name).read_text(encoding="utf-8"))


def title_block(kind: str, name: str, sentences: Sequence[str], facts: Sequence[tuple[str, str]]) -> Markup:
    """What kind of page it is, its name, a few sentences, and a row of facts: (name, value)."""
    glyph = tag(
        "svg",
        tag("line", x1=2, x2=84, y1=8, y2=8, stroke="currentColor", stroke_width=1.6),
        tag("rect", x=2, y=2, width=16, height=12, rx=2, class_="s1"),
        tag("rect", x=30, y=2, width=9, height=12, rx=2, class_="s1"),
        tag("polygon", points="54,2 82,2 90,8 82,14 54,14", class_="s1"),
        viewBox="0 0 92 16",
        class_="glyph",
        aria_hidden="true",
    )
    switch = tag("button", "light / dark", type="button", class_="theme", hidden=True)
    items = [tag("li", fact, " ", tag("b", value)) for fact, value in facts]
    return tag(
        "header",
        tag(
            "div",
            tag("div", glyph, tag("span", kind), switch, class_="brand"),
            tag("h1", name),
            [tag("p", sentence) for sentence in sentences],
            tag("ul", items, class_="facts") if items else None,
        ),
        class_="top",
    )


def signed(kind: str, title: str, items: Sequence[str], text: str | None) -> Markup:
    """A banner with a sign: ``good``, ``bad`` (it alarms) or ``unknown``; ``items`` are the reasons."""
    paths = {"good": "M7 13.5l4 4 8-9", "bad": "M13 6.5v8M13 18.2v.8", "unknown": "M13 7v.8M13 11v8"}
    sign = tag(
        "svg",
        tag("circle", cx=13, cy=13, r=12, fill="none", stroke="currentColor", stroke_width=2),
        tag("path", d=paths[kind], fill="none", stroke="currentColor", stroke_width=2.4, stroke_linecap="round"),
        viewBox="0 0 26 26",
        class_="sign",
        aria_hidden="true",
    )
    words = [
        tag("p", tag("b", title)),
        tag("p", text) if text else None,
        tag("ul", [tag("li", item) for item in items]) if items else None,
    ]
    return tag("div", sign, tag("div", words), class_=f"banner {kind}", role="alert" if kind == "bad" else "status")


def tile(name: str, figures: Sequence[tuple[str, str]], beside: object = None) -> Markup:
    """A framed block of big figures, each (value, what it is), and one line below."""
    drawn = [tag("div", tag("span", value, class_="big"), tag("span", what, class_="what")) for value, what in figures]
    below = tag("div", beside, class_="beside") if beside else None
    return tag("div", tag("div", name, class_="who"), tag("div", drawn, class_="figures"), below, class_="tile")


def heading(anchor: str, title: str, text: str | None = None) -> list[Markup]:
    """Title and lead of a section."""
    return [tag("h2", title, id=f"{anchor}-title"), *([tag("p", text)] if text else [])]


def absent(text: str) -> Markup:
    """One line that says what is missing."""
    return tag("p", text, class_="absent")


def card(title: str, note: str, *content: object) -> Markup:
    """A framed block with a title and a note beside it."""
    return tag("article", tag("header", tag("h3", title), tag("p", note) if note else None), content, class_="card")


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names as a sentence has them: ``a, b and c``, the first few of many."""
    names = list(dict.fromkeys(names))
    shown = names[:most] + ([f"{len(names) - most} more"] if len(names) > most else [])
    return ", ".join(shown[:-1]) + (" and " if len(shown) > 1 else "") + shown[-1]
