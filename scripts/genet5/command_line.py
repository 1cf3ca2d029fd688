"""How every command reads its flags: one style of help, and ``--a_flag`` means ``--a-flag``."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from genet5.errors import InputError

#: What the usage line calls the command, as ``genet5 score``; None: the name of the file that runs.
PROGRAM: ContextVar[str | None] = ContextVar("program", default=None)

_WRITTEN_DEFAULT = re.compile(r"\s*\((default: )?%\(default\)s\)")


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser for a command; ``description`` is the docstring of its file."""
    return CommandParser(prog=PROGRAM.get(), description=description, formatter_class=CommandHelp)


def check_threads(threads: int) -> None:
    """Raise ``InputError`` for a number of threads that cannot work."""
    if threads < 1:
        raise InputError(f"--threads: {threads}, must be at least 1")


class CommandParser(argparse.ArgumentParser):
    """Reads ``--output_dir`` as ``--output-dir``, wherever a flag of that name exists."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple:
        """As in ``argparse.ArgumentParser``."""
        words = sys.argv[1:] if args is None else args
        return super().parse_known_args([self._dashed(word) for word in words], namespace)

    def _dashed(self, word: str) -> str:
        flag, sign, value = word.partition("=")
        dashed = flag.replace("_", "-")
        return f"{dashed}{sign}{value}" if flag.startswith("--") and dashed in self._option_string_actions else word


class CommandHelp(argparse.RawDescriptionHelpFormatter):
    """Help that ends with the default once, and shows each flag in one spelling."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = _WRITTEN_DEFAULT.sub("", action.help or "")
        default = _default_text(action)
        if action.required or not default or "(default" in text:
            return text
        return f"{text} (default: {default})".lstrip()

    def _format_action_invocation(self, action: argparse.Action) -> str:
        spellings = action.option_strings
        action.option_strings = [flag for flag in spellings if "_" not in flag] or spellings
        try:
            return super()._format_action_invocation(action)
        finally:
            action.option_strings = spellings


def _default_text(action: argparse.Action) -> str:
    """The default of a flag in words, with % doubled as in help; empty where it says nothing."""
    default = action.default
    if isinstance(action, argparse.BooleanOptionalAction) and default is not None:
        return "on" if default else "off"
    if default is None or default is False or default is argparse.SUPPRESS:
        return ""
    words = default if isinstance(default, (list, tuple)) else [default]
    return " ".join(map(str, words)).replace("%", "%%")
