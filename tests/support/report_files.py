"""A small run on disk for the tests of the report: a genome with known genes, predictions, scores, counts and logs."""

from __future__ import annotations

import base64
import csv
import hashlib
import html.parser
import json
import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from genet5.bake.species import SpeciesSource, bake_species
from genet5.bake.windows import WindowRules
from genet5.evaluate.baselines import run_baseline
from genet5.evaluate.scores import score_annotation
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome, index_genome, write_fasta
from genet5.genome.genes import Gene, Interval, Transcript, phases_from_lengths
from genet5.genome.genetic_code import GeneticCode, reverse_complement
from genet5.genome.writing import write_gff3

SPECIES = "T.toy"
CONTIG = "chr1"
CODE = GeneticCode.from_table(1)
CODONS = ("GCT", "GAA", "CTG", "AAC", "TCC", "GGT", "CAC", "ACC")


def coding_gene(number: int, start: int, exons: list[int], introns: list[int], strand: str) -> tuple[Gene, str]:
    """A sound gene from ``start`` on with these exon and intron lengths (5' to 3'), and its forward bases."""
    source = random.Random(number)
    inner = sum(exons) // 3 - 2
    coding = "ATG" + "".join(source.choice(CODONS) for _ in range(inner)) + "TAA"
    pieces, lengths, taken = [], [], 0
    for index, length in enumerate(exons):
        pieces.append(coding[taken : taken + length])
        lengths.append(length)
        taken += length
        if index < len(introns):
            pieces.append("GT" + "C" * (introns[index] - 4) + "AG")
            lengths.append(introns[index])
    bases = "".join(pieces)
    if strand == "-":
        bases, lengths = reverse_complement(bases), lengths[::-1]
    edges = (start + np.concatenate(([0], np.cumsum(lengths)))).tolist()
    cds = tuple(Interval(edges[index], edges[index + 1]) for index in range(0, len(lengths), 2))
    transcript = Transcript(f"t{number}", cds, phases_from_lengths(cds, strand))
    return Gene(f"gene{number}", CONTIG, strand, (transcript,)), bases


def toy_genes(number: int = 12, spacing_bp: int = 1000) -> tuple[list[Gene], str]:
    """Genes alternately single-exon and with an intron, on alternating strands, and a contig that holds them."""
    genes, contig = [], []
    for index in range(number):
        exons, introns = ([120, 120], [80]) if index % 2 else ([300], [])
        gene, bases = coding_gene(index, index * spacing_bp + 100, exons, introns, "+-"[index // 2 % 2])
        genes.append(gene)
        contig.append("C" * 100 + bases + "C" * (spacing_bp - 100 - len(bases)))
    return genes, "".join(contig)


def changed(gene: Gene, name: str, cds: tuple[tuple[int, int], ...] | None = None, score: float = 0.5) -> Gene:
    """A prediction: the gene under another name, maybe with other coding segments."""
    segments = tuple(Interval(*part) for part in cds) if cds else gene.canonical.cds
    transcript = Transcript(f"{name}.t", segments, phases_from_lengths(segments, gene.strand))
    return Gene(name, gene.seqid, gene.strand, (transcript,), score=score)


@dataclass
class RunFolder:
    """Paths of a run's files, and the arguments of scripts/report.py that name them."""

    root: Path
    genes: list[Gene] = field(default_factory=list)
    predicted: list[Gene] = field(default_factory=list)
    score: dict = field(default_factory=dict)
    flags: dict[str, list[str]] = field(default_factory=dict)

    @property
    def page(self) -> Path:
        return self.root / "report" / "index.html"

    def arguments(self, *without: str) -> list[str]:
        """The command line without some of the flags."""
        words = ["--run", "toy", "--output", str(self.page)]
        for flag, values in self.flags.items():
            if flag not in without:
                words += [flag, *values]
        return words


def toy_run(root: Path) -> RunFolder:
    """Write every kind of file the report reads. Of 12 genes 8 are exact, 2 partial, 2 missed; 1 more is made up."""
    run = RunFolder(root)
    run.genes, contig = toy_genes()
    raw = root / "raw" / SPECIES
    raw.mkdir(parents=True)
    fna, gff = raw / "fna", raw / "gff.gz"
    write_fasta(fna, [(CONTIG, contig)])
    index_genome(fna)
    write_gff3(gff, run.genes, {CONTIG: len(contig)})
    run.predicted = [changed(gene, f"p{index}") for index, gene in enumerate(run.genes[:8])]
    for index in (8, 9):
        first, *others = run.genes[index].canonical.cds
        run.predicted.append(changed(run.genes[index], f"p{index}", ((first.start + 30, first.end), *others)))
    run.predicted.append(changed(run.genes[0], "p99", ((11800, 11950),)))
    _annotation_files(run, len(contig))
    with Genome(fna) as genome:
        _score_files(run, genome, gff)
    baked = root / "baked" / "toy" / SPECIES
    rules = WindowRules(window_bp=2000, stride_bp=1000, flank_bp=100)
    source = SpeciesSource(
        SPECIES, fna, gff, 1, "fungi", "train", validation_regions="", test_regions=f"{CONTIG}:9001-12000"
    )
    bake_species(source, rules, 100, baked)
    _training_files(run)
    settings = {
        "run": "toy",
        "stages": ["sft"],
        "crf": {"size": "demo"},
        "writer": {"size": "toy"},
        "sft": {"lr": 0.002},
    }
    (root / "config.json").write_text(json.dumps(settings))
    (root / "busco" / "toy" / "sft").mkdir(parents=True)
    counts = {"single": 6, "duplicated": 1, "fragmented": 2, "missing": 1, "n": 10, "lineage": "toy_odb10"}
    (root / "busco/toy/sft" / f"{SPECIES}.json").write_text(json.dumps(counts))
    benchmark = root / "benchmark" / "bake_shards" / f"{SPECIES}.tsv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("s\th:m:s\tmax_rss\tcpu_time\n12.5\t0:00:12\t321.0\t24.0\n")
    run.flags |= {
        "--stats": [str(baked / "stats.json")],
        "--manifests": [str(baked / "manifest.json")],
        "--busco": [str(root / "busco/toy/sft" / f"{SPECIES}.json")],
        "--references": [f"{SPECIES}={gff}={fna}=1"],
        "--config": [str(root / "config.json")],
        "--times": [str(benchmark), str(root / "annotation/toy/sft" / f"{SPECIES}.json")],
    }
    return run


def _annotation_files(run: RunFolder, bases: int) -> None:
    folder = run.root / "annotation" / "toy" / "sft"
    folder.mkdir(parents=True)
    write_gff3(folder / f"{SPECIES}.gff3", run.predicted, {CONTIG: bases})
    (folder / f"{SPECIES}.json").write_text(json.dumps({"bases": bases, "cpu_s": 2.5, "wall_s": 1.5}))
    names = [f"{CONTIG}:1000-4000", f"{CONTIG}:8000-12000"]
    arrays = {"names": np.array(names)}
    for index, length in enumerate((3000, 4000)):
        for track in ("coding_plus", "coding_minus", "intron_plus", "intron_minus"):
            arrays[f"locus_{index}_{track}"] = np.linspace(0, 1, length).astype(np.float16)
    np.savez(folder / f"{SPECIES}.tracks.npz", **arrays)
    run.flags["--predictions"] = [str(folder / f"{SPECIES}.gff3")]
    run.flags["--tracks"] = [str(folder / f"{SPECIES}.tracks.npz")]


def _score_files(run: RunFolder, genome: Genome, gff: Path) -> None:
    reference = read_annotation(gff, genome, CODE)
    predicted = {"genet5/sft": (run.predicted, 2.5), "prodigal": (run.predicted[:3], 0.25)}
    predicted["orf_atg"] = (run_baseline("orf_atg", genome, CODE).genes, 0.125)
    systems = {}
    for name, (genes, cpu_s) in predicted.items():
        systems[name] = score_annotation(reference, genes, genome.lengths, bootstrap=50)
        systems[name] |= {"cpu_s": cpu_s, "kb_per_cpu_s": 12 / cpu_s}
    counts = systems["genet5/sft"]["reference"]
    run.score = {"species": SPECIES, "regions": None, "teacher": None, "reference": counts, "systems": systems}
    path = run.root / "score" / "toy" / "sft" / f"{SPECIES}.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(run.score, sort_keys=True))
    run.flags["--scores"] = [str(path)]
    orf = run.root / "orf" / f"{SPECIES}.gff3"
    orf.parent.mkdir()
    write_gff3(orf, predicted["orf_atg"][0], genome.lengths)
    run.flags["--orf-genes"] = [str(orf)]


def _training_files(run: RunFolder) -> None:
    folder = run.root / "model" / "toy" / "sft"
    folder.mkdir(parents=True)
    save_file({"a": np.zeros((10, 20), np.float32), "b": np.zeros(5, np.float32)}, folder / "model.safetensors")
    columns = ("timestamp", "elapsed_s", "epoch", "step", "train_loss", "lm_loss", "val_loss", "lr", "tokens_per_s")
    with (folder / "training_log.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        for step in range(10, 210, 10):
            loss = 3 - step / 100
            validation = loss + 0.1 if step % 50 == 0 else ""
            writer.writerow(["2026-01-01T00:00:00", step / 10, 0, step, loss, loss / 2, validation, 0.001, 1000])
    with (folder / "eval_log.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("timestamp", "epoch", "step", "val_loss", "exon_f1", "gene_f1"))
        for step in (50, 100, 150, 200):
            writer.writerow(["2026-01-01T00:00:00", 0, step, 1.5, step / 250, step / 400])
    run.flags["--training-log"] = [str(folder / "training_log.csv")]
    run.flags["--eval-log"] = [str(folder / "eval_log.csv")]
    run.flags["--model"] = [str(folder / "model.safetensors")]


class Page(html.parser.HTMLParser):
    """A parsed page; raises when a tag is closed that is not open, or one is left open."""

    VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "col"})

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        if self.open:
            raise AssertionError(f"never closed: {self.open}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), tuple(self.open)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise AssertionError(f"</{tag}> at {self.getpos()} closes nothing")

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    @property
    def text(self) -> str:
        """All text but style and script."""
        return "".join(data for parent, data in self.texts if parent not in ("style", "script"))

    def inside(self, parent: str) -> str:
        """All text directly inside elements of one kind."""
        return "".join(data for name, data in self.texts if name == parent)

    def with_class(self, name: str) -> list[tuple[str, dict[str, str | None]]]:
        """Elements that carry a class."""
        return [(tag, attrs) for tag, attrs, _ in self.elements if name in (attrs.get("class") or "").split()]


def check_policy(text: str) -> None:
    """The page's policy allows its own script, by its hash, and no other one."""
    page = Page(text)
    (policy,) = [attrs["content"] for _, attrs, _ in page.elements if attrs.get("http-equiv")]
    directives = dict(part.split(maxsplit=1) for part in policy.split(";"))
    (script,) = [data for parent, data in page.texts if parent == "script"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert directives["script-src"] == f"'sha256-{digest}'"
    assert directives["default-src"] == "'none'"
    # No hash allows what stands in an attribute: such a page would not work.
    assert not [name for _, attrs, _ in page.elements for name in attrs if name.startswith("on")]


def table_cells(text: str, css_class: str) -> list[list[str]]:
    """Text of every row of the first table of a class; what stands in ``<small>`` is left out."""

    class Rows(html.parser.HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.rows: list[list[str]] = []
            self.inside = self.small = self.done = False

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "table" and dict(attrs).get("class") == css_class and not self.done:
                self.inside = True
            if not self.inside:
                return
            if tag == "tr":
                self.rows.append([])
            if tag in ("td", "th"):
                self.rows[-1].append("")
            self.small = self.small or tag == "small"

        def handle_endtag(self, tag: str) -> None:
            if tag == "small":
                self.small = False
            if tag == "table" and self.inside:
                self.inside, self.done = False, True

        def handle_data(self, data: str) -> None:
            if self.inside and not self.small and self.rows and self.rows[-1]:
                self.rows[-1][-1] += data

    rows = Rows()
    rows.feed(text)
    return rows.rows
