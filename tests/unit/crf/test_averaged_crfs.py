"""The average of CRFs: its weights by hand, its refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toy_bacterium import write_crf

import average_crfs
import join_crfs
from genet5.crf.folder import load_crf, save_crf
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


def test_a_temperature_divides_potentials_and_keeps_classes(tmp_path: Path) -> None:
    first = load_crf(write_crf(tmp_path / "fresh", seed=3))
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in first.parameters():  # fresh ones of the chain head and biases of sites are zero
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.1)
    save_crf(first, tmp_path / "start")
    averaged(tmp_path / "cooler", "--models", tmp_path / "start", "--temperature", 2)
    second = load_crf(tmp_path / "cooler")
    codes = torch.randint(0, 5, (1, 2, 200), generator=torch.Generator().manual_seed(1))
    one, other = first(codes), second(codes)
    torch.testing.assert_close(other.potentials, one.potentials / 2)
    torch.testing.assert_close(other.site_potentials, one.site_potentials / 2)
    torch.testing.assert_close(second.gene_penalty, first.gene_penalty / 2)
    assert torch.equal(one.class_logits, other.class_logits)


def test_a_gene_costs_more_after_the_division(tmp_path: Path) -> None:
    start = write_crf(tmp_path / "start", seed=3)
    averaged(tmp_path / "dearer", "--models", start, "--temperature", 2, "--gene-cost", 4.5)
    before, after = load_crf(start), load_crf(tmp_path / "dearer")
    torch.testing.assert_close(after.gene_penalty, before.gene_penalty / 2 + 4.5)
    with pytest.raises(InputError, match="--gene-cost: nan, must be a number of nats"):
        averaged(tmp_path / "out", "--models", start, "--gene-cost", "nan")


@pytest.mark.parametrize("temperature", [0, -1, "inf", "nan"])
def test_a_temperature_that_is_none_is_refused(tmp_path: Path, temperature: object) -> None:
    with pytest.raises(InputError, match=f"--temperature: {temperature}, must be above 0"):
        averaged(tmp_path / "out", "--models", tmp_path, "--temperature", temperature)


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
