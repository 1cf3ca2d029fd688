"""A model fitted to the genome it annotates: files that repeat, jobs that share them, and every mistake is one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from annotate_toy_genome import train_tiny_crf
from toy_bacterium import CLADE, CODE, SPECIES, ToyRun, write_genome, write_run
from toy_bacterium import WINDOW_BP as TRAINING_BP

import adapt
import annotate_genome
import count_relatives
import genet5
import join_annotation
from genet5.adapt.adaptation import Adaptation, load_adaptation, save_adaptation
from genet5.adapt.relatives import FILE, Relatives, load_relatives, save_relatives
from genet5.adapt.sampling import WINDOW_BP
from genet5.annotate.part_files import part_path
from genet5.annotate.parts import Part
from genet5.bake.species import SpeciesSource, bake_species
from genet5.bake.windows import WindowRules
from genet5.errors import InputError
from genet5.genome.fasta import Genome
from genet5.report.annotation_page import write_annotation_page

pytestmark = pytest.mark.usefixtures("one_thread")

ENDINGS = (".gff3", ".faa", ".cds.fna", ".tracks.npz")
GENOME_BP = 10 * WINDOW_BP


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ToyRun:
    return write_run(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def crf(run: ToyRun) -> Path:
    """Folder of a CRF that has seen 60 kb of the chromosome."""
    return train_tiny_crf(run)


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_genome(tmp_path_factory.mktemp("genome") / "my.fna", start=1_200_000, length_bp=GENOME_BP)


def annotated(crf: Path, fasta: Path, prefix: Path, *more: str) -> dict:
    """The summary of an annotation."""
    common = [f"--model={crf}", f"--genome={fasta}", f"--clade={CLADE}", "--window-bp=12000", "--track-loci=2"]
    annotate_genome.main([*common, f"--output-prefix={prefix}", *more])
    path = Path(f"{prefix}.json")
    return json.loads(path.read_text()) if path.is_file() else {}


def by_parts(crf: Path, fasta: Path, prefix: Path, *more: str) -> None:
    """An annotation of two parts, joined."""
    for part in (1, 2):
        annotated(crf, fasta, prefix, f"--part={part}/2", *more)
    parts = [str(part_path(prefix, Part(part, 2))) for part in (1, 2)]
    join_annotation.main(["--parts", *parts, f"--genome={fasta}", f"--output-prefix={prefix}"])


def copied(crf: Path, folder: Path) -> Path:
    """The model in a folder of its own."""
    folder.mkdir()
    for file in ("config.json", "model.safetensors"):
        shutil.copy(crf / file, folder)
    return folder


@pytest.fixture(scope="module")
def adapted(crf: Path, fasta: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prefix of an annotation with an adaptation."""
    prefix = tmp_path_factory.mktemp("adapted") / "my"
    annotated(crf, fasta, prefix, "--adapt")
    return prefix


def test_an_adaptation_is_said_and_written(adapted: Path, crf: Path, fasta: Path, tmp_path: Path) -> None:
    summary = json.loads(Path(f"{adapted}.json").read_text())
    about = summary["adaptation"]
    assert about["adapted"] and about["rounds"] > 0 and about["bases"] == GENOME_BP
    assert about["tried"][0]["gain_bits_per_kb"] > 2 * about["tried"][0]["error"]
    said = Path(f"{adapted}.gff3").read_text().splitlines()[1]
    assert said.startswith(f"#!adapted to this genome without labels: strength {about['strength']:g} after ")
    assert load_adaptation(f"{adapted}.adaptation.npz").about == about
    plain = annotated(crf, fasta, tmp_path / "plain")
    assert "adaptation" not in plain and not (tmp_path / "plain.adaptation.npz").exists()
    assert not (tmp_path / "plain.gff3").read_text().splitlines()[1].startswith("# ")
    assert (tmp_path / "plain.faa").read_bytes() != Path(f"{adapted}.faa").read_bytes()


def test_a_given_adaptation_repeats_the_annotation(adapted: Path, crf: Path, fasta: Path, tmp_path: Path) -> None:
    """Also one that the command adapt made, and one by several jobs."""
    path = tmp_path / "made.npz"
    adapt.main([f"--genome={fasta}", f"--clade={CLADE}", f"--model={crf}", f"--output={path}"])
    assert path.read_bytes() == Path(f"{adapted}.adaptation.npz").read_bytes()
    annotated(crf, fasta, tmp_path / "again", f"--adaptation={path}")
    by_parts(crf, fasta, tmp_path / "joined", f"--adaptation={path}")
    for name in ("again", "joined"):
        for ending in ENDINGS:
            assert (tmp_path / f"{name}{ending}").read_bytes() == Path(f"{adapted}{ending}").read_bytes(), ending
        one, other = (json.loads(Path(f"{prefix}.json").read_text()) for prefix in (adapted, tmp_path / name))
        assert one["adaptation"] == other["adaptation"]
        assert not (tmp_path / f"{name}.adaptation.npz").exists()


def test_relatives_are_tried_from_a_flag_and_from_beside_the_model(
    run: ToyRun, crf: Path, fasta: Path, adapted: Path, tmp_path: Path
) -> None:
    tables = tmp_path / "tables.npz"
    count_relatives.main(["--manifests", str(run.manifest), f"--output={tables}"])
    assert load_relatives(tables).names == (SPECIES,)

    def made(name: str, *more: str) -> Path:
        path = tmp_path / name
        adapt.main([f"--genome={fasta}", f"--clade={CLADE}", f"--output={path}", *more])
        return path

    by_flag = made("flag.npz", f"--model={crf}", f"--relatives={tables}")
    tried = [row.get("relative") for row in load_adaptation(by_flag).about["tried"]]
    assert tried.count(SPECIES) == 1
    assert not any("relative" in row for row in load_adaptation(f"{adapted}.adaptation.npz").about["tried"])
    (tmp_path / "model").mkdir()
    for file in ("config.json", "model.safetensors"):
        shutil.copy(crf / file, tmp_path / "model")
    shutil.copy(tables, tmp_path / "model" / FILE)
    assert made("beside.npz", f"--model={tmp_path / 'model'}").read_bytes() == by_flag.read_bytes()
    tables.write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"tables\.npz: no tables of relatives"):
        made("none.npz", f"--model={crf}", f"--relatives={tables}")
    assert not (tmp_path / "none.npz").exists()


def test_annotations_add_what_is_typical_as_the_flags_of_the_tables_say(
    run: ToyRun, crf: Path, fasta: Path, tmp_path: Path
) -> None:
    """Alone and by parts. Tables of share 0 change nothing."""
    model = copied(crf, tmp_path / "model")

    def found(name: str, *flags: str) -> bytes:
        count_relatives.main(["--manifests", str(run.manifest), f"--output={model / FILE}", *flags])
        assert "adaptation" not in annotated(model, fasta, tmp_path / name)
        return (tmp_path / f"{name}.faa").read_bytes()

    annotated(crf, fasta, tmp_path / "plain")
    assert found("none") == (tmp_path / "plain.faa").read_bytes()
    typical = found("typical", "--strength=0.5", "--intron-cost=1.5")
    assert (load_relatives(model / FILE).strength, load_relatives(model / FILE).intron_cost) == (0.5, 1.5)
    assert typical != found("none")
    found("typical", "--strength=0.5", "--intron-cost=1.5")
    by_parts(model, fasta, tmp_path / "joined")
    assert (tmp_path / "joined.faa").read_bytes() == typical
    for flag in ("--strength=-1", "--intron-cost=inf", "--strength=nan", "--near=-1"):
        with pytest.raises(InputError, match=rf"{flag.split('=')[0]}: .*, allowed: 0 or more"):
            count_relatives.main(["--manifests", str(run.manifest), f"--output={tmp_path / 'x.npz'}", flag])
    assert not (tmp_path / "x.npz").exists()


def test_the_nearest_tables_join_alone_by_parts_and_for_a_region_alike(
    run: ToyRun, crf: Path, fasta: Path, tmp_path: Path
) -> None:
    model = copied(crf, tmp_path / "model")
    count_relatives.main(["--manifests", str(run.manifest), f"--output={tmp_path / FILE}"])
    one = load_relatives(tmp_path / FILE)
    other = -one.hexamers[0]
    tables = Relatives(
        ("not.this", SPECIES), np.stack([other, one.hexamers[0]]), np.repeat(one.sites, 2, axis=0), 0.5, 1.5, near=1
    )
    save_relatives(model / FILE, tables)
    said = annotated(model, fasta, tmp_path / "whole")["adaptation"]
    assert said == {"near": [SPECIES]}
    line = f"codons, sites and introns of the nearest relatives join the network: {SPECIES}"
    assert line in (tmp_path / "whole.gff3").read_text().partition("\n##sequence-region")[0]
    by_parts(model, fasta, tmp_path / "joined")
    for ending in (".faa", ".gff3"):
        assert (tmp_path / f"joined{ending}").read_bytes() == (tmp_path / f"whole{ending}").read_bytes()
    (name,) = Genome(fasta).lengths
    region = annotated(model, fasta, tmp_path / "region", f"--regions={name}:1-5000")
    assert region["adaptation"] == said, "the whole genome says which are near"


def test_a_species_without_training_windows_has_no_table(run: ToyRun, tmp_path: Path) -> None:
    source = SpeciesSource("V.alid", run.genome, run.annotation, CODE.table, CLADE, "validation")
    manifest = bake_species(source, WindowRules(TRAINING_BP, TRAINING_BP // 2, flank_bp=300), 10, tmp_path / "V.alid")
    with pytest.raises(InputError, match=r"manifest\.json: no training windows; bake a train species"):
        count_relatives.main(["--manifests", str(manifest), f"--output={tmp_path / 'x.npz'}"])
    assert not (tmp_path / "x.npz").exists()
    count_relatives.main(["--manifests", str(manifest), str(run.manifest), f"--output={tmp_path / 'x.npz'}"])
    assert load_relatives(tmp_path / "x.npz").names == (SPECIES,)


def test_tables_that_are_there_are_kept(run: ToyRun, tmp_path: Path) -> None:
    """With other flags, and beside what is counted."""
    one, other = tmp_path / "one.npz", tmp_path / "other.npz"
    count_relatives.main(["--manifests", str(run.manifest), f"--output={one}"])
    tables = load_relatives(one)
    save_relatives(other, Relatives(("Other.one",), tables.hexamers, tables.sites, 0.9, 3.0))
    count_relatives.main(["--tables", str(other), f"--output={tmp_path / 'same.npz'}", "--strength=0.2", "--near=3"])
    same = load_relatives(tmp_path / "same.npz")
    assert (same.names, same.strength, same.intron_cost, same.near) == (("Other.one",), 0.2, 0.0, 3)
    words = ["--tables", str(other), "--manifests", str(run.manifest), f"--output={tmp_path / 'both.npz'}"]
    count_relatives.main(words)
    assert load_relatives(tmp_path / "both.npz").names == ("Other.one", SPECIES)
    with pytest.raises(InputError, match=r"--manifests, --tables: nothing is given"):
        count_relatives.main([f"--output={tmp_path / 'none.npz'}"])
    assert not (tmp_path / "none.npz").exists()


def test_an_adaptation_of_nothing_changes_no_byte_but_the_line_that_says_so(
    adapted: Path, crf: Path, fasta: Path, tmp_path: Path
) -> None:
    belongs = load_adaptation(f"{adapted}.adaptation.npz").about
    about = {key: belongs[key] for key in ("model", "clade", "genetic_code")}
    neutral = Adaptation.neutral()
    zeros = Adaptation(neutral.hexamers, neutral.sites, 1.0, 0.0, about | {"adapted": False, "reason": "it is empty"})
    save_adaptation(tmp_path / "zeros.npz", zeros)
    annotated(crf, fasta, tmp_path / "plain")
    annotated(crf, fasta, tmp_path / "zeros", f"--adaptation={tmp_path / 'zeros.npz'}")
    for ending in ENDINGS[1:]:
        assert (tmp_path / f"zeros{ending}").read_bytes() == (tmp_path / f"plain{ending}").read_bytes(), ending
    rows = (tmp_path / "zeros.gff3").read_text().splitlines()
    assert rows.pop(1) == "#!not adapted to this genome: it is empty"
    assert rows == (tmp_path / "plain.gff3").read_text().splitlines()


def test_the_page_says_it(adapted: Path, fasta: Path, tmp_path: Path) -> None:
    summary = json.loads(Path(f"{adapted}.json").read_text())
    write_annotation_page(
        tmp_path / "page.html", title="my", genome_path=fasta, genes=[], lengths={"chr": GENOME_BP}, summary=summary,
        tracks=f"{adapted}.tracks.npz",
    )  # fmt: skip
    assert "adapted to this genome without labels" in (tmp_path / "page.html").read_text()


def test_from_python(adapted: Path, crf: Path, fasta: Path) -> None:
    genes = genet5.annotate(fasta, CLADE, model=crf, adaptation=f"{adapted}.adaptation.npz")
    assert genes == genet5.annotate(fasta, CLADE, model=crf, adapt=True)
    assert genes != genet5.annotate(fasta, CLADE, model=crf)


def test_a_mistake_is_one_line(adapted: Path, crf: Path, fasta: Path, tmp_path: Path) -> None:
    made = f"{adapted}.adaptation.npz"

    def refused(said: str, *more: str) -> None:
        with pytest.raises(InputError, match=said) as error:
            annotated(crf, fasta, tmp_path / "x", *more)
        assert "\n" not in str(error.value)
        assert not list(tmp_path.glob("x*"))

    refused("is given, so none is made; allowed: one of the two", "--adapt", f"--adaptation={made}")
    refused(r"--part: .*make it first, and give --adaptation", "--adapt", "--part=1/2")
    refused("made for genetic_code 11, here it is 4; make it again", f"--adaptation={made}", "--genetic-code=4")
    refused("nothing.npz: cannot be read: No such file", f"--adaptation={tmp_path / 'nothing.npz'}")
    refused("--adapt-bp: found 0, allowed: at least 1", "--adapt", "--adapt-bp=0")
    other = load_adaptation(made)
    wrong = Adaptation(other.hexamers, other.sites, other.strength, 0.0, {**other.about, "model": "another"})
    save_adaptation(tmp_path / "wrong.npz", wrong)
    refused("wrong.npz: made for model another, here it is ", f"--adaptation={tmp_path / 'wrong.npz'}")


def test_the_writer_takes_no_adaptation(fasta: Path) -> None:
    from genet5.annotate.decoders import DecodingOptions, make_decoder
    from genet5.annotate.models import Model
    from genet5.clades import read_clades
    from genet5.crf.config import CrfConfig
    from genet5.crf.model import make_crf

    model = Model(make_crf(CrfConfig(), 0).eval(), object())
    options = DecodingOptions(add=Adaptation.neutral())
    for name in ("viterbi", "expected"):
        assert make_decoder(name, model, read_clades(), CLADE, 11, options).decoder.add is options.add
    with pytest.raises(InputError, match="adapt: the decoder lm takes no adaptation, allowed: viterbi"):
        make_decoder("lm", model, read_clades(), CLADE, 11, options)
