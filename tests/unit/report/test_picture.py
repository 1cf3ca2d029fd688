"""The picture of the README: one small file that any viewer shows, and the script that draws it."""

from __future__ import annotations

import re
import runpy
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
from report_files import CONTIG, toy_genes

from genet5.genome.genes import Region
from genet5.report.browser import GeneTrack, draw_locus
from genet5.report.loci import Locus

DOCS = Path(__file__).resolve().parents[3] / "docs"


def is_standalone(text: str) -> bool:
    """Well-formed, with colours of its own, and nothing from outside."""
    root = ElementTree.fromstring(text)
    outside = re.search(r"var\(|href|url\(|@import|<script", text)
    return root.tag == "{http://www.w3.org/2000/svg}svg" and not outside


def test_the_picture_is_small_and_stands_alone():
    picture = DOCS / "picture.svg"
    assert picture.stat().st_size < 200_000
    text = picture.read_text(encoding="utf-8")
    assert is_standalone(text)
    drawn = len(re.findall(r'class="gene tip (?:exact|partial)"', text))
    assert drawn >= 12 and 'class="area coding"' in text and 'class="area intron"' in text


def test_the_script_draws_a_locus_with_hostile_names():
    script = runpy.run_path(str(DOCS / "make_picture.py"), run_name="picture")
    genes, contig = toy_genes()
    tracks = {
        f"{kind}_{strand}": np.linspace(0, 1, 4000) for kind in ("coding", "intron") for strand in ("plus", "minus")
    }
    locus = Locus(Region(CONTIG, 0, 4000), "", tracks)
    title = 'a <b> & "c"'
    text = script["standalone"](draw_locus(locus, [GeneTrack(title, genes, ["exact"] * len(genes))], title), title)
    assert len(contig) > 4000 and is_standalone(text)
    assert "data-" not in text and ">a &lt;b&gt; &amp; &quot;c&quot;</text>" in text
