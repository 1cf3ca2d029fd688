"""Draw one locus of an annotation as docs/picture.svg: GeneT5's genes, the published ones, and the CRF's probabilities.

The picture in README.md was made with these commands, from the genome and annotation of S. pombe in data/raw/S.pombe.
The shipped model for fungi was not trained on chromosome III.

    python scripts/index_genome.py --archive data/raw/S.pombe/fna.gz --output out/S.pombe.fna
    python scripts/annotate_genome.py --model resources/models/fungi --clade fungi --genome out/S.pombe.fna \
        --regions III --decoder viterbi --window-bp 48000 --overlap-bp 8000 --output-prefix out/S.pombe
    python docs/make_picture.py --annotation out/S.pombe.gff3 --reference data/raw/S.pombe/gff.gz \
        --genome out/S.pombe.fna --model resources/models/fungi --clade fungi --locus III:591701-605300 \
        --title "S. pombe, chromosome III: the model was not trained on it"
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT / "scripts") not in sys.path:
    sys.path.insert(0, str(ROOT / "scripts"))

from genet5.annotate.models import load_annotator  # noqa: E402
from genet5.annotate.tracks import crf_tracks  # noqa: E402
from genet5.clades import clade_named, read_clades  # noqa: E402
from genet5.command_line import argument_parser  # noqa: E402
from genet5.errors import run_command  # noqa: E402
from genet5.evaluate.verdicts import judge  # noqa: E402
from genet5.files import atomic_write  # noqa: E402
from genet5.genome.annotation import read_annotation  # noqa: E402
from genet5.genome.fasta import Genome  # noqa: E402
from genet5.genome.genetic_code import GeneticCode  # noqa: E402
from genet5.genome.splits import parse_regions  # noqa: E402
from genet5.report.browser import WIDTH, GeneTrack, draw_locus  # noqa: E402
from genet5.report.loci import Locus  # noqa: E402
from genet5.report.markup import Markup, tag  # noqa: E402

MARGIN, HEAD, FOOT = 24.0, 58.0, 44.0
# The picture has its own white ground, so that it looks the same on light and dark pages. Colours are as on the
# report's light page.
COLOURS = {"exact": "#0b7a69", "partial": "#cf8a12", "wrong": "#c8352b", "missed": "#7d4fa8", "unjudged": "#9aa5a0"}
CODING, INTRON = "#3566b8", "#b03a6b"
STYLE = """
text { font-family: system-ui, "Segoe UI", "Noto Sans", "DejaVu Sans", Helvetica, Arial, sans-serif; fill: #18211e; }
.ground { fill: #ffffff; stroke: #dde3de; }
.heading { font-size: 17px; font-weight: 600; } .key { font-size: 13px; }
.tick { font-size: 12px; fill: #586660; } .row-label { font-size: 13.5px; }
.gene-name { font-size: 11px; fill: #586660; }
.middle { text-anchor: middle; } .end { text-anchor: end; }
.axis { stroke: #9aa5a0; } .grid { stroke: #e9ede9; } .cursor, .hit { display: none; }
.intron-line, .chevron { fill: none; stroke-width: 1.3; }
"""
KEYS = (
    ("exact: every base as published", COLOURS["exact"]),
    ("partly right", COLOURS["partial"]),
    ("coding probability", CODING),
    ("intron probability", INTRON),
)


def style() -> str:
    """The style sheet, without variables: viewers of SVG files know none."""
    rules = [STYLE, f".coding {{ fill: {CODING}; }}\n.intron {{ fill: {INTRON}; }}\n"]
    for verdict, colour in COLOURS.items():
        rules.append(f".{verdict} .exon {{ fill: {colour}; }}\n")
        rules.append(f".{verdict} .intron-line, .{verdict} .chevron {{ stroke: {colour}; }}\n")
    return "".join(rules)


def standalone(drawing: Markup, title: str) -> str:
    """A locus drawn for a page as a file of its own, with a heading and keys."""
    height = float(re.search(r'viewBox="0 0 \S+ (\S+)"', drawing)[1])
    width = WIDTH + 2 * MARGIN
    # What only a page can use is left out: tooltips, and the scale for the pointer.
    inner = re.sub(r"<title>.*?</title>| data-\w+=\"[^\"]*\"| role=\"img\"| aria-label=\"[^\"]*\"", "", drawing)
    inner = Markup(inner.replace("<svg ", f'<svg x="{MARGIN}" y="{HEAD}" ', 1))
    said = re.search(r'aria-label="([^"]*)"', drawing)[1]
    keys, left = [], MARGIN + 118.0
    for name, colour in KEYS:
        top = HEAD + height + 16
        keys.append(tag("rect", x=left, y=top, width=13, height=13, rx=3, fill=colour))
        keys.append(tag("text", name, x=left + 20, y=top + 11.5, class_="key"))
        left += 52 + 7.2 * len(name)
    total = HEAD + height + FOOT
    return tag(
        "svg",
        tag("title", Markup(said)),
        tag("style", Markup(style())),
        tag("rect", x=0.5, y=0.5, width=width - 1, height=total - 1, rx=12, class_="ground"),
        tag("text", title, x=MARGIN, y=36.0, class_="heading"),
        inner,
        keys,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {total:g}",
        width=width,
        height=total,
        role="img",
    )


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__.partition("\n")[0])
    parser.add_argument("--annotation", type=Path, required=True, help="GFF3 that GeneT5 wrote")
    parser.add_argument("--reference", type=Path, required=True, help="published annotation")
    parser.add_argument("--genome", type=Path, required=True, help="FASTA file, uncompressed")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--clade", required=True, help="clade of the organism")
    parser.add_argument("--locus", required=True, help="contig:start-end, 1-based")
    parser.add_argument("--title", default="GeneT5", help="heading of the picture")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "picture.svg", help="file to write")
    arguments = parser.parse_args(argv)
    clade = clade_named(read_clades(), arguments.clade)
    code = GeneticCode.from_table(clade.genetic_code)
    with Genome(arguments.genome) as genome:
        (region,) = parse_regions(arguments.locus, genome.lengths, key="--locus")
        reference = read_annotation(arguments.reference, genome, code)
        genes = read_annotation(arguments.annotation, genome, code, predicted=True).genes
        model = load_annotator(arguments.model)
        saved = crf_tracks(model.crf, clade.gene_rules(clade.genetic_code), genome, [region])
    tracks = {name.removeprefix("locus_0_"): values for name, values in saved.items() if name != "names"}
    of_reference, of_predicted = judge(reference, genes)
    rows = (GeneTrack("Published", reference.genes, of_reference), GeneTrack("GeneT5", genes, of_predicted))
    with atomic_write(arguments.output) as stream:
        stream.write(standalone(draw_locus(Locus(region, "", tracks), rows, arguments.title), arguments.title) + "\n")


if __name__ == "__main__":
    run_command(main)
