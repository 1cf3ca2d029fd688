"""docs/from-the-source.md leaves nothing of the source documents out, and every name on its side exists here."""

from __future__ import annotations

import importlib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import ValidationError, validate
from script_flags import flags_of

from genet5.clades import read_clades
from genet5.configuration import merged
from genet5.options import plain
from genet5.settings.sections import schema, with_defaults
from genet5.writer.options import writer_shape

PAGE = "docs/from-the-source.md"
#: Values of keys, files and variables of others that the page names by themselves.
OTHERS = {"scratch", "base", "bpe", "kmer", "slurm.conf", "CUDA_VISIBLE_DEVICES"}

#: Flags of each command of the recipe.
RECIPE = {
    "bin/init_model.py": """
        --save_dir --dnabert_path --tie_weights --decoder_layers --decoder_heads --decoder_kv_heads --decoder_ff_dim
        --decoder_dropout --use_moe --num_experts --moe_top_k --init_std --init_embed_std --init_ffn_std --init_attn_std
        --init_moe_router_std --encoder_block_size --encoder_window_size --decoder_block_size --decoder_window_size
        --num_latents""",
    "bin/bake_data": "--raw_dir --output_dir --n_workers --species_parallel --tokenizer --window_size",
    "bin/init_tk.py data/new_tokens.txt": "",
    "bin/append_tk.py data/new_tokens.txt ../model/init/tokenizer.json": "",
    "bin/resize_model.py model_path tokenizer_path": "",
    "bin/finet": """
        --epochs --lr --token_budget --max_batch_size --grad_accum --weight_decay --warmup_ratio --max_grad_norm
        --label_smoothing --early_stopping --save_steps --log_memory --empty_cache_steps --memwatch""",
}
INSTRUCTIONS = {
    "init/init_model.py": """
        --save_dir --dnabert_path --layers --heads --ff_dim --dropout --tie_weights --no_tie_weights --use_moe --no_moe
        --num_experts --moe_top_k --init_std --init_embed_std --init_ffn_std --init_attn_std --init_moe_router_std""",
    "train/parse_data.py <fasta> <gff> <output>": """
        --limit --overlap_ratio --max_n_ratio --hint_ratio --seed --n_workers --tokenizer --compress""",
    "train/bake_data <raw_dir>": """
        --output_dir --log_dir --window_size --species_parallel --n_workers --tokenizer --val_species --val_windows
        --compress --nnodes --node_rank --train --eval --eval_samples --seed --finalize --force""",
    "train/bake.sh": "--worker --worker-user --container --tokenizer",
    "train/finet <data_dir> <output_dir> <model_path>": """
        --checkpoint --epochs --batch_size --lr --grad_accum --weight_decay --warmup_ratio --max_grad_norm --seed
        --save_every --num_workers --early_stopping --label_smoothing --gradient_checkpointing --log_every_pct
        --save_steps --empty_cache_steps --no_pin_memory --memwatch --mxfp8 --compile --no_eval --eval_samples""",
    "train/sft.sh <data_dir> <output_dir> <model_path>": """
        --worker --worker-user --container --master --port --node-rank --nnodes --nproc""",
    "train/prep_grpo <species_dir...>": "-o -n -w -s",
    "train/grpo <data.json> <output_dir> <model_path>": """
        --batch_size --group_size --lr --beta --weight_decay --warmup_ratio --grad_accum --max_grad_norm
        --max_gen_length --temperature --top_k --top_p --exon_weight --gene_weight --seed --save_steps --log_every
        --compile --eval_data --eval_samples""",
    "eval/eval_f1 <reference.gff> <predicted.gff...>": "--level -o --parallel",
    "eval/eval_busco <input...>": "-l -m -o --output_dir -c --parallel -q",
    "inference": """
        -m -i -o --tokenizer --source --max_length --temperature --top_k --top_p --batch_size --device --seed""",
    "init/setup-nfs.sh": "",
    "start-gt5.sh": "",
    "start-worker.sh": "",
    "tests/<test_file>.py": "",
}
DNA_LLM = {
    "1_check_env.py": "",
    "2_data_prep.py": "--filter",
    "3_dna-llm-pretraining.py": "--data_dir --output_dir",
    "4_dna-llm-finetuning.py": "--config --checkpoint_dir --output_dir --max_shift",
    "5_dna-baseline.py": "--output_dir --max_shift --plot-only",
    "6_model_evaluation.ipynb": "",
}
CPIVAE = {
    "scripts/train.py": """
        --config --platform_a --platform_b --output_dir --experiment_name --version --resume_from_checkpoint
        --fast_dev_run""",
    "scripts/tune.py": "--config --platform_a --platform_b --output_dir --study_name --n_trials --max_epochs",
    "scripts/impute.py": """
        --experiment_dir --input_data --source_platform --target_platform --output --checkpoint --config --output_latent
        --id_column --output_importance --importance_method --importance_baseline --importance_steps""",
    "scripts/confidence.py": "--n_runs --method --delta_backend --delta_probes",
    "confidence_analysis.py": "--correlation --max_points",
    "run_knn_comparison.py": """
        --k_values --cv_folds --kernel --bandwidth --bandwidth_values --polynomial_degree --log_transform_a
        --log_transform_b --platform_impute --impute_target""",
    "wnn_baseline.py": """
        --n_neighbors --n_neighbors_union --n_pca_components --k_weight --wnn_regularization --test_split --cv_folds
        --grid_search --missing_strategy --normalization""",
    "split_data.py": "--platform_a --platform_b --test_size --output_dir --id_column --random_seed",
    "compare_result.py": "--transpose",
}
SOURCES = {
    "Recipe": RECIPE,
    "Project instructions": INSTRUCTIONS,
    "DNA-LLM": DNA_LLM,
    "VQ-Transformer": {"python run.py": ""},
    "cpiVAE": CPIVAE,
}


@dataclass(frozen=True)
class Row:
    """A row of a table.

    ``source``: its section. ``command``: the command of the source that the row belongs to, in bold there or above.
    ``ours``: words of our command in the row, else of that in the row that names the command of the source.
    """

    source: str
    command: str
    ours: tuple[str, ...]
    theirs: str
    here: str
    why: str


@dataclass(frozen=True)
class Names:
    """What exists in this repository. ``text``: of rules, scripts and the pages that list files."""

    repository: Path
    settings: tuple[dict, dict]
    columns: frozenset[str]
    rules: frozenset[str]
    text: str


@pytest.fixture(scope="module")
def rows(repository) -> list[Row]:
    found: list[Row] = []
    source, command, above = "", "", ()
    for line in (repository / PAGE).read_text(encoding="utf-8").splitlines():
        source = line[3:] if line.startswith("## ") else source
        if not line.startswith("| ") or line.startswith("| in the "):
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        assert len(cells) == 3, line
        named = re.search(r"`(genet5 [\w-]+)", cells[1])
        own = tuple(named[1].split()) if named else ()
        if bold := re.findall(r"\*\*`([^`]+)`\*\*", cells[0]):
            command, above = bold[0], own
            found += [Row(source, other, own, *cells) for other in bold[1:]]
        found.append(Row(source, command, own or above, *cells))
    return found


@pytest.fixture(scope="module")
def names(repository) -> Names:
    files = [*(repository / "workflow").rglob("*.smk"), *(repository / "scripts").rglob("*.py")]
    files += [repository / name for name in ("scripts/launch.sh", "docs/guide.md", "docs/formats.md")]
    text = "\n".join(path.read_text() for path in files)
    return Names(
        repository,
        (with_defaults({}), yaml.safe_load((repository / "config/studies/cpivae_training.yaml").read_text())),
        frozenset((repository / "config/species.tsv").read_text().splitlines()[0].split("\t")),
        frozenset(re.findall(r"^rule (\w+):", text, re.MULTILINE)),
        text,
    )


def quoted(cell: str) -> list[str]:
    """What stands in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def flags_in(cell: str) -> set[str]:
    return {flag for span in quoted(cell) for flag in re.findall(r"(?<![\w-])--?[a-z][\w-]*", span)}


def value_of(names: Names, key: str) -> Any:
    """The default of a dotted key; ``KeyError`` if there is none. The writer's fields are those of its default size."""
    if key.startswith("writer.overrides."):
        try:
            return getattr(writer_shape(names.settings[0]["writer"]["size"]), key.rpartition(".")[2])
        except AttributeError:
            raise KeyError(key) from None
    for settings in names.settings:
        found: Any = settings
        for name in key.split("."):
            found = found.get(name, KeyError) if isinstance(found, dict) else KeyError
        if found is not KeyError:
            return found
    raise KeyError(key)


def is_key(names: Names, key: str) -> bool:
    try:
        value_of(names, key)
    except KeyError:
        return False
    return True


def is_file(names: Names, path: str) -> bool:
    """Whether it is in the repository, or has the name of a file or folder that a rule, script or page knows."""
    if (names.repository / path).exists():
        return True
    parts = path.rstrip("/").split("/")
    if parts == ["data"]:
        return True
    if len(parts) > 1 and f"data/{parts[1]}/" not in names.text:
        return False
    literal = [re.sub(r"^\{\w+\}|\{\w+\}$", "", part) for part in parts]
    last = next(part for part in reversed(literal) if part)
    last = re.sub(r"^memory_1\.csv$", "memory_{number}{label}.csv", last)
    pattern = r"\{+\w+\}+".join(map(re.escape, re.split(r"\{\w+\}", last)))
    end = "" if parts[-1].endswith("}") else r"(?!\w)"
    return re.search(rf"(?<!\w){pattern}{end}", names.text) is not None


def problem_of_command(names: Names, words: list[str]) -> str:
    """Our command, ``genet5 NAME --FLAG ...``."""
    if words[0] != "genet5":
        return "a flag of no command"
    folder, name = names.repository / "scripts", f"{words[1].replace('-', '_')}.py"
    scripts = [*folder.glob(name), *folder.glob(f"studies/*/{name}")]
    unknown = {word for word in words[2:] if word.startswith("--")} - (flags_of(scripts[0]) if scripts else set())
    return "no such command" if not scripts else f"it has no {sorted(unknown)}" if unknown else ""


def problem_of_value(names: Names, key: str, value: str) -> str:
    """``key: value`` in the configuration."""
    if not is_key(names, key):
        return "no such key"
    changed: Any = yaml.safe_load(value)
    for name in reversed(key.split(".")):
        changed = {name: changed}
    try:
        validate(merged(names.settings[0], changed), schema(read_clades("")))
    except ValidationError as error:
        return error.message
    return ""


def problem_of_object(name: str) -> str:
    """``genet5.module.Class.method``."""
    words = name.split(".")
    for count in range(len(words), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(words[:count]))
        except ModuleNotFoundError:
            continue
        for word in words[count:]:
            found = getattr(found, word, None)
        return "" if found is not None else "no such object"
    return "no such module"


def problem(names: Names, row: Row, span: str) -> str:
    """What is wrong with something that the page names; empty if it exists."""
    if span.startswith("snakemake "):
        return ""  # test_documentation.py runs its own check on these
    if span.startswith("genet5 "):
        return problem_of_command(names, shlex.split(span))
    if span.startswith("--"):
        return problem_of_command(names, [*row.ours, span])
    if span.startswith("genet5."):
        return problem_of_object(span)
    if re.fullmatch("make( [a-z]+)?", span):
        target = span.removeprefix("make").strip() or "install"
        return "" if f"\n{target}:" in (names.repository / "Makefile").read_text() else "no such target"
    if ": " in span:
        return problem_of_value(names, *span.split(": ", 1))
    known = is_key(names, span) or span in names.rules | names.columns | OTHERS or is_file(names, span)
    return "" if known else "no such key, rule, column or file"


def test_the_page_has_a_row_for_every_command_and_flag(rows):
    assert {row.source for row in rows} == set(SOURCES)
    for source, commands in SOURCES.items():
        for command, flags in commands.items():
            own = [row for row in rows if (row.source, row.command) == (source, command)]
            assert own, f"{source}: no row for {command}"
            listed = set().union(*(flags_in(row.theirs) for row in own))
            assert set(flags.split()) <= listed, f"{source}, {command}: {set(flags.split()) - listed}"


def test_flags_that_are_not_in_brackets_are_those_of_the_recipe(rows):
    shown = [row for row in rows if row.source == "Recipe" and not row.theirs.startswith("[")]
    assert set().union(*(flags_in(row.theirs) for row in shown)) - {"-u"} == set(" ".join(RECIPE.values()).split())


def test_every_row_says_what_does_it_here_or_why_nothing_does(rows):
    assert len(rows) > 300
    for row in rows:
        assert row.theirs and row.here, row
        assert quoted(row.here) or (row.here == "none" and row.why), row


def test_everything_that_the_page_names_exists(rows, names):
    spans = [(row, span) for row in rows for span in (*quoted(row.here), *quoted(row.why))]
    assert len(spans) > 300
    problems = [f"{row.theirs}: {span}: {what}" for row, span in spans if (what := problem(names, row, span))]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    "span",
    [
        "genet5 train-writer", "genet5 train-sft --epoch", "genet5.load_all", "genet5.grpo.nothing", "sft.epoch",
        "writer.overrides.blocks", "writer.size: huge", "sft.lr: fast", "make tea", "train_writer",
        "data/model/{run}/sft/training.log", "data/models/{run}/", "docs/none.md", "--epochs",
    ],
)  # fmt: skip
def test_a_name_that_does_not_exist_is_noticed(names, span):
    assert problem(names, Row("", "", (), "", "", ""), span)


def numbers(names: Names, rows: list[Row]) -> list[tuple[Row, str, float]]:
    """Rows of a flag with a number that is one key here: row, key, number."""
    found = []
    for row in rows:
        given = re.findall(r"^`(?:--[\w-]+ |\w+ = |\w+: )([\d.e-]+)`$", row.theirs)
        keys = quoted(row.here)
        if given and len(keys) == 1 and is_key(names, keys[0]) and not isinstance(value_of(names, keys[0]), dict):
            found.append((row, keys[0], float(given[0])))
    return found


def test_another_default_has_a_reason(rows, names):
    compared = numbers(names, rows)
    assert len(compared) > 50
    for row, key, given in compared:
        assert value_of(names, key) == given or row.why, f"{row.theirs}: {key} is {value_of(names, key)}"


def test_the_configuration_of_the_recipe_has_its_numbers(rows, names):
    """Those of the recipe, and those of reinforcement learning in the instructions."""
    config = with_defaults(yaml.safe_load((names.repository / "config/recipe.yaml").read_text()))
    config["writer"]["overrides"] = plain(writer_shape(config["writer"]["size"], config["writer"]["overrides"]))
    chosen = [row for row in rows if row.source == "Recipe" or row.command.startswith("train/grpo")]
    compared = numbers(names, chosen)
    assert len(compared) > 35
    for row, key, given in compared:
        found: Any = config
        for name in key.split("."):
            found = found[name]
        if row.theirs != "`--eval_samples 20`":
            assert found == given, f"{row.theirs}: {key} is {found}"
    assert config["writer"]["overrides"]["tie_embeddings"] and config["sft"]["log_memory"] and config["sft"]["memwatch"]
    assert config["writer"]["init_from"] == config["tokenizer"]["base"] == "zhihan1996/DNABERT-2-117M"


def test_windows_in_the_table_of_limits_are_those_of_the_clades(rows, repository):
    shown = [pair for row in rows for pair in re.findall(r"`(resources/clades/\w+\.yaml)` \((\d+)\)", row.here)]
    assert len(shown) == 6
    for path, window_bp in shown:
        assert yaml.safe_load((repository / path).read_text())["windows"]["window_bp"] == int(window_bp), path
