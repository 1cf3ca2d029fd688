"""Kills once a file is renamed to the name in KILLED_AT_RENAME; see ``patience.py``."""

import os
import signal

_replace = os.replace


def _deadly_replace(source, target, **places):
    _replace(source, target, **places)
    wanted = os.environ.get("KILLED_AT_RENAME")
    if wanted and f"/{os.fspath(target)}".endswith(f"/{wanted}"):
        if os.environ.get("KILLED_ALONE"):
            os.kill(os.getpid(), signal.SIGKILL)
        os.killpg(0, signal.SIGKILL)


os.replace = _deadly_replace
