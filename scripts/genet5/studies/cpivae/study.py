"""What the study's section of the configuration asks for: pairs of platforms, models, settings of each training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genet5.errors import InputError
from genet5.studies.cpivae.names import BASELINES, TRUTH
from genet5.studies.cpivae.settings import Settings, check_settings, default_settings, merged


def training_settings(study: Mapping[str, Any], pair: str, variant: str, seed: int) -> Settings:
    """Complete settings of one training."""
    return merged(default_settings(), training_changes(study, pair, variant, seed))


def training_changes(study: Mapping[str, Any], pair: str, variant: str, seed: int) -> Settings:
    """What differs from the defaults: changes of study, pair, variant, and of the variant on the pair; later win."""
    source = study["sources"][pair]
    return merged(
        study["settings"],
        source.get("settings", {}),
        study["variants"][variant],
        source.get("variants", {}).get(variant, {}),
        {"data": {"random_seed": seed}},
    )


def check_study(study: Mapping[str, Any]) -> None:
    """Check the section: names that must exist, and the settings of every training. Raises ``InputError``."""
    for key, names, section in (("pairs", study["pairs"], "sources"), ("models", study["models"], "variants")):
        for name in names:
            if name not in study[section]:
                known = ", ".join(study[section])
                raise InputError(f"config key cpivae.{key}: '{name}' is not in cpivae.{section} (there are: {known})")
    for pair in study["pairs"]:
        source = study["sources"][pair]
        tables = "platform_a" in source and "platform_b" in source
        if tables == ("simulation" in source):
            raise InputError(
                f"config key cpivae.sources.{pair}: expected platform_a and platform_b, or simulation and neither"
            )
        for variant in source.get("variants", {}):
            if variant not in study["variants"]:
                raise InputError(f"config key cpivae.sources.{pair}.variants.{variant} is not in cpivae.variants")
        sections = {}
        for variant in study["models"]:
            settings = training_settings(study, pair, variant, study["seeds"][0])
            check_settings(settings, f"cpivae settings of {variant} on {pair}")
            sections[variant] = settings["data"]
        _same_data(pair, sections)


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
