"""The CRF as a policy: gradients against small differences and against all chains, loci, the divergence, whole runs."""

from __future__ import annotations

import csv
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from all_chains import PENALTY, all_paths, case, genes_of, log_sum
from grpo_toy import CLADES, CLOCK, ToyInputs, planted_windows, tensors, write_inputs

from genet5.bake.crops import crop
from genet5.bake.shards import ShardReader
from genet5.crf.config import crf_config
from genet5.crf.data import CrfData, CrfWindows
from genet5.crf.folder import save_crf
from genet5.crf.model import make_crf
from genet5.crf.sampling import Features, Strand, chain_score, count_features
from genet5.crf.window_decoder import WindowDecoder
from genet5.errors import InputError
from genet5.genome.genes import Interval
from genet5.genome.window_genes import WindowGene
from genet5.grpo import crf_run
from genet5.grpo.crf_policy import (
    LOCUS,
    STRAND,
    Lesson,
    Sampled,
    divergence,
    learn,
    leave_one_out,
    sample_strand,
)
from genet5.grpo.crf_training import CrfPrompts, run_crf_grpo
from genet5.grpo.options import CrfGrpoOptions
from genet5.grpo.rewards import Reward, RewardWeights
from genet5.options import plain, read_options

BASES = "ATGGTTAGTTGAC"
WEIGHTS = RewardWeights(exon=0.3, gene=0.2, nucleotide=0.5)


def strand_of(bases: str = BASES, seed: int = 0, temperature: float = 1.0, **moved: Any) -> Strand:
    """Of a case; moved: array, place and difference."""
    potentials, site, allowed = (part[0].numpy().copy() for part in case(bases, seed))
    penalty = PENALTY
    for name, (place, step) in moved.items():
        if name == "penalty":
            penalty += step
        else:
            {"potentials": potentials, "site": site}[name][place] += step
    return Strand.of(potentials, site, allowed, penalty, temperature)


def reference_of(bases: str, seed: int = 0) -> list[WindowGene]:
    """Genes of one of the better chains."""
    given = case(bases, seed)
    paths = sorted(all_paths(given), key=lambda path: -path.score)
    return next(genes for genes in (genes_of(path, given.allowed[0].numpy()) for path in paths) if genes)


def differences(value, strand: Strand) -> Features:
    """Gradient of ``value(strand maker's keywords)`` by small differences."""
    step = 1e-5

    def slope(name: str, place: Any) -> float:
        return (value(**{name: (place, step)}) - value(**{name: (place, -step)})) / (2 * step)

    of_base, of_site = np.zeros_like(strand.potentials), np.zeros_like(strand.site)
    for place in np.ndindex(of_base.shape):
        of_base[place] = slope("potentials", place)
    for place in zip(*np.nonzero(strand.allowed), strict=True):
        of_site[place] = slope("site", place)
    return Features(of_base, of_site, -slope("penalty", ()))


def assert_same(found: Features, expected: Features, tolerance: float) -> None:
    assert np.abs(found.of_base - expected.of_base).max() < tolerance
    assert np.abs(found.of_site - expected.of_site).max() < tolerance
    assert abs(found.genes - expected.genes) < tolerance


@pytest.mark.parametrize("temperature", [1.0, 1.8])
def test_the_gradient_of_the_objective_is_that_of_small_differences(temperature):
    """Of log-probabilities with log Z, which the code leaves out: advantages add up to 0."""
    strand, reference = strand_of(temperature=temperature), reference_of(BASES)
    sampled = sample_strand(strand, "+", reference, 64, 5, STRAND)
    lesson = learn(sampled, reference, [], WEIGHTS, len(BASES), temperature)
    advantages = leave_one_out(np.array([reward.reward for reward in lesson.rewards]))
    assert lesson.varied and abs(advantages.sum()) < 1e-12

    def objective(**moved: Any) -> float:
        one = strand_of(temperature=temperature, **moved)
        total = one.sums().total
        return -float(
            np.mean(
                [a * (chain_score(chain, one) - total) for a, chain in zip(advantages, sampled.chains, strict=True)]
            )
        )

    assert_same(lesson.features, differences(objective, strand), 1e-7)


def test_the_mean_of_many_samples_is_the_gradient_of_the_expected_reward():
    strand, reference, given = strand_of(), reference_of(BASES), case(BASES)
    allowed = given.allowed[0].numpy()
    paths = all_paths(given)
    rewards = np.array([WEIGHTS.of(reference, genes_of(path, allowed)).reward for path in paths])

    def expected_loss(**moved: Any) -> float:
        one = strand_of(**moved)
        scores = []
        for path in paths:
            score = sum(one.potentials[at, min(state, 4) - 1] for at, state in enumerate(path.states) if state)
            scores.append(score + path.score - base[path])
        return -float((np.exp(np.array(scores) - log_sum(scores)) * rewards).sum())

    base = {
        path: sum(strand.potentials[at, min(state, 4) - 1] for at, state in enumerate(path.states) if state)
        for path in paths
    }
    exact = differences(expected_loss, strand).of_base
    number = 8_000
    sampled = sample_strand(strand, "+", reference, number, 9, STRAND)
    found = learn(sampled, reference, [], WEIGHTS, len(BASES), 1.0).features.of_base
    assert np.abs(exact).max() > 0.03
    assert np.abs(found - exact).max() < 0.012


def test_an_advantage_is_against_the_mean_of_the_others():
    assert leave_one_out(np.array([1.0, 0.0, 0.5])).tolist() == pytest.approx([0.75, -0.75, 0.0])


def test_equal_rewards_teach_nothing():
    strand = strand_of()
    sampled = sample_strand(strand, "+", [], 16, 1, LOCUS)
    equal = RewardWeights(exon=0, gene=0, nucleotide=0)
    lesson = learn(sampled, reference_of(BASES), [], equal, len(BASES), 1.0)
    assert not lesson.varied and not lesson.features.of_base.any() and not lesson.features.of_site.any()
    assert lesson.features.genes == 0 and (leave_one_out(np.full(3, 0.1)) == 0).all()


@dataclass
class TwoLoci:
    """A strand with two open reading frames far apart."""

    bases: str = "CC" + "ATGGCCTAA" + "C" * 30 + "ATGGCATGA" + "CC"
    first = WindowGene("+", (Interval(2, 11),))
    second = WindowGene("+", (Interval(41, 50),))


def test_a_locus_earns_by_itself():
    two = TwoLoci()
    potentials, site, allowed = (part[0].numpy() for part in case(two.bases, 1, 0.0))
    strand = Strand.of(potentials, site, allowed, 0.0)
    sampled = sample_strand(strand, "+", [two.first], 64, 3, LOCUS)
    kinds = {tuple(genes) for genes in sampled.genes}
    assert {(two.first,), (two.second,), (two.first, two.second), ()} <= kinds
    keep = [number for number, genes in enumerate(sampled.genes) if set(genes) <= {two.first, two.second}]
    chains, genes = ([part[number] for number in keep] for part in (sampled.chains, sampled.genes))
    loci = sample_strand(strand, "+", [two.first, two.second], 2, 3, LOCUS).loci
    lesson = learn(Sampled(chains, genes, [(2, 12), (41, 51)]), [two.first], [], RewardWeights(), len(two.bases), 1.0)
    assert loci and lesson.varied
    # At the first locus the gene is right, at the second it is wrong, whatever the other locus holds.
    for gene, wanted in ((two.first, 1.0), (two.second, 0.0)):
        earned = np.array([wanted if gene in group else 1 - wanted for group in genes])
        advantages = leave_one_out(earned)
        low, high = gene.start, gene.end
        alone = count_features(chains, -advantages / len(chains), len(two.bases)).of_base[low:high]
        assert lesson.features.of_base[low:high] == pytest.approx(alone, abs=1e-12) and np.abs(alone).max() > 0.01
    assert not lesson.features.of_base[12:41].any()
    assert lesson.features.of_site[0, 2] < 0 < lesson.features.of_site[0, 41]


def test_a_locus_ends_with_its_last_gene():
    """The locus of a gene alone is as long as the gene."""
    two = TwoLoci()
    potentials, site, allowed = (part[0].numpy() for part in case(two.bases, 1, 0.0))
    strand = Strand.of(potentials, site, allowed, 0.0)
    sampled = sample_strand(strand, "+", [two.first], 64, 3, LOCUS)._replace(loci=[(2, 11)])
    lesson = learn(sampled, [two.first], [], RewardWeights(), len(two.bases), 1.0)
    earned = np.array([float(two.first in genes) for genes in sampled.genes])
    known = [number for number, genes in enumerate(sampled.genes) if set(genes) <= {two.first, two.second}]
    assert lesson.varied and 0 < earned[known].sum() < len(known)
    assert lesson.features.of_site[0, 2] < 0, "a start that is right is worth more than none"


def test_the_divergence_and_its_gradient_are_those_of_a_list_of_all_chains():
    start, policy = case(BASES, 1), case(BASES, 2)
    one, two = (Strand.of(*(part[0].numpy() for part in given), PENALTY) for given in (start, policy))
    scores = [np.array([path.score for path in all_paths(given)]) for given in (start, policy)]
    logs = [part - log_sum(part.tolist()) for part in scores]
    value, gradient = divergence(two, one)
    assert value == pytest.approx(float((np.exp(logs[0]) * (logs[0] - logs[1])).sum()), abs=1e-9)
    assert divergence(one, one)[0] == pytest.approx(0, abs=1e-9)
    assert_same(gradient, differences(lambda **moved: divergence(strand_of(seed=2, **moved), one)[0], two), 1e-7)


# ---------------------------------------------------------------- a whole run

OPTIONS: dict[str, Any] = {
    "log_memory": False,
    "memwatch": 0.0,
    "precision": "fp32",
    "batch_size": 2,
    "windows_per_step": 4,
    "group_size": 4,
    "lr": 1e-3,
    "epochs": 4,
    "max_steps": 4,
    "early_stopping": 0,
    "eval_steps": 2,
    "save_steps": 1,
    "beta": 0.1,
    "nucleotide_weight": 0.5,
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> ToyInputs:
    made = write_inputs(tmp_path_factory.mktemp("grpo") / "inputs")
    shape = {"stem_channels": 8, "codon_channels": 8, "stretch_channels": 8, "site_channels": 8}
    save_crf(make_crf(crf_config("demo", shape), 3), made.folder / "crf")
    return made


def run_toy(inputs: ToyInputs, output_dir: Path, **options: Any) -> None:
    checked = read_options(CrfGrpoOptions, OPTIONS | options, "test")
    run_crf_grpo(**inputs.arguments | {"model_dir": inputs.folder / "crf"}, options=checked, output_dir=output_dir)


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as stream:
        hidden = CLOCK | {"step_s"}
        return [{k: v for k, v in row.items() if k not in hidden} for row in csv.DictReader(stream)]


@pytest.fixture(scope="module")
def whole(inputs: ToyInputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    run_toy(inputs, folder)
    return folder


def test_a_run_leaves_a_crf_and_its_logs(inputs: ToyInputs, whole: Path):
    log = rows(whole / "grpo_log.csv")
    assert [row["step"] for row in log] == ["1", "2", "3", "4"]
    for row in log:
        parts = float(row["policy_loss"]) + 0.1 * float(row["kl"]) + 0.05 * float(row["likelihood_loss"])
        assert float(row["total_loss"]) == pytest.approx(parts, abs=1e-5)
        assert 0 <= float(row["reward_mean"]) <= 1.5
    assert float(log[0]["kl"]) < 1e-4 < float(log[-1]["kl"])
    assert [row["step"] for row in rows(whole / "eval_log.csv")] == ["0", "2", "4"]
    start = tensors(inputs.folder / "crf")
    assert any(not torch.equal(start[name], tensor) for name, tensor in tensors(whole / "final").items())
    config = json.loads((whole / "grpo_config.json").read_text())
    assert config["options"] == plain(read_options(CrfGrpoOptions, OPTIONS, "test"))
    assert config["inputs"]["model"] == str(inputs.folder / "crf") and set(config["inputs"]) == {
        "model", "prompts", "validation",
    }  # fmt: skip
    assert config["sha256"]


def test_the_schedule_of_the_rate_decides_the_weights(inputs: ToyInputs, whole: Path, tmp_path: Path):
    run_toy(inputs, tmp_path, scheduler="constant", warmup_ratio=0.0)
    constant, scheduled = tensors(tmp_path / "final"), tensors(whole / "final")
    assert any(not torch.equal(constant[name], tensor) for name, tensor in scheduled.items())


@pytest.mark.parametrize("calls", [[2], [7, 3]])
def test_a_stopped_run_goes_on_as_if_nothing_had_been(inputs, whole, tmp_path, monkeypatch, calls):
    sample = crf_run.sample_strand
    for number in calls:
        count = [0]

        def deadly(*arguments, count=count, number=number, **keywords):
            count[0] += 1
            if count[0] == number:
                os.kill(os.getpid(), signal.SIGTERM)
            return sample(*arguments, **keywords)

        monkeypatch.setattr(crf_run, "sample_strand", deadly)
        with pytest.raises(SystemExit):
            run_toy(inputs, tmp_path)
    monkeypatch.setattr(crf_run, "sample_strand", sample)
    run_toy(inputs, tmp_path)
    for log in ("grpo_log.csv", "eval_log.csv"):
        assert rows(tmp_path / log) == rows(whole / log)
    for folder in ("best", "final", "."):
        for name, tensor in tensors(tmp_path / folder).items():
            assert torch.equal(tensor, tensors(whole / folder)[name]), (folder, name)


def test_a_run_without_variance_changes_nothing_and_ends_with_one_line(inputs, tmp_path):
    nothing = {"exon_weight": 0.0, "gene_weight": 0.0, "nucleotide_weight": 0.0}
    with pytest.raises(InputError, match="all samples of every strand earned the same for 2 steps") as error:
        run_toy(inputs, tmp_path, **nothing, beta=0.0, likelihood_weight=0.0, max_steps_without_variance=2)
    assert "\n" not in str(error.value)
    run_toy(inputs, tmp_path / "on", **nothing, beta=0.0, likelihood_weight=0.0, weight_decay=0.0, max_steps=2,
            max_steps_without_variance=0)  # fmt: skip
    start, end = tensors(inputs.folder / "crf"), tensors(tmp_path / "on/final")
    assert all(torch.equal(tensor, end[name]) for name, tensor in start.items())


def test_missing_input_is_one_line(inputs, tmp_path):
    arguments = inputs.arguments | {"model_dir": tmp_path, "options": CrfGrpoOptions(), "output_dir": tmp_path / "out"}
    with pytest.raises(InputError, match="--model must be the folder of a trained CRF"):
        run_crf_grpo(**arguments)
    assert CLADES and planted_windows(1, 0) and not (tmp_path / "out").exists()


def test_the_audit_counts_samples_and_strands_by_hand() -> None:
    """Two strands, two samples each; the last count of a strand is of its repeated samples."""
    rewards = [[Reward(1.0, 1, 1, 1, 1), Reward(0.0, 0, 0, 0, 0)], [Reward(0.5, 1, 0, 1, 0)] * 2]
    lessons = [Lesson(None, one, varied) for one, varied in zip(rewards, (True, False), strict=True)]
    found = crf_run.audit(lessons, [[3, 0, 0], [2, 2, 1]])
    per_sample = {"reward": 2.0, "exon_f1": 3.0, "empty_completions": 1, "repeated_completions": 1}
    assert {name: found[name] for name in per_sample} == per_sample and found["genes_per_completion"] == 7
    assert found["zero_variance_groups"] == 1 and found["reward_std"] == pytest.approx(np.std([1, 0], ddof=1))
    assert found["repeated_completions_weight"] == 4 and found["reward_std_weight"] == 2


def test_samples_of_a_strand_meet_the_genes_of_that_strand(inputs, tmp_path, monkeypatch) -> None:
    seen = []

    def watched(strand, sign, reference, *arguments):
        seen.append((sign, {gene.strand for gene in reference}, len(strand.potentials)))
        return sample_strand(strand, sign, reference, *arguments)

    monkeypatch.setattr(crf_run, "sample_strand", watched)
    run_toy(inputs, tmp_path, max_steps=1, eval_steps=0)
    assert [sign for sign, *_ in seen] == ["+", "-"] * 4
    assert {sign for sign, strands, _ in seen if strands} == {"+", "-"}
    assert all(strands <= {sign} for sign, strands, _ in seen)


def test_the_divergence_holds_the_policy_near_its_start(inputs: ToyInputs, tmp_path: Path) -> None:
    ends = {}
    for beta in (0.0001, 30.0):
        run_toy(inputs, tmp_path / str(beta), beta=beta, likelihood_weight=0.0, eval_steps=0)
        ends[beta] = float(rows(tmp_path / str(beta) / "grpo_log.csv")[-1]["kl"])
    assert 0 < ends[30.0] < ends[0.0001] / 2


def test_tokens_a_second_are_those_of_a_whole_step(inputs: ToyInputs, tmp_path: Path, monkeypatch) -> None:
    """A step is two batches of two windows."""
    bases, losses = [], crf_run.CrfGrpoRun._batch_losses

    def counted(self, position, windows):
        bases.append(sum(len(window.bases) for window in windows))
        return losses(self, position, windows)

    monkeypatch.setattr(crf_run.CrfGrpoRun, "_batch_losses", counted)
    run_toy(inputs, tmp_path, max_steps=1, eval_steps=0)
    with open(tmp_path / "grpo_log.csv", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert len(bases) == 2
    assert float(row["tokens_per_s"]) * float(row["step_s"]) == pytest.approx(sum(bases), rel=0.02)


def test_seconds_of_a_step_are_the_mean_of_the_steps_of_a_row(inputs: ToyInputs, tmp_path: Path) -> None:
    run_toy(inputs, tmp_path, eval_steps=0, log_every=4)
    with open(tmp_path / "grpo_log.csv", newline="") as stream:
        row = list(csv.DictReader(stream))[-1]
    assert row["step"] == "4" and 0 < 3 * float(row["step_s"]) <= float(row["elapsed_s"])


def test_windows_of_several_clades_are_scored_each_by_its_own_rules():
    windows, source = planted_windows(6, 3), CrfWindows(CLADES)
    model = crf_run.CrfPolicy(make_crf(crf_config("demo"), 1))
    found = crf_run.CrfWindowScorer(windows, source, WEIGHTS)(model)
    rewards = []
    for window in windows:
        rules = source.rules(window.clade, window.genetic_code)
        (genes,) = WindowDecoder(model.crf, rules).decode([window.bases])
        rewards.append(WEIGHTS.of(window.genes, [scored.gene for scored in genes], window.dont_care))
    assert len({window.clade for window in windows}) == 2
    for name in Reward._fields:
        assert found[name] == pytest.approx(np.mean([getattr(reward, name) for reward in rewards])), name


def test_a_run_ends_after_so_many_steps_in_a_row_without_variance():
    state = SimpleNamespace(idle_steps=0, step=7)
    run = SimpleNamespace(options=SimpleNamespace(max_steps_without_variance=2), state=state)
    sums = {"zero_variance_groups_weight": 4.0, "reward": 1.0, "reward_weight": 4.0}
    for equal, idle in ((4.0, 1), (3.0, 0), (4.0, 1)):
        crf_run.CrfGrpoRun._watch_variance(run, {**sums, "zero_variance_groups": equal})
        assert state.idle_steps == idle
    with pytest.raises(
        InputError, match=r"step 8: all samples of every strand earned the same for 2 steps \(mean reward 0\.250"
    ):
        crf_run.CrfGrpoRun._watch_variance(run, {**sums, "zero_variance_groups": 4.0})


def test_prompts_are_whole_windows_of_either_strand_as_often(inputs: ToyInputs) -> None:
    data = CrfPrompts(ShardReader(inputs.arguments["prompts"]), CLADES)
    whole = CrfData(ShardReader(inputs.arguments["prompts"]), CLADES)._read(np.array([0]))
    (sample,) = whole
    forward, backward = (crop(sample, *sample.core, reverse=reverse).bases for reverse in (False, True))
    rng = np.random.default_rng(0)
    shown = [window.bases for window in data.prompts(np.zeros(400, dtype=np.int64), 0, rng)]
    assert set(shown) == {forward, backward} and forward != backward
    assert 160 < shown.count(backward) < 240
