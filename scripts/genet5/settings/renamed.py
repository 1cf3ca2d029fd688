"""Names of earlier versions: a key or stage that has another name now is answered with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from genet5.crf.config import CrfShape
from genet5.errors import InputError

#: Old key -> new key. A section that was renamed as a whole comes after its keys.
RENAMED = {
    "reader": "crf",
    "model.size": "crf.size and writer.size",
    "model.init_from": "crf.init_from or writer.init_from",
    "model.seed": "writer.seed",
    "model.overrides": "crf.overrides or writer.overrides",
    "model": "writer",
    "tokenizer.extra": "tokenizer.extra_tokens",
    "sft.eval_samples": "bake.eval_samples",
    "writer.overrides.block_size": "writer.overrides.dna_block_size",
    "writer.overrides.window_size": "writer.overrides.dna_window_size",
}
RENAMED_STAGES = {"reader": "crf"}
_NO_MORE = {
    "grammar": "config key grammar is gone: the rules of genes are in resources/clades/{clade}.yaml, and clade_folder "
    "names a folder of your own clade files",
    **{
        f"{section}.grad_accum": f"config key {section}.grad_accum is gone: {section}.windows_per_step says how many "
        "windows make a step, over all processes"
        for section in ("crf", "sft", "grpo")
    },
}


def check_renamed(config: Mapping[str, Any]) -> None:
    """Raise ``InputError`` for keys and stages of earlier versions, all in one line."""
    answers = [f"config key {old} is called {new} now" for old, new in _old_keys(config)]
    answers += [answer for key, answer in _NO_MORE.items() if _has(config, key)]
    answers += [
        f"config key {key}: the stage {stage} is called {RENAMED_STAGES[stage]} now"
        for key, stage in _stages(config)
        if stage in RENAMED_STAGES
    ]
    if answers:
        raise InputError("; ".join(answers))


def _old_keys(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    shape = {field.name for field in dataclasses.fields(CrfShape)}
    answered: set[str] = set()
    for section in ("model", "writer"):
        for field in _at(config, f"{section}.overrides") or ():
            if section == "model" or field in shape:
                answered |= {"model", f"{section}.overrides"}
                new = f"{'crf' if field in shape else 'writer'}.overrides.{field}"
                yield f"{section}.overrides.{field}", RENAMED.get(new, new)
    for old, new in RENAMED.items():
        if old not in answered and _has(config, old):
            answered.add(old.partition(".")[0])
            yield old, new


def _stages(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    stages = config.get("stages")
    yield from (("stages", stage) for stage in (stages if isinstance(stages, list) else []) if isinstance(stage, str))
    stage = _at(config, "annotate.stage")
    if isinstance(stage, str):
        yield "annotate.stage", stage


def _has(config: Mapping[str, Any], key: str) -> bool:
    section, _, name = key.rpartition(".")
    found = _at(config, section) if section else config
    return isinstance(found, Mapping) and name in found


def _at(config: Mapping[str, Any], key: str) -> Any:
    """The value of a key with dots; None where there is none."""
    found: Any = config
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
