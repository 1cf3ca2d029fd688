"""The plan as a user reads it, letter by letter, of numbers that are small enough to follow."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from genet5.plan.costs import StageCost
from genet5.plan.devices import Device
from genet5.plan.genomes import GenomePlan
from genet5.plan.text import model_gb, plan_text
from genet5.species_table import Species

CONFIG = {
    "run": "mine",
    "stages": ["crf", "sft"],
    "crf": {"size": "demo", "keep_checkpoints": 2},
    "sft": {"keep_checkpoints": 1},
    "writer": {"size": "small"},
}
NETWORKS = SimpleNamespace(crf_parameters=50_000_000, writer_parameters=200_000_000)
YEAST = Species("S.one", "fungi", 1, "train", "one.fna", "one.gff")
GENOMES = [
    GenomePlan(YEAST, 15_000, 12_600_000, "the file", 1_600, 40, 300_000, 2_700.0, 60.0, 0.25, True),
    GenomePlan(
        Species("F.other", "filamentous_fungi", 1, "test", "two.fna", "two.gff"),
        15_000, 37_000_000, "the table", test_bp=37_000_000, tokens=2_650.4, disk_gb=0.5,
    ),
]  # fmt: skip
COSTS = [
    StageCost("crf", 6_400, 12_800, 2.0, bases=1e9, network_flops=3.6e15),
    StageCost("sft", 50, 12_800, 256.0, tokens=3.456e7, network_flops=1e15, writer_flops=2.5e15, shared=True),
    StageCost("annotate (sft)", bases=3.73e7, network_flops=1.8e14, decoded=9_000.0),
]
DEVICES = [
    Device("2 Sparks", 2, 1e12, 1e12, 0.2, 1e-6, "assumed"),
    Device("this machine", 1, 1e9, 1e10, 0.01, 2e-6, "measured"),
]
# crf: 3.6e15 at 1e12 and 1e9 bases of 1 us are 4,600 s. sft: (1e15 + 2.5e15) / 1e12 are 3,500 s, on two nodes 1,750.
TEXT = """\
run mine: 2 species, stages crf, sft

species  clade              split    Mb  train  validation  test Mb  tokens  M tokens    GB  size from
S.one    fungi              train  12.6  1,600          40      0.3   2,700       4.3  0.25  the file, baked
F.other  filamentous_fungi  test   37.0      0           0     37.0   2,650       0.0  0.50  the table
total                              49.6  1,600          40     37.3               4.3  0.75

CRF, size demo: 50,000,000 parameters
writer, size small: 200,000,000 parameters
disk: 1 GB of genomes and windows, 9 GB of models and checkpoints

stage           steps  windows a step  windows  M tokens  PFLOP
crf             6,400               2   12,800             3.60
sft                50             256   12,800      34.6   3.50
annotate (sft)                                             0.18

hours           2 Sparks  this machine
crf                  1.3           101
sft                 0.49           722
annotate (sft)      0.56           5.0
total                2.3           828

2 Sparks: assumed
this machine: measured
"""


def test_the_whole_text() -> None:
    assert plan_text(CONFIG, GENOMES, NETWORKS, COSTS, DEVICES) == TEXT


def test_models_on_the_disk_by_hand() -> None:
    """12 bytes a parameter for each checkpoint that is kept, 4 for each of three models; two writers before."""
    crf = 50e6 * (12 * 2 + 3 * 4)
    assert model_gb({**CONFIG, "stages": ["crf"]}, NETWORKS) == pytest.approx(crf / 1e9)
    assert model_gb(CONFIG, NETWORKS) == pytest.approx((crf + 250e6 * (12 + 3 * 4) + 2 * 4 * 200e6) / 1e9)


def test_notes_say_what_was_not_counted() -> None:
    unbaked = GenomePlan(YEAST, 15_000, 12_600_000, "the table", train=1_600)
    lost = GenomePlan(Species("S.lost", "fungi", 1, "test", "l.fna", "l.gff"), 15_000)
    text = plan_text(CONFIG, [unbaked, lost], NETWORKS, COSTS, DEVICES)
    assert text.endswith(
        "Windows that are not baked yet are at most so many: those without genes are left out then.\n"
        "Not counted, since their size is unknown: S.lost. Give genome_bp in the table.\n"
    )
    short = replace(unbaked, row=replace(YEAST, exon_flank_bp=350))
    said = "Genomes with exon_flank_bp are counted whole"
    texts = [plan_text(CONFIG, [one], NETWORKS, COSTS, DEVICES) for one in (short, replace(short, baked=True), unbaked)]
    assert [said in one for one in texts] == [True, False, False]
    assert "\nS.lost   fungi  test      ?      0 " in text
