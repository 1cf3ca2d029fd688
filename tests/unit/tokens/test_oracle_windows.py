"""The oracle of training data: baked windows hold every gene exactly, and the grammar lets the genes be written."""

from __future__ import annotations

import gzip
import shutil
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from perfect_predictor import reference_genes, through_tokens
from reference_sets import EXPECTED, ReadSet

from genet5.annotate.tiling import tile_region
from genet5.bake.manifest import shard_paths
from genet5.bake.samples import Sample, SampleGene, clip_gene, window_genes
from genet5.bake.shards import ShardSet
from genet5.bake.species import SpeciesSource, bake_species, plan_split, split_samples
from genet5.bake.windows import AnnotationIndex, SpanIndex, WindowRules
from genet5.clades import Clade, read_clades
from genet5.genome.genes import Interval, Region
from genet5.genome.window_genes import WindowGene, gene_order_key
from genet5.tokens.codec import encode_genes
from genet5.tokens.grammars import Grammars
from genet5.tokens.tokenizer import GeneTokenizer

TOKENIZER = GeneTokenizer.build("kmer", segment_bp=96, max_window_bp=45_000)
CLADE_OF = {
    "S.cerevisiae": "fungi",
    "S.pombe": "fungi",
    "A.thaliana": "plant",
    "C.elegans": "invertebrate",
    "D.melanogaster": "invertebrate",
    "H.sapiens": "vertebrate",
    "P.falciparum": "protist",
    "P.yoelii": "protist",
    "P.knowlesi": "protist",
    "P.vivax": "protist",
    "T.brucei": "protist",
    "T.thermophila": "protist",
    "E.coli": "bacteria",
    "M.alvi": "bacteria",
    "Y.pestis": "bacteria",
}


def clade_of(name: str) -> str:
    return CLADE_OF[".".join(name.split("/")[0].split(".")[:2])]


@pytest.fixture(scope="module")
def clades() -> dict[str, Clade]:
    """As shipped."""
    return read_clades()


@pytest.fixture(scope="module")
def windows_bp(clades: dict[str, Clade]) -> dict[str, dict[str, int]]:
    """``window_bp`` and ``stride_bp`` of each clade, as shipped."""
    return {name: {"window_bp": clade.window_bp, "stride_bp": clade.stride_bp} for name, clade in clades.items()}


# ---------------------------------------------------------------- bake


def whole_genes(samples: Iterator[Sample]) -> set[tuple]:
    """Genes that a sample's core shows whole, on the contig, after ids; checks each sample on the way."""
    found = set()
    for sample in samples:
        start, end = sample.core
        shown, _ = window_genes(sample, start, end)
        decoded = through_tokens(shown, end - start, TOKENIZER)
        assert decoded == shown
        meta = sample.meta
        assert (len(decoded), sum(gene.partial5 or gene.partial3 for gene in decoded)) == (
            meta["num_genes"],
            meta["num_partial"],
        )
        for gene in decoded:
            if not (gene.partial5 or gene.partial3):
                cds = tuple(Interval(left + meta["start"], right + meta["start"]) for left, right in gene.cds)
                found.add((meta["seqid"], gene.strand, cds))
    return found


def fitting_genes(read: ReadSet, window_bp: int) -> set[tuple]:
    return {
        (gene.seqid, gene.strand, gene.canonical.cds)
        for gene in read.annotation.trusted
        if gene.canonical.end - gene.canonical.start <= window_bp
    }


@pytest.mark.parametrize("name", EXPECTED)
def test_every_gene_that_fits_comes_back_whole_from_a_window(name: str, read_set, windows_bp) -> None:
    """Windows of the clade's length, as bake_shards plans them; samples through the members of a shard."""
    read: ReadSet = read_set(name)
    clade = clade_of(name)
    rules = WindowRules(**windows_bp[clade], flank_bp=0, empty_share=0.0)
    regions = tuple(Region(seqid, 0, length) for seqid, length in read.genome.lengths.items() if length)
    content = plan_split("train", regions, AnnotationIndex(read.annotation), read.genome, rules)
    source = SpeciesSource("S.et", Path(), Path(), read.code.table, clade, "train")
    samples = (
        Sample.from_members(sample.to_members()) for sample in split_samples(source, "train", content, read.genome)
    )
    assert whole_genes(samples) == fitting_genes(read, rules.window_bp)


@pytest.mark.parametrize("name", ["Y.pestis/gbk.gz", "M.alvi/gff.gz", "H.sapiens/gtf.gz", "A.thaliana/gff.gz"])
def test_genes_come_back_from_shards_on_disk(name: str, read_set, shared_data: Path, windows_bp, tmp_path) -> None:
    read: ReadSet = read_set(name)
    clade = clade_of(name)
    genome, annotation = tmp_path / "fna", tmp_path / "annotation"
    shutil.copyfile(read.genome.path, genome)
    annotation.write_bytes(gzip.decompress((shared_data / name).read_bytes()))
    rules = WindowRules(**windows_bp[clade], flank_bp=500)
    source = SpeciesSource("S.et", genome, annotation, read.code.table, clade, "train")
    manifest = bake_species(source, rules, 40, tmp_path / "baked")
    with ShardSet(shard_paths(manifest, "train")) as shards:
        found = whole_genes(shards.read(number) for number in range(len(shards)))
    assert found == fitting_genes(read, rules.window_bp)


# ---------------------------------------------------------------- grammar

JUDGED = 60  # about so many genes of a set with introns are tried, evenly spread: their windows are slow to read

# Genes tried, and how many of them the shipped rules refuse, by reason; wider rules may refuse fewer.
# Of all genes whole in a window they accept, in %: S.cerevisiae 99.5, its Ensembl twin 98.3 (dubious genes that overlap
# others), S.pombe 99.9, P.falciparum 100 and 98.6 (isoforms given as genes), P.yoelii 99.6, P.knowlesi 99.8, P.vivax
# 99.4, A.thaliana and C.elegans.apc 100, D.melanogaster 99.6 to 100, T.thermophila 93.6 (structures from alignments).
REFUSED: dict[str, tuple[int, dict[str, int]]] = {
    "S.cerevisiae/gff.gz": (64, {"overlap": 1}),
    "S.cerevisiae.ensembl/gtf.gz": (65, {"overlap": 2}),
    "A.thaliana/gff.gz": (56, {}),
    "C.elegans/gff.gz": (76, {}),
    "D.melanogaster/gff.gz": (64, {}),
    "D.melanogaster.chr2L/genes.gb.train.gz": (66, {}),
    "D.melanogaster.chr2L/genes.gb.test.gz": (97, {}),
    "H.sapiens/gtf.gz": (4, {}),
    "P.falciparum/gff.gz": (75, {}),
    "T.brucei/gff.gz": (68, {}),
    "E.coli/gff.gz": (4284, {"gene length": 80, "overlap": 14, "start codon": 6}),
    "E.coli/gbk.gz": (4136, {"gene length": 30, "overlap": 12, "start codon": 4}),
    "M.alvi/gff.gz": (671, {"start codon": 9}),  # ATA, ATC, ATT, TTA
    "M.alvi/gbk.gz": (671, {"start codon": 9}),
    "Y.pestis/gbk.gz": (10, {}),
    "S.pombe/gff.gz": (53, {"splice sites": 1}),
    "P.falciparum.chr3-12/gff.gz": (52, {}),
    "P.yoelii/gff.gz": (69, {"splice sites": 1, "split start codon": 1}),
    "P.knowlesi/gff.gz": (54, {}),
    "P.vivax/gff.gz": (70, {}),
    "H.sapiens.clones/gff.gz": (95, {"splice sites": 5, "overlap": 1}),
    "A.thaliana.hmmstar/gff.gz": (64, {}),
    "C.elegans.apc/gff.gz": (62, {}),
    "D.melanogaster.chr2R/genes.gb.train.gz": (68, {"intron length": 1}),
    "D.melanogaster.chr2R/genes.gb.test.gz": (96, {}),
    "T.thermophila/genes.gb.gz": (63, {"splice sites": 3}),
}


def reason(gene: WindowGene, bases: str, grammar, written: list[WindowGene]) -> str:
    """Why the rules refuse a gene, found without the automaton.

    ``reading on``: an exon that, read past its donor, would run into a gene already written.
    """
    rules = grammar.rules
    sites = grammar.sites(bases).strand(gene.strand)
    size = len(bases)
    cds = gene.cds if gene.strand == "+" else [Interval(size - e, size - s) for s, e in reversed(gene.cds)]
    if cds[0].length < 3:
        return "split start codon"
    if not sites.start[cds[0].start]:
        return "start codon"
    for left, right in pairwise(cds):
        if not rules.min_intron_bp <= right.start - left.end <= rules.max_intron_bp:
            return "intron length"
        pairs = zip(sites.donors, sites.acceptors, strict=True)
        if not any(donors[left.end] and acceptors[right.start] for donors, acceptors in pairs):
            return "splice sites"
    if sum(segment.length for segment in cds) < rules.min_gene_bp:
        return "gene length"
    for other in written:
        if other.strand == gene.strand:
            shared = (min(e, f) - max(s, t) for s, e in gene.cds for t, f in other.cds)
            if max(shared) > rules.max_overlap_bp:
                return "overlap"
    return "reading on"


def judge_windows(name: str, read: ReadSet, grammar, window_bp: int, stride_bp: int) -> tuple[int, Counter]:
    """Genes written token by token, and those the grammar refuses by reason; each in the first window that holds it."""
    windows: list[tuple[str, int, int, list[SampleGene]]] = []
    for seqid, genes in reference_genes(read.annotation).items():
        index = SpanIndex((gene.start for gene in genes), (gene.end for gene in genes))
        length = read.genome.lengths[seqid]
        for tile in tile_region(Region(seqid, 0, length), length, window_bp, window_bp - stride_bp):
            near = [genes[number] for number in index.overlapping(tile.start, tile.end)]
            whole = [gene for gene in near if gene.start >= tile.start and gene.end <= tile.end]
            if whole:
                windows.append((seqid, tile.start, tile.end, whole))
    if grammar.rules.splice_pairs:
        genes_in_all = sum(len(whole) for *_, whole in windows)
        windows = windows[:: max(1, genes_in_all // JUDGED)]
    judged, refused, seen = 0, Counter(), set()
    for seqid, start, end, whole in windows:
        bases = read.genome.sequence(seqid, start, end)
        cursor = grammar.begin(grammar.sites(bases))
        written: list[WindowGene] = []
        shown = {clip_gene(gene, start, end): gene.id for gene in whole}
        for gene in sorted(shown, key=gene_order_key):
            violations = cursor.violations
            for token in encode_genes([gene], end - start, TOKENIZER)[:-1].tolist():
                cursor.advance(token, force=True)
            if shown[gene] not in seen:
                judged += 1
                if cursor.violations > violations:
                    refused[reason(gene, bases, grammar, written)] += 1
            seen.add(shown[gene])
            written.append(gene)
    return judged, refused


@pytest.mark.parametrize("name", EXPECTED)
def test_the_grammar_accepts_the_genes_of_its_clade(name: str, read_set, windows_bp, clades) -> None:
    read: ReadSet = read_set(name)
    clade = clade_of(name)
    grammar = Grammars(TOKENIZER, clades).of(clade, read.code.table)
    judged, refused = judge_windows(name, read, grammar, **windows_bp[clade])
    tried, known = REFUSED[name]
    assert judged == tried
    assert not refused - Counter(known)
