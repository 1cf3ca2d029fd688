"""Several networks in one CRF: the mean of what they say, frozen as one is, and joined again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toy_bacterium import CLADE, chromosome, make_tokenizer, toy_crf, write_crf, write_model

import join_crfs
from genet5.clades import read_clades
from genet5.crf.folder import load_crf, save_crf
from genet5.crf.model import Crf, score_codes
from genet5.errors import InputError
from genet5.genome.sites import WindowSites
from genet5.writer.batch import Prompts, collate_prompts, make_prompt
from genet5.writer.building import load_model
from genet5.writer.crf_scores import score_sums


def joined(tmp_path: Path, *folders: Path) -> Crf:
    join_crfs.main(["--output-dir", str(tmp_path / "joined"), "--models", *map(str, folders)])
    return load_crf(tmp_path / "joined")


def prompts() -> Prompts:
    rules, tokenizer = read_clades()[CLADE].gene_rules(11), make_tokenizer()
    windows = [chromosome()[start:end] for start, end in ((0, 90), (500, 620))]
    return collate_prompts([make_prompt(WindowSites(bases, rules), bases, CLADE, tokenizer) for bases in windows])


def test_joined_crfs_say_the_mean_of_what_each_says(tmp_path: Path) -> None:
    folders = [write_crf(tmp_path / str(seed), seed) for seed in (1, 2, 3)]
    crfs = [load_crf(folder) for folder in folders]
    with torch.no_grad():
        crfs[1].networks[0].gene_penalty.fill_(-1.0)
    save_crf(crfs[1], folders[1])
    together, batch = joined(tmp_path, *folders), prompts()
    each, mean = [score_codes(crf, batch.codes) for crf in crfs], score_codes(together, batch.codes)
    for name in ("class_logits", "potentials", "site_potentials"):
        torch.testing.assert_close(getattr(mean, name), sum(getattr(scores, name) for scores in each) / 3)
    assert torch.equal(mean.features, each[0].features)
    assert together.gene_penalty.item() == pytest.approx((3 - 1 + 3) / 3)
    writer, _ = load_model(write_model(tmp_path / "writer", crf=together))
    expected = score_sums(
        mean.potentials, mean.site_potentials, together.gene_penalty, batch.sites, batch.lengths
    )  # what a language model around it looks up
    assert all(torch.equal(*pair) for pair in zip(writer.score_apart(batch).sums, expected, strict=True))


def test_all_networks_are_frozen_in_a_writer_and_stay_in_evaluation_mode(tmp_path: Path) -> None:
    both = joined(tmp_path, *(write_crf(tmp_path / str(seed), seed) for seed in (1, 2)))
    writer = load_model(write_model(tmp_path / "writer", crf=both))[0].train()
    assert writer.training and len(writer.crf.networks) == 2
    assert not any(network.training for network in writer.crf.networks)
    trained = {name for name, parameter in writer.named_parameters() if parameter.requires_grad}
    assert trained and not {name for name in trained if name.startswith("crf.")}


def test_the_networks_keep_their_order_and_joined_crfs_join_again(tmp_path: Path) -> None:
    folders = [write_crf(tmp_path / str(seed), seed) for seed in (1, 2)]
    both = joined(tmp_path, *folders)
    for network, seed in zip(both.networks, (1, 2), strict=True):
        alone = toy_crf(seed).networks[0].state_dict()
        assert all(torch.equal(tensor, alone[name]) for name, tensor in network.state_dict().items())
    join_crfs.main(["--output-dir", str(tmp_path / "three"), "--models", str(tmp_path / "joined"), str(folders[0])])
    three = load_crf(tmp_path / "three")
    assert three.config.num_networks == len(three.networks) == 3
    first, third = three.networks[0].state_dict(), three.networks[2].state_dict()
    assert all(torch.equal(tensor, third[name]) for name, tensor in first.items())


def test_crfs_that_cannot_be_joined_are_named(tmp_path: Path) -> None:
    first, other = write_crf(tmp_path / "1", 1), write_crf(tmp_path / "2", 2, stem_channels=24)
    with pytest.raises(InputError, match=r"2: stem_channels is 24, in .*1 16$"):
        joined(tmp_path, first, other)
    with pytest.raises(InputError, match=r"absent/config.json: no such file"):
        joined(tmp_path, first, tmp_path / "absent")
    assert not (tmp_path / "joined").exists()
