"""What several keys of the configuration, a clade and a model must agree on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

from genet5.annotate.options import AnnotateOptions, Recommendation
from genet5.bake.addresses import check_shards_url
from genet5.bake.options import WindowSizes
from genet5.configuration import check_against_schema
from genet5.crf.options import CrfOptions
from genet5.errors import InputError
from genet5.grpo.options import CrfGrpoOptions, GrpoOptions
from genet5.options import read_options
from genet5.settings.renamed import check_renamed
from genet5.settings.sections import CRF_STAGES, STAGES, schema
from genet5.tokens.options import KINDS_WITH_BASE
from genet5.training.options import RunOptions
from genet5.writer.options import SftOptions, writer_shape

_TRAINING: Mapping[str, type[RunOptions]] = {
    "crf": CrfOptions,
    "grpo_crf": CrfGrpoOptions,
    "sft": SftOptions,
    "grpo": GrpoOptions,
}


class HasWindows(Protocol):
    """A clade, as far as the configuration asks: the windows that its genomes are cut into."""

    @property
    def window_bp(self) -> int: ...

    @property
    def stride_bp(self) -> int: ...


Clades = Mapping[str, HasWindows]


def clade_folder(config: Mapping[str, Any]) -> str:
    """The key clade_folder, which says what clades there are and is therefore checked first. Raises ``InputError``."""
    found = config["clade_folder"]
    if not isinstance(found, str):
        raise InputError(f"config key clade_folder: found {found!r}, expected a folder, or an empty text for none")
    return found


def check_config(config: Mapping[str, Any], clades: Clades) -> None:
    """Check the merged configuration: its names, its schema, and what its keys must agree on. Raises ``InputError``."""
    check_renamed(config)
    check_against_schema(dict(config), schema(clades))
    for clade in config["bake"]["windows"]:
        windows_of(config, clades, clade)
    _check_tokenizer(config["tokenizer"])
    _check_stages(config)
    _check_reading(config)
    for stage in STAGES:
        check_processes(config, stage, 1)
    writer_shape(config["writer"]["size"], config["writer"]["overrides"])


def windows_of(config: Mapping[str, Any], clades: Clades, clade: str) -> WindowSizes:
    """The windows of a clade: those in its file, with what ``bake.windows`` replaces. Raises ``InputError``."""
    own = {"window_bp": clades[clade].window_bp, "stride_bp": clades[clade].stride_bp}
    found = WindowSizes(**{**own, **config["bake"]["windows"].get(clade, {})})
    if found.stride_bp > found.window_bp:
        raise InputError(
            f"config key bake.windows.{clade}.stride_bp: {found.stride_bp} leaves gaps between windows, expected at "
            f"most window_bp ({found.window_bp})"
        )
    return found


def check_windows(config: Mapping[str, Any], clades: Clades, clade: str) -> None:
    """Check that the writer can read the windows of a clade that is trained on. Raises ``InputError``."""
    window_bp, longest = windows_of(config, clades, clade).window_bp, config["tokenizer"]["max_window_bp"]
    if window_bp > longest:
        raise InputError(
            f"config key bake.windows.{clade}.window_bp: {window_bp} is longer than tokenizer.max_window_bp ({longest})"
        )


def stage_decoder(config: Mapping[str, Any], stage: str) -> str | None:
    """The decoder of a stage of this run; none where validation decides.

    A stage without a writer takes viterbi, unless expected is asked for.
    """
    wanted = config["annotate"]["decoder"]
    if stage in CRF_STAGES:
        return wanted if wanted == "expected" else "viterbi"
    return wanted


def annotation_of(
    config: Mapping[str, Any], clades: Clades, clade: str, stage: str, recommended: Recommendation | None = None
) -> AnnotateOptions:
    """How the model of a stage annotates a genome of a clade; ``recommended`` by a model that comes with GeneT5.

    Raises ``InputError`` for windows that cannot be tiled, or that the writer of this run cannot read.
    """
    wanted = read_options(AnnotateOptions, config["annotate"], "config key annotate")
    if stage in STAGES:
        wanted = dataclasses.replace(wanted, decoder=stage_decoder(config, stage))
    open_decoder = None if stage in STAGES else "viterbi"
    found = wanted.settled(open_decoder, windows_of(config, clades, clade).window_bp, recommended)
    if found.overlap_bp >= found.window_bp:
        raise InputError(
            f"config key annotate.overlap_bp: {found.overlap_bp} is not shorter than the window of {clade} "
            f"({found.window_bp})"
        )
    longest = config["tokenizer"]["max_window_bp"]
    if stage in STAGES and found.decoder not in ("viterbi", "expected") and found.window_bp > longest:
        raise InputError(
            f"config key annotate.window_bp: {found.window_bp} is longer than tokenizer.max_window_bp ({longest})"
        )
    return found


def check_processes(config: Mapping[str, Any], stage: str, processes: int) -> None:
    """Check that so many processes can share each step of the training of a stage. Raises ``InputError``."""
    where = f"config key {stage}"
    read_options(_TRAINING[stage], config[stage], where).batches_per_process(processes, f"{where}: ")


def _check_tokenizer(tokenizer: Mapping[str, Any]) -> None:
    needed = {"bpe": "a tokenizer.json", "vq": "a table of codes"}.get(tokenizer["kind"])
    if needed and not tokenizer["base"]:
        raise InputError(f"config key tokenizer.base is empty: the {tokenizer['kind']} tokenizer needs {needed}")
    if not needed and tokenizer["base"]:
        raise InputError(
            f"config key tokenizer.base: only kinds {' and '.join(KINDS_WITH_BASE)} have a base, but kind is "
            f"{tokenizer['kind']}"
        )


def _check_reading(config: Mapping[str, Any]) -> None:
    for section, cls in (("crf", CrfOptions), ("sft", SftOptions)):
        options = read_options(cls, config[section], f"config key {section}")
        where = f"config key {section}.shards_url"
        options.check_reading(where)
        if options.shards_url:
            check_shards_url(options.shards_url, where)


def _check_stages(config: Mapping[str, Any]) -> None:
    stages, stage = config["stages"], config["annotate"]["stage"]
    ordered = [name for name in STAGES if name in stages]
    if stages != ordered:
        raise InputError(f"config key stages: {', '.join(stages)} is not in order, expected {', '.join(ordered)}")
    if stage and stage not in stages:
        raise InputError(f"config key annotate.stage: {stage} is not in stages ({', '.join(stages)})")
