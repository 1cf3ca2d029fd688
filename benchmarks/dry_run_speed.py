"""How long Snakemake takes to plan a run of 1,000 species (``snakemake all -n``), and how much memory.

The species share one small genome, and every stage is asked for. No peer plans such a run: an older checkout of the
workflow stands beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from speed_rows import REPOSITORY, SpeedRow, SpeedSettings, Usage, alternate, cost_row, measure_command, median_usage

from genet5.genome.fasta import write_fasta

SPECIES, QUICK_SPECIES = 1000, 100
LINKED = ("workflow", "scripts", "config", "resources", "profiles", "envs")
COLUMNS = ("species", "clade", "genetic_code", "split", "validation_regions", "test_regions", "genome", "annotation")


def speed_rows(settings: SpeedSettings) -> Iterator[SpeedRow]:
    """CPU seconds of a dry run."""
    number = QUICK_SPECIES if settings.quick else SPECIES
    sides = {"ours": lambda: dry_run(settings.work / "ours")}
    make_workspace(REPOSITORY, settings.work / "ours", number)
    if settings.base:
        make_workspace(settings.base, settings.work / "base", number)
        sides["base"] = lambda: dry_run(settings.work / "base")
    found = {side: median_usage(runs) for side, runs in alternate(sides, settings.rounds).items()}
    yield cost_row(
        f"snakemake all -n, {number:,} species", "CPU s", found["ours"].cpu_s,
        base=found["base"].cpu_s if settings.base else None, usage=found["ours"],
    )  # fmt: skip


def make_workspace(checkout: Path, folder: Path, number: int) -> None:
    """A folder with links to a checkout and a table of species: four of five train, the others are scored."""
    folder.mkdir()
    for name in LINKED:
        (folder / name).symlink_to(checkout / name)
    write_fasta(folder / "genome.fa", [("chr", "ACGT" * 30_000)])
    (folder / "genes.gff3").write_text("##gff-version 3\n", encoding="utf-8")
    rows = ["\t".join(COLUMNS)]
    for index in range(number):
        split, held = ("test", "-") if index % 5 == 4 else ("train", "chr:1-20000")
        rows.append("\t".join((f"S.{index}", "fungi", "1", split, held, "-", "genome.fa", "genes.gff3")))
    (folder / "species.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "settings.yaml").write_text("run: many\nspecies_sheet: species.tsv\n", encoding="utf-8")


def dry_run(folder: Path) -> Usage:
    """Plan everything; ``plan.txt`` gets what Snakemake prints. Raises InputError with its last words if it fails."""
    command = [sys.executable, "-m", "snakemake", "-n", "--configfile", "settings.yaml", "--", "all"]
    environment = {"PYTHONPATH": str((folder / "scripts").resolve()), "NO_COLOR": "1"}
    return measure_command(command, cwd=folder, environment=environment, output=folder / "plan.txt")
