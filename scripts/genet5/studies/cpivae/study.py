"""What the study's section of the configuration asks for: pairs of platforms, models, settings of each training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genet5.errors import InputError
from genet5.studies.cpivae.agreement import read_quantiles
from genet5.studies.cpivae.names import BASELINES, TRUTH, parse_split, split_name
from genet5.studies.cpivae.settings import Settings, check_settings, default_settings, merged


def training_settings(study: Mapping[str, Any], pair: str, variant: str, split: str) -> Settings:
    """Complete settings of one training; ``split``: see ``splits``."""
    return merged(default_settings(), training_changes(study, pair, variant, split))


def training_changes(study: Mapping[str, Any], pair: str, variant: str, split: str) -> Settings:
    """What differs from the defaults: changes of study, pair, variant, and of the variant on the pair; later win."""
    seed, fold = parse_split(split)
    own: Settings = {"data": {"random_seed": seed}}
    if fold is not None:
        stratify = is_stratified(study, pair)
        folds = study["cross_validation"]["folds"]
        own["data"]["cross_validation"] = {"folds": folds, "fold": fold, "stratify": stratify}
    return merged(*_changes(study, pair, variant), own)


def _changes(study: Mapping[str, Any], pair: str, variant: str) -> list[Settings]:
    source = study["sources"][pair]
    return [
        study["settings"],
        source.get("settings", {}),
        study["variants"][variant],
        source.get("variants", {}).get(variant, {}),
    ]


def splits(study: Mapping[str, Any], seed: int) -> list[str]:
    """What a seed trains: one split of the samples, or one for each fold of a cross-validation."""
    folds = study["cross_validation"]["folds"]
    return [split_name(seed, fold) for fold in range(folds)] if folds else [split_name(seed)]


def is_stratified(study: Mapping[str, Any], pair: str) -> bool:
    """Whether folds of a pair are stratified: where that is asked for, and the pair has labels."""
    source = study["sources"][pair]
    return study["cross_validation"]["stratify"] and bool(source.get("labels") or source.get("label_pattern"))


def check_study(study: Mapping[str, Any]) -> None:
    """Check the section: names that must exist, and the settings of every training. Raises ``InputError``."""
    _check_cross_validation(study["cross_validation"])
    for key, names, section in (("pairs", study["pairs"], "sources"), ("models", study["models"], "variants")):
        for name in names:
            if name not in study[section]:
                known = ", ".join(study[section])
                raise InputError(f"config key cpivae.{key}: '{name}' is not in cpivae.{section} (there are: {known})")
    for pair in study["pairs"]:
        source = study["sources"][pair]
        _check_kind(pair, source)
        if asked := source.get("simulation", {}).get("correlations"):
            words = [asked] if isinstance(asked, str) else asked
            read_quantiles(words, f"config key cpivae.sources.{pair}.simulation.correlations")
        for variant in source.get("variants", {}):
            if variant not in study["variants"]:
                raise InputError(f"config key cpivae.sources.{pair}.variants.{variant} is not in cpivae.variants")
        sections = {}
        for variant in study["models"]:
            for change in _changes(study, pair, variant):
                if "cross_validation" in change.get("data", {}):
                    raise InputError(
                        f"cpivae settings of {variant} on {pair}, key data.cross_validation: "
                        "the workflow sets it; use the config key cpivae.cross_validation"
                    )
            settings = training_settings(study, pair, variant, splits(study, study["seeds"][0])[0])
            check_settings(settings, f"cpivae settings of {variant} on {pair}")
            sections[variant] = settings["data"]
        _same_data(pair, sections)


#: What a pair is made of: tables, files of two assays, or the options of a simulation.
_KINDS = (("platform_a", "platform_b"), ("olink", "somascan"), ("simulation",))


def _check_kind(pair: str, source: Mapping[str, Any]) -> None:
    given = [kind for kind in _KINDS if any(key in source for key in kind)]
    if len(given) != 1 or not all(key in source for key in given[0]):
        kinds = ", ".join(" and ".join(kind) for kind in _KINDS)
        raise InputError(f"config key cpivae.sources.{pair}: expected one of: {kinds}")
    for key in ("proteins", "assays"):
        if key in source and not is_assays(source):
            raise InputError(f"config key cpivae.sources.{pair}.{key}: is for olink and somascan alone")


def is_assays(source: Mapping[str, Any]) -> bool:
    """Whether a pair is made of an Olink file and a SomaScan file."""
    return "olink" in source


def _check_cross_validation(options: Mapping[str, Any]) -> None:
    key = "config key cpivae.cross_validation"
    if options["folds"] == 1:
        raise InputError(f"{key}.folds: 1 is not allowed (0: none; at least 2)")
    if options["stratify"] and not options["folds"]:
        raise InputError(f"{key}.stratify: true needs folds (2 or more)")


def is_simulated(study: Mapping[str, Any], pair: str) -> bool:
    """Whether the pair is made by the simulator."""
    return "simulation" in study["sources"][pair]


def baselines_of(study: Mapping[str, Any], pair: str) -> list[str]:
    """Baselines of a pair in table order; a simulation's truth is the last one."""
    chosen = [name for name in BASELINES if name in study["baselines"]]
    return [*chosen, TRUTH] if is_simulated(study, pair) else chosen


def _same_data(pair: str, sections: Mapping[str, Settings]) -> None:
    """Models of a pair are compared with each other and with baselines: on the same samples, scaled alike."""
    first, *others = sections
    for variant in others:
        for key, value in sections[first].items():
            found = sections[variant][key]
            if found != value:
                raise InputError(
                    f"cpivae settings on {pair}, key data.{key}: {found} of {variant}, {value} of {first}; "
                    "expected the same for all models of a pair"
                )
