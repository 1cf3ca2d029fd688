"""The models that come with GeneT5: whole, calibrated, described, and as good as their card says on real DNA."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

import annotate_genome
from genet5.adapt.relatives import FILE as RELATIVES_FILE
from genet5.annotate.decoders import DECODERS
from genet5.annotate.shipped import load_shipped
from genet5.clades import Clade, read_clades
from genet5.crf.folder import WEIGHTS_FILE, load_crf
from genet5.errors import InputError
from genet5.evaluate.comparison import Prediction, compare
from genet5.genome.fasta import Genome, decompress_genome
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.splits import parse_regions

#: Clades; each has a model in a folder of its name.
MODELS = tuple(read_clades())
MOST_MB, MOST_MB_OF_ALL = 4, 45


def size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*")) / 1e6


@pytest.fixture(scope="module")
def clades() -> dict[str, Clade]:
    return read_clades()


def test_there_is_a_card_and_they_fit_a_checkout(repository: Path) -> None:
    models = repository / "resources/models"
    assert sorted(path.name for path in models.iterdir() if path.is_dir()) == sorted(MODELS)
    overview = (models / "README.md").read_text()
    assert all(f"`{name}`" in overview for name in MODELS)
    assert not {name: size_mb(models / name) for name in MODELS if size_mb(models / name) > MOST_MB}
    assert size_mb(models) < MOST_MB_OF_ALL


def test_every_clade_names_a_model_of_its_own(clades: dict[str, Clade], repository: Path) -> None:
    found = {name: clade.model.calibration for name, clade in clades.items() if clade.model}
    assert found == {name: repository / "resources/models" / name / "calibration.json" for name in MODELS}
    assert set(clades) == set(MODELS)


@pytest.mark.parametrize("clade", MODELS)
def test_a_shipped_model_loads_and_its_scores_are_probabilities(clade: str, clades: dict[str, Clade]) -> None:
    shipped = load_shipped(clades, clade)
    assert shipped.clade == clades[clade] and not shipped.model.has_writer
    assert clades[clade].model.decoder in DECODERS
    assert shipped.calibration.calibrated and shipped.calibration.genes > 100


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_model_has_half_precision_weights_of_its_crf_and_nothing_else(name: str, repository: Path) -> None:
    folder = repository / "resources/models" / name
    files = {path.name for path in folder.iterdir()}
    assert files - {RELATIVES_FILE} == {"README.md", "calibration.json", "config.json", WEIGHTS_FILE}
    crf = load_crf(folder)  # which has a place for every tensor, and needs every one
    with safe_open(folder / WEIGHTS_FILE, "np") as stored:
        kinds = {stored.get_slice(key).get_dtype() for key in stored.keys()}
    assert kinds == {"F16"} and {key.split(".")[0] for key in crf.state_dict()} == {"networks"}


def test_a_shipped_model_annotates_a_chromosome_out_of_the_box(
    repository: Path, clades: dict[str, Clade], shared_data: Path, tmp_path: Path
) -> None:
    source, use = shared_data / "P.falciparum", clades["plasmodium"].model
    decompress_genome(source / "fna.gz", tmp_path / "fna")
    region = "Pf3D7_01_v3:200001-350000"
    command = [sys.executable, "scripts/annotate_genome.py", f"--model={use.folder}", f"--genome={tmp_path / 'fna'}"]
    command += ["--clade=plasmodium", "--genetic-code=1", f"--regions={region}", f"--decoder={use.decoder}"]
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
