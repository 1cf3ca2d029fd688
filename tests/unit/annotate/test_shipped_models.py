"""The models that come with the workflow: whole, calibrated, described, and as good as their card says on real DNA."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import annotate_genome
from genet5.annotate.calibration import load_calibration
from genet5.annotate.genomes import DECODERS
from genet5.errors import InputError
from genet5.evaluate.comparison import Prediction, compare
from genet5.genome.fasta import Genome, decompress_genome
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.splits import parse_regions
from genet5.writer.building import load_model

CLADES = ("fungi", "invertebrate", "plant", "protist")
MOST_MB = 64


def test_there_is_a_card_and_they_fit_a_checkout(repository: Path) -> None:
    models = repository / "resources/models"
    assert sorted(path.name for path in models.iterdir() if path.is_dir()) == sorted(CLADES)
    card = (models / "README.md").read_text()
    assert all(f"## {clade}" in card for clade in CLADES)
    assert sum(path.stat().st_size for path in models.rglob("*")) < MOST_MB * 1e6


@pytest.mark.parametrize("clade", CLADES)
def test_a_shipped_model_loads_and_its_scores_are_probabilities(repository: Path, clade: str) -> None:
    folder = repository / "resources/models" / clade
    use = json.loads((folder / "use.json").read_text())
    assert set(use) == {"decoder", "window_bp", "overlap_bp", "genetic_code"} and use["decoder"] in DECODERS
    model, _ = load_model(folder)
    assert model.config.reader_trained
    assert load_calibration(folder, use["decoder"]).calibrated


def test_a_shipped_model_annotates_a_chromosome_out_of_the_box(
    repository: Path, shared_data: Path, tmp_path: Path
) -> None:
    source, use = shared_data / "P.falciparum", repository / "resources/models/protist"
    decompress_genome(source / "fna.gz", tmp_path / "fna")
    region = "Pf3D7_01_v3:200001-350000"
    how = json.loads((use / "use.json").read_text())
    command = [sys.executable, "scripts/annotate_genome.py", f"--model={use}", f"--genome={tmp_path / 'fna'}"]
    command += ["--clade=protist", "--grammar=resources/grammar.yaml", f"--regions={region}"]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in how.items()]
    subprocess.run([*command, f"--output-prefix={tmp_path / 'found'}"], cwd=repository, check=True, capture_output=True)
    with Genome(tmp_path / "fna") as genome:
        report = compare(
            "P.falciparum", source / "gff.gz", genome, GeneticCode.from_table(1), baselines=[], bootstrap=0, seed=0,
            predictions=[Prediction("shipped", tmp_path / "found.gff3", None)],
            regions=list(parse_regions(region, genome.lengths)),
        )["systems"]["shipped"]  # fmt: skip
    assert report["exon"]["f1"] > 0.85 and report["gene"]["f1"] > 0.8


def test_proteins_are_no_genome(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "my.fna").write_text(">p\nMKLLQWERTY\n")
    command = f"--model={repository}/resources/models/fungi --genome={tmp_path}/my.fna --output-prefix={tmp_path}/found"
    how = (
        f"--clade=fungi --genetic-code=1 --grammar={repository}/resources/grammar.yaml --window-bp=9000 --overlap-bp=0"
    )
    with pytest.raises(InputError, match=r"my.fna: sequence 'p', base 3: found 'L', expected bases \(IUPAC codes\)$"):
        annotate_genome.main([*command.split(), *how.split(), "--decoder=viterbi"])
    assert not list(tmp_path.glob("found*"))
