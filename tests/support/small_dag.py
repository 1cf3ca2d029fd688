"""The workflow on 60 kb of a bacterial genome, small enough to be killed often; and what two runs of it differ in.

Every file of ``data/`` is compared, but for the logs of the jobs, the caches ``*.tar.idx``, which hold the time of
their tar, and ``memory_1.csv``, a row per second. What a clock says is left out: the columns and keys in ``CLOCKS``,
and the numbers of the report, which shows times beside the scores (those are compared as JSON and tables).
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pandas
import yaml
from toy_bacterium import CRF_SHAPE, SHAPE, TEST, VALIDATION, write_genome

#: Columns of tables and keys of JSON files that say how long something took, when it was, and what memory was in use.
CLOCKS = frozenset(
    "timestamp elapsed_s eta_s tokens_per_s eval_s rollout_s update_s ram_used_gb peak_ram_gb mfu cpu_s wall_s "
    "kb_per_cpu_s".split()
)
#: Caches with the time of a file, the memory over the seconds of a training; in the report, curves of speed and memory.
_MADE_BY_A_CLOCK = re.compile(r"\.tar\.idx$|^memory_\d+\.csv$")
_CLOCK_CURVE = re.compile(
    r'<svg [^>]*aria-label="[^"]*(per second|[Ss]econds|_s |ram_used_gb)[^>]*>.*?</svg>', flags=re.DOTALL
)
SHEET = "species\tclade\tgenetic_code\tsplit\tvalidation_regions\ttest_regions\tgenome\tannotation\n"
LINKS = ("workflow", "scripts", "config", "resources", "profiles", "envs")
DAG: dict[str, Any] = {
    "run": "toy",
    "species_sheet": "species.tsv",
    "device": "cpu",
    "stages": ["crf", "grpo"],
    "bake": {
        "windows": {"bacteria": {"window_bp": 3000, "stride_bp": 1500}},
        "flank_bp": 300,
        "samples_per_shard": 10,
        "eval_samples": 2,
    },
    "tokenizer": {"segment_bp": 60, "max_window_bp": 3000},
    "writer": {"size": "demo", "overrides": SHAPE},
    "crf": {
        "size": "demo",
        "overrides": {key: list(value) if isinstance(value, tuple) else value for key, value in CRF_SHAPE.items()},
        "max_steps": 6,
        "save_steps": 2,
        "log_every": 2,
    },
    "sft": {
        "max_steps": 6,
        "save_steps": 2,
        "token_budget": 4000,
        "max_batch_size": 4,
        "windows_per_step": 4,
        "log_every": 2,
    },
    "grpo_prompts": {"num_prompts": 12},
    "grpo": {
        "max_steps": 2,
        "save_steps": 1,
        "batch_size": 3,
        "windows_per_step": 3,
        "group_size": 4,
        "eval_samples": 2,
        "eval_steps": 1,
    },
    "annotate": {"overlap_bp": 1000},
    "score": {"bootstrap": 20},
}


def lay_out(folder: Path, repository: Path, stages: tuple[str, ...] = ("crf", "grpo")) -> list[str]:
    """A folder to run the DAG in, and the words of its command behind ``snakemake``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in LINKS:
        if not (folder / name).exists():
            (folder / name).symlink_to(repository / name)
    write_genome(folder / "genome.fa")
    row = f"T.oyus bacteria 11 train {VALIDATION} {TEST} genome.fa prodigal"
    (folder / "species.tsv").write_text(SHEET + "\t".join(row.split()) + "\n")
    (folder / "dag.yaml").write_text(yaml.safe_dump(DAG | {"stages": list(stages)}))
    return ["all", "--configfile", "dag.yaml", "--cores", "1"]


def differences(folder: Path, expected: Path) -> list[str]:
    """Files of ``folder/data`` that are missing, too many, or not as in ``expected``; none where the runs are equal."""
    found, wanted = (contents(one / "data") for one in (folder, expected))
    changed = (name for name in found.keys() & wanted.keys() if found[name] != wanted[name])
    return sorted(
        [f"missing: {name}" for name in wanted.keys() - found.keys()]
        + [f"too many: {name}" for name in found.keys() - wanted.keys()]
        + [f"differs: {name}" for name in changed]
    )


def contents(data: Path) -> dict[str, Any]:
    """Content of each file without clocks, by its path."""
    return {
        str(path.relative_to(data)): timeless(path)
        for path in sorted(data.rglob("*"))
        if path.is_file() and path.relative_to(data).parts[0] != "logs" and not _MADE_BY_A_CLOCK.search(path.name)
    }


def timeless(path: Path) -> Any:
    """What a file says but for clocks."""
    if path.suffix == ".json":
        return _without_clocks(json.loads(path.read_text()))
    if path.suffix in (".csv", ".tsv"):
        with path.open(newline="") as stream:
            rows = csv.DictReader(stream, delimiter="," if path.suffix == ".csv" else "\t")
            return [_without_clocks(row) for row in rows]
    if path.suffix == ".parquet":
        table = pandas.read_parquet(path)
        return table.drop(columns=[name for name in table.columns if name in CLOCKS]).to_csv()
    if path.suffix == ".html":
        page = _CLOCK_CURVE.sub("", path.read_text()).replace(' class="best"', "")
        return re.sub(r"[\d.,]+( (ms|s|min|h)\b)?", "#", page)
    return path.read_bytes()


def _without_clocks(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_clocks(one) for key, one in value.items() if key not in CLOCKS}
    return [_without_clocks(one) for one in value] if isinstance(value, list) else value
