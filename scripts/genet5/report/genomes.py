"""What the report needs of a genome: reference and predictions compared, sanity checks, and the loci to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genet5.clades import Clade
from genet5.errors import InputError
from genet5.evaluate.sanity import Check, compare, gene_set_shape, inside, scored_bases
from genet5.evaluate.verdicts import WRONG, judge
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome
from genet5.genome.genes import Annotation, Gene, Region
from genet5.genome.genetic_code import GeneticCode
from genet5.report.browser import GeneTrack
from genet5.report.confidence import confidence_curve, confidence_dial, with_scores
from genet5.report.loci import Locus, choose_loci, read_tracks
from genet5.report.scoreboard import system_label

NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class ReferenceFiles:
    """Where a species' genome and (unless it is new) annotation lie, and its genetic code."""

    species: str
    annotation: str | None
    genome: str
    genetic_code: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """One predicted gene set compared with the reference: its checks and the tracks and loci to draw.

    ``tracks`` are reference (if there is one), prediction and baseline (if given), in this order. ``known``: reference
    genes that could be found.
    """

    species: str
    stage: str
    has_reference: bool
    checks: tuple[Check, ...]
    tracks: tuple[GeneTrack, ...]
    loci: tuple[Locus, ...]
    known: int = 0

    @property
    def confidence(self) -> list[tuple[float, float, int]]:
        """Share of exact genes by score (``confidence_curve``); empty without a reference."""
        return confidence_curve(self.tracks[1].genes, self.tracks[1].verdicts) if self.has_reference else []

    @property
    def dial(self) -> list[tuple[float, float, float]]:
        """Precision and recall by least score (``confidence_dial``); empty without a reference."""
        return confidence_dial(self.tracks[1].genes, self.tracks[1].verdicts, self.known) if self.has_reference else []


def parse_reference(text: str) -> ReferenceFiles:
    """``species=annotation=genome=code``; an empty annotation is a genome without reference."""
    fields = text.split("=")
    if len(fields) != 4 or not fields[0] or not fields[2] or not fields[3].isdecimal():
        raise InputError(
            f"--references: found {text!r}, expected species=annotation=genome=code, such as S.pombe=gff.gz=fna=1"
        )
    return ReferenceFiles(fields[0], fields[1] or None, fields[2], int(fields[3]))


def study_species(
    files: ReferenceFiles,
    predictions: Sequence[tuple[str, str | Path, str | Path | None]],
    regions: Sequence[Region] | None,
    clade: Clade | None,
    baseline: str | Path | None = None,
    teacher: str | None = None,
) -> list[Prediction]:
    """Compare the predictions of one species with its reference.

    ``predictions`` are (stage, GFF3, .npz of the CRF's probabilities or None); ``regions`` limits it to the
    scored part; ``baseline`` is a GFF3 drawn beside the others; ``teacher`` names the program that made the reference.
    """
    code = GeneticCode.from_table(files.genetic_code)
    genome = Genome(files.genome)
    try:
        reference = read_annotation(files.annotation, genome, code) if files.annotation else Annotation((), ())
        others = read_annotation(baseline, genome, code, predicted=True).genes if baseline else ()
        bases = scored_bases(genome.lengths, regions)
        known = inside([gene for gene in reference.genes if not gene.flags], regions)
        expected = gene_set_shape(known, genome, bases) if files.annotation else None
        studied = []
        for stage, path, tracks in predictions:
            saved = _saved_loci(tracks, genome) if tracks else []
            genes = with_scores(read_annotation(path, genome, code, predicted=True).genes, path)
            shape = gene_set_shape(inside(genes, regions), genome, bases)
            studied.append(
                Prediction(
                    files.species,
                    stage,
                    files.annotation is not None,
                    tuple(compare(shape, expected, clade and clade.name, clade and clade.genes_per_mb)),
                    *_drawing(
                        files, stage, reference, genes, others, saved, regions or _whole(genome.lengths), teacher
                    ),
                    known=len(known),
                )
            )
        return studied
    finally:
        genome.close()


def _drawing(
    files: ReferenceFiles,
    stage: str,
    reference: Annotation,
    genes: Sequence[Gene],
    others: Sequence[Gene],
    saved: Sequence[Locus],
    regions: Sequence[Region],
    teacher: str | None,
) -> tuple[tuple[GeneTrack, ...], tuple[Locus, ...]]:
    """Gene tracks with their verdicts, and the loci: those with saved tracks, else chosen ones."""
    ours = f"GeneT5 {stage}"
    baseline = (GeneTrack("ORF scan", others, [NEUTRAL] * len(others)),) if others else ()
    if files.annotation is None:
        tracks = (GeneTrack(ours, genes, [NEUTRAL] * len(genes)), *baseline)
        as_known = Annotation(tuple(genes), ())
        chosen = choose_loci(as_known, (), ([WRONG] * len(genes), []), regions)[:1]
        return tracks, tuple(saved) or tuple(Locus(locus.region, "a typical stretch", {}) for locus in chosen)
    of_reference, of_predicted = judge(reference, genes)
    name = "Reference" if teacher is None else f"Teacher ({system_label(teacher)})"
    tracks = (GeneTrack(name, reference.genes, of_reference), GeneTrack(ours, genes, of_predicted))
    if baseline:
        tracks += (GeneTrack("ORF scan", others, judge(reference, others)[1]),)
    return tracks, tuple(saved) or tuple(choose_loci(reference, genes, (of_reference, of_predicted), regions))


def _saved_loci(tracks: str | Path, genome: Genome) -> list[Locus]:
    loci = read_tracks(tracks)
    for region in (locus.region for locus in loci):
        if region.end > genome.lengths.get(region.seqid, 0):
            raise InputError(f"{tracks}: locus {region.seqid}:{region.start}-{region.end} is not in {genome.path}")
    return loci


def _whole(lengths: Mapping[str, int]) -> list[Region]:
    return [Region(name, 0, length) for name, length in lengths.items()]
