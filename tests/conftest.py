"""Fixtures every test can ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import HealthCheck, settings

# A slow machine is no failure: examples take the time they take.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the workflow first: their files take the longest, and one that begins last is waited for."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture
def default_config(repository) -> dict:
    """The shipped defaults of every key of the configuration."""
    files = [repository / "config" / name for name in ("config.yaml", "studies/defaults.yaml")]
    return {key: value for file in files for key, value in yaml.safe_load(file.read_text()).items()}


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """torch with one thread: sums of several may have an order of their own, and small networks wait for them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of reference genomes: ``GENET5_DATA``, or ``../shared/data`` beside the checkout."""
    folder = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "S.cerevisiae/fna.gz").is_file():
        # docs/data.md says what it is; pytest -rs, the default here, lists these tests with the reason.
        pytest.skip(f"needs the reference data folder, not found at {folder}: set GENET5_DATA")
    return folder
