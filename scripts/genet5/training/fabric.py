"""Lightning's Fabric, imported without torchmetrics.

Fabric imports torchmetrics to read its version, and with it SciPy's signals, plots and transformers: 5 of the 8 CPU
seconds of each start. No training here uses it, so while Fabric is imported a module with that version stands for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from types import ModuleType


@contextmanager
def _version_alone(name: str) -> Iterator[None]:
    """A module that is asked for its version alone; nothing changes where it is imported already."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__version__ = version(name)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del sys.modules[name]


with _version_alone("torchmetrics"):
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment

__all__ = ["Fabric", "LightningEnvironment", "TorchElasticEnvironment"]
