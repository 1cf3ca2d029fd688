"""The packages of a wheel: the library, the commands as ``genet5.commands``, and the files that both read.

Everything else about the package is in pyproject.toml.
"""

from pathlib import Path

from setuptools import find_packages, setup

STUDIES = sorted(path.name for path in Path("scripts/studies").iterdir() if path.is_dir())
COMMANDS = {
    "genet5.commands": "scripts",
    **{f"genet5.commands.studies.{study}": f"scripts/studies/{study}" for study in STUDIES},
}
# Folder of the repository -> package, and the files of it that go along.
FILES = {
    "genet5.resources": ("resources", ["**/*"]),
    "genet5.config": (
        "config",
        ["config.yaml", "species.tsv", "studies/defaults.yaml", "studies/cpivae_training.yaml"],
    ),
    "genet5.workflow.schemas": ("workflow/schemas", ["**/*.yaml"]),
}

setup(
    packages=[*find_packages("scripts", include=["genet5", "genet5.*"]), *COMMANDS, *FILES],
    package_dir={"": "scripts", **COMMANDS, **{name: folder for name, (folder, _) in FILES.items()}},
    package_data={
        "genet5.report": ["*.css", "*.js"],
        "genet5.commands": ["launch.sh", "launch/*.sh", "slurm/*"],
        **{name: patterns for name, (_, patterns) in FILES.items()},
    },
    include_package_data=False,
)
