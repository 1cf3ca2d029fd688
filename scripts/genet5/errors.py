"""One exception for everything a user can put right, and the way scripts report it."""

from __future__ import annotations

import sys
from collections.abc import Callable


class InputError(Exception):
    """Bad input or configuration. The message is one line: file, line or key, what was found, what is allowed."""


def run_command(main: Callable[[], None]) -> None:
    """Run a script's ``main``; an ``InputError`` becomes one line on standard error and exit status 1."""
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
