"""The gene model that AUGUSTUS publishes for a species, read from its plain-text parameter files.

A folder of parameters is ``{config}/species/{name}``, as in Debian's package ``augustus-data``:

- ``{name}_parameters.cfg``: sizes of the splice-site windows, probabilities of the stop codons, genetic code
- ``{name}_exon_probs.pbl``: lengths and numbers of the four kinds of exon, coding DNA by codon position, start motif
- ``{name}_intron_probs.pbl``: splice-site patterns, lengths of introns, their DNA, the motif upstream of an acceptor
- ``{name}_igenic_probs.pbl``: DNA between genes

The tables of DNA exist once for each class of GC content. Patterns are written in upper or lower case, and their
length says the order of the model. All probabilities are normalised here: the files round them to three digits.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genet5.errors import InputError
from genet5.sources.augustus_tables import AugustusSettings, AugustusTable, Motif, SplicePatterns, number_of

DEFAULT_CONFIG = "/usr/share/augustus/config"
"""Where Debian's package ``augustus-data`` puts its files."""

CONFIG_VARIABLE = "AUGUSTUS_CONFIG_PATH"
EXON_KINDS = ("single", "initial", "internal", "terminal")
SINGLE, INITIAL, INTERNAL, TERMINAL = range(4)


@dataclass(frozen=True)
class CompositionClass:
    """DNA of one class of GC content.

    ``composition`` [4]: A, C, G, T. ``exon`` [3, 4 ** k, 4]: the chance of a base at codon position 0, 1 or 2 after the
    k bases before it; ``intron`` and ``intergenic`` [4 ** k, 4] (each may have its own k). ``short_intron_share``: part
    of introns whose length is in the table; the others are ``mean_extra_intron_bp`` longer than it, geometrically.
    """

    composition: np.ndarray
    exon: np.ndarray
    intron: np.ndarray
    intergenic: np.ndarray
    start_motif: Motif | None
    acceptor_motif: Motif | None
    short_intron_share: float
    mean_extra_intron_bp: float


@dataclass(frozen=True)
class AugustusParameters:
    """The gene model of one species.

    ``exon_counts`` [4] and ``exon_lengths`` [4, D + 1] are in the order of ``EXON_KINDS``; ``exon_tail_shares`` [4] is
    the part longer than D, ``exon_tail_bp`` [4] how much longer in the mean. ``intron_lengths`` [d + 1]: short introns.
    ``stops``: probability of each stop codon. ``gc_donors``: introns may begin with GC.
    """

    name: str
    folder: Path
    genetic_code: int
    exon_counts: np.ndarray
    exon_lengths: np.ndarray
    exon_tail_shares: np.ndarray
    exon_tail_bp: np.ndarray
    max_exon_bp: int
    min_coding_bp: int
    intron_lengths: np.ndarray
    donors: SplicePatterns
    acceptors: SplicePatterns
    stops: dict[str, float]
    gc_donors: bool
    classes: tuple[CompositionClass, ...]

    @property
    def mean_intron_bp(self) -> float:
        """Mean length of an intron over the classes."""
        short = float(self.intron_lengths @ np.arange(len(self.intron_lengths)))
        longest = len(self.intron_lengths) - 1
        means = [
            c.short_intron_share * short + (1 - c.short_intron_share) * (longest + c.mean_extra_intron_bp)
            for c in self.classes
        ]
        return float(np.mean(means))

    @property
    def single_share(self) -> float:
        """Part of the genes that has one exon."""
        return float(self.exon_counts[SINGLE] / self.exon_counts[[SINGLE, INITIAL]].sum())

    @property
    def mean_internal_exons(self) -> float:
        """Internal exons in a gene of several exons."""
        return float(self.exon_counts[INTERNAL] / max(1.0, self.exon_counts[INITIAL]))

    @property
    def introns_per_gene(self) -> float:
        """Mean number of introns over all genes."""
        return (1 - self.single_share) * (1 + self.mean_internal_exons)


def config_folder(path: str | Path | None = None) -> Path:
    """``path``, else what ``AUGUSTUS_CONFIG_PATH`` says, else Debian's folder. InputError where there is none."""
    folder = Path(path or os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)
    if not (folder / "species").is_dir():
        raise InputError(
            f"{folder}: no folder 'species' in it; give AUGUSTUS's folder 'config', or: apt install augustus-data"
        )
    return folder


def species_names(config: Path) -> list[str]:
    """The names of the species under ``config``, sorted; whether each can be read, ``read_parameters`` says."""
    return sorted(folder.name for folder in (config / "species").iterdir() if folder.is_dir())


def read_parameters(config: Path, name: str) -> AugustusParameters:
    """The parameters of species ``name``. InputError for a species or file that is missing or damaged."""
    folder = config / "species" / name
    if not name or Path(name).name != name or not folder.is_dir():
        raise InputError(f"{config / 'species'}: no species {name!r}; 'genet5 simulate --list' names them all")
    settings = AugustusSettings(folder / f"{name}_parameters.cfg")
    exon, intron, intergenic = (
        AugustusTable(folder / f"{name}_{kind}_probs.pbl") for kind in ("exon", "intron", "igenic")
    )
    exon_classes, intron_classes, intergenic_classes = exon.classes(), intron.classes(), intergenic.classes()
    for table, found in ((intron, intron_classes), (intergenic, intergenic_classes)):
        if len(found) != len(exon_classes):
            raise InputError(
                f"{table.path}: {len(found)} classes of GC content, {exon.path.name} has {len(exon_classes)}"
            )
    classes = []
    for in_exon, in_intron, between in zip(exon_classes, intron_classes, intergenic_classes, strict=True):
        share, extra = in_intron.numbers("TRANSITION", 2)
        if not 0 <= share <= 1 or extra < 0:
            raise in_intron.error("TRANSITION", f"{share:g} and {extra:g}, expected a probability and a mean length")
        classes.append(
            CompositionClass(
                composition=in_exon.composition(),
                exon=in_exon.emissions(3),
                intron=in_intron.emissions(1)[0],
                intergenic=between.emissions(1)[0],
                start_motif=in_exon.motif("TRANSINIT"),
                acceptor_motif=in_intron.motif("ASSMOTIF"),
                short_intron_share=share,
                mean_extra_intron_bp=extra,
            )
        )
    counts, lengths, tails, tail_bp = _exon_lengths(exon)
    donors = intron.patterns("DSS", settings.number("/Constant/dss_start"), settings.number("/Constant/dss_end"))
    acceptors = intron.patterns("ASS", settings.number("/Constant/ass_start"), settings.number("/Constant/ass_end"))
    return AugustusParameters(
        name=name,
        folder=folder,
        genetic_code=settings.genetic_code(),
        exon_counts=counts,
        exon_lengths=lengths,
        exon_tail_shares=tails,
        exon_tail_bp=tail_bp,
        max_exon_bp=settings.number("/ExonModel/maxexonlength", 15000),
        min_coding_bp=settings.number("/Constant/min_coding_len", 201),
        intron_lengths=_intron_lengths(intron),
        donors=donors,
        acceptors=acceptors,
        stops=settings.stops(),
        gc_donors=settings.flag("/IntronModel/allow_dss_consensus_gc"),
        classes=tuple(classes),
    )


def _exon_lengths(exon: AugustusTable) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Counts, lengths, shares of the tails and their mean lengths, by kind of exon."""
    rows = list(exon.section("LENGTH"))
    if len(rows) < 6:
        raise exon.error("LENGTH", f"{len(rows)} lines, expected 5 and the lengths")
    longest = number_of(rows[0][1])
    if longest is None or longest < 1 or longest % 1:
        raise exon.error("LENGTH", f"{rows[0][1][:40]!r}, expected the longest length", rows[0][0])
    counts, exceeding = (np.array(exon.row("LENGTH", *rows[place], 4)) for place in (3, 4))
    table = rows[5 : 6 + int(longest)]
    if len(table) != longest + 1:
        raise exon.error("LENGTH", f"{len(table)} lengths, expected 0 to {longest:g}")
    lengths = np.array([exon.row("LENGTH", line, text, 5)[1:] for line, text in table]).T
    if not counts[[SINGLE, INITIAL]].sum():
        raise exon.error("LENGTH", "no single and no initial exon", rows[3][0])
    totals = lengths.sum(axis=1)
    needed = counts > 0
    needed[TERMINAL] = needed[INITIAL]
    if (needed & (totals == 0)).any():
        raise exon.error("LENGTH", f"no length of kind {EXON_KINDS[int((needed & (totals == 0)).argmax())]}")
    lengths /= np.where(totals, totals, 1)[:, None]
    tails = np.minimum(exceeding / np.maximum(counts, 1), 0.9)
    # The tail is geometric, continues the table at its end, and holds the share of the exons that exceed it.
    end = np.maximum(lengths[:, -1], 1e-6)
    return counts, lengths, tails, 1 + tails / end


def _intron_lengths(intron: AugustusTable) -> np.ndarray:
    longest = intron.numbers("LENGTH", 1)[0]
    if longest < 1 or longest % 1:
        raise intron.error("LENGTH", f"{longest:g}, expected the longest length")
    values = np.array(intron.numbers("LENGTH", int(longest) + 1, skipped=1))
    if (values < 0).any() or not values.sum():
        raise intron.error("LENGTH", "expected probabilities of which one is above 0")
    return values / values.sum()
