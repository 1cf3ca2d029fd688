"""Genomes whose long introns, and the DNA between whose genes, are cut short: for training alone.

One base in a hundred of a vertebrate's genome is coding, so that a window of 24 kb shows hardly one exon. A condensed
genome holds exons with their surroundings and nothing else: the same number of bases shows ten to twenty times as many
exons, splice sites and starts. How far apart these are has to be learnt from whole genomes afterwards.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from genet5.errors import InputError
from genet5.genome.fasta import Genome, write_fasta
from genet5.genome.genes import Annotation, DontCare, Gene, Interval, Region

CONTIG_BP = 200_000  # a contig of pieces is closed once it has so many
LEAST_KEPT_BP = 40  # beside each exon: what splice sites and their branch points need
LEAST_FLANK_BP = 100  # of the option
OUTER = 3  # times as much is kept beside a gene as beside its introns' ends


class _Contig:
    """Pieces of a genome joined in their order; places on them become places on the contig."""

    def __init__(self, name: str) -> None:
        self.name, self.length = name, 0
        self.pieces: list[Region] = []
        self.offsets: list[int] = []

    def add(self, pieces: Iterable[Region]) -> None:
        for piece in pieces:
            self.pieces.append(piece)
            self.offsets.append(self.length)
            self.length += piece.end - piece.start

    def sequence(self, genome: Genome) -> str:
        return "".join(genome.sequence(*piece, keep_case=True) for piece in self.pieces)


def condense_genome(
    genome: Genome,
    annotation: Annotation,
    regions: Sequence[Region],
    kept_bp: int,
    outer_bp: int,
    seed: str,
    fna: Path,
) -> Annotation:
    """Write the surroundings of the genes that lie wholly in ``regions`` to ``fna``; returns the annotation of that.

    kept_bp: bases of an intron that stay on either side of an exon, at most; how many, is drawn each time, so that no
    distance tells where DNA was cut out. outer_bp: the same before and behind a gene. seed: of the draws. Genes with
    flags and genes that a region cuts do not count; they are don't-care where they reach into what is kept. Raises
    InputError where no gene is left.
    """
    draw = random.Random(seed)
    genes_of, unclear_of = defaultdict(list), defaultdict(list)
    for gene in annotation.trusted:
        genes_of[gene.seqid].append(gene)
    for one in annotation.dont_care:
        unclear_of[one.seqid].append(one)
    contigs, genes, dont_care = [], [], []
    for region in regions:
        here = genes_of[region.seqid]
        inside = [gene for gene in here if region.start <= gene.start and gene.end <= region.end]
        if not inside:
            continue
        if not contigs or contigs[-1].length > CONTIG_BP:
            contigs.append(_Contig(f"condensed_{len(contigs) + 1}"))
        contig, first = contigs[-1], len(contigs[-1].pieces)
        contig.add(_pieces(inside, region, kept_bp, outer_bp, draw))
        place = _Place(contig, first)
        genes += [place.gene(one) for one in inside]
        cut = [
            DontCare(gene.seqid, gene.start, gene.end, gene.strand, "cut_by_region")
            for gene in here
            if not (region.start <= gene.start and gene.end <= region.end)
        ]
        for one in (*unclear_of[region.seqid], *cut):
            dont_care += place.dont_care(one)
    if not genes:
        raise InputError(f"{genome.path}: no gene lies wholly in a training region, so nothing is left to condense")
    write_fasta(fna, ((contig.name, contig.sequence(genome)) for contig in contigs))
    return Annotation(tuple(genes), tuple(dont_care), {"genes": len(genes), "genes_sound": len(genes)})


def _pieces(genes: Sequence[Gene], region: Region, kept_bp: int, outer_bp: int, draw: random.Random) -> list[Region]:
    """What is kept of a region, in order: exons of all transcripts with their surroundings, none twice."""
    spans = []
    for gene in genes:
        for transcript in gene.transcripts:
            cds, last = transcript.cds, len(transcript.cds) - 1
            for number, (start, end) in enumerate(cds):
                left = start - draw.randint(LEAST_KEPT_BP, kept_bp if number else outer_bp)
                right = end + draw.randint(LEAST_KEPT_BP, kept_bp if number < last else outer_bp)
                lowest = cds[number - 1].end if number else region.start  # a short intron is kept, and no more
                highest = cds[number + 1].start if number < last else region.end
                spans.append((max(left, lowest), min(right, highest)))
    pieces: list[Region] = []
    for start, end in sorted(spans):
        if pieces and start <= pieces[-1].end:
            pieces[-1] = pieces[-1]._replace(end=max(pieces[-1].end, end))
        else:
            pieces.append(Region(region.seqid, start, end))
    return pieces


class _Place:
    """Where the pieces of a contig from number ``first`` on, which are of one region, have come to lie."""

    def __init__(self, contig: _Contig, first: int) -> None:
        self.contig = contig
        self.pieces, self.offsets = contig.pieces[first:], contig.offsets[first:]
        self.starts = [piece.start for piece in self.pieces]

    def interval(self, start: int, end: int) -> Interval:
        """Of bases that one piece holds."""
        number = bisect_right(self.starts, start) - 1
        shift = self.offsets[number] - self.starts[number]
        return Interval(start + shift, end + shift)

    def gene(self, gene: Gene) -> Gene:
        transcripts = tuple(
            replace(one, cds=tuple(self.interval(*segment) for segment in one.cds)) for one in gene.transcripts
        )
        return replace(gene, seqid=self.contig.name, transcripts=transcripts)

    def dont_care(self, one: DontCare) -> Iterator[DontCare]:
        for piece in self.pieces:
            start, end = max(one.start, piece.start), min(one.end, piece.end)
            if start < end:
                yield one._replace(**dict(zip(("start", "end"), self.interval(start, end), strict=True)),
                                   seqid=self.contig.name)  # fmt: skip
