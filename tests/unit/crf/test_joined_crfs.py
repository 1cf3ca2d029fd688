"""Several readers in one model: the mean of what they say, frozen as one is, and never trained together."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from model_toy import TOKENIZER, toy_batch, toy_model

import join_crfs
from genet5.errors import InputError
from genet5.writer.building import load_model, save_model
from genet5.writer.crf_scores import make_bank


def saved(folder: Path, seed: int, **overrides) -> Path:
    save_model(toy_model(seed, **overrides), TOKENIZER, folder)
    return folder


def joined(tmp_path: Path, *folders: Path):
    join_crfs.main(["--output-dir", str(tmp_path / "joined"), "--models", *map(str, folders)])
    return load_model(tmp_path / "joined")[0]


def test_joined_readers_say_the_mean_of_what_each_says(tmp_path):
    folders = [saved(tmp_path / str(seed), seed) for seed in (1, 2, 3)]
    models = [load_model(folder)[0] for folder in folders]
    with torch.no_grad():
        models[1].reader.gene_penalty.fill_(-1.0)
    save_model(models[1], TOKENIZER, folders[1])
    model, batch = joined(tmp_path, *folders), toy_batch((90, 120))
    window = batch.codes, batch.lengths, batch.sites
    readings = [one.read(*window) for one in models]
    together = model.read(*window)
    for name in ("class_logits", "potentials", "site_potentials"):
        mean = sum(getattr(reading, name) for reading in readings) / 3
        torch.testing.assert_close(getattr(together, name), mean)
    assert torch.equal(together.features, readings[0].features)
    assert model.gene_penalty.item() == pytest.approx((-3 - 1 - 3) / 3)
    expected = make_bank(together.potentials, together.site_potentials, model.gene_penalty, batch.sites, batch.lengths)
    assert all(torch.equal(*pair) for pair in zip(together.bank, expected, strict=True))


def test_the_rest_is_the_first_models_and_joined_models_join_again(tmp_path):
    folders = [saved(tmp_path / str(seed), seed) for seed in (1, 2)]
    model = joined(tmp_path, *folders)
    first = load_model(folders[0])[0].state_dict()
    assert all(torch.equal(tensor, first[name]) for name, tensor in model.state_dict().items() if name in first)
    join_crfs.main(["--output-dir", str(tmp_path / "three"), "--models", str(tmp_path / "joined"), str(folders[0])])
    assert len(load_model(tmp_path / "three")[0].readers) == 3


def test_all_readers_are_frozen_and_stay_in_evaluation_mode(tmp_path):
    model = joined(tmp_path, *(saved(tmp_path / str(seed), seed) for seed in (1, 2))).train()
    assert model.training and not any(reader.training for reader in model.readers)
    model.freeze_readers()
    thawed = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert thawed and not {name for name in thawed if "crf" in name}


def test_readers_that_cannot_be_joined_are_named(tmp_path):
    first = saved(tmp_path / "1", 1)
    other = saved(tmp_path / "2", 2, stem_channels=24)
    with pytest.raises(InputError, match=r"2: another kind of reader than in .*1$"):
        joined(tmp_path, first, other)
    fresh = toy_model(3)
    fresh.config.reader_trained = False
    save_model(fresh, TOKENIZER, tmp_path / "3")
    with pytest.raises(InputError, match="3: its reader is not trained"):
        joined(tmp_path, first, tmp_path / "3")
