"""GeneT5 from Python: the genes of a FASTA file are those that the script writes, and every mistake is one line."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from annotate_toy_genome import train_tiny_model
from gff3_notes import without_notes
from toy_bacterium import CODE, WINDOW_BP, write_genome

import annotate_genome
import genet5
from genet5.annotate.calibration import Calibration
from genet5.annotate.calibration_file import write_calibration
from genet5.annotate.choosing import ValidationScore
from genet5.annotate.models import load_annotator
from genet5.annotate.options import AnnotateOptions
from genet5.clades import read_clades
from genet5.crf.folder import save_crf
from genet5.errors import InputError
from genet5.genome.fasta import Genome
from genet5.genome.genes import Gene
from genet5.genome.writing import cds_sequence, write_gff3

GENOME_BP = 20_000


CLADE = "kinetoplastid"


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A genome of two contigs in a folder of its own."""
    path = write_genome(tmp_path_factory.mktemp("genome") / "my.fa", length_bp=GENOME_BP, name="one")
    other = write_genome(path.with_name("other.fa"), start=500_000, length_bp=6_000, name="two")
    path.write_text(path.read_text() + other.read_text())
    other.unlink()
    return path


@pytest.fixture(scope="module")
def genes(fasta: Path) -> list[Gene]:
    """What the shipped model of a clade without subclades finds there."""
    return genet5.annotate(fasta, clade=CLADE)


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny language model for bacteria."""
    return train_tiny_model(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def crf(writer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of its CRF alone."""
    folder = tmp_path_factory.mktemp("crf")
    save_crf(load_annotator(writer).crf, folder)
    return folder


def script(fasta: Path, prefix: Path, model: Path, clade: str, **changed: object) -> bytes:
    """The GFF3 that annotate_genome.py writes, without notes."""
    flags = {"model": model, "genome": fasta, "clade": clade, "output-prefix": prefix} | changed
    annotate_genome.main([f"--{name.replace('_', '-')}={value}" for name, value in flags.items()])
    return without_notes(prefix.with_suffix(".gff3"))


def as_gff3(genes: list[Gene], fasta: Path, path: Path) -> bytes:
    with Genome(fasta) as genome:
        write_gff3(path, genes, genome.lengths)
    return path.read_bytes()


def failure(call: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


# ---------------------------------------------------------------- genes


def test_genes_are_those_of_the_script(genes: list[Gene], fasta: Path, tmp_path: Path) -> None:
    use = read_clades()[CLADE].model
    how = {"window_bp": use.window_bp, "overlap_bp": use.overlap_bp, "genetic_code": 1, "decoder": use.decoder}
    written = script(fasta, tmp_path / "script", use.folder, CLADE, calibration=use.calibration, **how)
    assert len(genes) > 10 and {gene.seqid for gene in genes} == {"one", "two"}
    assert written == as_gff3(genes, fasta, tmp_path / "api.gff3")


def test_genes_have_coordinates_strands_and_scores(genes: list[Gene]) -> None:
    assert genes == sorted(genes, key=lambda gene: (gene.seqid, gene.start))
    assert {gene.strand for gene in genes} == {"+", "-"}
    assert all(0 <= gene.start < gene.end <= GENOME_BP and 0 < gene.score < 1 for gene in genes)
    assert genes[0].id == "one.g00001"


def test_nothing_is_written_beside_the_fasta(fasta: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "genome").mkdir()
    copy = tmp_path / "genome/my.fa"
    copy.write_bytes(fasta.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert genet5.annotate("genome/my.fa", clade=CLADE, regions="two")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["genome", "my.fa"]


def test_a_gzip_file_gives_the_same(genes: list[Gene], fasta: Path, tmp_path: Path) -> None:
    packed = tmp_path / "my.fa.gz"
    packed.write_bytes(gzip.compress(fasta.read_bytes()))
    assert genet5.annotate(packed, clade=CLADE) == genes
    assert genet5.annotate(str(packed), CLADE) == genes
    assert [path.name for path in tmp_path.iterdir()] == ["my.fa.gz"]


def test_regions_are_contigs_and_parts_of_them(fasta: Path) -> None:
    found = genet5.annotate(fasta, clade=CLADE, regions="two,one:5001-12000")
    assert found and all(gene.seqid == "two" or (5_000 <= gene.start and gene.end <= 12_000) for gene in found)
    assert {gene.seqid for gene in found} == {"one", "two"}


def test_a_least_confidence_leaves_out_the_genes_below_it(genes: list[Gene], fasta: Path) -> None:
    least = sorted(gene.score for gene in genes)[len(genes) // 2]
    found = genet5.annotate(fasta, clade=CLADE, min_confidence=least)
    assert found == [gene for gene in genes if gene.score >= least] != genes


def test_another_genetic_code_has_other_stops(crf: Path, fasta: Path) -> None:
    """Bacteria have code 11 if nothing is said; code 4 reads TGA as tryptophan."""
    codes = ({}, {"genetic_code": 11}, {"genetic_code": 4})
    usual, same, other = (genet5.annotate(fasta, "bacteria", model=crf, **code) for code in codes)
    assert usual == same
    with Genome(fasta) as genome:
        stops = [
            {cds_sequence(genome, gene, gene.canonical)[-3:] for gene in genes if gene.canonical.complete3}
            for genes in (usual, other)
        ]
    assert stops == [{"TAA", "TAG", "TGA"}, {"TAA", "TAG"}]


def test_the_threads_and_random_state_of_the_caller_are_left_alone(fasta: Path) -> None:
    torch.manual_seed(4)
    expected = torch.rand(1)
    torch.manual_seed(4)
    genet5.annotate(fasta, clade=CLADE, regions="two")
    assert torch.equal(torch.rand(1), expected)


# ---------------------------------------------------------------- models


def test_a_model_is_loaded_once_and_annotates_again_and_again(genes: list[Gene], fasta: Path) -> None:
    model = genet5.load(CLADE)
    assert model.shipped and model.clade.name == CLADE
    assert genet5.annotate(fasta, model=model) == genes
    with Genome(fasta) as genome:
        first, again = (model.annotate(genome) for _ in range(2))
    fasta.with_name("my.fa.fai").unlink(missing_ok=True)
    assert first.genes == again.genes == genes
    assert first.summary["options"]["clade"] == CLADE and first.summary["bases"] == GENOME_BP + 6_000


@pytest.mark.parametrize("kind", ["crf", "writer"])
def test_a_model_folder_annotates_as_the_script_does(
    kind: str, fasta: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(kind)
    clade = read_clades()["bacteria"]
    small = tmp_path / "own"
    small.mkdir()
    windows = f"windows: {{window_bp: {WINDOW_BP}, stride_bp: 1500}}"
    text = clade.path.read_text()
    (small / "bacteria.yaml").write_text(
        text.replace("windows: {window_bp: 10000, stride_bp: 5000}", windows).partition("model:")[0]
    )
    found = genet5.annotate(fasta, "bacteria", model=folder, clade_folder=small, regions="two")
    assert found
    how = {"decoder": {"crf": "viterbi", "writer": "lm"}[kind], "window_bp": WINDOW_BP, "overlap_bp": WINDOW_BP // 2}
    written = script(fasta, tmp_path / "script", folder, "bacteria", genetic_code=CODE.table, regions="two", **how)
    assert written == as_gff3(found, fasta, tmp_path / "api.gff3")
    loaded = genet5.load(folder, clade="bacteria", clade_folder=small)
    assert not loaded.shipped and loaded.model.has_writer == (kind == "writer")
    assert genet5.annotate(fasta, model=loaded, regions="two") == found


@pytest.mark.parametrize("best", ["viterbi", "lm"])
def test_the_decoder_that_validation_prefers_is_used(writer: Path, best: str) -> None:
    scores = {name: {"T.oyus": ValidationScore("bacteria", *[float(name == best)] * 2)} for name in ("viterbi", "lm")}
    write_calibration(writer / "calibration.json", writer / "model.safetensors", {}, {}, scores)
    annotator = genet5.load(writer, clade="bacteria")
    with Genome(write_genome(writer.parent / "short.fa", length_bp=2_000, name="one")) as genome:
        options = AnnotateOptions(window_bp=WINDOW_BP, overlap_bp=500)
        found = annotator.annotate(genome, options=options)
    (writer / "calibration.json").unlink()
    assert found.summary["options"]["decoder"] == best


def test_the_calibration_beside_a_model_folder_is_used(crf: Path, fasta: Path) -> None:
    raw = genet5.annotate(fasta, "bacteria", model=crf, regions="two")
    curve = Calibration(0.0, 0.0, genes=100, exact=50)  # one half, whatever the CRF says
    write_calibration(crf / "calibration.json", crf / "model.safetensors", {"viterbi": curve}, {}, {})
    calibrated = genet5.annotate(fasta, "bacteria", model=crf, regions="two", min_confidence=0.5)
    (crf / "calibration.json").unlink()
    assert {gene.score for gene in calibrated} == {0.5} != {gene.score for gene in raw}
    assert [gene.canonical.cds for gene in calibrated] == [gene.canonical.cds for gene in raw]
    found = failure(lambda: genet5.annotate(fasta, "bacteria", model=crf, regions="two", min_confidence=0.5))
    assert found.startswith("min_confidence: 0.5, but scores are not calibrated, so only 0 is allowed (")


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"clade": "lichen"},
            "clade: no clade 'lichen'; known: alga, bacteria, ciliate, eukaryote, ",
        ),
        ({"clade": "fungus"}, "clade: no clade 'fungus'; did you mean 'fungi'?"),
        ({}, "clade: none given, known: alga, bacteria, ciliate, eukaryote, "),
        ({"clade": "fungi", "regions": "three"}, "regions"),
        ({"clade": "fungi", "regions": "one:1-90000"}, "regions"),
        (
            {"clade": "fungi", "decoder": "vitrebi"},
            "decoder 'vitrebi' is unknown, allowed: viterbi, expected, lm",
        ),
        ({"clade": "fungi", "decoder": "lm"}, "decoder lm: the model is a CRF without a language model, allowed: vi"),
        ({"clade": "fungi", "genetic_code": 99}, "99"),
        ({"clade": "fungi", "min_confidence": 2}, "min_confidence: 2, allowed: 0 to 1"),
        ({"clade": "fungi", "clade_folder": "absent"}, "absent: no clade here, expected files like oomycete.yaml"),
        ({"clade": "fungi", "model": "absent"}, "absent"),
    ],
)
def test_a_mistake_is_one_line(arguments: dict, message: str, fasta: Path) -> None:
    assert message in failure(lambda: genet5.annotate(fasta, **arguments))


def test_a_clade_of_ones_own_without_a_model_needs_one(fasta: Path, crf: Path, tmp_path: Path) -> None:
    rules, _, _ = read_clades()["bacteria"].path.read_text().partition("model:")
    (tmp_path / "archaea.yaml").write_text(rules)
    found = failure(lambda: genet5.annotate(fasta, "archaea", clade_folder=tmp_path))
    models = "clades with a model: alga, bacteria, ciliate, "
    assert found.startswith(f"clade: no model comes with GeneT5 for 'archaea'; {models}")
    assert genet5.annotate(fasta, "archaea", clade_folder=tmp_path, model=crf, regions="two")


def test_a_folder_named_like_a_clade_is_in_nobodys_way(
    fasta: Path, genes: list[Gene], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / CLADE).mkdir()
    monkeypatch.chdir(tmp_path)
    assert genet5.annotate(fasta, clade=CLADE) == genes


def test_the_folder_of_a_shipped_model_is_the_shipped_model(fasta: Path, genes: list[Gene], repository: Path) -> None:
    assert genet5.annotate(fasta, clade=CLADE, model=repository / f"resources/models/{CLADE}") == genes


@pytest.mark.parametrize("model", [Path("nothere"), "models/nothere"])
def test_a_model_folder_that_is_not_there_is_named(fasta: Path, model: str | Path) -> None:
    assert failure(lambda: genet5.annotate(fasta, clade="fungi", model=model)) == f"{model}: no such model folder"


def test_a_loaded_model_is_not_used_for_another_clade(fasta: Path) -> None:
    model = genet5.load("fungi")
    message = "clade: plant, but the model was loaded for fungi"
    assert failure(lambda: genet5.annotate(fasta, clade="plant", model=model)) == message


def test_a_model_folder_needs_a_clade(crf: Path) -> None:
    found = failure(lambda: genet5.load(crf))
    assert found.startswith(f"{crf}: a model folder needs a clade, known: alga, bacteria, ciliate, eukaryote, ")


def test_a_file_that_is_no_genome_is_one_line(tmp_path: Path) -> None:
    assert "absent.fa" in failure(lambda: genet5.annotate(tmp_path / "absent.fa", "fungi"))
    (tmp_path / "p.fa").write_text(">p\nMKLLQWERTY\n")
    assert "p.fa, line 2: sequence 'p' holds 'ELQ'; allowed: IUPAC" in failure(
        lambda: genet5.annotate(tmp_path / "p.fa", "fungi")
    )
    (tmp_path / "empty.fa").write_text("")
    assert "empty.fa" in failure(lambda: genet5.annotate(tmp_path / "empty.fa", "fungi"))


def test_importing_the_package_imports_no_torch_and_has_two_names() -> None:
    code = "import sys, genet5; print('torch' in sys.modules, genet5.__all__, callable(genet5.annotate), genet5.load)"
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.startswith("False ['annotate', 'load'] True <function load")
    with pytest.raises(AttributeError, match="module 'genet5' has no attribute 'anotate'"):
        _ = genet5.anotate
