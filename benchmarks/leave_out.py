#!/usr/bin/env python
"""Train the model of a recipe again without some species, so that they can score it.

Each ``--group`` is a comma list of species of the recipe's table. For each group the recipe (``config/clades/``) is
trained with the other species alone. The models are ``data/model/{run}-without-{first species}/crf``, and
``--folds FILE`` lists which model may annotate which species: two columns, set and folder, for
``benchmarks/any_genome.py --folds``. A stopped run goes on where it was.

    python benchmarks/leave_out.py --recipe config/clades/bacteria.yaml --max-steps 4000 \\
        --group E.coli,M.alvi --group Bacillus.subtilis --folds data/studies/folds.tsv
"""

from __future__ import annotations

import argparse
import csv
import io
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))

from genet5.errors import InputError, run_command  # noqa: E402
from genet5.files import atomic_write  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, required=True, help="configuration that trains the model")
    parser.add_argument("--group", action="append", required=True, help="species to leave out together")
    parser.add_argument("--max-steps", type=int, default=0, help="steps of training, instead of the recipe's")
    parser.add_argument("--folds", type=Path, help="table to write: set, folder of the model that has not seen it")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "data/studies/leave_out", help="(%(default)s)")
    arguments = parser.parse_args()
    models = {}
    for group in arguments.group:
        left_out = group.split(",")
        model = train_without(arguments.recipe, left_out, arguments.max_steps, arguments.work)
        models |= dict.fromkeys(left_out, model)
    if arguments.folds:
        with atomic_write(arguments.folds) as stream:
            stream.writelines(f"{name}\t{folder}\n" for name, folder in models.items())


def train_without(recipe: Path, left_out: list[str], max_steps: int, work: Path) -> Path:
    """Train the recipe without species; returns the folder of the CRF. Raises ``InputError`` if a step fails."""
    config = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    run = f"{config['run']}-without-{left_out[0]}".lower()
    work.mkdir(parents=True, exist_ok=True)
    table, settings = work / f"{run}.species.tsv", work / f"{run}.yaml"
    sheet = (REPOSITORY / config["species_sheet"]).read_text(encoding="utf-8")
    table.write_text(table_without(sheet, left_out), encoding="utf-8")
    config |= {"run": run, "species_sheet": str(table)}
    if max_steps:
        config["crf"] |= {"max_steps": max_steps}
    settings.write_text(yaml.safe_dump(config), encoding="utf-8")
    folder = REPOSITORY / "data/model" / run / "crf"
    command = ["snakemake", "--cores", "1", f"data/model/{run}/crf/model.safetensors", "--configfile", str(settings)]
    if subprocess.run(command, cwd=REPOSITORY, stdout=sys.stderr, check=False).returncode:
        raise InputError(f"{settings}: training failed; its message stands above")
    return folder


def table_without(sheet: str, left_out: Collection[str]) -> str:
    """The species table without the rows of species. Raises ``InputError`` for a species that it does not have."""
    rows = list(csv.reader(io.StringIO(sheet), delimiter="\t"))
    names = {row[0] for row in rows if row}
    if unknown := sorted(set(left_out) - names):
        raise InputError(f"--group: {', '.join(unknown)} is not in the species table of the recipe")
    return "".join("\t".join(row) + "\n" for row in rows if row and row[0] not in left_out)


if __name__ == "__main__":
    run_command(main)
