"""A power cut during bake_shards: the documented recipe gives the same bytes as an undisturbed run."""

from __future__ import annotations

import hashlib
import random
import signal
from pathlib import Path

import patience
from patience import killed_at_rename

GENE = "ATG" + "GCT" * 120 + "TAA"


def write_genome(folder: Path, gene_count: int) -> None:
    """A random genome with a gene every 1,000 bases, and its annotation."""
    letters = random.Random(7)
    spacer = ["".join(letters.choices("ACGT", k=1000 - len(GENE))) for _ in range(50)]
    sequence = "".join(spacer[number % 50] + GENE for number in range(gene_count))
    (folder / "genome.fa").write_text(f">chr\n{sequence}\n")
    rows = ["##gff-version 3"]
    for number in range(gene_count):
        place = f"chr\ttest\t{{}}\t{number * 1000 + 1001 - len(GENE)}\t{number * 1000 + 1000}\t.\t+\t{{}}\t{{}}"
        rows.append(place.format("gene", ".", f"ID=gene{number};gene_biotype=protein_coding"))
        rows.append(place.format("mRNA", ".", f"ID=rna{number};Parent=gene{number}"))
        rows.append(place.format("CDS", "0", f"ID=cds{number};Parent=rna{number}"))
    (folder / "genes.gff3").write_text("\n".join(rows) + "\n")


def arguments(workspace) -> list[str]:
    sheet = workspace.sheet("T.toyus bacteria 11 train chr:1-100000 chr:100001-200000 genome.fa genes.gff3")
    overlay = workspace.overlay(
        f"run: toy\nspecies_sheet: {sheet}\nbake:\n  samples_per_shard: 50\n  flank_bp: 3000\n"
        "  windows:\n    bacteria: {window_bp: 6000, stride_bp: 500}\n"
    )
    return ["bake_species", "--configfile", overlay, "--config", "species=T.toyus"]


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_a_killed_bake_resumes_to_the_same_bytes(make_workspace):
    whole, killed = make_workspace(), make_workspace()
    for workspace in (whole, killed):
        write_genome(workspace.folder, gene_count=2000)
    result = whole.run(*arguments(whole))
    assert result.returncode == 0, result.stdout
    expected = digests(whole.folder / "data/baked/toy/T.toyus")
    assert "manifest.json" in expected and len(expected) > 10

    output = killed.folder / "data" / "baked" / "toy" / "T.toyus"
    environment = killed_at_rename("train_001.tar", killed.environment)
    dead = patience.run(killed.command(*arguments(killed)), cwd=killed.folder, env=environment)
    assert dead.returncode == -signal.SIGKILL, dead.stdout
    assert (output / "train_001.tar").exists() and not (output / "manifest.json").exists()

    assert "LockException" in killed.run(*arguments(killed)).stdout
    assert killed.run("--unlock").returncode == 0
    resumed = killed.run(*arguments(killed))
    assert resumed.returncode == 0, resumed.stdout
    assert digests(output) == expected
    again = killed.run(*arguments(killed))
    assert again.returncode == 0 and "Nothing to be done" in again.stdout
