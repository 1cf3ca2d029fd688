"""What the Snakemake workflow catalogue asks for: its file, and a small case in ``.test``."""

from __future__ import annotations

import shutil

import yaml
from dry_runs import commands, jobs
from script_flags import check_flags


def test_the_file_of_the_catalogue_says_how_the_workflow_is_used(repository):
    usage = yaml.safe_load((repository / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert usage["software-stack-deployment"]["conda"] is True
    assert (repository / "config/README.md").is_file() and (repository / "workflow/Snakefile").is_file()


def test_the_small_case_names_keys_that_exist(repository, default_config):
    small = yaml.safe_load((repository / ".test/config/config.yaml").read_text())
    assert small
    for key, value in small.items():
        assert key in default_config
        if isinstance(value, dict) and key != "bake":
            assert set(value) <= set(default_config[key]), key


def test_the_small_case_plans_every_stage(repository, default_config, workspace_of, tmp_path):
    case = tmp_path / "case"
    shutil.copytree(repository / ".test", case, ignore=shutil.ignore_patterns("data", ".snakemake"))
    workspace = workspace_of(repository)
    result = workspace.run("-n", "-p", "--directory", str(case))
    assert result.returncode == 0, result.stdout
    planned = jobs(result.stdout)
    stages = {"train_crf", "train_sft", "train_grpo"}
    assert stages < set(planned) and planned["annotate_genome"] == planned["score"] == len(stages)
    check_flags(commands(result.stdout), repository)
    # A slip of the key that makes the case small would show as the defaults' long trainings.
    trainings = [line for line in commands(result.stdout) if "/train_" in line]
    assert len(trainings) == len(stages) and all("--max-steps" in line for line in trainings)
    assert not any("--max-steps 0 " in line for line in trainings)
