"""GeneT5: models that write gene annotations.

genes = genet5.annotate("my.fa", clade="fungi")
model = genet5.load("fungi")
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["annotate", "load"]


def __getattr__(name: str) -> Any:
    """Imports ``annotate`` and ``load`` when they are asked for, so that commands start without torch."""
    if name == "annotate":
        return importlib.import_module("genet5.annotate")
    if name == "load":
        return importlib.import_module("genet5.annotate.api").load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
