"""The page of one annotated genome: its genes, whether they look right, a few loci, and how they were found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from genet5 import __version__
from genet5.adapt.adaptation import adaptation_line
from genet5.annotate.stitching import COUNTS
from genet5.clades import Clade, read_clades
from genet5.configuration import AUTO
from genet5.evaluate.sanity import DENSITY, Check, GeneSetShape, compare, gene_set_shape
from genet5.files import atomic_write
from genet5.genome.fasta import Genome
from genet5.genome.genes import Gene
from genet5.report.browser import GeneTrack, locus_figure
from genet5.report.checks import check_cell, check_value
from genet5.report.figures import histogram, legend
from genet5.report.hints import evidence_section, hint_keys
from genet5.report.loci import overlapping, read_tracks
from genet5.report.markup import Markup, tag
from genet5.report.numbers import bases, count, counted, percent, seconds, significant
from genet5.report.provenance import pairs_table
from genet5.report.shell import absent, card, heading, signed, tile, title_block, whole_page

HIGH_CONFIDENCE, MIDDLE_CONFIDENCE = 0.8, 0.5
MOST_CONTIGS = 20
MOST_EXONS = 10
LENGTHS_BP = (300, 600, 900, 1200, 1500, 2000, 3000, 5000)
OPTION_NAMES = {
    "clade": "Clade",
    "genetic_code": "Genetic code",
    "decoder": "Decoder",
    "window_bp": "Bases in a window",
    "overlap_bp": "Bases that windows share",
    "batch_size": "Windows at a time",
    "beam_width": "Beam width",
    "precision": "Precision of numbers",
    "min_confidence": "Lowest confidence kept",
    "hint_weight": "Weight of hints",
}
STEP_NAMES = COUNTS | {
    "tiles": "windows",
    "tiles_unknown": "windows without a known base",
    "sequences_truncated": "windows whose written genes were cut for their length",
    "below_min_confidence": "genes left out for a low confidence",
    "genes": "genes in the files",
}
_ADVICE_FEW = "Check the clade, the genetic code and the assembly."
FILES = (
    ("gff3", "genes with their coding segments and scores"),
    ("faa", "proteins"),
    ("cds.fna", "coding sequences"),
    ("json", "counts, times and options"),
    ("tracks.npz", "CRF scores of the loci on this page"),
)


def write_annotation_page(
    path: str | Path,
    *,
    title: str,
    genome_path: str | Path,
    genes: Sequence[Gene],
    lengths: Mapping[str, int],
    summary: Mapping[str, Any],
    tracks: str | Path,
    clade_folder: str | Path = "",
) -> None:
    """Write one HTML page that needs no network.

    lengths: bases by contig. summary: as ``annotate.run`` writes it to ``{prefix}.json``. tracks: the .npz with the CRF
    scores of the loci to draw. clade_folder: clades of the user's own. Raises ``InputError`` for a broken file.
    """
    with Genome(genome_path) as genome:
        shape = gene_set_shape(genes, genome, summary["bases"])
    clade = read_clades(clade_folder).get(summary["options"]["clade"])
    alarm = density_alarm(shape, clade, summary["counts"].get("below_min_confidence", 0))
    # The density is judged by the clade, above.
    checks = [check for check in compare(shape, None) if check.name != DENSITY]
    alarms = [*([alarm] if alarm else []), *(f"{check.name}: {check.alarm}" for check in checks if check.alarm)]
    sections = (
        ("genes", "Genes", _genes_section(genes, shape, checks, clade, alarm, summary)),
        ("contigs", "Contigs", _contigs_section(genes, lengths, summary["bases"])),
        *((("evidence", "Evidence", evidence_section(summary["evidence"])),) if "evidence" in summary else ()),
        ("loci", "Loci", _loci_section(title, genes, summary["calibrated"], tracks)),
        ("method", "Method", _method_section(title, summary)),
    )
    page = whole_page(
        f"{title} · GeneT5",
        title_block("GeneT5 annotation", title, _sentences(genes, lengths, summary), _facts(lengths, summary)),
        (_banner(alarms, shape, clade), _tiles(genes, shape, clade, summary["calibrated"])),
        sections,
        f"GeneT5 annotation of {title}. This page needs no network; print it or send it as it is.",
    )
    with atomic_write(path) as stream:
        stream.write(page)


def density_alarm(shape: GeneSetShape, clade: Clade | None, left_out: int = 0) -> str | None:
    """What to say of a gene density that is unusual in the clade; None for a usual one, or an unknown clade.

    Few genes are expected in a short sequence, so chance may bring fewer or more: twice the square root is allowed.
    """
    if clade is None:
        return None
    least, most = (limit * shape.bases / 1e6 for limit in clade.genes_per_mb)
    if least - 2 * least**0.5 <= shape.genes <= most + 2 * most**0.5:
        return None
    many = shape.genes > most
    advice = "Check the clade and the genetic code, and mask repeats." if many else _ADVICE_FEW
    if left_out and not many:
        advice = f"min_confidence left out {counted(left_out, 'gene')}. {advice}"
    return (
        f"Gene density is too {'high' if many else 'low'}: {significant(shape.genes_per_mb)} genes per Mb. "
        f"Genomes of {clade.name} usually have {_usual(clade)}. {advice}"
    )


def _usual(clade: Clade) -> str:
    return "{:g} to {:g}".format(*clade.genes_per_mb)


def _expected_right(genes: Sequence[Gene]) -> float:
    """The sum of probabilities is the number of genes to expect right."""
    return sum(gene.score or 0.0 for gene in genes)


def _sentences(genes: Sequence[Gene], lengths: Mapping[str, int], summary: Mapping[str, Any]) -> list[str]:
    whole = sum(lengths.values())
    where = bases(summary["bases"]) + (f" of a genome of {bases(whole)}" if summary["bases"] < whole else "")
    told = [f"GeneT5 found {counted(len(genes), 'protein-coding gene')} in {where}."]
    if genes and summary["calibrated"]:
        told.append(
            f"By their confidence, about {count(_expected_right(genes))} of them are right to the base. "
            "This holds for genomes that resemble the training species."
        )
    return told


def _facts(lengths: Mapping[str, int], summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    options = summary["options"]
    return [
        ("bases", bases(summary["bases"])),
        ("contigs", count(len(lengths))),
        ("clade", str(options["clade"])),
        ("genetic code", str(options["genetic_code"])),
        ("decoder", str(options["decoder"])),
        ("time", seconds(summary["wall_s"])),
        ("GeneT5", __version__),
    ]


def _banner(alarms: Sequence[str], shape: GeneSetShape, clade: Clade | None) -> Markup:
    if alarms:
        return signed("bad", "Do not trust these genes before you have looked", alarms, None)
    if clade is None:
        return signed(
            "unknown", "Gene density was not checked", [], "The clade is not known here, so its usual density is not."
        )
    said = f"{significant(shape.genes_per_mb)} genes per Mb; genomes of {clade.name} usually have {_usual(clade)}."
    return signed("good", "Gene density is usual", [], said)


def _tiles(genes: Sequence[Gene], shape: GeneSetShape, clade: Clade | None, calibrated: bool) -> Markup:
    usual = f"{clade.name}: usually {_usual(clade)}" if clade else None
    exons = [(count(shape.single_exon), "single-exon"), (count(shape.multi_exon), "multi-exon")]
    tiles = [
        tile(
            "Genes",
            [(count(shape.genes), "protein-coding"), (count(shape.partial_genes), "of them partial")],
            f"median {count(shape.median_cds_bp)} coding bases",
        ),
        tile("Density", [(significant(shape.genes_per_mb), "genes per Mb")], usual),
        tile("Exons", exons, f"{counted(shape.introns, 'intron')} in all"),
    ]
    if genes and calibrated:
        sure = sum((gene.score or 0.0) >= HIGH_CONFIDENCE for gene in genes)
        share = percent(_expected_right(genes) / len(genes), 0)
        below = f"{counted(sure, 'gene')} with {100 * HIGH_CONFIDENCE:g} % or more"
        tiles.append(tile("Confidence", [(share, "expected right to the base")], below))
    return tag("div", tiles, class_="tiles")


def _genes_section(
    genes: Sequence[Gene],
    shape: GeneSetShape,
    checks: Sequence[Check],
    clade: Clade | None,
    alarm: str | None,
    summary: Mapping[str, Any],
) -> list[Markup]:
    content = heading("genes", "Genes", "What the gene set looks like. Red cells are unusual.")
    density = Check(DENSITY, shape.genes_per_mb, clade and clade.genes_per_mb, "number", alarm and "unusual")
    numbers = (
        ("Genes", shape.genes),
        ("Single-exon genes", shape.single_exon),
        ("Multi-exon genes", shape.multi_exon),
        ("Introns in a multi-exon gene", shape.introns / shape.multi_exon if shape.multi_exon else None),
        ("Median coding length (bp)", shape.median_cds_bp if shape.genes else None),
    )
    found = [Check(name, value, None, "number", None) for name, value in numbers]
    rows = [
        tag(
            "tr",
            tag("th", check.name, scope="row"),
            check_cell(check),
            tag("td", check_value(check, check.expected) if check.expected else ""),
        )
        for check in (density, *found, *checks)
        if check.predicted is not None
    ]
    head = [tag("th", name, scope="col") for name in ("", "Found", "Usual in the clade")]
    table = tag("table", tag("thead", tag("tr", head)), tag("tbody", rows), class_="checks")
    content.append(card("Gene set", "", tag("div", table, class_="scroll")))
    if genes:
        charts = [_confidence(genes)] if summary["calibrated"] else []
        content.append(
            card("Shapes", "", tag("div", [*charts, _exons(genes), _coding_lengths(genes)], class_="charts"))
        )
        if not summary["calibrated"]:
            content.append(absent("The scores of this model are not calibrated, so they are no probabilities."))
    return content


def _bars(names: Sequence[str], places: Sequence[int]) -> list[tuple[str, float]]:
    numbers = Counter(places)
    return [(name, numbers[place]) for place, name in enumerate(names)]


def _figure(title: str, note: str, bars: Sequence[tuple[str, float]]) -> Markup:
    return tag("figure", tag("figcaption", f"{title} ", tag("span", note)), histogram(bars, title))


def _confidence(genes: Sequence[Gene]) -> Markup:
    names = [f"{10 * tenth}–{10 * tenth + 10}" for tenth in range(10)]
    places = [min(int(10 * (gene.score or 0.0)), 9) for gene in genes]
    return _figure("Genes by confidence", "probability in % that a gene is right to the base", _bars(names, places))


def _exons(genes: Sequence[Gene]) -> Markup:
    names = [*(str(number) for number in range(1, MOST_EXONS)), f"{MOST_EXONS}+"]
    places = [min(len(gene.canonical.cds), MOST_EXONS) - 1 for gene in genes]
    return _figure("Genes by number of exons", "coding exons alone", _bars(names, places))


def _coding_lengths(genes: Sequence[Gene]) -> Markup:
    edges = ("0", *(f"{length / 1000:g}" for length in LENGTHS_BP))
    names = [*(f"{low}–{high}" for low, high in pairwise(edges)), f"{edges[-1]}+"]
    places = np.searchsorted(LENGTHS_BP, [gene.canonical.length for gene in genes], side="right").tolist()
    return _figure("Genes by coding length", "kb, without introns", _bars(names, places))


def _contigs_section(genes: Sequence[Gene], lengths: Mapping[str, int], annotated: int) -> list[Markup]:
    content = heading("contigs", "Contigs", "The longest first. Organelles and plasmids often differ from the rest.")
    found = Counter(gene.seqid for gene in genes)
    whole = annotated == sum(lengths.values())
    names = sorted(lengths, key=lambda name: (-lengths[name], name))
    rows = [(name, lengths[name], found[name]) for name in names[:MOST_CONTIGS]]
    rest = names[MOST_CONTIGS:]
    if rest:
        rows.append(
            (f"{count(len(rest))} more", sum(lengths[name] for name in rest), sum(found[name] for name in rest))
        )
    body = [
        tag(
            "tr",
            tag("th", name, scope="row"),
            tag("td", bases(length)),
            tag("td", count(number)),
            tag("td", significant(1e6 * number / length)) if whole else None,
        )
        for name, length, number in rows
    ]
    columns = ["Contig", "Bases", "Genes", *(["Genes per Mb"] if whole else [])]
    head = [tag("th", name, scope="col", class_="text" if name == "Contig" else None) for name in columns]
    table = tag("table", tag("thead", tag("tr", head)), tag("tbody", body), class_="checks")
    note = "" if whole else f"only {bases(annotated)} were annotated"
    return [*content, card("Contigs", note, tag("div", table, class_="scroll"))]


def _loci_section(title: str, genes: Sequence[Gene], calibrated: bool, tracks: str | Path) -> list[Markup]:
    text = (
        "A few stretches, evenly spread. Boxes are coding exons, and arrows show the strand. Below are the CRF's "
        "probabilities. Rest the pointer on a gene for its name and confidence."
    )
    content = heading("loci", "Loci", text)
    loci = read_tracks(tracks)
    if not loci:
        return [*content, absent("No loci were drawn: ask for some with --track-loci.")]
    track = GeneTrack("Genes", genes, [_tone(gene, calibrated) for gene in genes])
    keys = [("coding probability (+ strand up, − strand down)", "s3"), ("intron probability", "s6")]
    if calibrated:
        high, middle = f"{100 * HIGH_CONFIDENCE:g} %", f"{100 * MIDDLE_CONFIDENCE:g} %"
        keys = [
            (f"confidence of {high} or more", "high"),
            (f"{middle} to {high}", "middle"),
            (f"below {middle}", "low"),
            *keys,
        ]
    if any(locus.hints is not None for locus in loci):
        keys = [*keys, *hint_keys()]
    figures = [
        locus_figure(locus, [track], title, counted(len(overlapping(genes, locus.region)), "gene")) for locus in loci
    ]
    return [*content, tag("div", legend(keys), class_="keys"), card("Genes and CRF scores", "", figures)]


def _tone(gene: Gene, calibrated: bool) -> str:
    if not calibrated or gene.score is None:
        return "neutral"
    if gene.score >= HIGH_CONFIDENCE:
        return "high"
    return "middle" if gene.score >= MIDDLE_CONFIDENCE else "low"


def _method_section(title: str, summary: Mapping[str, Any]) -> list[Markup]:
    content = heading("method", "Method", "With these settings and this version the annotation can be repeated.")
    chosen = summary.get("chosen", {})
    by_dna = {key for key in ("clade", "genetic_code") if chosen.get(f"{key}_asked") == AUTO}
    by_dna |= {"clade"} if chosen and chosen["clade_asked"] != chosen["clade"] else set()
    settings = [
        (OPTION_NAMES.get(key, key), f"{value}{', chosen by the DNA' if key in by_dna else ''}")
        for key, value in summary["options"].items()
    ]
    settings += [("Doubt", chosen["unsure"])] if chosen.get("unsure") else []
    speed = summary["bases"] / 1e3 / summary["cpu_s"] if summary["cpu_s"] else None
    took = [
        ("GeneT5", __version__),
        ("Wall time", seconds(summary["wall_s"])),
        ("CPU time", seconds(summary["cpu_s"])),
        ("Speed", f"{significant(speed)} kb per CPU second"),
        ("Scores", "calibrated: probabilities" if summary["calibrated"] else "not calibrated"),
    ]
    files = [(f"{title}.{ending}", what) for ending, what in FILES]
    if "adaptation" in summary:
        took.append(("Adaptation", adaptation_line(summary["adaptation"])))
    steps = [(STEP_NAMES.get(key, key.replace("_", " ")), count(value)) for key, value in summary["counts"].items()]
    cards = [
        card("Settings", "", pairs_table(settings)),
        card("Version and time", "", pairs_table(took)),
        card("Files", "beside this page", pairs_table(files)),
    ]
    content.append(tag("div", cards, class_="cards above"))
    content.append(card("Steps", "how the genes of the windows became one set", pairs_table(steps)))
    return content
