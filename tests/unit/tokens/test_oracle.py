"""The oracle: a reference written by a perfect predictor scores 1.0 at every level, and damage costs what it must.

Reference genes -> windows -> token ids -> genes -> stitched -> GFF3 -> read as predictions -> scores, for every set of
the reference data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from perfect_predictor import Written, structures, through_gff3, write_windows
from reference_sets import EXPECTED, ReadSet

from genet5.bake.samples import MIN_VISIBLE_BP
from genet5.evaluate.scores import LEVELS, score_annotation
from genet5.genome.genes import Annotation, Gene, Interval, phases_from_lengths
from genet5.tokens.tokenizer import GeneTokenizer

WINDOW_BP, OVERLAP_BP = 120_000, 60_000  # all genes but two human ones are whole in a window of this length
SMALL_BP, SMALL_OVERLAP_BP = 2_400, 1_200  # shorter than half of the genes of most sets
SPLICED = [
    name for name in EXPECTED if name.split("/")[0].split(".gb")[0] not in ("T.brucei", "E.coli", "M.alvi", "Y.pestis")
]
# Twins of other sets (the same genome, or nearly) that need not be cut and damaged too.
TWINS = ("S.cerevisiae.ensembl/gtf.gz", "E.coli/gbk.gz", "M.alvi/gbk.gz", "P.yoelii/gff.gz")
DISTINCT = [name for name in EXPECTED if name not in TWINS]
TOKENIZER = GeneTokenizer.build("kmer", segment_bp=96, max_window_bp=WINDOW_BP)

Predictions = Callable[[str], list[Gene]]


@pytest.fixture(scope="module")
def perfect(read_set, tmp_path_factory) -> Predictions:
    """The predictions for a set, read from the GFF3 of its stitched windows; made once."""
    folder = tmp_path_factory.mktemp("oracle")
    done: dict[str, list[Gene]] = {}

    def predict(name: str) -> list[Gene]:
        if name not in done:
            read = read_set(name)
            written = write_windows(read, WINDOW_BP, OVERLAP_BP, TOKENIZER)
            done[name] = through_gff3(written.result.genes, read, folder / "predicted.gff3")
        return done[name]

    return predict


def features(genes: list[Gene] | tuple[Gene, ...]) -> dict[str, Counter]:
    """Every feature of the canonical transcripts with how often it occurs, written down without the scorer's code."""
    found: dict[str, Counter] = {level: Counter() for level in LEVELS if level != "nucleotide"}
    for gene in genes:
        place, cds = (gene.seqid, gene.strand), gene.canonical.cds
        ends = (cds[0].start, cds[-1].end - 1)
        first, last = ends if gene.strand == "+" else ends[::-1]
        found["exon"].update((*place, *segment) for segment in cds)
        gaps = [(left.end, right.start) for left, right in pairwise(cds)]
        found["intron"].update((*place, *gap) for gap in gaps)
        found["start"][(*place, first)] += 1
        found["stop"][(*place, last)] += 1
        found["transcript"][(*place, cds)] += 1
        found["gene"][(*place, cds)] += 1
    for level in found:
        if level != "gene":  # a feature that several genes share counts once; genes are paired one to one
            found[level] = Counter(set(found[level]))
    return found


def coding_bases(genes: list[Gene] | tuple[Gene, ...], lengths: dict[str, int]) -> np.ndarray:
    """True at every coding base of canonical transcripts; all contigs end to end, + strand first."""
    offset = dict(zip(lengths, np.cumsum([0, *lengths.values()]), strict=False))
    total = sum(lengths.values())
    covered = np.zeros(2 * total, dtype=bool)
    for gene in genes:
        origin = offset[gene.seqid] + (total if gene.strand == "-" else 0)
        for start, end in gene.canonical.cds:
            covered[origin + start : origin + end] = True
    return covered


def level_scores(tp: int, fp: int, fn: int) -> dict:
    """An entry of the report from its counts; undefined ratios are None."""
    precision = tp / (tp + fp) if tp + fp else None
    recall = tp / (tp + fn) if tp + fn else None
    f1 = None if precision is None and recall is None else 2 * tp / (2 * tp + fp + fn)
    ratios = {"precision": precision, "recall": recall, "f1": f1}
    return {"tp": tp, "fp": fp, "fn": fn, "ignored": 0} | {
        key: value if value is None else round(value, 6) for key, value in ratios.items()
    }


def class_scores(found: int, reference: int, right: int, predicted: int) -> dict:
    counts = {"found": found, "reference": reference, "right": right, "predicted": predicted}
    recall, precision = found / reference if reference else None, right / predicted if predicted else None
    f1 = None if recall is None else 2 * precision * recall / (precision + recall) if found else 0.0
    ratios = {"precision": precision, "recall": recall, "f1": f1}
    return counts | {key: value if value is None else round(value, 6) for key, value in ratios.items()}


def levels(report: dict) -> dict:
    return {level: report[level] for level in LEVELS}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_perfect_prediction_scores_one_at_every_level(name: str, read_set, perfect: Predictions) -> None:
    genome, _, annotation = read_set(name)
    predicted = perfect(name)
    assert len(predicted) == EXPECTED[name].sound
    assert structures(predicted) == structures(annotation.trusted)
    report = score_annotation(annotation, predicted, genome.lengths, isoforms="canonical")
    counts = {level: found.total() for level, found in features(annotation.trusted).items()}
    counts["nucleotide"] = int(coding_bases(annotation.trusted, genome.lengths).sum())
    assert levels(report) == {level: level_scores(counts[level], 0, 0) for level in LEVELS}
    assert {level for level in LEVELS if report[level]["f1"] != 1.0} == (set() if name in SPLICED else {"intron"})
    for label, wanted in (("gene_single_exon", False), ("gene_multi_exon", True)):
        number = sum((len(gene.canonical.cds) > 1) == wanted for gene in annotation.trusted)
        assert report[label] == class_scores(number, number, number, number)


@pytest.mark.parametrize("name", EXPECTED)
def test_one_transcript_a_gene_finds_every_gene_and_as_many_isoforms(name: str, read_set, perfect: Predictions) -> None:
    """Against all isoforms precision stays 1.0 and genes are found, but transcripts are only as many as the genes."""
    genome, _, annotation = read_set(name)
    report = score_annotation(annotation, perfect(name), genome.lengths)
    chains = {(g.seqid, g.strand, transcript.cds) for g in annotation.trusted for transcript in g.transcripts}
    written = features(annotation.trusted)["transcript"].total()
    assert report["transcript"] == level_scores(written, 0, len(chains) - written)
    assert report["transcript"]["recall"] == round(written / len(chains), 6)
    assert report["gene"] == level_scores(len(annotation.trusted), 0, 0)


def test_isoforms_that_one_transcript_a_gene_must_miss(read_set, perfect: Predictions) -> None:
    """The number of isoforms as known from the files: 8 human genes have 26, and so on."""
    for name, genes, isoforms in (
        ("H.sapiens/gtf.gz", 8, 26),
        ("D.melanogaster/gff.gz", 77, 148),
        ("C.elegans/gff.gz", 156, 265),
        ("A.thaliana/gff.gz", 342, 418),
        ("P.falciparum/gff.gz", 347, 358),
    ):
        genome, _, annotation = read_set(name)
        report = score_annotation(annotation, perfect(name), genome.lengths)
        assert report["transcript"]["tp"] == genes and report["transcript"]["fn"] == isoforms - genes, name


def can_be_joined(gene: Gene, written: Written, tiles: list[int]) -> bool:
    """Whether the tiles that show enough of a gene to write it form a chain from its first base to its last."""
    showing = []
    for number in tiles:
        tile = written.tiles[number]
        if tile.start <= gene.start and gene.end <= tile.end:
            return True
        segments = gene.canonical.cds
        visible = sum(max(0, min(end, tile.end) - max(start, tile.start)) for start, end in segments)
        if visible >= MIN_VISIBLE_BP:
            showing.append(tile)
    return (
        bool(showing)
        and showing[0].start <= gene.canonical.start
        and showing[-1].end >= gene.canonical.end
        and all(right.start <= left.end for left, right in pairwise(showing))
    )


@pytest.mark.parametrize("name", DISTINCT)
def test_small_windows_lose_only_genes_with_introns_longer_than_their_overlap(name: str, read_set, tmp_path) -> None:
    """Cut into windows of 2.4 kb, a gene comes back exactly or, where a window in between shows none of it, not."""
    read: ReadSet = read_set(name)
    annotation = read.annotation
    written = write_windows(read, SMALL_BP, SMALL_OVERLAP_BP, TOKENIZER)
    numbers: dict[str, list[int]] = {}
    for number, tile in enumerate(written.tiles):
        numbers.setdefault(tile.seqid, []).append(number)
    step = SMALL_BP - SMALL_OVERLAP_BP
    expected = []
    for gene in annotation.trusted:
        members = numbers[gene.seqid]
        first = max(0, (gene.canonical.start - SMALL_BP) // step)
        last = gene.canonical.end // step + 2
        canonical = replace(gene, transcripts=gene.transcripts[:1])
        if can_be_joined(canonical, written, members[first:last] or members[-1:]):
            expected.append(canonical)
        else:
            longest = max(end - start for start, end in canonical.canonical.introns)
            assert longest > SMALL_OVERLAP_BP - 2 * MIN_VISIBLE_BP, gene.id
    predicted = through_gff3(written.result.genes, read, tmp_path / "predicted.gff3")
    assert structures(predicted) == structures(expected)
    assert written.result.counts["joined"] + written.result.counts["complete"] == len(expected)
    report = score_annotation(annotation, predicted, read.genome.lengths, isoforms="canonical", ignore_dont_care=True)
    lost = len(annotation.genes) - len(expected)
    assert report["gene"] == level_scores(len(expected), 0, lost)
    if name not in SPLICED:
        assert len(expected) == EXPECTED[name].sound


# ---------------------------------------------------------------- damage


def moved(gene: Gene, bases: int) -> Gene:
    transcript = gene.canonical
    cds = tuple(Interval(start + bases, end + bases) for start, end in transcript.cds)
    return replace(gene, transcripts=(replace(transcript, cds=cds),))


def flipped(gene: Gene) -> Gene:
    strand = "-" if gene.strand == "+" else "+"
    phases = phases_from_lengths(gene.canonical.cds, strand)
    return replace(gene, strand=strand, transcripts=(replace(gene.canonical, phases=phases),))


def without_exon(gene: Gene, number: int) -> Gene:
    cds = gene.canonical.cds[:number] + gene.canonical.cds[number + 1 :]
    phases = phases_from_lengths(cds, gene.strand)
    return replace(gene, transcripts=(replace(gene.canonical, cds=cds, phases=phases),))


def lonely_gene(genes: list[Gene], exons: int) -> int:
    """The first gene with so many exons that shares no base with another gene of its strand."""
    for number, gene in enumerate(genes):
        rivals = [g for g in genes if (g.seqid, g.strand) == (gene.seqid, gene.strand)]
        if len(gene.canonical.cds) >= exons and sum(g.start < gene.end and g.end > gene.start for g in rivals) == 1:
            return number
    raise AssertionError(f"no gene of {exons} exons stands alone")


def trusted_only(annotation: Annotation) -> Annotation:
    """The reference without flagged genes and don't-care regions, so that every base counts."""
    return Annotation(annotation.trusted, ())


@pytest.mark.parametrize("name", DISTINCT)
@pytest.mark.parametrize("damage", ["shift", "flip"])
def test_genes_shifted_or_on_the_other_strand_score_what_still_coincides(
    name: str, damage: str, read_set, perfect: Predictions
) -> None:
    """tp: what both sides have, as plain sets; fp and fn: the rest of either side."""
    genome, _, annotation = read_set(name)
    reference = trusted_only(annotation)
    damaged = [moved(gene, 1) if damage == "shift" else flipped(gene) for gene in perfect(name)]
    report = score_annotation(reference, damaged, genome.lengths, isoforms="canonical", ignore_dont_care=True)
    truth, made = features(reference.genes), features(damaged)
    expected = {}
    for level in truth:
        shared = (truth[level] & made[level]).total()
        expected[level] = level_scores(shared, made[level].total() - shared, truth[level].total() - shared)
    bases, made_bases = coding_bases(reference.genes, genome.lengths), coding_bases(damaged, genome.lengths)
    right = int((bases & made_bases).sum())
    expected["nucleotide"] = level_scores(right, int(made_bases.sum()) - right, int(bases.sum()) - right)
    assert levels(report) == {level: expected[level] for level in LEVELS}
    assert report["gene"]["f1"] == 0.0
    if damage == "shift":  # every coding stretch loses one base, and none is shorter than that
        assert report["nucleotide"]["f1"] > 0.98


@pytest.mark.parametrize("name", SPLICED)
def test_one_dropped_exon_costs_one_exon_two_introns_and_one_gene(name: str, read_set, perfect: Predictions) -> None:
    genome, _, annotation = read_set(name)
    reference = trusted_only(annotation)
    damaged = list(perfect(name))
    number = lonely_gene(damaged, exons=3)
    dropped = damaged[number].canonical.cds[1].length
    damaged[number] = without_exon(damaged[number], 1)
    report = score_annotation(reference, damaged, genome.lengths, isoforms="canonical", ignore_dont_care=True)
    count = {level: found.total() for level, found in features(reference.genes).items()}
    bases = int(coding_bases(reference.genes, genome.lengths).sum())
    assert levels(report) == {
        "nucleotide": level_scores(bases - dropped, 0, dropped),
        "exon": level_scores(count["exon"] - 1, 0, 1),
        "intron": level_scores(count["intron"] - 2, 1, 2),  # the two beside it become one that is wrong
        "start": level_scores(count["start"], 0, 0),
        "stop": level_scores(count["stop"], 0, 0),
        "transcript": level_scores(count["transcript"] - 1, 1, 1),
        "gene": level_scores(count["gene"] - 1, 1, 1),
    }
    multi = sum(len(gene.canonical.cds) > 1 for gene in reference.genes)
    assert report["gene_multi_exon"] == class_scores(multi - 1, multi, multi - 1, multi)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_gene_predicted_twice_is_right_once_and_wrong_once(name: str, read_set, perfect: Predictions) -> None:
    genome, _, annotation = read_set(name)
    predicted = perfect(name)
    report = score_annotation(
        annotation,
        [*predicted, replace(predicted[0], id="copy")],
        genome.lengths,
        isoforms="canonical",
        ignore_dont_care=True,
    )
    # Flagged genes are ordinary ones here, and missed: sound + flagged = loci.
    sound, loci = EXPECTED[name].sound, EXPECTED[name].loci
    assert report["gene"] == level_scores(sound, 1, loci - sound)
    assert report["transcript"]["fp"] == report["exon"]["fp"] == report["nucleotide"]["fp"] == 0


@pytest.mark.parametrize("damage", ["shift", "flip", "exon", "copy"])
def test_damage_of_631_thale_cress_loci_in_numbers(damage: str, read_set, perfect: Predictions) -> None:
    """One gene per sequence, all on the + strand: 631 genes, 3,076 exons, 2,445 introns, 706,593 coding bases."""
    name = "A.thaliana.hmmstar/gff.gz"
    read = read_set(name)
    genes = perfect(name)
    whole = {
        "nucleotide": (706_593, 0, 0),
        "exon": (3_076, 0, 0),
        "intron": (2_445, 0, 0),
        "start": (631, 0, 0),
        "stop": (631, 0, 0),
        "transcript": (631, 0, 0),
        "gene": (631, 0, 0),
    }
    nothing = {level: (0, count, count) for level, (count, _, _) in whole.items()}
    if damage == "shift":
        # Each of 3,076 exons keeps all but one base and gains one: 706,593 - 3,076 = 703,517.
        damaged, expected = [moved(gene, 1) for gene in genes], nothing | {"nucleotide": (703_517, 3_076, 3_076)}
    elif damage == "flip":
        damaged, expected = [flipped(gene) for gene in genes], nothing
    elif damage == "exon":
        # At1g01040 is the first with three exons; its second, 2023-2137, has 114 bases: 706,593 - 114 = 706,479.
        number = next(number for number, gene in enumerate(genes) if len(gene.canonical.cds) > 2)
        damaged = [*genes[:number], without_exon(genes[number], 1), *genes[number + 1 :]]
        expected = whole | {
            "nucleotide": (706_479, 0, 114),
            "exon": (3_075, 0, 1),
            "intron": (2_443, 1, 2),
            "transcript": (630, 1, 1),
            "gene": (630, 1, 1),
        }
    else:
        damaged, expected = [*genes, genes[0]], whole | {"gene": (631, 1, 0)}
    report = score_annotation(read.annotation, damaged, read.genome.lengths)
    assert levels(report) == {level: level_scores(*counts) for level, counts in expected.items()}
    if damage == "copy":
        assert report["gene"]["precision"] == round(631 / 632, 6) == 0.998418
