"""Files of a repository on the Hugging Face hub, kept in the cache of its client."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from genet5.errors import InputError

TIMEOUT_S = 10.0  # for the first answer; the client itself waits without end
REMEDY = (
    "put config.json, tokenizer.json and pytorch_model.bin (or model.safetensors) into a folder, and name it in "
    "tokenizer.base and writer.init_from"
)
_ID = re.compile(r"([\w-][\w.-]*/[\w.-]+)(?:@([\w./-]+))?")


def is_hub_id(text: str) -> bool:
    """Whether ``text`` reads ``owner/name`` or ``owner/name@revision``, and is no path here."""
    return bool(_ID.fullmatch(text)) and not text.endswith(".json") and not Path(text).exists()


def hub_folder(hub_id: str, where: str, needed: Sequence[Collection[str]], welcome: Collection[str] = ()) -> Path:
    """A folder with files of a repository, from the hub or, if that cannot be reached, from an earlier download.

    needed: of each group of names the first that the repository has. welcome: names that it may have. Nothing else is
    fetched. Raises ``InputError``, which names ``where`` the id comes from and what to do without the hub.
    """
    repository, revision = _ID.fullmatch(hub_id).groups()
    from huggingface_hub import HfApi, snapshot_download  # here: few commands need it

    try:
        about = HfApi().model_info(repository, revision=revision, timeout=TIMEOUT_S)
        names = {file.rfilename for file in about.siblings}
        wanted = [*_chosen(needed, names, f"{where}: {hub_id} on the hub"), *names.intersection(welcome)]
        return Path(snapshot_download(repository, revision=revision, allow_patterns=wanted))
    except InputError:
        raise
    except Exception as error:  # network, hub, disk: the client raises many kinds
        reason, cause = _reason(error), error
    if folder := _downloaded_before(repository, revision, needed):
        print(f"{hub_id}: {reason}; the files of an earlier download are used, {folder}", file=sys.stderr)
        return folder
    raise InputError(f"{where}: {hub_id!r} is no path here, and not from the hub ({reason}); {REMEDY}") from cause


def _chosen(needed: Sequence[Collection[str]], names: Collection[str], where: str) -> list[str]:
    """One name of each group."""
    found = []
    for group in needed:
        name = next((name for name in group if name in names), None)
        if name is None:
            raise InputError(f"{where} has no {' or '.join(group)}")
        found.append(name)
    return found


def _downloaded_before(repository: str, revision: str | None, needed: Sequence[Collection[str]]) -> Path | None:
    """The client's own folder of the revision, if it has what is needed."""
    from huggingface_hub import try_to_load_from_cache

    folders = set()
    for group in needed:
        paths = [try_to_load_from_cache(repository, name, revision=revision) for name in group]
        path = next((path for path in paths if isinstance(path, str)), None)
        if path is None:
            return None
        folders.add(Path(path).parent)
    return folders.pop()


def _reason(error: Exception) -> str:
    """Why a download failed, in one line."""
    from huggingface_hub.errors import (
        GatedRepoError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set"
    if isinstance(error, RevisionNotFoundError):
        return "it has no such revision"
    if isinstance(error, GatedRepoError):
        return "it asks for a login: hf auth login"
    if isinstance(error, RepositoryNotFoundError):
        return "it has no such repository, or a private one"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__
