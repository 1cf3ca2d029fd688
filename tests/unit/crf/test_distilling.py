"""A student comes closer to its teacher: first weights, what it learns, and what is refused."""

from __future__ import annotations

import csv
import dataclasses
import gzip
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toy_bacterium import chromosome, toy_crf, write_crf, write_genome

import distil_crf
import join_crfs
from genet5.crf.distilling import (
    DECISION_NATS,
    RUN_BP,
    DistilBatch,
    Distillation,
    DistilOptions,
    DistilWindows,
    base_error,
    read_stretches,
    site_error,
)
from genet5.crf.folder import load_crf, save_crf
from genet5.crf.model import Crf, score_codes, window_codes
from genet5.crf.student import make_student, student_config
from genet5.errors import InputError
from genet5.genome.sites import GeneRules, WindowSites

RULES = GeneRules(splice_pairs=(("GT", "AG"),))
SMALLER = "--overrides site_channels=4 --lr=0.02 --windows=80".split()
SHORT = "--windows=40 --window-bp=600 --validation-windows=4 --precision=fp32 --log-every=20"


def distil(model: Path, genome: Path, output: Path, *more: str) -> Crf:
    where = [f"--model={model}", f"--genomes={genome}", f"--output-dir={output}", "--device=cpu"]
    distil_crf.main([*where, "--clade=fungi", "--genetic-code=1", *SHORT.split(), *more])
    return load_crf(output)


def seen(crf: Crf, sites: WindowSites) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    scores = score_codes(crf, window_codes([sites]))
    return scores.potentials, scores.site_potentials, torch.from_numpy(sites.allowed)[None]


def errors(student: Crf, teacher: Crf) -> tuple[float, float]:
    """Of sites and of bases, on DNA that the students have read."""
    sites = WindowSites(chromosome()[1_000_000:1_003_000], RULES)
    (bases, of_sites, allowed), (wanted, wanted_sites, _) = seen(student, sites), seen(teacher, sites)
    return site_error(of_sites, wanted_sites, allowed).item(), base_error(bases, wanted).item()


@pytest.fixture
def genome(tmp_path: Path) -> Path:
    return write_genome(tmp_path / "fna", length_bp=20_000)


# -------------------------------------------------------------------- first weights


@torch.no_grad()
def test_a_narrower_branch_of_sites_keeps_what_its_head_weighs():
    """Channels without weight in the head and without influence on the others may go: nothing changes."""
    teacher, kept = toy_crf(3), [0, 2, 3, 5, 6]
    network = teacher.networks[0]
    others = [channel for channel in range(8) if channel not in kept]
    network.site_norm.weight[others] = 0
    network.site_embedding.weight[:, others] = 0
    for layer in network.site_convolutions:
        layer.conv.weight[:, others] = 0
        layer.conv.weight[others] = 0
        layer.conv.bias[others] = 0
    student = make_student(teacher, student_config(teacher.config, {"site_channels": 5}), 1)
    # The norm is a mean over channels, of which five of eight are left.
    student.networks[0].site_norm.weight.mul_((8 / 5) ** 0.5)
    site, base = errors(student, teacher)
    assert site < 1e-9 and base == 0
    assert errors(toy_crf(4), teacher)[0] > 1e-4


@pytest.mark.parametrize("shape", [{"site_channels": 4}, {"site_dilations": (1, 1)}, {"site_dilations": (1, 1, 1, 2)}])
def test_what_is_no_other_shape_is_the_first_networks_and_only_sites_learn(shape: dict):
    teacher = toy_crf(1)
    student = make_student(teacher, student_config(teacher.config, shape), 1)
    first, own = teacher.networks[0].state_dict(), dict(student.networks[0].named_parameters())
    for name, weight in own.items():
        assert weight.requires_grad == name.startswith("site_")
        if not name.startswith("site_"):
            assert torch.equal(weight, first[name])
    both = Crf(replace(teacher.config, num_networks=2))
    joined = make_student(both, student_config(both.config, {}), 1)
    still = {name for name, weight in joined.networks[0].named_parameters() if not weight.requires_grad}
    assert still == {"gene_penalty"}
    smaller = make_student(teacher, student_config(teacher.config, {"codon_channels": 8}), 1)
    assert all(weight.requires_grad for name, weight in smaller.networks[0].named_parameters() if "penalty" not in name)
    assert torch.equal(smaller.networks[0].stem.embedding.weight, first["stem.embedding.weight"])


# -------------------------------------------------------------------- loss


def test_errors_of_sites_are_weighed_by_how_near_they_are_to_a_decision():
    wanted = torch.tensor([0.0, DECISION_NATS, -60.0, 1.0])
    found = wanted + torch.tensor([1.0, 2.0, 3.0, 1000.0])
    allowed = torch.tensor([True, True, True, False])
    near = 4 * torch.sigmoid(torch.tensor(1.0)) * torch.sigmoid(torch.tensor(-1.0))
    expected = (1 + near * 4 + 0.02 * 9) / (1 + near + 0.02)
    assert site_error(found, wanted, allowed).item() == pytest.approx(expected.item())
    assert site_error(found, wanted, torch.zeros(4, dtype=torch.bool)).item() == 0


def test_errors_of_bases_are_those_of_exons_and_introns():
    """Against a loop over runs of bases, frames and strands."""
    rng = np.random.default_rng(0)
    wanted, found = (rng.normal(size=(1, 2, 100, 4)).astype(np.float32) for _ in range(2))
    squares = []
    for strand in range(2):
        for first in range(0, 100, RUN_BP):
            run = range(first, min(first + RUN_BP, 100))
            for column in [lambda at, frame=frame: (at + frame) % 3 for frame in range(3)] + [lambda _: 3]:
                squares.append(sum((found - wanted)[0, strand, at, column(at)] for at in run) ** 2)
    expected = np.mean(squares)
    assert base_error(torch.from_numpy(found), torch.from_numpy(wanted)).item() == pytest.approx(expected, rel=1e-5)


def test_losses_are_weighed_by_the_window_and_the_student_never_drops_out():
    class Saying(torch.nn.Module):
        """Is wrong by 2 at each site and by 1 / 24 at each base."""

        def forward(self, codes):
            assert not self.training
            return SimpleNamespace(
                site_potentials=torch.full((1, 2, 4, 49), 2.0), potentials=torch.full((1, 2, 48, 4), 1 / RUN_BP)
            )

    nothing = torch.zeros(1, 2, 48, 4), torch.zeros(1, 2, 4, 49), torch.ones(1, 2, 4, 49, dtype=torch.bool)
    batch = DistilBatch(torch.zeros(1, 2, 48, dtype=torch.uint8), *nothing)
    student = Distillation(Saying(), DistilOptions(base_weight=3.0)).train()
    assert student.training and not student.network.training
    found = {name: float(value) for name, value in student.training_losses(batch).items()}
    assert found == pytest.approx({"sum": 48 * (4 + 3), "weight": 48, "sites": 48 * 4, "bases": 48})
    assert not student.train(False).training


# -------------------------------------------------------------------- DNA


def test_windows_that_validate_are_others_and_each_is_read_whole_in_its_order():
    options = DistilOptions(windows=5, validation_windows=3, window_bp=100, precision="fp32")
    stretches = [chromosome()[:101].encode(), chromosome()[:100].encode()]
    train, valid = (DistilWindows(stretches, toy_crf(), RULES, options, [1, part]) for part in range(2))
    assert [len(train.lengths), len(valid.lengths)] == [5, 3]
    many = DistilWindows(stretches, toy_crf(), RULES, replace(options, windows=200), [1, 0])
    where = set(zip(many.drawn.tolist(), many.starts, strict=True))
    assert where == {(0, 0), (0, 1), (1, 0)} and set(many.lengths.tolist()) == {100}
    plans = [data.source(options, shuffle).plan for data, shuffle in ((valid, False), (train, True))]
    assert [batch.tolist() for batch in plans[0].batches(0)] == [[0], [1], [2]]
    orders = [[batch.tolist() for batch in plans[1].batches(epoch)] for epoch in range(4)]
    assert [sorted(order) for order in orders] == [[[0], [1], [2], [3], [4]]] * 4
    assert len(set(map(str, orders))) > 1


def test_windows_never_touch_what_is_left_out(tmp_path: Path):
    one, two = tmp_path / "1.fa", tmp_path / "2.fa.gz"
    one.write_text(">a\n" + "a" * 500 + "C" * 700 + "g" * 300 + "\n>b\nTTTT\n")
    two.write_bytes(gzip.compress(b">c\nACGT\n"))
    stretches = read_stretches([one, two], ["a:501-1200,b", "-"])
    assert stretches == [b"A" * 500, b"G" * 300, b"ACGT"]
    assert read_stretches([two], []) == [b"ACGT"]
    options = DistilOptions(windows=300, window_bp=120, precision="fp32")
    windows = DistilWindows(stretches[:2], toy_crf(), RULES, options, [1, 0])
    shown = [windows.window(index) for index in range(300)]
    assert {len(one) for one in shown} == {120}
    assert set(shown) == {b"A" * 120, b"G" * 120}
    assert 130 < shown.count(b"A" * 120) < 240  # five bases of eight
    short = DistilWindows(stretches[2:], toy_crf(), RULES, options, [1, 0])
    assert short.window(0) == b"ACGT" and short.lengths[0] == 4


def test_a_batch_is_what_the_teacher_says_where_sites_are_allowed():
    teacher = toy_crf(1)
    options = DistilOptions(windows=3, window_bp=300, precision="fp32")
    windows = DistilWindows([chromosome()[:900].encode()], teacher, RULES, options, [1, 0])
    batch = windows.batch(np.array([2]), 0, np.random.default_rng(0))
    bases, sites, allowed = seen(teacher, WindowSites(windows.window(2), RULES))
    assert torch.equal(batch.allowed, allowed) and allowed.any()
    torch.testing.assert_close(batch.bases, bases, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(batch.sites[allowed], sites[allowed], atol=1e-4, rtol=1e-4)
    moved = batch.to("meta")
    for field in dataclasses.fields(batch):
        here, there = getattr(batch, field.name), getattr(moved, field.name)
        assert there.device.type == "meta" and (there.shape, there.dtype) == (here.shape, here.dtype)


# -------------------------------------------------------------------- runs


def test_a_smaller_student_comes_closer_and_keeps_its_teachers_bases(tmp_path: Path, genome: Path):
    model = write_crf(tmp_path / "teacher", 1)
    teacher = load_crf(model)
    first = make_student(teacher, student_config(teacher.config, {"site_channels": 4}), 42)
    student = distil(model, genome, tmp_path / "student", *SMALLER)
    assert student.config.site_channels == 4
    before, after = errors(first, teacher), errors(student, teacher)
    assert after[0] < 0.75 * before[0]
    assert after[1] == before[1] == 0
    again = distil(model, genome, tmp_path / "again", *SMALLER)
    assert all(torch.equal(weight, again.state_dict()[name]) for name, weight in student.state_dict().items())
    with (tmp_path / "student/eval_log.csv").open(newline="") as stream:
        assert {"val_sites", "val_bases"} <= set(next(csv.DictReader(stream)))


def test_one_network_comes_closer_to_the_mean_of_two(tmp_path: Path, genome: Path):
    models = [write_crf(tmp_path / str(seed), seed) for seed in (1, 2)]
    other = load_crf(models[1])
    with torch.no_grad():
        other.networks[0].chain_head.bias.fill_(0.2)
        other.networks[0].gene_penalty.fill_(7.0)
    save_crf(other, models[1])
    join_crfs.main([f"--output-dir={tmp_path / 'joined'}", "--models", *map(str, models)])
    teacher, first = load_crf(tmp_path / "joined"), load_crf(models[0])
    student = distil(tmp_path / "joined", genome, tmp_path / "student")
    assert student.config.num_networks == 1
    assert student.gene_penalty.item() == pytest.approx((3 + 7) / 2)
    before, after = errors(first, teacher), errors(student, teacher)
    assert after[0] < 0.8 * before[0] and after[1] < 0.5 * before[1]


# -------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--overrides", "site_chanels=4"], "unknown option 'site_chanels'; did you mean site_channels"),
        (["--overrides", "site_channels=0"], "site_channels: found 0, allowed: at least 1"),
        (["--overrides", "num_networks=2"], "unknown option 'num_networks'"),
        (["--leave-out=chr"], "--leave-out: no DNA is left to learn from"),
        (["--leave-out=chr9"], "fna: "),
        (["--leave-out", "-", "-"], "--leave-out: 2 values for 1 genomes, expected as many"),
        (["--windows=0"], "--windows: found 0, allowed: at least 1"),
        (["--compile"], "compile: found true, but a distillation does not offer it"),
        (["--model=absent"], "absent/config.json: no such file"),
        (["--clade=dragons"], "dragons"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, genome: Path, more: list[str], message: str):
    model = write_crf(tmp_path / "teacher", 1)
    with pytest.raises(InputError) as error:
        distil(model, genome, tmp_path / "student", *more)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "student/model.safetensors").exists()
