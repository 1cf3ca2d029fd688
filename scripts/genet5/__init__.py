"""GeneT5: models that write gene annotations.

genes = genet5.annotate("my.fa", clade="fungi")
model = genet5.load("fungi")
"""

from __future__ import annotations

import importlib
import os
from typing import Any

__version__ = "0.1.0"
__all__ = ["annotate", "load"]

# Threads of torch that wait sleep instead of spinning: beside another program that costs several times less.
# It counts only if it is set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def __getattr__(name: str) -> Any:
    """Imports ``annotate`` and ``load`` when they are asked for, so that commands start without torch."""
    if name == "annotate":
        return importlib.import_module("genet5.annotate")
    if name == "load":
        return importlib.import_module("genet5.annotate.api").load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
