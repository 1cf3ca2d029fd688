"""The flags that rules give to scripts, beside those that the scripts have."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import runpy
import sys
from collections.abc import Iterable
from pathlib import Path
from unittest import mock

import pytest


@functools.cache
def flags_of(script: Path) -> frozenset[str]:
    """Those in what ``--help`` prints; in this process, where the large imports are done once for all scripts."""
    shown = io.StringIO()
    names = runpy.run_path(str(script))
    with mock.patch.object(sys, "argv", [str(script), "--help"]), contextlib.redirect_stdout(shown):
        with pytest.raises(SystemExit) as ended:
            names["main"]()
    assert ended.value.code == 0, script
    return frozenset(re.findall(r"--[a-z0-9_-]+", shown.getvalue()))


def check_flags(commands: Iterable[str], repository: Path) -> set[str]:
    """Fail if a command has a flag that its script lacks; returns the names of the scripts."""
    used: dict[str, set[str]] = {}
    for command in commands:
        script = re.search(r"scripts/[\w/]+\.py", command)
        if script:  # before it are the flags of launch.sh
            used.setdefault(script[0], set()).update(re.findall(r"(?<!\S)--[a-z0-9_-]+", command[script.end() :]))
    for script, flags in used.items():
        unknown = flags - flags_of(repository / script)
        assert not unknown, f"{script} does not know {sorted(unknown)}"
    return set(used)
