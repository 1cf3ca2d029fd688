"""A piece of a real bacterial genome, labelled by Prodigal and baked, and a tiny network: a run of seconds."""

from __future__ import annotations

import functools
import gzip
import importlib.resources
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genet5.bake.species import SpeciesSource, bake_species
from genet5.bake.validation import merge_validation
from genet5.bake.windows import WindowRules
from genet5.crf.config import crf_config
from genet5.crf.folder import save_crf
from genet5.crf.model import Crf, make_crf
from genet5.genome.fasta import Genome
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.prodigal import SOURCE, label_genome
from genet5.genome.writing import write_gff3
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.writer.building import new_model, resize_model, save_model

CODE = GeneticCode.from_table(11)
CLADE = "bacteria"
SPECIES = "T.oyus"
WINDOW_BP = 3000
VALIDATION, TEST = "chr:1-9000", "chr:48001-60000"
GENOME_BP = 60_000
SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "num_layers": 1,
    "num_heads": 2,
    "num_kv_heads": 1,
    "feed_forward_size": 32,
    "pointer_size": 16,
}
CRF_SHAPE: dict[str, Any] = {
    "stem_channels": 16,
    "codon_channels": 16,
    "stretch_channels": 16,
    "score_channels": 4,
    "site_channels": 8,
    "stem_dilations": (1,),
    "codon_dilations": (1, 2),
    "stretch_dilations": (1, 2),
}


@functools.cache
def chromosome() -> str:
    """Corynebacterium diphtheriae NCTC 11397, whole, from the files that come with pyrodigal."""
    archive = importlib.resources.files("pyrodigal") / "tests/data/GCF_001457455.1_NCTC11397_genomic.fna.gz"
    return "".join(gzip.decompress(archive.read_bytes()).decode().splitlines()[1:]).upper()


def write_genome(path: Path, start: int = 1_000_000, length_bp: int = GENOME_BP, name: str = "chr") -> Path:
    """A FASTA file of one contig: a piece of the chromosome."""
    bases = chromosome()[start : start + length_bp]
    lines = [bases[at : at + 80] for at in range(0, len(bases), 80)]
    path.write_text(f">{name}\n" + "\n".join(lines) + "\n")
    return path


def make_tokenizer() -> GeneTokenizer:
    return GeneTokenizer.build("kmer", segment_bp=60, max_window_bp=WINDOW_BP)


def toy_crf(seed: int = 1, **overrides: Any) -> Crf:
    """A tiny gene finder with fresh weights."""
    return make_crf(crf_config("demo", CRF_SHAPE | overrides), seed).eval()


def write_crf(folder: Path, seed: int = 1, **overrides: Any) -> Path:
    """Folder of a tiny gene finder with fresh weights."""
    save_crf(toy_crf(seed, **overrides), folder)
    return folder


def write_model(folder: Path, seed: int = 1, crf: Crf | None = None, **overrides: Any) -> Path:
    """Folder of a tiny language model with fresh weights, sized for `make_tokenizer`, around ``crf`` or a fresh one."""
    tokenizer = make_tokenizer()
    model = new_model("demo", tokenizer.dna_only(), crf or toy_crf(seed), seed, SHAPE | overrides)
    save_model(resize_model(model, tokenizer, seed), tokenizer, folder)
    return folder


@dataclass(frozen=True)
class ToyRun:
    """Everything that training and annotation read, laid out as the workflow does for the run ``toy``."""

    folder: Path

    @property
    def genome(self) -> Path:
        return self.folder / "data/raw" / SPECIES / "fna"

    @property
    def annotation(self) -> Path:
        return self.folder / "data/raw" / SPECIES / "gff.gz"

    @property
    def baked(self) -> Path:
        return self.folder / "data/baked/toy"

    @property
    def manifest(self) -> Path:
        return self.baked / SPECIES / "manifest.json"

    @property
    def crf(self) -> Path:
        return self.folder / "data/model/toy/crf"

    @property
    def model(self) -> Path:
        """The language model before its training."""
        return self.folder / "data/model/toy/resized"


def write_run(folder: Path, eval_samples: int = 2) -> ToyRun:
    """Label, bake and merge the genome piece, and make the models."""
    run = ToyRun(folder)
    run.genome.parent.mkdir(parents=True)
    write_genome(run.genome)
    with Genome(run.genome) as opened:
        write_gff3(run.annotation, label_genome(opened, CODE), opened.lengths, source=SOURCE)
    rules = WindowRules(WINDOW_BP, WINDOW_BP // 2, flank_bp=300)
    source = SpeciesSource(SPECIES, run.genome, run.annotation, CODE.table, CLADE, "train", VALIDATION, TEST)
    bake_species(source, rules, 10, run.manifest.parent)
    merge_validation([run.manifest], eval_samples, 1, run.baked)
    write_crf(run.crf)
    write_model(run.model)
    return run
