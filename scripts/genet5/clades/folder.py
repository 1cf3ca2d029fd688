"""All clades: the files that come with GeneT5, and those in a folder of the user's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from genet5.clades.clade import Clade, read_clade
from genet5.configuration import AUTO, suggestion
from genet5.errors import InputError
from genet5.files import resource

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def read_clades(own_folder: str | Path = "") -> dict[str, Clade]:
    """Clades by name, in alphabetical order. A clade in ``own_folder`` replaces the shipped one of its name.

    Raises ``InputError`` for a folder without clades, and for files and names that cannot be clades.
    """
    paths = {path.stem: path for path in sorted(resource("clades").glob("*.yaml"))}
    if own_folder:
        own = sorted(Path(own_folder).glob("*.yaml"))
        if not own:
            raise InputError(
                f"{own_folder}: no clade here, expected files like oomycete.yaml (clade_folder, --clade-folder)"
            )
        for path in own:
            if not _NAME.fullmatch(path.stem):
                raise InputError(
                    f"{path}: a clade's name has lower-case letters, digits and _, and begins with a letter"
                )
            if path.stem == AUTO:
                raise InputError(f"{path}: {AUTO} is no name for a clade: it lets the DNA decide")
        paths |= {path.stem: path for path in own}
    clades = {name: read_clade(path) for name, path in sorted(paths.items())}
    for one in clades.values():
        for name in one.subclades:
            clade_named(clades, name, f"{one.path}, key subclades")
    return clades


def clade_named(clades: Mapping[str, Clade], name: str, where: str = "--clade") -> Clade:
    """The clade of that name; ``InputError`` with the choices if there is none."""
    if name not in clades:
        raise InputError(f"{where}: no clade {name!r}{suggestion(name, clades)}")
    return clades[name]
