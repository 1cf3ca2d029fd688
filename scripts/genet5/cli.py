"""The command ``genet5``: each of its commands is a script of the folder ``scripts``, run as it is.

``genet5 bake-shards`` runs ``scripts/bake_shards.py``; those of the studies are in ``scripts/studies/{study}``.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

from genet5 import __version__
from genet5.command_line import PROGRAM
from genet5.errors import InputError, run_command

_PACKAGE = Path(__file__).resolve().parent


def main(argv: list[str] | None = None) -> None:
    """Run ``genet5 COMMAND ARGUMENTS...``."""
    run_command(partial(_run, sys.argv[1:] if argv is None else argv))


def scripts_folder() -> Path:
    """The folder of the scripts: inside an installed package, or around the package in a checkout."""
    installed = _PACKAGE / "commands"
    return installed if installed.is_dir() else _PACKAGE.parent


def commands() -> dict[str, Path]:
    """File of each command."""
    return {_name(path): path for path in sorted(scripts_folder().glob("*.py"))}


def study_commands() -> dict[str, Path]:
    """The same for the studies."""
    return {_name(path): path for path in sorted(scripts_folder().glob("studies/*/*.py"))}


def help_text() -> str:
    """Every command with the first line of its docstring."""
    width = max(map(len, commands() | study_commands())) + 2
    lines = ["usage: genet5 COMMAND [flags]", "", "genet5 COMMAND --help explains the flags of a command."]
    for title, listed in (("commands", commands()), ("studies", study_commands())):
        lines += ["", f"{title}:", *(f"  {name:<{width}}{first_line(path)}" for name, path in listed.items())]
    return "\n".join(lines) + "\n"


def first_line(path: Path) -> str:
    """First line of a script's docstring, read without running the script."""
    return (ast.get_docstring(ast.parse(path.read_bytes())) or "").partition("\n")[0]


def load_script(name: str, path: Path) -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location(f"genet5.commands.{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _run(argv: list[str]) -> None:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(help_text(), end="")
        return
    if argv[0] == "--version":
        print(f"genet5 {__version__}")
        return
    known = commands() | study_commands()
    name = argv[0].replace("_", "-")
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        advice = f"did you mean '{near[0]}'?" if near else "genet5 --help lists all"
        raise InputError(f"genet5: unknown command '{argv[0]}'; {advice}")
    PROGRAM.set(f"genet5 {name}")
    script = load_script(name, known[name])
    run_command(partial(script.main, argv[1:]))


def _name(path: Path) -> str:
    return path.stem.replace("_", "-")
