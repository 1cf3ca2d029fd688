"""Addresses that hold a user, a password or a query: on a command line stands where they are, and not what they are.

Every user of a machine sees the command lines of all (``ps``), and Snakemake prints those of its jobs. An environment
variable is seen by its owner alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import MutableMapping

from genet5.errors import InputError
from genet5.sources.http import shown_address

PREFIX = "env:"
_DIGITS = 16


def hidden(source: str, environment: MutableMapping[str, str] = os.environ) -> str:
    """What a command line says for ``source``: the source itself, or ``env:NAME`` where it holds what may be secret.

    Then the variable is set in ``environment``. Its name follows from the source, so that another source is told apart.
    """
    if "://" not in source or shown_address(source) == source:
        return source
    name = f"GENET5_SOURCE_{hashlib.sha256(source.encode()).hexdigest()[:_DIGITS].upper()}"
    environment[name] = source
    return f"{PREFIX}{name}"


def revealed(source: str) -> str:
    """The source that ``hidden`` hid, any other as it is. Raises ``InputError`` for a variable that is not set."""
    if not source.startswith(PREFIX):
        return source
    name = source.removeprefix(PREFIX)
    if not os.environ.get(name):
        raise InputError(f"{source}: the environment variable {name} is not set, expected an address in it")
    return os.environ[name]
