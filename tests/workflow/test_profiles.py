"""Profiles: no key is overridden behind the user's back, and the GPU rules ask Slurm for what they need."""

from __future__ import annotations

import re

import pytest
import yaml

GPU_RULES = {
    "train_crf",
    "train_grpo_crf",
    "train_sft",
    "train_grpo",
    "calibrate",
    "adapt",
    "annotate_genome",
    "annotate_part",
}
GPU_RULES |= {"dna_llm_pretrain", "dna_llm_finetune", "vq_train", "cpivae_train"}


@pytest.fixture(scope="module")
def profiles(repository) -> dict[str, dict]:
    paths = (repository / "profiles").glob("*/config.yaml")
    return {path.parent.name: yaml.safe_load(path.read_text()) for path in paths}


@pytest.fixture(scope="module")
def rules(repository) -> dict[str, str]:
    """Text of every rule by name; of a rule made from another one, that one's text before its own."""
    text = "\n".join(path.read_text() for path in sorted((repository / "workflow").rglob("*.smk")))
    text += (repository / "workflow" / "Snakefile").read_text()
    body = r":\n((?:(?:    .*)?\n)+)"
    found = dict(re.findall(rf"^rule (\w+){body}", text, flags=re.MULTILINE))
    for base, name, own in re.findall(rf"^use rule (\w+) as (\w+) with{body}", text, flags=re.MULTILINE):
        found[name] = found[base] + own
    return found


def test_no_profile_gives_a_key_of_the_default_another_value(profiles):
    default = profiles["default"]
    assert set(profiles) == {"default", "demo", "dgx", "sparks", "workstation"}
    for name, profile in profiles.items():
        clash = {key for key in profile if key in default and profile[key] != default[key]}
        assert not clash, f"profiles/{name}: profiles/default would win for {clash}"


def test_the_default_serialises_gpu_jobs_and_makes_incomplete_files_again(profiles):
    assert profiles["default"]["resources"] == {"gpu": 1}
    assert profiles["default"]["cores"] == "all" and profiles["default"]["rerun-incomplete"] is True
    assert all("keep-incomplete" not in profile for profile in profiles.values())


def test_gpu_rules_say_what_they_need_and_are_mapped_to_slurm(profiles, rules):
    assert {name for name, text in rules.items() if re.search(r"gpu=(1|cpivae_gpus),", text)} == GPU_RULES
    for name in GPU_RULES:
        for resource in ("nodes=", "mem_mb=", "runtime="):
            assert resource in rules[name], f"{name} has no {resource}"
        assert "benchmark:" not in rules[name]  # a benchmark file is an output: losing it would train again
    mapped = profiles["dgx"]["set-resources"]
    assert set(mapped) == GPU_RULES and set(mapped) <= set(rules)  # Snakemake ignores unknown names silently
    for resources in mapped.values():
        assert resources["gpu"] == 0 and resources["gres"] == "gpu:1"
    assert {name for name, resources in mapped.items() if resources["nodes"] == 2} == {"train_sft", "train_grpo"}


def test_every_job_fits_a_node_of_the_sample_slurm_conf(profiles, repository):
    sample = (repository / "profiles/dgx/slurm.conf").read_text()
    nodes = re.findall(r"^NodeName=\S+ .*CPUs=(\d+) .*RealMemory=(\d+)", sample, flags=re.MULTILINE)
    assert len(nodes) == 2
    for cores, memory_mb in nodes:
        for name, resources in profiles["dgx"]["set-resources"].items():
            assert resources["mem_mb"] <= min(int(memory_mb), 90_000), name
            assert resources["cpus_per_task"] <= int(cores), name


def test_a_run_under_slurm_outlives_outages_and_time_limits(profiles):
    profile = profiles["dgx"]
    assert profile["retries"] > 0 and profile["slurm-requeue"] is True
    assert profile["slurm-status-command"] == "squeue" and profile["slurm-status-attempts"] > 10_000


def planned_for_the_sparks(workspace, *configuration: str) -> dict[str, str]:
    """What a dry run says of each rule; of a rule with several jobs, of the last."""
    words = ["--profile", "profiles/dgx", "--configfile", "config/examples/demo.yaml", *configuration]
    result = workspace.run(*words, "-n", "--", "all")
    assert result.returncode == 0, result.stdout
    return dict(re.findall(r"^rule (\w+):\n((?:    .*\n)+)", result.stdout, flags=re.MULTILINE))


def test_a_dry_run_for_the_sparks_lists_the_gpu_rules_with_their_resources(workspace):
    blocks = planned_for_the_sparks(workspace)
    assert "annotate_part" not in blocks
    blocks |= planned_for_the_sparks(workspace, workspace.overlay("annotate: {parts: 2}"))
    both = "mem_mb=90000 runtime=2880 gpu=0 gres=gpu:1 nodes=2 tasks=2 tasks_per_gpu=0 mpi=srun cpus_per_task=18"
    for name, expected in {
        "train_crf": "mem_mb=90000 runtime=2880 gpu=0 gres=gpu:1 nodes=1 cpus_per_task=18",
        "train_sft": both,
        "train_grpo": both,
        "annotate_genome": "mem_mb=60000 runtime=1440 gpu=0 gres=gpu:1 nodes=1 cpus_per_task=8",
        "annotate_part": "mem_mb=60000 runtime=1440 gpu=0 gres=gpu:1 nodes=1 cpus_per_task=8",
        "score": "mem_mb=8000 runtime=120 slurm_partition=spark",
    }.items():
        listed = re.search(r"resources: (.*)", blocks[name])[1].split(", ")
        assert set(expected.split()) <= set(listed), f"{name}: {listed}"


#: Rules that fetch from the network: they run where Snakemake runs.
FETCHING = {"download", "fetch_lineage", "study_file", "dna_llm_table"}


def test_downloads_stay_on_the_driver_and_long_jobs_are_placed(rules):
    placed = {name: re.findall(r'launch\.sh" (--one (?:gpu|cpu)|--nodes|--one)', text) for name, text in rules.items()}
    placed = {name: found[0] for name, found in placed.items() if found}
    fetching = {name for name, text in rules.items() if re.search(r"/(download|fetch_\w+)\.py", text)}
    assert fetching == FETCHING and not fetching & set(placed)
    # These may read weights from the Hugging Face Hub.
    assert not {"expand_tokenizer", "init_model"} & set(placed)
    assert GPU_RULES <= set(placed)
    cpu = {name for name, how in placed.items() if how == "--one cpu"}
    assert cpu >= {"index_genome", "label_genome", "bake_shards", "score", "reference_proteins"}
    assert cpu >= {"busco", "busco_genome", "cpivae_baseline", "vq_evaluate"}
    assert not cpu & GPU_RULES and placed["calibrate"] == placed["annotate_genome"] == "--one gpu"


@pytest.mark.parametrize(
    ("profile", "nodes", "gpu"), [("default", "1", "1"), ("sparks", "2", "0"), ("workstation", "1", "0")]
)
def test_a_dry_run_shows_where_trainings_and_annotations_run(workspace, profile, nodes, gpu):
    named = [] if profile == "default" else ["--profile", f"profiles/{profile}"]
    result = workspace.run(*named, "--configfile", "config/examples/demo.yaml", "-n", "-p", "--", "all")
    assert result.returncode == 0, result.stdout
    blocks = dict(re.findall(r"^rule (\w+):\n((?:    .*\n)+)", result.stdout, flags=re.MULTILINE))
    output = re.sub(r"[\\\s]+", " ", result.stdout)
    for name in ("train_sft", "train_grpo"):
        assert f'--nodes {nodes} --processes-per-node gpu "$GENET5_SCRIPTS/{name}.py"' in output
        assert f"nodes={nodes}" in blocks[name] and " gpu=1" in blocks[name]
    assert '--nodes 1 --processes-per-node 1 "$GENET5_SCRIPTS/train_crf.py"' in output
    assert f" gpu={gpu}" in blocks["annotate_genome"]


def test_names_in_the_profiles_are_rules(profiles, rules):
    assert len(profiles) > 2
    for profile in profiles.values():
        for key in ("set-resources", "set-threads"):
            assert set(profile.get(key, {})) <= set(rules)  # Snakemake ignores unknown names silently


def test_a_step_that_two_nodes_cannot_share_ends_the_dry_run(workspace):
    words = ["--profile", "profiles/sparks", "--configfile", "config/examples/fungi.yaml"]
    result = workspace.run(*words, "-n", "--", "data/model/fungi/sft/model.safetensors")
    line = (
        "error: config key sft: a step of 1 batch cannot be shared by 2 processes: set max_batch_size to 2 (the same "
        "step), windows_per_step to a multiple of 8, or use 1"
    )
    assert result.returncode == 1 and line in result.stdout.splitlines()
