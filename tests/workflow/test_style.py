"""The workflow is clean for the tools that check it, and its lists agree with one another."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from imported import packages
from packaging.requirements import Requirement
from packaging.version import Version


def tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def check(command: list[str], folder: Path, environment: dict | None = None) -> None:
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_ruff(repository):
    check([tool("ruff"), "check", "."], repository)


def test_snakefmt(repository):
    # snakefmt looks for shfmt on the PATH.
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    check([tool("snakefmt"), "--check", "workflow"], repository, environment)


def test_lint(workspace):
    result = workspace.run("--lint")
    assert result.returncode == 0, result.stdout


def test_the_project_declares_what_it_imports(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    declared = {Requirement(text).name for text in project["dependencies"]}
    # Programs, not imported.
    assert declared - {"snakemake", "snakemake-executor-plugin-slurm"} == packages(
        (repository / "scripts").rglob("*.py")
    )


def test_the_lock_has_every_dependency_and_only_plain_versions(repository):
    lines = (repository / "requirements.lock").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert all(re.fullmatch(r"[0-9a-z.]+", version) for version in pinned.values())
    versions = {name.lower().replace("_", "-"): Version(version) for name, version in pinned.items()}
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    for text in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        requirement = Requirement(text)
        assert versions[requirement.name.lower()] in requirement.specifier, text


def test_every_rule_logs_under_data(repository):
    paths = sorted((repository / "workflow" / "rules").glob("*.smk"))
    assert len(paths) > 10
    for path in paths:
        text = path.read_text()
        logs = re.findall(r'log:\s+f?"(.+?)"', text)
        assert all(log.startswith("data/logs/") for log in logs), path.name
        # A rule made from another one has its shell line, and a log of its own.
        assert len(logs) == len(re.findall(r"^    shell:|^use rule", text, flags=re.MULTILINE)), path.name
