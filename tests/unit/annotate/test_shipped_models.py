"""The models that come with GeneT5: whole, calibrated, described, and as good as their card says on real DNA."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

import annotate_genome
from genet5.annotate.decoders import DECODERS
from genet5.annotate.shipped import load_shipped
from genet5.clades import Clade, read_clades
from genet5.crf.folder import WEIGHTS_FILE, load_crf
from genet5.errors import InputError
from genet5.evaluate.comparison import Prediction, compare
from genet5.genome.fasta import Genome, decompress_genome
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.splits import parse_regions

MODELS = ("fungi", "plant_invertebrate", "plasmodium")
CLADES = {
    "fungi": "fungi",
    "invertebrate": "plant_invertebrate",
    "plant": "plant_invertebrate",
    "protist": "plasmodium",
}
MOST_MB = 16


@pytest.fixture(scope="module")
def clades() -> dict[str, Clade]:
    return read_clades()


def test_there_is_a_card_and_they_fit_a_checkout(repository: Path) -> None:
    models = repository / "resources/models"
    assert sorted(path.name for path in models.iterdir() if path.is_dir()) == sorted(MODELS)
    overview = (models / "README.md").read_text()
    assert all(f"`{clade}`" in overview for clade in CLADES)
    assert sum(path.stat().st_size for path in models.rglob("*")) < MOST_MB * 1e6


def test_every_model_is_named_by_a_clade_and_two_clades_share_one_file(clades: dict[str, Clade]) -> None:
    found = {name: clade.model.folder.name for name, clade in clades.items() if clade.model}
    assert found == CLADES
    plant, invertebrate = clades["plant"].model, clades["invertebrate"].model
    assert plant.folder == invertebrate.folder and plant.calibration != invertebrate.calibration


@pytest.mark.parametrize("clade", CLADES)
def test_a_shipped_model_loads_and_its_scores_are_probabilities(clade: str, clades: dict[str, Clade]) -> None:
    shipped = load_shipped(clades, clade)
    assert shipped.clade == clades[clade] and not shipped.model.has_writer
    assert clades[clade].model.decoder in DECODERS
    assert shipped.calibration.calibrated and shipped.calibration.genes > 100


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_model_has_half_precision_weights_of_its_crf_and_nothing_else(name: str, repository: Path) -> None:
    folder = repository / "resources/models" / name
    files = {path.name for path in folder.iterdir() if not path.name.startswith("calibration.")}
    assert files == {"README.md", "config.json", WEIGHTS_FILE}
    crf = load_crf(folder)  # which has a place for every tensor, and needs every one
    with safe_open(folder / WEIGHTS_FILE, "np") as stored:
        kinds = {stored.get_slice(key).get_dtype() for key in stored.keys()}
    assert kinds == {"F16"} and {key.split(".")[0] for key in crf.state_dict()} == {"networks"}


def test_a_shipped_model_annotates_a_chromosome_out_of_the_box(
    repository: Path, clades: dict[str, Clade], shared_data: Path, tmp_path: Path
) -> None:
    source, use = shared_data / "P.falciparum", clades["protist"].model
    decompress_genome(source / "fna.gz", tmp_path / "fna")
    region = "Pf3D7_01_v3:200001-350000"
    command = [sys.executable, "scripts/annotate_genome.py", f"--model={use.folder}", f"--genome={tmp_path / 'fna'}"]
    command += ["--clade=protist", "--genetic-code=1", f"--regions={region}", f"--decoder={use.decoder}"]
    command += [f"--calibration={use.calibration}", f"--window-bp={use.window_bp}", f"--overlap-bp={use.overlap_bp}"]
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
    how = "--clade=fungi --genetic-code=1 --window-bp=9000 --overlap-bp=0 --decoder=viterbi"
    with pytest.raises(InputError, match=r"my.fna: sequence 'p', base 3: found 'L', expected bases \(IUPAC codes\)$"):
        annotate_genome.main([*command.split(), *how.split()])
    assert not list(tmp_path.glob("found*"))
