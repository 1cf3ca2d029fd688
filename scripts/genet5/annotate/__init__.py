"""Whole genomes to GFF3: tiling, decoding, stitching, confidence. Called as a function, it annotates one genome."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Annotate(ModuleType):
    """The package, which is also the function ``genet5.annotate`` (``api.annotate``)."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from genet5.annotate.api import annotate

        return annotate(*arguments, **options)


sys.modules[__name__].__class__ = _Annotate
