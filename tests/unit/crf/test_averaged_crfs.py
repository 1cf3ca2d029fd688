"""The average of CRFs: its weights by hand, its refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toy_bacterium import write_crf

import average_crfs
import join_crfs
from genet5.crf.folder import load_crf
from genet5.errors import InputError


def averaged(output: Path, *flags: object) -> None:
    average_crfs.main([f"--output-dir={output}", *map(str, flags)])


def test_weights_are_the_shares_of_each(tmp_path: Path) -> None:
    first, second = folders = [write_crf(tmp_path / str(seed), seed) for seed in (1, 2)]
    averaged(tmp_path / "quarter", "--models", *folders, "--shares", 0.25, 0.75)
    averaged(tmp_path / "half", "--models", *folders)
    one, other = (load_crf(folder).state_dict() for folder in (first, second))
    for name, share in (("quarter", 0.25), ("half", 0.5)):
        state = load_crf(tmp_path / name).state_dict()
        assert any(not torch.equal(one[key], other[key]) for key in state)
        for key, found in state.items():
            torch.testing.assert_close(found, share * one[key] + (1 - share) * other[key])


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ((0.5,), "--shares: 1 numbers for 2 models"),
        ((0.5, 0.4), "--shares: 0.5 0.4, expected parts that add up to 1"),
        ((-1, 2), "--shares: -1 2, expected parts that add up to 1"),
    ],
)
def test_shares_that_are_none_are_refused(tmp_path: Path, shares: tuple[float, ...], message: str) -> None:
    folders = [write_crf(tmp_path / str(seed), seed) for seed in (1, 2)]
    with pytest.raises(InputError, match=message):
        averaged(tmp_path / "out", "--models", *folders, "--shares", *shares)
    assert not (tmp_path / "out").exists()


def test_crfs_of_other_numbers_of_networks_are_refused(tmp_path: Path) -> None:
    first, second = (write_crf(tmp_path / str(seed), seed) for seed in (1, 2))
    join_crfs.main([f"--output-dir={tmp_path / 'two'}", "--models", str(first), str(second)])
    with pytest.raises(InputError, match=r"two: 2 networks, in .*1 1$"):
        averaged(tmp_path / "out", "--models", first, tmp_path / "two")
