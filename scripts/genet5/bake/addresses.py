"""Where the shards of a baked species are, if not beside their manifest."""

from __future__ import annotations

from pathlib import Path

from genet5.errors import InputError
from genet5.sources.streams import check_address


def check_shards_url(shards_url: str, where: str = "shards_url") -> None:
    """Raise InputError, which starts with ``where``, for an address of an unknown kind or a command without {shard}."""
    check_address(shards_url, f"{where}: ")
    if shards_url.startswith("pipe:") and "{shard}" not in shards_url:
        raise InputError(f"{where}: {shards_url} lacks {{shard}}, the place of the shard's name in the command")


def shard_address(shards_url: str, manifest: Path, species: str, name: str) -> str:
    """Where a shard is: ``{shards_url}/{species}/{name}``, or ``shards_url`` with its placeholders filled in.

    Placeholders are ``{run}`` (the folder above that of the manifest), ``{species}`` and ``{shard}`` (the name of the
    file). An empty ``shards_url`` means the folder of the manifest. Raises InputError, see ``check_shards_url``.
    """
    if not shards_url:
        return str(manifest.parent / name)
    check_shards_url(shards_url)
    address = shards_url
    if "{shard}" not in address:
        address = address.rstrip("/") + ("" if "{species}" in address else "/{species}") + "/{shard}"
    run = manifest.absolute().parent.parent.name
    for placeholder, value in (("{run}", run), ("{species}", species), ("{shard}", name)):
        address = address.replace(placeholder, value)
    return address
