"""What is fuzzed: each reader with a seed, how it is damaged, and what must hold of a file that it accepts."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import mutators
import numpy as np

from genet5.adapt.adaptation import Adaptation, load_adaptation, save_adaptation
from genet5.annotate.calibration_file import load_calibration
from genet5.bake.manifest import read_manifest
from genet5.bake.samples import Sample, SampleGene
from genet5.bake.shards import ShardReader, write_shard
from genet5.clades.clade import read_clade
from genet5.configuration import read_yaml
from genet5.crf.folder import load_weights, read_config
from genet5.files import read_json, resource
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome, decompress_genome
from genet5.genome.genes import Interval
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.writing import write_gff3
from genet5.report.loci import read_tracks
from genet5.report.results import read_log
from genet5.settings.sections import with_defaults
from genet5.species_table import read_species_table
from genet5.tokens.tokenizer import SETTINGS_FILE, GeneTokenizer

CONTIG_BP = 40_000
SEEDS = {"gff3": "S.cerevisiae", "gff3 of plants": "A.thaliana", "gff3 of bacteria": "E.coli"}


class Reader(NamedTuple):
    """seed: the sound file. read: what reads the damaged one in a folder, and asserts what must hold."""

    file: str
    seed: bytes
    mutators: tuple[mutators.Mutator, ...]
    read: Callable[[Path], None]


class MissingData(Exception):
    """The reference data is not there."""


def readers(data: Path, folder: Path) -> dict[str, Reader]:
    """All readers; ``folder`` keeps what they need beside the damaged file. Raises MissingData."""
    return {**_annotations(data, folder), **_own_files(folder)}


def _annotations(data: Path, folder: Path) -> dict[str, Reader]:
    found = {}
    for name, species in SEEDS.items():
        source = data / species
        if not (source / "fna.gz").is_file():
            raise MissingData(f"needs the reference data, not found at {source}: set GENET5_DATA")
        fasta, seqid = _first_contig(source / "fna.gz")
        gff = _rows_of(source / "gff.gz", seqid)
        place = folder / species
        place.mkdir(parents=True, exist_ok=True)
        (place / "fna").write_bytes(fasta)
        genome = Genome(place / "fna")
        code = GeneticCode.from_table(11 if species == "E.coli" else 1)
        found[name] = Reader("a.gff", gff, mutators.TEXT, _annotation_check(genome, code))
        found[f"fasta {species}"] = Reader("a.fa", fasta[:6000], mutators.TEXT, _read_fasta)
    found["fai"] = Reader("g.fna.fai", b"c\t20\t3\t20\t21\nd\t30\t27\t20\t21\n", mutators.TEXT, _read_fai)
    return found


def _first_contig(path: Path) -> tuple[bytes, str]:
    with gzip.open(path) as stream:
        header = stream.readline()
        bases = b""
        while len(bases) < CONTIG_BP:
            bases += stream.readline().strip()
    lines = [bases[at : at + 60] for at in range(0, CONTIG_BP, 60)]
    return header + b"\n".join(lines) + b"\n", header[1:].split()[0].decode()


def _rows_of(path: Path, seqid: str) -> bytes:
    """Rows of the first bases of a contig, sixty at most."""
    kept = [b"##gff-version 3"]
    with gzip.open(path) as stream:
        for line in stream:
            cells = line.rstrip(b"\n").split(b"\t")
            if len(cells) > 8 and cells[0].decode() == seqid and int(cells[4]) <= CONTIG_BP:
                kept.append(line.rstrip(b"\n"))
            if len(kept) > 60:
                break
    return b"\n".join(kept) + b"\n"


def _annotation_check(genome: Genome, code: GeneticCode) -> Callable[[Path], None]:
    def check(path: Path) -> None:
        found = read_annotation(path, genome, code)
        genes = found.genes
        assert len({gene.id for gene in genes}) == len(genes), "gene ids are not unique"
        for gene in genes:
            for transcript in gene.transcripts:
                for start, end in transcript.cds:
                    assert 0 <= start < end <= genome.lengths[gene.seqid], "a CDS beyond its contig"
        written = path.parent / "again.gff3"
        sound = [gene for gene in genes if not gene.flags]
        if sound:
            write_gff3(written, sound, genome.lengths)
            again = read_annotation(written, genome, code)
            assert {gene.canonical.cds for gene in again.genes} == {gene.canonical.cds for gene in sound}, "round trip"

    return check


def _read_fasta(path: Path) -> None:
    lengths = decompress_genome(path, path.parent / "out.fna")
    with Genome(path.parent / "out.fna") as genome:
        assert genome.lengths == lengths, "lengths differ"


def _read_fai(path: Path) -> None:
    fna = path.with_suffix("")
    fna.write_text(">c\n" + "A" * 20 + "\n>d\n" + "C" * 20 + "\n" + "G" * 10 + "\n")
    path.touch()
    with Genome(fna) as genome:
        assert genome.sequence("c") == "A" * 20 and genome.sequence("d") == "C" * 20 + "G" * 10, "other bases"


def _own_files(folder: Path) -> dict[str, Reader]:
    gene = SampleGene("g", "+", (Interval(10, 40),), (0,))
    meta = {"flank5": 3, "flank3": 0, "split": "train"}
    sample = Sample("00000", b"ACGT" * 50, (gene,), (), meta)
    tar = folder / "s.tar"
    shard = write_shard(tar, [sample.to_members()], "train")
    with ShardReader(tar):
        pass
    index = Path(f"{tar}.idx").read_bytes()
    manifest = {
        "format": 1,
        "parameters": {"species": "s", "clade": "fungi", "genetic_code": 1, "split": "train",
                       "validation_regions": "", "test_regions": "", "excluded_regions": ""},
        "counts": {split: {"samples": 1, "empty": 0, "bases": 200} for split in ("train", "validation")},
        "shards": [{**shard._asdict(), "name": "train_000.tar"}],
        "files": {"stats.json": "0" * 64},
    }  # fmt: skip
    save_adaptation(folder / "adaptation.npz", Adaptation.neutral())
    tracks = io.BytesIO()
    np.savez_compressed(tracks, names=np.array(["c:0-4"]), locus_0_coding_plus=np.zeros(4, np.float32))
    GeneTokenizer.build("char", segment_bp=20, max_window_bp=200).save(folder / "tokenizer")
    model = resource("models") / "fungi"
    curve = {"slope": 1.0, "intercept": 0.0, "genes": 60, "exact": 30, "error_before": 0.1, "error_after": 0.1,
             "reason": ""}  # fmt: skip
    calibration = {"weights": "0" * 64, "decoders": {"viterbi": curve}, "regions": {"s": ["c:1-9"]}}
    table = "species\tclade\tgenetic_code\tsplit\tgenome\tannotation\nS.test\tfungi\t1\ttrain\tg.fa\ta.gff\n"
    clade = (resource("clades") / "vertebrate.yaml").read_bytes().partition(b"\nmodel:")[0] + b"\n"

    def same_bases(path: Path) -> None:
        with ShardReader(path) as reader:
            for number in range(len(reader)):
                reader.read(number)
                reader.meta(number), reader.genes(number)

    def index_read(path: Path) -> None:
        path.with_suffix("").write_bytes(tar.read_bytes())
        with ShardReader(path.with_suffix("")) as reader:
            assert reader.read(0) == sample, "other bases"

    def tokenizer_read(path: Path) -> None:
        for name in ("tokenizer.json", SETTINGS_FILE):
            if name != path.name:
                (path.parent / name).write_bytes((folder / "tokenizer" / name).read_bytes())
        GeneTokenizer.load(path.parent)

    def weights_read(path: Path) -> None:
        import torch

        load_weights(torch.nn.Linear(3, 2), path)

    import torch
    from safetensors.torch import save

    weights = save(torch.nn.Linear(3, 2).state_dict())
    as_json = lambda value: json.dumps(value).encode()  # noqa: E731
    return {
        "shard": Reader("s.tar", tar.read_bytes(), mutators.BYTES, same_bases),
        "shard index": Reader("s.tar.idx", index, mutators.BYTES, index_read),
        "manifest": Reader("manifest.json", as_json(manifest), mutators.JSON, read_manifest),
        "adaptation": Reader("a.npz", (folder / "adaptation.npz").read_bytes(), mutators.BYTES, load_adaptation),
        "tracks": Reader("a.tracks.npz", tracks.getvalue(), mutators.BYTES, read_tracks),
        "tokenizer settings": Reader(
            SETTINGS_FILE, (folder / "tokenizer" / SETTINGS_FILE).read_bytes(), mutators.JSON, tokenizer_read
        ),
        "tokenizer": Reader(
            "tokenizer.json", (folder / "tokenizer/tokenizer.json").read_bytes(), mutators.JSON, tokenizer_read
        ),
        "config of a model": Reader(
            "config.json", (model / "config.json").read_bytes(), mutators.JSON, lambda path: read_config(path.parent)
        ),
        "weights": Reader("model.safetensors", weights, mutators.BYTES, weights_read),
        "calibration": Reader(
            "calibration.json",
            as_json(calibration),
            mutators.JSON,
            lambda path: load_calibration(path, path, "viterbi"),
        ),
        "stats": Reader("stats.json", as_json({"genes": {"total": 3}, "bases": 1e6}), mutators.JSON, read_json),
        "log": Reader("log.csv", b"step,loss,elapsed\n1,0.5,2\n2,0.25,4\n", mutators.TEXT, read_log),
        "species table": Reader(
            "species.tsv", table.encode(), mutators.TEXT, lambda path: read_species_table(path, "data", ["fungi"])
        ),
        "clade": Reader("algae.yaml", clade, mutators.YAML, read_clade),
        "configuration": Reader(
            "config.yaml", b"run: a\nsft: {epochs: 3, lr: 1.0e-4}\nstages: [crf, sft]\n", mutators.YAML, _configuration
        ),
    }  # fmt: skip


def _configuration(path: Path) -> None:
    from genet5.clades import read_clades
    from genet5.settings.checks import check_config

    content = read_yaml(path, "--configfile")
    if isinstance(content, dict):  # Snakemake refuses others
        check_config(with_defaults(content), read_clades())
