"""Pages that someone has looked at: a test compares what is written now with the approved text, line by line."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

import pytest

APPROVE = "GENET5_APPROVE"
SHOWN_LINES = 12  # of the differences


def page_lines(text: str, folder: Path) -> list[str]:
    """An HTML page, an element a line, without what differs between machines: folders, versions, style and script."""
    text = re.sub(r"(?s)<(style|script)\b[^>]*>.*?</\1>", "", text.replace(str(folder), "FOLDER"))
    text = re.sub(r"(?s)(<h3>Versions</h3>).*?</table>", r"\1", text)
    text = re.sub(r"\b[0-9a-f]{64}\b|sha256-[\w+/=]+", "SHA256", text)
    text = re.sub(r"GeneT5 <b>[\d.]+</b>", "GeneT5 <b>VERSION</b>", text)
    return text.replace("><", ">\n<").splitlines()


def check_approved(lines: list[str], approved: Path) -> None:
    """Fails with the first lines that differ. With GENET5_APPROVE=1 the new text is approved, and nothing is tested."""
    if os.environ.get(APPROVE):
        approved.parent.mkdir(exist_ok=True)
        approved.write_text("\n".join(lines) + "\n", encoding="utf-8")
        pytest.skip(f"{APPROVE} is set: {approved.name} is approved anew, and was not compared")
    known = approved.read_text(encoding="utf-8").splitlines()
    if lines != known:
        differences = list(difflib.unified_diff(known, lines, "approved", "now", lineterm="", n=0))
        shown = "\n".join(differences[:SHOWN_LINES])
        pytest.fail(
            f"{approved.name} is not what was approved. If it is right, run the test with {APPROVE}=1.\n{shown}", False
        )
