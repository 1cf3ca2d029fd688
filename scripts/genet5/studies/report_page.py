"""The page of a study: one HTML file that holds its pictures and needs no network."""

from __future__ import annotations

import base64
from pathlib import Path

from genet5.report import page as main_page
from genet5.report.markup import Markup, tag

_STYLE = """
img { max-width: 100%; background: #fff; border-radius: 6px; }
section { margin: 26px 0; }
table { border-collapse: collapse; font-size: .88rem; display: block; overflow-x: auto; }
th, td { padding: 5px 10px; border-bottom: 1px solid var(--line); text-align: right; vertical-align: bottom; }
td { white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; color: var(--muted); max-width: 9em; }
.met { color: var(--good); } .missed { color: var(--bad); }
"""


def report_page(title: str, facts: object, *content: object, footer: str, style: str = "") -> str:
    """HTML text: ``title`` over ``facts``, the ``content``, a last line; ``style`` adds rules to the common ones."""
    css = Path(main_page.__file__).with_name("page.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("link", rel="icon", href="data:,"),
        tag("style", Markup(css + _STYLE + style)),
    )
    body = tag(
        "body",
        tag("header", tag("div", tag("h1", title), facts), class_="top"),
        tag("main", *content),
        tag("footer", footer),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def picture(path: Path, text: str) -> Markup:
    """A PNG inside the page; ``text`` says what it shows."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return tag("img", src=f"data:image/png;base64,{data}", alt=text)
