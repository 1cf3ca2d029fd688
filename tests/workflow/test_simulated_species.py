"""A species table with simulated genomes: which jobs there are, what they are told, and what the table must say."""

from __future__ import annotations

from pathlib import Path

import pytest
from augustus_folder import MadeParameters
from dry_runs import commands, jobs
from script_flags import check_flags

HEADER = "species\tclade\tgenetic_code\tsplit\tvalidation_regions\tgenome\tannotation\tgenome_bp\n"
ROW = "S.made\tfungi\t1\ttrain\tS.made_2\tsimulated:made\tsimulated:made\t60000\n"


def table(workspace, *rows: str) -> list[str]:
    """Flags for a run on these rows."""
    (workspace.folder / "species.tsv").write_text(HEADER + "".join(rows))
    return ["--config", "species_sheet=species.tsv"]


def test_a_simulated_genome_is_drawn_and_not_fetched(workspace, repository) -> None:
    other = "S.published\tfungi\t1\ttrain\t-\tg.fa\tg.gff\t-\n"
    settings = workspace.overlay("stages: [crf]\nsimulate: {seed: 7, tandem_share: 0.1, augustus_config: augustus}")
    words = table(workspace, ROW, ROW.replace("S.made", "S.again").replace("60000", "70000"), other)
    result = workspace.run("bake_species", "-n", "-p", "--configfile", settings, *words)
    assert result.returncode == 0, result.stdout
    planned = jobs(result.stdout)
    assert planned["simulate_genome"] == 2 and planned["download"] == 2 and planned["bake_shards"] == 3
    lines = [line for line in commands(result.stdout) if "/simulate.py" in line]
    assert len(lines) == 2 and len(check_flags(lines, repository)) == 1
    (line,) = [line for line in lines if "--name S.again" in line]
    for flag in ("simulate.py made ", "--bases 70000", "--genetic-code 1 ", "--seed 7 ", "--tandem-share 0.1 "):
        assert flag in line
    assert "augustus_config" not in line.replace("-", "_"), "where the folder is makes no genome out of date"


def test_one_target_makes_all_simulated_genomes(workspace) -> None:
    result = workspace.run("simulate", "-n", *table(workspace, ROW, ROW.replace("S.made", "S.again")))
    assert jobs(result.stdout) == {"simulate_genome": 2, "simulate": 1}
    none = workspace.run("simulate", "-n", *table(workspace, "S.other\tfungi\t1\ttrain\t-\tg.fa\tg.gff\t-\n"))
    assert none.returncode == 0 and "simulate_genome" not in jobs(none.stdout)


def test_a_genome_is_drawn_and_baked_with_its_origin(workspace) -> None:
    MadeParameters().write(workspace.folder / "augustus")
    settings = workspace.overlay("simulate: {augustus_config: augustus, intergenic_bp: 300, contig_bp: 30000}")
    result = workspace.run(
        "bake_species", "--cores", "1", "--configfile", settings, *table(workspace, ROW.replace("60000", "150000"))
    )
    assert result.returncode == 0, result.stdout
    manifest = (workspace.folder / "data/baked/main/S.made/manifest.json").read_text()
    assert '"simulated_from": "made"' in manifest
    assert Path(workspace.folder, "data/raw/S.made/gff.gz").is_file()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ROW.replace("simulated:made\t60000", "g.gff\t60000"), "column annotation: 'g.gff', expected the same as in"),
        (ROW.replace("simulated:made\tsimulated", "g.fa\tsimulated"), "expected the same as in column genome ('g.fa')"),
        (
            ROW.replace("60000", "-"),
            "column genome_bp: missing, a simulated genome needs its number of bases, at least",
        ),
        (ROW.replace("60000", "600"), "column genome_bp: 600, a simulated genome needs its number of bases, at least"),
        (ROW.replace("simulated:made", "simulated:"), "column annotation: 'simulated:' is not allowed, expected"),
    ],
)
def test_what_a_row_must_say(workspace, row: str, message: str) -> None:
    result = workspace.run("simulate", "-n", *table(workspace, row))
    assert result.returncode == 1
    last = result.stdout.splitlines()[-1]
    assert last.startswith("error: species.tsv line 2 (S.made), ") and message in last
