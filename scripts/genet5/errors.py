"""One exception for everything a user can put right, and the way scripts report it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable


class InputError(Exception):
    """Bad input or configuration. The message is one line: file, line or key, what was found, what is allowed."""


def run_command(main: Callable[[], None]) -> None:
    """Run a script's ``main``; an ``InputError`` becomes one line on standard error and exit status 1."""
    # The modules that are loaded by now live to the end: not to search them for garbage saves 0.3 s at the exit.
    gc.freeze()
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
