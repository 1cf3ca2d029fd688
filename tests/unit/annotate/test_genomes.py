"""Annotating a genome: one result for every batch size, unknown DNA skipped, and files that are checked."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from annotate_toy_genome import toy_rules, train_tiny_model, write_three_contigs
from toy_bacterium import CLADE, CODE, WINDOW_BP

import annotate_genome
import ship_model
from genet5.annotate.calibration import Calibration
from genet5.annotate.calibration_file import write_calibration
from genet5.annotate.decoders import DECODERS, Decoder, DecodingOptions, make_decoder
from genet5.annotate.genomes import GenomeAnnotation, Tiling, annotate_regions
from genet5.annotate.models import Model, load_annotator
from genet5.annotate.run import Annotated, write_annotation
from genet5.clades import read_clades
from genet5.crf.folder import load_crf, save_crf
from genet5.crf.model import score_codes, window_codes
from genet5.errors import InputError
from genet5.genome.fasta import Genome
from genet5.genome.genes import Gene, Interval, Region, Transcript
from genet5.genome.sites import WindowSites

pytestmark = pytest.mark.usefixtures("one_thread")

OVERLAP_BP = 1000


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny_model(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def crf_folder(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CRF of the same model, by itself."""
    folder = tmp_path_factory.mktemp("crf")
    save_crf(load_annotator(model_folder).crf, folder)
    return folder


@pytest.fixture(scope="module")
def model(model_folder: Path) -> Model:
    return load_annotator(model_folder)


def decoder_of(model: Model, name: str, beam_width: int = 1, precision: str = "auto") -> Decoder:
    return make_decoder(name, model, read_clades(), CLADE, CODE.table, DecodingOptions(beam_width, precision))


def annotate(decoder: Decoder, genome: Genome, regions: list[Region], batch_size: int = 8) -> GenomeAnnotation:
    tiling = Tiling(WINDOW_BP, OVERLAP_BP, batch_size)
    return annotate_regions(decoder, toy_rules(), genome, regions, CODE, tiling)


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    return write_three_contigs(tmp_path_factory.mktemp("genome"))


def whole(genome: Genome) -> list[Region]:
    return [Region(name, 0, length) for name, length in genome.lengths.items()]


@pytest.fixture(scope="module")
def annotated(model: Model, genome: Genome) -> Callable[[str, int], GenomeAnnotation]:
    """The annotation of the whole genome with a decoder and a batch size; made once."""
    done: dict[tuple[str, int], GenomeAnnotation] = {}

    def annotate_once(decoder: str, batch_size: int) -> GenomeAnnotation:
        if (decoder, batch_size) not in done:
            done[decoder, batch_size] = annotate(decoder_of(model, decoder), genome, whole(genome), batch_size)
        return done[decoder, batch_size]

    return annotate_once


# ---------------------------------------------------------------- the result


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_result_is_the_same_for_every_batch_size(decoder: str, annotated) -> None:
    one = annotated(decoder, 1)
    assert {gene.strand for gene in one.genes} == {"+", "-"} and len(one.genes) > 5
    for batch_size in (3, 8):
        other = annotated(decoder, batch_size)
        assert [replace(gene, score=0) for gene in other.genes] == [replace(gene, score=0) for gene in one.genes]
        # A score close to the middle between two of its last decimals may round to either.
        assert [gene.score for gene in other.genes] == pytest.approx([gene.score for gene in one.genes], abs=1.1e-3)
        assert (other.counts, other.bases) == (one.counts, one.bases)


@pytest.mark.parametrize("decoder", DECODERS)
def test_genes_have_ids_in_genomic_order_and_scores_that_are_probabilities(decoder: str, annotated) -> None:
    genes = annotated(decoder, 3).genes
    for seqid in ("long", "short"):
        members = [gene for gene in genes if gene.seqid == seqid]
        assert [gene.id for gene in members] == [f"{seqid}.g{number:05d}" for number in range(1, len(members) + 1)]
        assert [gene.start for gene in members] == sorted(gene.start for gene in members)
    assert all(0.0 <= gene.score <= 1.0 for gene in genes)


@pytest.mark.parametrize("decoder", DECODERS)
def test_tiles_of_unknown_bases_are_skipped_and_counted(decoder: str, annotated) -> None:
    """38,500 bp: 19 tiles; 1,500: 1; 7,200: 4 of 2,550, unknown but for 600 bases of the last one (24 %, a tenth is
    enough)."""
    found = annotated(decoder, 3)
    assert (found.counts["tiles"], found.counts["tiles_unknown"]) == (24, 3)
    assert found.bases == 38_500 + 1_500 + 7_200
    assert all(gene.start >= 6_590 for gene in found.genes if gene.seqid == "unknown")


def test_a_beam_writes_the_same_for_every_batch_size_and_not_what_greedy_does(model: Model, genome: Genome) -> None:
    found = []
    for batch_size, width in ((1, 3), (4, 3), (4, 1)):
        regions = [Region("long", 0, 15_000)]
        found.append(annotate(decoder_of(model, "lm", width), genome, regions, batch_size))
    assert found[0].genes == found[1].genes and found[0].counts == found[1].counts
    assert found[0].genes and found[0].genes != found[2].genes


def test_a_genome_of_unknown_bases_has_no_genes(model: Model, tmp_path: Path) -> None:
    (tmp_path / "n.fna").write_text(">n\n" + "N" * 7000 + "\n")
    genome = Genome(tmp_path / "n.fna")
    result = annotate(decoder_of(model, "lm"), genome, whole(genome), 4)
    assert result.genes == [] and result.counts["tiles"] == result.counts["tiles_unknown"] == 3


def test_dna_between_long_gaps_is_decoded(model: Model, genome: Genome, tmp_path: Path) -> None:
    """200 known bases of a window of 3,000 are enough for a gene."""
    island = genome.sequence("long", 1_000, 1_200)
    (tmp_path / "gaps.fna").write_text(">gaps\n" + "N" * 6000 + island + "N" * 6000 + "\n")
    with Genome(tmp_path / "gaps.fna") as gaps:
        counts = annotate(decoder_of(model, "viterbi"), gaps, whole(gaps), 4).counts
    assert counts["tiles"] - counts["tiles_unknown"] == 2  # 4000-7000 and 6000-9000


def test_only_the_regions_asked_for_are_annotated(model: Model, genome: Genome) -> None:
    regions = [Region("long", 5_000, 9_000), Region("long", 20_000, 22_000)]
    result = annotate(decoder_of(model, "viterbi"), genome, regions, 4)
    assert result.bases == 6_000 and result.counts["tiles"] == 3 and result.genes
    assert all(any(start <= gene.start and gene.end <= end for _, start, end in regions) for gene in result.genes)


def test_progress_is_a_line_at_each_tenth_in_a_log(model: Model, genome: Genome, capsys) -> None:
    annotate(decoder_of(model, "viterbi"), genome, [Region("long", 0, 38_500)], 1)
    lines = capsys.readouterr().out.splitlines()
    done = [int(line.split("/19 tiles, ")[0].removeprefix("annotated ")) for line in lines]
    # Tenths of 19: 1.9, 3.8, ..., 19; the first window that passes each.
    assert done == [2, 4, 6, 8, 10, 12, 14, 16, 18, 19]
    assert all(" kb/s, " in line and line.endswith(" s left") for line in lines) and lines[-1].endswith(" 0 s left")


def test_progress_tells_new_bases_in_a_second(model: Model, genome: Genome, capsys, monkeypatch) -> None:
    """A tile in each second; what tiles share is not counted twice."""
    clock = itertools.count()
    monkeypatch.setattr("genet5.annotate.genomes.time", SimpleNamespace(monotonic=lambda: next(clock)))
    annotate(decoder_of(model, "viterbi"), genome, [Region("long", 0, 38_500)], 1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"annotated 2/19 tiles, {(WINDOW_BP - OVERLAP_BP) / 1000:.0f} kb/s, 17 s left"


@pytest.mark.parametrize("batch_size", [3, 8, 50])
def test_progress_of_batches_shows_each_tenth_that_is_passed(model: Model, genome: Genome, capsys, batch_size) -> None:
    """Also where the last tiles are unknown, and belong to no batch."""
    regions = [Region("long", 0, 38_500), Region("unknown", 0, 5_000)]
    annotate(decoder_of(model, "viterbi"), genome, regions, batch_size)
    lines = capsys.readouterr().out.splitlines()
    done = [int(line.split("/21 tiles, ")[0].removeprefix("annotated ")) for line in lines]
    assert done == {3: [3, 6, 9, 12, 15, 18, 21], 8: [8, 16, 21], 50: [21]}[batch_size]


# ---------------------------------------------------------------- files


def arguments(folder: Path, opened: Genome, prefix: Path, **changed: object) -> list[str]:
    flags = {
        "model": folder,
        "genome": opened.path,
        "genetic-code": 11,
        "clade": CLADE,
        "decoder": "lm",
        "regions": "long:1-9000,short",
        "window-bp": WINDOW_BP,
        "overlap-bp": OVERLAP_BP,
        "track-loci": 8,
        "output-prefix": prefix,
    }
    flags |= {name.replace("_", "-"): value for name, value in changed.items()}
    return [f"--{name}={value}" for name, value in flags.items()]


def test_the_script_writes_the_same_bytes_for_every_batch_size(
    model_folder: Path, genome: Genome, tmp_path: Path, capsys
) -> None:
    for size in (1, 8):
        (tmp_path / f"{size}").mkdir()
        annotate_genome.main(arguments(model_folder, genome, tmp_path / f"{size}/my", batch_size=size))
    names = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert names == ["my.cds.fna", "my.faa", "my.gff3", "my.json", "my.tracks.npz"]
    for name in ("my.cds.fna", "my.faa", "my.gff3"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "8" / name).read_bytes() != b""
    summary = json.loads((tmp_path / "1/my.json").read_text())
    genes = (tmp_path / "1/my.gff3").read_text().count("\tgene\t")
    assert summary["bases"] == 10_500 and summary["counts"]["genes"] == genes > 0
    assert summary["options"]["clade"] == CLADE and summary["options"]["batch_size"] == 1
    assert f"{genes} genes in 0.01 Mb" in capsys.readouterr().out
    with np.load(tmp_path / "1/my.tracks.npz") as tracks:
        assert len(tracks["names"]) == 2 and len(tracks["locus_1_coding_minus"]) > 0


def test_min_confidence_leaves_out_exactly_the_genes_below_it(
    model_folder: Path, genome: Genome, tmp_path: Path
) -> None:
    """With a slope of 1/2 and no intercept, odds are rooted: p becomes 1 / (1 + sqrt((1 - p) / p))."""
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    curve = Calibration(0.5, 0.0, genes=100, exact=50)
    write_calibration(folder / "calibration.json", folder / "model.safetensors", {"viterbi": curve}, {}, {})
    shown = {}
    for name, where in (("raw", model_folder), ("all", folder), ("some", folder)):
        least = sorted(shown["all"].values())[2] if name == "some" else 0
        prefix = tmp_path / name
        changed = {"decoder": "viterbi", "min_confidence": least, "regions": "long"}
        annotate_genome.main(arguments(where, genome, prefix, **changed))
        rows = [line.split("\t") for line in prefix.with_suffix(".gff3").read_text().splitlines() if "\tgene\t" in line]
        shown[name] = {row[8].split(";")[0]: float(row[5]) for row in rows}
        summary = json.loads(prefix.with_suffix(".json").read_text())
        assert summary["calibrated"] == (where == folder) and summary["options"]["min_confidence"] == least
        assert summary["counts"]["below_min_confidence"] == len(shown["raw"]) - len(rows)
    for gene, value in shown["raw"].items():
        if 0.01 < value < 0.99:
            assert shown["all"][gene] == pytest.approx(1 / (1 + np.sqrt((1 - value) / value)), abs=0.006)
    assert shown["some"] == {gene: value for gene, value in shown["all"].items() if value >= least}
    assert 0 < len(shown["some"]) < len(shown["all"]) == len(shown["raw"])


def wrong_gene(genome: Genome) -> Gene:
    """A gene that cannot be: it neither starts nor ends as one, and is cut nowhere."""
    bases = genome.sequence("long", 0, 30_000)
    start = next(at for at in range(30_000) if bases[at : at + 3] == "AAA" and bases[at + 27 : at + 30] == "AAA")
    return Gene("bad", "long", "+", (Transcript("bad.t1", (Interval(start, start + 30),), (0,)),), score=0.5)


def found(genes: list[Gene]) -> Annotated:
    return Annotated(genes, {"options": {"genetic_code": CODE.table}})


def test_nothing_is_left_when_the_written_genes_cannot_be_right(genome: Genome, annotated, tmp_path: Path) -> None:
    genes = annotated("viterbi", 3).genes
    bad = wrong_gene(genome)
    with pytest.raises(InputError, match="bad") as error:
        write_annotation(tmp_path / "my", found([*genes, bad]), genome)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
    write_annotation(tmp_path / "my", found(genes), genome)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my.cds.fna", "my.faa", "my.gff3", "my.json"]


def test_a_gene_without_the_end_it_claims_is_refused(genome: Genome, annotated, tmp_path: Path) -> None:
    """The last codon dropped: no stop is left."""
    genes = list(annotated("viterbi", 3).genes)
    number, gene = next(
        (n, g) for n, g in enumerate(genes) if g.strand == "+" and g.canonical.complete3 and g.canonical.length > 60
    )
    (segment,) = gene.canonical.cds
    shorter = replace(gene.canonical, cds=(Interval(segment.start, segment.end - 3),))
    genes[number] = replace(gene, transcripts=(shorter,))
    with pytest.raises(InputError, match=gene.id):
        write_annotation(tmp_path / "my", found(genes), genome)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"window_bp": 3001}, "window_bp: 3001, the model writes windows of at most 3000"),
        (
            {"overlap_bp": 3000},
            "overlap_bp 3000 with window_bp 3000: the overlap of windows must be 0 or more and short",
        ),
        ({"batch_size": 0}, "--batch-size: found 0, allowed: at least 1"),
        ({"beam_width": 0}, "--beam-width: found 0, allowed: at least 1"),
        ({"track_loci": -1}, "--track-loci: -1, must be at least 0"),
        ({"min_confidence": 1.5}, "--min-confidence: found 1.5, allowed: at least 0 and at most 1"),
        ({"min_confidence": -0.1}, "--min-confidence: found -0.1, allowed: at least 0 and"),
        ({"min_confidence": "nan"}, "--min-confidence: found nan, allowed: at least 0 and"),
        ({"min_confidence": 0.5}, "min_confidence: 0.5, but scores are not calibrated, so only 0 is allowed ("),
        ({"clade": "lichen"}, "--clade: no clade 'lichen'"),
        (
            {"genetic_code": 1},
            "bacteria.yaml, key rules.starts: GTG is no start codon of genetic code 1, allowed: ATG, ",
        ),
        ({"genetic_code": 99}, "99"),
        ({"decoder": "viterbi", "batch_size": 0}, "--batch-size: found 0, allowed: at least 1"),
        ({"regions": "long:1-90000"}, "regions"),
        ({"regions": "chrX"}, "chrX"),
        ({"model": "absent"}, "absent/config.json: cannot be read: No such file"),
        ({"genome": "absent.fna"}, "absent.fna"),
        ({"clade_folder": "absent"}, "absent: no clade here"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    changed: dict, message: str, model_folder: Path, genome: Genome, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as error:
        annotate_genome.main(arguments(model_folder, genome, tmp_path / "my", **changed))
    assert message in str(error.value) and "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_the_script_ends_with_status_1_and_the_line(
    model_folder: Path, genome: Genome, repository: Path, tmp_path: Path
) -> None:
    result = subprocess.run(
        [
            sys.executable,
            repository / "scripts/annotate_genome.py",
            *arguments(model_folder, genome, tmp_path / "my", window_bp=5_000),
        ],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "error: window_bp: 5000, the model writes windows of at most 3000"
    assert "Traceback" not in result.stderr and list(tmp_path.iterdir()) == []


# -------------------------------------------------------------------- precision, and models that are shipped


def test_the_crf_may_compute_in_half_precision_and_says_what_it_found_in_full(model: Model, genome: Genome) -> None:
    codes = window_codes([WindowSites(genome.sequence("long", 0, 3000), toy_rules())])
    exact, rounded = (score_codes(model.crf, codes, precision) for precision in ("fp32", "bf16"))
    for name in ("features", "class_logits", "potentials", "site_potentials"):
        full, half = getattr(exact, name), getattr(rounded, name)
        assert full.dtype == half.dtype == torch.float32
        assert not torch.equal(full, half)
        assert (full - half).abs().max() < 0.1 * full.abs().max()


def test_a_shipped_model_is_half_as_large_and_finds_the_same(crf_folder: Path, genome: Genome, tmp_path: Path) -> None:
    folder = tmp_path / "bacteria"
    ship_model.main([f"--model={crf_folder}", f"--output-dir={folder}"])
    sizes = [(path / "model.safetensors").stat().st_size for path in (crf_folder, folder)]
    assert sizes[1] < 0.6 * sizes[0]
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    regions = [Region("long", 0, 9000)]
    found = [
        annotate(decoder_of(Model(load_crf(one)), "viterbi", precision="fp32"), genome, regions).genes
        for one in (crf_folder, folder)
    ]
    assert found[0]
    assert [gene.canonical.cds for gene in found[0]] == [gene.canonical.cds for gene in found[1]]


def test_a_language_model_is_not_shipped(model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.json: model_type 'genet5', must be 'genet5_crf'"):
        ship_model.main([f"--model={model_folder}", f"--output-dir={tmp_path / 'shipped'}"])
    assert not (tmp_path / "shipped").exists()


def test_a_crf_alone_finds_what_it_finds_within_a_language_model(
    model_folder: Path, crf_folder: Path, genome: Genome, tmp_path: Path
) -> None:
    for name, folder in (("within", model_folder), ("alone", crf_folder)):
        annotate_genome.main(arguments(folder, genome, tmp_path / name, decoder="viterbi"))
    for suffix in ("gff3", "faa", "cds.fna"):
        assert (tmp_path / f"within.{suffix}").read_bytes() == (tmp_path / f"alone.{suffix}").read_bytes() != b""
    with np.load(tmp_path / "within.tracks.npz") as one, np.load(tmp_path / "alone.tracks.npz") as other:
        assert one.files == other.files and all(np.array_equal(one[name], other[name]) for name in one.files)


def test_a_crf_alone_reads_windows_of_any_length(crf_folder: Path, genome: Genome, tmp_path: Path) -> None:
    annotate_genome.main(
        arguments(crf_folder, genome, tmp_path / "my", decoder="viterbi", window_bp=9_000, regions="long")
    )
    assert json.loads((tmp_path / "my.json").read_text())["options"]["window_bp"] == 9_000
