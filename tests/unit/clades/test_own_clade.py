"""A clade of one's own, ``oomycete``: one file in a folder, with the shipped weights for plants, and it annotates."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from gff3_notes import without_notes
from toy_bacterium import write_genome

import annotate_genome
import genet5
from genet5.clades import read_clades
from genet5.errors import InputError
from genet5.genome.genes import Gene
from genet5.genome.writing import write_gff3

OOMYCETE = """
description: Oomycetes. Their introns are short.
genetic_code: 1
rules:
  starts: [ATG]
  splice_pairs: [[GT, AG]]
  min_intron_bp: 20
  max_intron_bp: 200
  min_exon_bp: 1
  min_gene_bp: 60
  max_overlap_bp: 0
windows: {{window_bp: 15000, stride_bp: 7500}}
genes_per_mb: [100, 700]
model:
  folder: {folder}
  calibration: calibration.json
  decoder: viterbi
  window_bp: 12000
  overlap_bp: 2000
"""


@pytest.fixture(params=["absolute", "relative"])
def own(request: pytest.FixtureRequest, repository: Path, tmp_path: Path) -> Path:
    """The folder with oomycete.yaml, whose path to the weights starts at the file or is absolute."""
    weights, folder = repository / "resources/models/plant", tmp_path / "own"
    folder.mkdir()
    shown = weights if request.param == "absolute" else os.path.relpath(weights, folder)
    (folder / "oomycete.yaml").write_text(OOMYCETE.format(folder=shown))
    return folder


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    (tmp_path / "genome").mkdir()
    return write_genome(tmp_path / "genome/my.fa", length_bp=30_000, name="contig")


def introns(genes: list[Gene]) -> list[int]:
    """Their lengths in bases."""
    return [
        right.start - left.end
        for gene in genes
        for left, right in zip(gene.canonical.cds, gene.canonical.cds[1:], strict=False)
    ]


def test_oomycete_is_added_by_one_file_and_annotates(own: Path, fasta: Path) -> None:
    assert read_clades(own)["oomycete"].model.folder == read_clades()["plant"].model.folder
    genes = genet5.annotate(fasta, clade="oomycete", clade_folder=own)
    plant = genet5.annotate(fasta, clade="plant")
    assert len(genes) > 3 and {gene.strand for gene in genes} == {"+", "-"}
    # Its own rules hold: plants may have longer introns, and here they do.
    assert introns(genes) and max(introns(genes)) <= 200 < max(introns(plant))
    assert all(0 <= gene.score < 1 for gene in genes)
    assert [path.name for path in fasta.parent.iterdir()] == ["my.fa"]


def test_the_script_annotates_oomycete_alike(own: Path, fasta: Path, tmp_path: Path) -> None:
    model, prefix = read_clades(own)["oomycete"].model, tmp_path / "out/oomycete"
    annotate_genome.main(
        [
            f"--model={model.folder}",
            f"--calibration={model.calibration}",
            f"--genome={fasta}",
            "--clade=oomycete",
            f"--clade-folder={own}",
            "--genetic-code=1",
            f"--window-bp={model.window_bp}",
            f"--overlap-bp={model.overlap_bp}",
            f"--output-prefix={prefix}",
        ]
    )
    summary = json.loads(prefix.with_suffix(".json").read_text())
    assert summary["options"]["clade"] == "oomycete" and summary["options"]["window_bp"] == 12_000
    assert summary["calibrated"]
    genes = genet5.annotate(fasta, clade="oomycete", clade_folder=own)
    write_gff3(tmp_path / "api.gff3", genes, {"contig": 30_000})
    assert without_notes(prefix.with_suffix(".gff3")) == without_notes(tmp_path / "api.gff3")


def test_without_the_folder_there_are_no_oomycete(fasta: Path) -> None:
    with pytest.raises(InputError, match="clade: no clade 'oomycete'; known: alga, bacteria, ciliate, eukaryote, "):
        genet5.annotate(fasta, clade="oomycete")


def test_a_decoder_that_does_not_exist_is_named_with_file_and_key(own: Path, fasta: Path) -> None:
    path = own / "oomycete.yaml"
    path.write_text(path.read_text().replace("viterbi", "vitrebi"))
    with pytest.raises(InputError) as error:
        genet5.annotate(fasta, clade="oomycete", clade_folder=own)
    assert str(error.value) == f"{path}, key model.decoder: vitrebi, allowed: viterbi, expected, lm, joint, reranked"
