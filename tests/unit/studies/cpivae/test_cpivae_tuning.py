"""Study cpiVAE: the search for settings."""

from __future__ import annotations

import cpivae_tune
import numpy as np
import optuna
import pytest
import yaml
from cpivae_toy import TINY, PressCtrlC, changed, ctrl_c_restored, tiny_settings, toy_data, toy_tables, write_toy

from genet5.errors import InputError
from genet5.studies.cpivae.paired_data import PairedData
from genet5.studies.cpivae.settings import check_settings
from genet5.studies.cpivae.tuning import Search, done_trials, run_search, trial_settings


@pytest.fixture(autouse=True)
def ctrl_c_works():
    with ctrl_c_restored():
        yield


def test_a_search_continues_and_never_looks_at_test_samples(tmp_path, monkeypatch):
    a, b = write_toy(tmp_path)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(TINY))
    monkeypatch.setattr("lightning.Trainer.test", None)
    words = ["--config", tmp_path / "c.yaml", "--platform-a", a, "--platform-b", b, "--output-dir", tmp_path / "tune"]
    words += ["--study-name", "toy", "--max-epochs", "2"]
    cpivae_tune.main([*map(str, words), "--n-trials", "1"])
    cpivae_tune.main([*map(str, words), "--n-trials", "2"])
    study = optuna.load_study(study_name="toy", storage=f"sqlite:///{tmp_path / 'tune/toy.db'}")
    assert len(study.trials) == 2 and -1 <= study.best_value <= 1
    best = yaml.safe_load((tmp_path / "tune/toy_best_config.yaml").read_text())
    assert best["training"]["learning_rate"] == study.best_params["learning_rate"]
    assert best["training"]["max_epochs"] == 4
    assert {path.name for path in (tmp_path / "tune").iterdir()} == {"toy.db", "toy_best_config.yaml"}
    # Drawn anew, not the same numbers again.
    first, second = (trial.params for trial in study.trials)
    assert all(first[key] != second[key] for key in ("learning_rate", "weight_decay", "gradient_clip_val"))


def test_a_search_is_continued_with_what_it_was_begun_with_alone(tmp_path, monkeypatch):
    data, settings = toy_data(), tiny_settings()
    search = Search(tmp_path, "toy", 1, 1)
    study = run_search(settings, data, search)
    a, b = toy_tables()
    b = changed(b, np.array([3]), b.values[3] + 1)
    for others, message in (
        ((tiny_settings(training={"accumulate_grad_batches": 2}), data, search), "other settings"),
        ((settings, PairedData.prepare(a, b, settings["data"]), search), "other tables"),
        ((settings, data, Search(tmp_path, "toy", 1, 2)), "other --max-epochs"),
    ):
        with pytest.raises(InputError, match=rf"toy.db: a search with {message} \(choose another --study-name\)"):
            run_search(*others)
    # A trial that failed says nothing.
    study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
    study = run_search(settings, data, Search(tmp_path, "toy", 2, 1))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert len(done_trials(study)) == 2
    monkeypatch.setattr("genet5.studies.cpivae.tuning.Report.on_train_epoch_end", PressCtrlC(0).on_train_epoch_start)
    with pytest.raises(InputError, match=r"^interrupted; continue with the same arguments$"):
        run_search(settings, data, Search(tmp_path, "toy", 3, 1))


@pytest.mark.parametrize("name", ["JointVQ", "res_unet", "generative_vae gan"])
def test_a_search_can_draw_settings_of_every_kind_of_model(name):
    study = optuna.create_study()
    drawn = [trial_settings(study.ask(), tiny_settings(name), 3) for _ in range(5)]
    for settings in drawn:
        check_settings(settings, "trial")
    assert len({str(settings) for settings in drawn}) == 5
