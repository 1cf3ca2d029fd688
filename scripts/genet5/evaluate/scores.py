"""Scores of a whole annotation against a reference: precision, recall and F1 at every level, near misses, intervals.

``matching.py`` defines when a feature is right. On top of that:

* **Nucleotide**: bases of the union of all CDS; a base counts once per strand.
* **Don't care**: flagged reference genes, pseudogenes and transposon genes are never missed. Predictions that lie
  mostly on them are ignored, and their number is reported. Their bases do not count at the nucleotide level, unless a
  scored gene has them too. Where a gene has whole isoforms, its cut ones may be predicted but need not be.
  ``ignore_dont_care`` switches this off: flagged genes are then ordinary ones. A normal call reports those scores too
  (``without_dont_care``).
* **Regions**: only genes whole inside a region count. Genes cut by its edge are don't care on both sides.
* **Undefined is None** (JSON null), never a number: precision without predictions, recall without reference features,
  F1 without either. F1 is 0.0 when one side is empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from genet5.errors import InputError
from genet5.evaluate.bootstrap import BLOCK_BP, Blocks, f1_intervals
from genet5.evaluate.features import Axis, Coding, merged_regions
from genet5.evaluate.intervals import (
    IntervalSet,
    contains,
    covered,
    intersect,
    join,
    size,
    subtract,
    union,
)
from genet5.evaluate.matching import (
    FEATURE_LEVELS,
    Booleans,
    Outcome,
    compare_features,
    features_of,
    match_genes,
    number_chains,
    running_segment_bp,
)
from genet5.evaluate.near_misses import exon_ladder, gene_ladder
from genet5.genome.genes import Annotation, Gene, Region

LEVELS = ("nucleotide", *FEATURE_LEVELS, "gene")
CLASS_LEVELS = ("gene_single_exon", "gene_multi_exon")
BOOTSTRAP_LEVELS = ("nucleotide", "exon", "stop", "gene")
ISOFORMS = ("all", "canonical")


def score_annotation(
    reference: Annotation,
    predicted: Sequence[Gene],
    lengths: Mapping[str, int],
    *,
    regions: Sequence[Region] | None = None,
    ignore_dont_care: bool = False,
    isoforms: str = "all",
    bootstrap: int = 0,
    seed: int = 0,
    block_bp: Sequence[int] = BLOCK_BP,
) -> dict:
    """Score predicted genes (all of their transcripts) against a reference annotation.

    ``lengths`` maps every sequence of the genome to its bases. ``isoforms="canonical"`` reduces both sides to the first
    transcript of each gene. ``bootstrap`` is the number of resampled genomes (0: no intervals).

    Returns a dict: one entry per level of ``LEVELS`` with tp, fp, fn, ignored, precision, recall, f1 (nucleotide:
    bases); ``gene_single_exon`` and ``gene_multi_exon`` (recall by the reference gene's class, precision by the
    predicted gene's); ``near_misses``; ``reference`` and ``predicted`` counts; ``without_dont_care`` (levels only)
    unless ``ignore_dont_care``; ``bootstrap`` when asked for. Raises InputError for predictions on sequences the
    genome does not have, an unknown ``isoforms`` and an empty list of regions.
    """
    if isoforms not in ISOFORMS:
        raise InputError(f"isoforms: {isoforms!r}; allowed: {', '.join(ISOFORMS)}")
    if regions is not None and not regions:
        raise InputError("regions: an empty list, so there is nothing to score; leave regions out for the whole genome")
    unknown = {gene.seqid for gene in predicted} - set(lengths)
    if unknown:
        raise InputError(
            f"prediction: {len(unknown)} sequence name(s) the genome does not have, such as {min(unknown)!r} "
            f"(the genome has {', '.join(list(lengths)[:4])}{', ...' if len(lengths) > 4 else ''})"
        )
    if regions is None:
        regions = [Region(name, 0, length) for name, length in lengths.items()]
    areas = merged_regions(regions, lengths)
    axis = Axis(lengths)
    comparison = _Comparison.of(
        reference, predicted, axis, areas, canonical_only=isoforms == "canonical", spare=not ignore_dont_care
    )
    outcomes = comparison.outcomes()
    report = comparison.level_scores(outcomes) | {
        "isoforms": isoforms,
        "near_misses": comparison.near_misses(axis),
        "reference": comparison.reference_counts,
        "predicted": comparison.predicted_counts,
    }
    if not ignore_dont_care:
        plain = _Comparison.of(reference, predicted, axis, areas, canonical_only=isoforms == "canonical", spare=False)
        report["without_dont_care"] = plain.level_scores(plain.outcomes())
    if bootstrap:
        report["bootstrap"] = _intervals(outcomes, comparison, Blocks.cut(axis, areas, block_bp), bootstrap, seed)
    return report


def ratio_scores(found: int, reference: int, right: int, predicted: int) -> dict[str, float | None]:
    """Precision, recall and F1 from matched and total counts of either side; None where undefined."""
    recall = found / reference if reference else None
    precision = right / predicted if predicted else None
    if recall is None and precision is None:
        f1 = None
    elif not recall or not precision:
        f1 = 0.0
    else:
        f1 = 2 * precision * recall / (precision + recall)
    values = {"precision": precision, "recall": recall, "f1": f1}
    return {name: value if value is None else round(value, 6) for name, value in values.items()}


@dataclass(frozen=True)
class _Comparison:
    """Reference and predictions as arrays, who takes part, and the gene pairs."""

    reference: Coding
    predicted: Coding
    scored: Booleans
    """Per reference gene: missing it counts."""
    required: Booleans
    """Per reference transcript: missing it counts."""
    spared: IntervalSet
    chain_ids: tuple[np.ndarray, np.ndarray]
    partner: np.ndarray
    """Per predicted gene: the scored reference gene it is paired with, or -1."""
    found: Booleans
    ignored: Booleans
    reference_counts: dict
    predicted_counts: dict

    @staticmethod
    def of(
        annotation: Annotation,
        genes: Sequence[Gene],
        axis: Axis,
        areas: Sequence[Region],
        *,
        canonical_only: bool,
        spare: bool,
    ) -> _Comparison:
        area_set = axis.both_strands(areas)
        known = [gene for gene in annotation.genes if gene.seqid in axis.lengths]
        known, cut_reference = _inside(known, axis, area_set, canonical_only)
        kept, cut_predicted = _inside(genes, axis, area_set, canonical_only)
        reference = Coding.of([*known, *cut_reference], axis, canonical_only=canonical_only)
        predicted = Coding.of(kept, axis, canonical_only=canonical_only)
        scored = np.array([not (spare and gene.flags) for gene in known] + [False] * len(cut_reference), bool)
        required = scored[reference.gene]
        if spare:
            has_whole = np.zeros(len(scored), bool)
            has_whole[reference.gene[reference.complete]] = True
            required &= reference.complete | ~has_whole[reference.gene]
        on_required = required[reference.transcript]
        of_scored = scored[reference.gene][reference.transcript]
        needed = union(reference.start[on_required], reference.end[on_required])
        optional = union(reference.start[of_scored], reference.end[of_scored])
        others = union(reference.start[~of_scored], reference.end[~of_scored])
        spared = join(others, optional)
        if spare:
            spared = join(spared, axis.dont_care(annotation.dont_care))
        spared = subtract(spared, needed)
        chain_ids = number_chains(reference, predicted)
        on_scored = scored[reference.gene]
        match = match_genes(chain_ids[0][on_scored], reference.gene[on_scored], chain_ids[1], predicted.gene)
        found = np.zeros(len(scored), bool)
        found[: len(match.of_reference)] = match.of_reference >= 0
        ignored = _ignored_genes(predicted, spared, np.isin(chain_ids[1], chain_ids[0][~on_scored]))
        ignored &= match.of_predicted < 0
        multi = reference.multi_exon
        flagged = sum(bool(gene.flags) for gene in known)
        return _Comparison(
            reference,
            predicted,
            scored,
            required,
            spared,
            chain_ids,
            match.of_predicted,
            found,
            ignored,
            reference_counts={
                "genes": int(scored.sum()),
                "genes_single_exon": int((scored & ~multi).sum()),
                "genes_multi_exon": int((scored & multi).sum()),
                "transcripts": int(required.sum()),
                "transcripts_optional": int((scored[reference.gene] & ~required).sum()),
                "genes_flagged": flagged,
                "genes_cut_by_region": len(cut_reference),
                "dont_care_bp": size(intersect(spared, area_set)),
                "scored_bp": sum(region.end - region.start for region in areas),
            },
            predicted_counts={
                "genes": len(kept),
                "genes_single_exon": int((~predicted.multi_exon).sum()),
                "genes_multi_exon": int(predicted.multi_exon.sum()),
                "transcripts": len(predicted.chains),
                "genes_cut_by_region": len(cut_predicted),
                "genes_outside_regions": len(genes) - len(kept) - len(cut_predicted),
            },
        )

    def outcomes(self) -> dict[str, Outcome]:
        """Positions of right, wrong and missed features of every feature level and of genes."""
        segment_bp = running_segment_bp(self.predicted, self.spared)
        result = {}
        for level in FEATURE_LEVELS:
            truth = features_of(self.reference, level, self.chain_ids[0])
            made = features_of(self.predicted, level, self.chain_ids[1])
            result[level] = compare_features(truth, self.required[truth.transcript], made, segment_bp)
        position = self.reference.gene_position()
        wrong = (self.partner < 0) & ~self.ignored
        result["gene"] = Outcome(
            tp=position[self.found],
            fp=self.predicted.gene_position()[wrong],
            fn=position[self.scored & ~self.found],
            ignored=int(self.ignored.sum()),
        )
        return result

    def base_sets(self) -> tuple[IntervalSet, IntervalSet, IntervalSet]:
        """Right, wrong and missed bases, don't-care bases left out."""
        on_required = self.required[self.reference.transcript]
        truth = subtract(union(self.reference.start[on_required], self.reference.end[on_required]), self.spared)
        made = subtract(union(self.predicted.start, self.predicted.end), self.spared)
        return intersect(truth, made), subtract(made, truth), subtract(truth, made)

    def level_scores(self, outcomes: Mapping[str, Outcome]) -> dict:
        """The score entry of every level and class."""
        right, wrong, missed = (size(bases) for bases in self.base_sets())
        spared_bp = size(intersect(union(self.predicted.start, self.predicted.end), self.spared))
        report = {"nucleotide": _level(right, wrong, missed, spared_bp)}
        for level, outcome in outcomes.items():
            report[level] = _level(len(outcome.tp), len(outcome.fp), len(outcome.fn), outcome.ignored)
        for name, multi in zip(CLASS_LEVELS, (False, True), strict=True):
            truth = self.scored & (self.reference.multi_exon == multi)
            made = (self.predicted.multi_exon == multi) & ~self.ignored
            counts = {
                "found": int((truth & self.found).sum()),
                "reference": int(truth.sum()),
                "right": int((made & (self.partner >= 0)).sum()),
                "predicted": int(made.sum()),
            }
            report[name] = counts | ratio_scores(*counts.values())
        return report

    def near_misses(self, axis: Axis) -> dict:
        """The ladders of ``near_misses.py`` over what is scored and not ignored."""
        counted = ~self.ignored
        return {
            "gene": gene_ladder(self.reference, self.predicted, self.scored, counted, self.partner >= 0),
            "exon": exon_ladder(
                self.reference,
                self.predicted,
                self.required[self.reference.transcript],
                counted[self.predicted.gene][self.predicted.transcript],
                axis,
            ),
        }


def _level(tp: int, fp: int, fn: int, ignored: int) -> dict:
    counts = {"tp": tp, "fp": fp, "fn": fn, "ignored": ignored}
    return counts | ratio_scores(tp, tp + fn, tp, tp + fp)


def _inside(
    genes: Sequence[Gene], axis: Axis, areas: IntervalSet, canonical_only: bool
) -> tuple[list[Gene], list[Gene]]:
    """Genes whole inside one of the areas, and genes cut by an edge of one."""
    spans = [
        (axis.origin(gene.seqid, gene.strand),)
        + ((gene.transcripts[0].start, gene.transcripts[0].end) if canonical_only else (gene.start, gene.end))
        for gene in genes
    ]
    columns = np.array(spans, np.int64).reshape(-1, 3)
    starts, ends = columns[:, 0] + columns[:, 1], columns[:, 0] + columns[:, 2]
    whole = contains(areas, starts, ends)
    cut = ~whole & (covered(areas, starts, ends) > 0)
    return [genes[index] for index in np.flatnonzero(whole)], [genes[index] for index in np.flatnonzero(cut)]


def _ignored_genes(predicted: Coding, spared: IntervalSet, as_unscored: Booleans) -> Booleans:
    """Predicted genes mostly on spared bases, or with a transcript equal to one that is not scored."""
    all_bp, spared_bp = running_segment_bp(predicted, spared)
    per_transcript = [total[predicted.last + 1] - total[predicted.first] for total in (all_bp, spared_bp)]
    whole, inside = (np.bincount(predicted.gene, bases, len(predicted.genes)) for bases in per_transcript)
    ignored = 2 * inside > whole
    ignored[predicted.gene[as_unscored]] = True
    return ignored


def _intervals(
    outcomes: Mapping[str, Outcome], comparison: _Comparison, blocks: Blocks, resamples: int, seed: int
) -> dict:
    counts = {level: tuple(blocks.count(part) for part in outcomes[level][:3]) for level in BOOTSTRAP_LEVELS[1:]}
    counts["nucleotide"] = tuple(blocks.count_bases(part) for part in comparison.base_sets())
    return f1_intervals(counts, blocks, resamples, seed)
