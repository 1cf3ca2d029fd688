"""One exception for everything a user can put right, and the way scripts report it."""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Callable

_REMEDIES = {
    errno.ENOSPC: "; make room and run the same command again",
    errno.EDQUOT: "; make room and run the same command again",
    errno.EROFS: "; choose a folder that can be written",
    errno.EACCES: "; ask its owner, or choose another folder",
    errno.EPERM: "; ask its owner, or choose another folder",
}
_NO_MEMORY = (
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "can't start new thread",
    "failed to map segment",
    "could not create a primitive",  # oneDNN
)
_LONGEST = 120
_ADVICE = "free some, raise the limit (ulimit -v), or give the job less at a time (of annotate: --batch-size 1)"


class InputError(Exception):
    """Bad input or configuration. The message is one line: file, line or key, what was found, what is allowed."""


def run_command(main: Callable[[], None]) -> None:
    """Run a script's ``main``; an ``InputError`` becomes one line on standard error and exit status 1.

    So does an error of the system (a full disk, no permission, a folder where a file is due): whoever writes a file
    writes it whole or not at all, so nothing half-written is left.
    So does memory that does not suffice.
    """
    # The modules that are loaded by now live to the end: not to search them for garbage saves 0.3 s at the exit.
    gc.freeze()
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
    except Exception as error:
        if out_of_memory(error):
            sys.exit(
                f"error: not enough memory ({' '.join(str(error).split())[:_LONGEST] or 'none is left'}); {_ADVICE}"
            )
        if not isinstance(error, OSError):
            raise
        sys.exit(f"error: {system_error(error)}")


def system_error(error: OSError) -> str:
    """One line about an error of the system: which file it is, what is wrong, and what helps where that is known."""
    files = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))]
    what = error.strerror or " ".join(str(error).split()) or type(error).__name__
    help_text = _REMEDIES.get(error.errno or 0, "")
    return f"{': '.join([*files[:1], what])}{help_text}"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory does not suffice: Python's own, numpy's, torch's, or the system's."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    # torch is not imported here for the names of its errors. On a CPU it raises a plain RuntimeError.
    return isinstance(error, RuntimeError | ImportError) and any(words in str(error).lower() for words in _NO_MEMORY)
