"""Mistakes in the configuration become one line with the key, what was found and what is allowed."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace

import pytest
import yaml

from genet5.clades import read_clades
from genet5.configuration import merged
from genet5.errors import InputError
from genet5.settings.checks import annotation_of, check_config, check_windows, clade_folder, windows_of
from genet5.settings.renamed import RENAMED
from genet5.writer.options import WriterShape

CLADES = {
    name: SimpleNamespace(window_bp=window_bp, stride_bp=window_bp // 2)
    for name, window_bp in (("bacteria", 10000), ("fungi", 15000), ("plant", 30000), ("protist", 15000))
}
CLADES |= {"invertebrate": CLADES["plant"], "vertebrate": SimpleNamespace(window_bp=45000, stride_bp=22500)}
SHIPPED = SimpleNamespace(decoder="viterbi", window_bp=48000, overlap_bp=8000, masked_cost=0.2)


@pytest.fixture
def config(default_config) -> dict:
    """The shipped defaults."""
    return default_config


def message(config: dict, **overlay) -> str:
    with pytest.raises(InputError) as caught:
        check_config(merged(config, overlay), CLADES)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_shipped_configurations_are_valid(config, repository):
    clades = read_clades()
    others = ("defaults.yaml", "cpivae_training.yaml")
    paths = [path for path in (repository / "config").rglob("*.yaml") if path.name not in others]
    assert len(paths) > 5
    for settings in (config, *(merged(config, yaml.safe_load(path.read_text())) for path in paths)):
        check_config(settings, clades)
        with pytest.raises(InputError, match=r"config key sft\.epochs"):
            check_config(merged(settings, {"sft": {"epochs": "many"}}), clades)


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ({"speceis": "all"}, "config key speceis is unknown; did you mean 'species'?"),
        (
            {"sft": {"learning_rte": 1}},
            "config key sft.learning_rte is unknown; known: betas, compile, early_stopping,",
        ),
        ({"sft": {"lr": "2e-4"}}, "config key sft.lr: '2e-4' is text, expected a number (write 2.0e-4)"),
        ({"sft": {"lr": "2.5e-4"}}, "config key sft.lr: '2.5e-4' is text, expected a number (write 2.5e-4)"),
        ({"sft": {"lr": "fast"}}, "config key sft.lr: 'fast' is text, expected a number"),
        ({"sft": {"epochs": "5"}}, "config key sft.epochs: '5' is text, expected a whole number (write 5)"),
        ({"sft": {"epochs": 2.0e0}}, ""),
        ({"sft": {"epochs": 1.5}}, "config key sft.epochs: 1.5 is a number, expected a whole number"),
        ({"sft": {"epochs": True}}, "config key sft.epochs: True is true or false, expected a whole number"),
        ({"sft": {"epochs": 0}}, "config key sft.epochs: 0 is out of range, expected at least 1"),
        ({"sft": {"lr": 0}}, "config key sft.lr: 0 is out of range, expected more than 0"),
        ({"sft": {"label_smoothing": 1}}, "config key sft.label_smoothing: 1 is out of range, expected less than 1"),
        ({"sft": {"lr": float("nan")}}, "config key sft.lr: nan is not a finite number"),
        (
            {"sft": {"compile": "false"}},
            "config key sft.compile: 'false' is text, expected true or false (write false in a file, False on the",
        ),
        ({"sft": None}, "config key sft: nothing is there, expected a section of keys"),
        ({"sft": 5}, "config key sft: 5 is a number, expected a section of keys"),
        ({"run": 5}, 'config key run: 5 is a number, expected text (write "5" with quotes'),
        ({"run": "Main run"}, "config key run: 'Main run' is not allowed, expected lower-case letters"),
        ({"species": {"a": 1}}, "config key species: a section of keys is there, expected text or a list"),
        (
            {"tokenizer": {"kind": "kmers"}},
            "config key tokenizer.kind: kmers is not allowed (allowed: kmer, char, bpe, vq); did you mean 'kmer'?",
        ),
        ({"tokenizer": {"kind": "bpe"}}, "config key tokenizer.base is empty: the bpe tokenizer needs"),
        (
            {"tokenizer": {"base": "x.json"}},
            "config key tokenizer.base: only kinds bpe and vq have a base, but kind is kmer",
        ),
        ({"clade": "mammal"}, "config key clade: mammal is not allowed (allowed: '', auto, bacteria, fungi,"),
        ({"genetic_code": 7}, "config key genetic_code: 7 is not allowed (allowed: 0, auto, 1, 2,"),
        (
            {"bake": {"windows": {"fungi": {"stride_bp": 20000}}}},
            "config key bake.windows.fungi.stride_bp: 20000 leaves gaps between windows, expected at most window_bp",
        ),
        ({"bake": {"windows": {"fish": {"window_bp": 100}}}}, "config key bake.windows.fish is unknown; known: bact"),
        ({"score": {"baselines": ["prodigal", "prodigal"]}}, "config key score.baselines: an entry is there twice"),
        ({"stages": ["sft", "crf"]}, "config key stages: sft, crf is not in order, expected crf, sft"),
        ({"stages": []}, "config key stages is empty"),
        ({"stages": ["crf", "crf"]}, "config key stages: an entry is there twice"),
        (
            {"stages": ["sft", "grpo"], "annotate": {"stage": "crf"}},
            "config key annotate.stage: crf is not in stages (sft, grpo)",
        ),
        (
            {"annotate": {"stage": "rl"}},
            "config key annotate.stage: rl is not allowed (allowed: crf, grpo_crf, sft, grpo, null)",
        ),
        (
            {"annotate": {"decoder": "vitrebi"}},
            "config key annotate.decoder: vitrebi is not allowed (allowed: viterbi,",
        ),
        (
            {"annotate": {"window_bp": "4"}},
            "config key annotate.window_bp: '4' is text, expected a whole number or null",
        ),
        ({"bake": {"max_windows": -1}}, "config key bake.max_windows: -1 is out of range, expected at least 0"),
        ({"bake": {"empty_share": 1}}, "config key bake.empty_share: 1 is out of range, expected less than 1"),
        ({"sft": {"betas": [0.9]}}, "config key sft.betas: the list has 1 entries, expected 2"),
        (
            {"tokenizer": {"extra_tokens": ["a b"]}},
            "config key tokenizer.extra_tokens[0]: 'a b' is not allowed, expected",
        ),
        ({"crf": {"reading": "remote"}}, "config key crf.reading: remote is not allowed (allowed: local, stream)"),
        ({"crf": {"reading": "stream", "shards_url": "https://host/{run}"}}, ""),
        ({"sft": {"reading": "stream"}}, ""),
        (
            {"crf": {"shards_url": "https://host"}},
            "config key crf.shards_url: found 'https://host', but reading is local; set reading: stream",
        ),
        (
            {"sft": {"reading": "stream", "shards_url": "gs://bucket"}},
            "config key sft.shards_url: gs://bucket: not an address of shards, allowed: http://, https://, s3://, ",
        ),
        (
            {"sft": {"reading": "stream", "shards_url": "pipe:cat x"}},
            "config key sft.shards_url: pipe:cat x lacks {shard}, the place of the shard's name in the command",
        ),
        ({"crf": {"size": "huge"}}, "config key crf.size: huge is not allowed (allowed: demo, small, base, recipe)"),
        (
            {"writer": {"overrides": {"hiden_size": 8}}},
            "config key writer.overrides.hiden_size is unknown; did you mean",
        ),
        (
            {"crf": {"overrides": {"stem_dilations": [1, 0]}}},
            "config key crf.overrides.stem_dilations[1]: 0 is out of range, expected at least 1",
        ),
        ({"crf": {"overrides": {"stem_dilations": []}}}, "config key crf.overrides.stem_dilations is empty"),
        (
            {"writer": {"overrides": {"hidden_size": 100}}},
            "config key writer.overrides.hidden_size: 100, must be an even multiple of 12 heads",
        ),
        (
            {"writer": {"overrides": {"dna_block_size": 24}}},
            "config key writer.overrides.dna_block_size: 24 is not a power of two of at least 16",
        ),
        ({"species_sheet": ""}, "config key species_sheet is empty"),
    ],
)
def test_a_mistake_names_key_value_and_remedy(config, overlay, expected):
    if expected:
        assert message(config, **overlay).startswith(expected)
    else:
        check_config(merged(config, overlay), CLADES)  # a whole number written as 2.0 is a whole number


def test_a_missing_key_is_named(config):
    del config["sft"]["lr"]
    assert message(config) == "config key sft.lr is missing"


def test_an_unknown_key_is_reported_before_the_key_it_stands_for(config):
    config["sft"]["learning_rate"] = config["sft"].pop("lr")
    assert message(config).startswith("config key sft.learning_rate is unknown")


def test_the_windows_of_a_clade_are_its_own_unless_the_configuration_replaces_them(config):
    found = windows_of(config, CLADES, "fungi")
    assert (found.window_bp, found.stride_bp) == (15000, 7500)
    config["bake"]["windows"] = {"fungi": {"stride_bp": 5000}}
    found = windows_of(config, CLADES, "fungi")
    assert (found.window_bp, found.stride_bp) == (15000, 5000)
    assert windows_of(config, CLADES, "plant").window_bp == 30000


def test_windows_must_fit_the_tokenizer(config):
    config["tokenizer"]["max_window_bp"] = 12000
    check_windows(config, CLADES, "bacteria")
    with pytest.raises(InputError, match=r"bake\.windows\.fungi\.window_bp: 15000 is longer than .* \(12000\)"):
        check_windows(config, CLADES, "fungi")


def test_the_folder_of_clades_is_checked_before_the_clades_are_read(config):
    assert clade_folder(config) == ""
    with pytest.raises(InputError, match=r"^config key clade_folder: found 3, expected a folder, or an empty text"):
        clade_folder({"clade_folder": 3})


# -------------------------------------------------------------------- annotation


def how(config: dict, stage: str, clade: str = "plant", model: object = None, **changed: object) -> tuple:
    changes = {"annotate": changed}
    found = annotation_of(merged(config, changes), CLADES, clade, stage, model)
    return found.decoder, found.window_bp, found.overlap_bp


def test_a_stage_annotates_tiles_of_the_clade(config):
    assert how(config, "crf") == ("viterbi", 30000, 4000)
    assert how(config, "grpo") == (None, 30000, 4000)  # validation decides
    assert how(config, "grpo", decoder="lm") == ("lm", 30000, 4000)
    assert how(config, "sft", decoder="joint", window_bp=6000) == ("joint", 6000, 3000)
    assert how(config, "crf", decoder="joint", overlap_bp=0) == ("viterbi", 30000, 0)


def test_what_the_user_sets_wins_over_what_a_shipped_model_recommends(config):
    assert how(config, "shipped-plant", model=SHIPPED) == ("viterbi", 48000, 8000)
    assert how(config, "shipped-plant", model=SHIPPED, window_bp=60000) == ("viterbi", 60000, 8000)
    assert how(config, "shipped-plant", model=SHIPPED, window_bp=10000) == ("viterbi", 10000, 5000)
    assert how(config, "shipped-plant", model=SHIPPED, decoder="lm", overlap_bp=1000) == ("lm", 48000, 1000)


def test_tiles_must_exceed_their_overlap_and_fit_the_writer(config):
    with pytest.raises(InputError, match=r"annotate\.overlap_bp: 10000 is not shorter than the window of bacteria"):
        how(config, "sft", "bacteria", overlap_bp=10000)
    with pytest.raises(
        InputError, match=r"annotate\.window_bp: 90000 is longer than tokenizer\.max_window_bp \(45000\)"
    ):
        how(config, "sft", window_bp=90000)
    assert how(config, "crf", window_bp=90000) == ("viterbi", 90000, 4000)


# -------------------------------------------------------------------- names of earlier versions


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ({"reader": {"epochs": 2}}, "config key reader is called crf now"),
        ({"model": {}}, "config key model is called writer now"),
        ({"model": {"size": "demo"}}, "config key model.size is called crf.size and writer.size now"),
        ({"model": {"init_from": "x"}}, "config key model.init_from is called crf.init_from or writer.init_from now"),
        (
            {"model": {"overrides": {"stem_channels": 8}}},
            "config key model.overrides.stem_channels is called crf.overrides.stem_channels now",
        ),
        (
            {"model": {"overrides": {"num_layers": 8}}},
            "config key model.overrides.num_layers is called writer.overrides.num_layers now",
        ),
        (
            {"writer": {"overrides": {"stem_channels": 8}}},
            "config key writer.overrides.stem_channels is called crf.overrides.stem_channels now",
        ),
        (
            {"model": {"overrides": {"window_size": 64}}},
            "config key model.overrides.window_size is called writer.overrides.dna_window_size now",
        ),
        (
            {"writer": {"overrides": {"block_size": 16, "window_size": 64}}},
            "config key writer.overrides.block_size is called writer.overrides.dna_block_size now; "
            "config key writer.overrides.window_size is called writer.overrides.dna_window_size now",
        ),
        (
            {"grammar": "mine.yaml"},
            "config key grammar is gone: the rules of genes are in resources/clades/{clade}.yaml, and clade_folder "
            "names a folder of your own clade files",
        ),
        ({"tokenizer": {"extra": []}}, "config key tokenizer.extra is called tokenizer.extra_tokens now"),
        ({"sft": {"eval_samples": 5}}, "config key sft.eval_samples is called bake.eval_samples now"),
        ({"stages": ["reader", "sft"]}, "config key stages: the stage reader is called crf now"),
        ({"annotate": {"stage": "reader"}}, "config key annotate.stage: the stage reader is called crf now"),
        (
            {"sft": {"grad_accum": 64}},
            "config key sft.grad_accum is gone: sft.windows_per_step says how many windows make a step, over all "
            "processes",
        ),
        (
            {"sft": {"windows_per_step": 20}},
            "config key sft: windows_per_step: found 20, expected a multiple of max_batch_size (8)",
        ),
        (
            {"crf": {"max_batch_size": 2}},
            "config key crf: windows_per_step: found 1, expected a multiple of max_batch_size (2)",
        ),
        (
            {"reader": {}, "model": {"seed": 3}, "stages": ["reader"]},
            "config key reader is called crf now; config key model.seed is called writer.seed now; "
            "config key stages: the stage reader is called crf now",
        ),
    ],
)
def test_a_name_of_earlier_versions_is_answered_with_the_new_one(config, overlay, expected):
    assert message(config, **overlay) == expected


def test_new_names_exist(config):
    assert all(RENAMED.values())
    for new in RENAMED.values():
        for key in new.replace(" and ", " or ").split(" or "):
            section, _, name = key.partition(".")
            known = config | {"writer": config["writer"] | {f"overrides.{f.name}": "" for f in fields(WriterShape)}}
            assert section in known and (not name or name in known[section])
