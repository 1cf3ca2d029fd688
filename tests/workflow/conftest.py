"""A place to run the workflow in: a folder with links to the checkout, so that its data/ is its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import patience
import pytest
from snakemake_server import SnakemakeServer

DRY_RUN = {"-n", "--dry-run"}
SHEET = "species\tclade\tgenetic_code\tsplit\tvalidation_regions\ttest_regions\tgenome\tannotation\n"


@dataclass(frozen=True)
class Workspace:
    """A folder to run Snakemake in."""

    folder: Path
    server: SnakemakeServer | None = None

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake here; standard output and error together in ``stdout``. Dry runs share its imports."""
        if DRY_RUN & set(arguments) and self.server is not None:
            return self.server.run(list(arguments), self.folder, self.environment)
        return patience.run(self.command(*arguments), cwd=self.folder, env=self.environment)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}

    def overlay(self, text: str) -> str:
        """Write a configuration overlay; its name, for --configfile."""
        (self.folder / "overlay.yaml").write_text(text)
        return "overlay.yaml"

    def sheet(self, *rows: str) -> str:
        """Write a species table of rows with blanks between cells; its name."""
        (self.folder / "species.tsv").write_text(SHEET + "".join("\t".join(row.split()) + "\n" for row in rows))
        return "species.tsv"


@pytest.fixture(scope="session")
def server() -> Iterator[SnakemakeServer]:
    """Snakemake for dry runs."""
    with SnakemakeServer() as started:
        yield started


@pytest.fixture(scope="session")
def make_workspace(tmp_path_factory, repository, server) -> Callable[[], Workspace]:
    """Makes new workspaces."""

    def make() -> Workspace:
        folder = tmp_path_factory.mktemp("workspace")
        for name in ("workflow", "scripts", "config", "resources", "profiles", "envs"):
            (folder / name).symlink_to(repository / name)
        return Workspace(folder, server)

    return make


@pytest.fixture(scope="session")
def workspace_of(server) -> Callable[[Path], Workspace]:
    """Makes a workspace of a folder as it is."""
    return lambda folder: Workspace(folder, server)


@pytest.fixture
def workspace(make_workspace) -> Workspace:
    return make_workspace()
