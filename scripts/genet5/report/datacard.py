"""The data card of a species: what was read and kept, and what was left out, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genet5.errors import InputError
from genet5.files import read_json
from genet5.report.figures import Part, legend, stacked_bar
from genet5.report.markup import Markup, tag
from genet5.report.numbers import MISSING, bases, count, counted, is_number, percent
from genet5.report.scoreboard import system_label

SPLITS = (("train", "Training", "s1"), ("validation", "Validation", "s3"), ("test", "Test", "s2"))
N_WORTH_SAYING = 0.01
DROPPED = {"mostly_n": "mostly N", "empty": "without genes", "over_cap": "over the cap"}
WINDOW_STYLES = ("s2", "s4", "s5", "s6", "s7")
SPLIT_ROWS = (
    ("Regions", ("regions",), count),
    ("Bases", ("bases",), bases),
    ("N", ("n_bases",), bases),
    ("Don't-care bases", ("dont_care_bases",), bases),
    ("Trusted genes", ("genes",), count),
    ("Genes cut by a boundary", ("genes_cut",), count),
    ("Flagged genes", ("genes_flagged",), count),
    ("Introns", ("introns",), count),
    ("Coding bases", ("coding_bases",), bases),
    ("Genes whole in a window", ("genes_whole",), count),
    ("Genes longer than a window", ("genes_longer_than_window",), count),
    ("Windows kept", ("windows", "kept"), count),
    ("of them without genes", ("windows", "kept_empty"), count),
    ("Median gene span", ("quantiles", "gene_bp", "p50"), bases),
    ("Median intron", ("quantiles", "intron_bp", "p50"), bases),
)


@dataclass(frozen=True, slots=True)
class DataCard:
    """A ``stats.json``, with the clade (from the manifest) and the teacher (from the scores) where they are known.

    From the manifest, too: ``simulated_from``, AUGUSTUS's name of the species that the genome was drawn from, and
    ``exon_flank_bp``, what a condensed genome keeps beside its exons.
    """

    species: str
    stats: Mapping[str, object]
    clade: str | None = None
    teacher: str | None = None
    simulated_from: str | None = None
    exon_flank_bp: str | None = None

    def at(self, *keys: str) -> float | None:
        """The number at a path of keys, None where it is missing."""
        value: object = self.stats
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value if is_number(value) else None

    def named(self, *keys: str) -> dict[str, float]:
        """Names and numbers of the object at a path of keys."""
        value: object = self.stats
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return (
            {str(name): number for name, number in value.items() if is_number(number)}
            if isinstance(value, Mapping)
            else {}
        )

    @property
    def training_bases(self) -> float:
        return self.at("splits", "train", "bases") or 0

    @property
    def training_genes(self) -> float:
        return self.at("splits", "train", "genes") or 0

    @property
    def trains(self) -> bool:
        return self.training_bases > 0


def read_data_card(path: str | Path, teachers: Mapping[str, str], of_manifests: Mapping[str, Mapping]) -> DataCard:
    """The data card of a ``stats.json``. of_manifests: clade, simulated_from and exon_flank_bp, by species each."""
    stats = read_json(path)
    species = stats.get("species")
    if not isinstance(species, str):
        raise InputError(f"{path}: not a stats.json of bake_shards: 'species' is {species!r}, expected a name")
    known = {key: values.get(species) for key, values in of_manifests.items()}
    return DataCard(species, stats, teacher=teachers.get(species), **known)


def data_card(card: DataCard) -> Markup:
    """One card: size of the genome, bars of bases, windows and genes, and the numbers per split."""
    note = [bases(card.at("bases")), counted(card.at("contigs"), "sequence")]
    unknown = sum(card.at("splits", split, "n_bases") or 0 for split, _, _ in SPLITS)
    if unknown > N_WORTH_SAYING * (card.at("bases") or 0):
        note.append(f"{bases(unknown)} of it N")
    if card.clade:
        note.append(card.clade)
    if card.teacher:
        note.append(f"labelled by {system_label(card.teacher)}")
    if card.simulated_from:
        note.append(f"simulated from AUGUSTUS's parameters of {card.simulated_from}")
    if card.exon_flank_bp:
        note.append(f"condensed to {card.exon_flank_bp} bp beside exons")
    return tag(
        "article",
        tag("header", tag("h3", card.species), tag("p", " · ".join(note))),
        _split_bar(card),
        _gene_bar(card),
        _window_bar(card),
        _split_table(card),
        _left_out(card),
        class_="card",
    )


def _bar(title: str, said: str, parts: Sequence[Part], written: Callable[[object], str] = count) -> Markup | None:
    parts = [part for part in parts if part.value > 0]
    if not parts:
        return None
    return tag(
        "figure",
        tag("figcaption", f"{title} ", tag("span", said)),
        stacked_bar(parts, title),
        legend([(f"{part.name} {written(part.value)}", part.style) for part in parts]) if len(parts) > 1 else None,
        class_="spaced",
    )


def _split_bar(card: DataCard) -> Markup | None:
    parts = [Part(name, card.at("splits", split, "bases") or 0, style) for split, name, style in SPLITS]
    used = sum(part.value for part in parts)
    unused = (card.at("bases") or 0) - used
    if unused > 0:
        parts.append(Part("unused", unused, "s7 soft"))
    only = [part.name.lower() for part in parts if part.value > 0]
    return _bar("Splits", f"all {only[0]}" if len(only) == 1 else "by chromosome or region", parts, bases)


def _gene_bar(card: DataCard) -> Markup | None:
    trusted, flagged = card.at("genes", "trusted") or 0, card.at("genes", "flagged") or 0
    share = (
        f"{count(trusted + flagged)} coding genes read, {percent(flagged / (trusted + flagged))} flagged"
        if trusted + flagged
        else ""
    )
    return _bar("Genes", share, [Part("trusted", trusted, "s1"), Part("flagged", flagged, "s2")])


def _window_bar(card: DataCard) -> Markup | None:
    """Windows of all splits: kept, and dropped by reason."""
    kept = empty = 0.0
    dropped: dict[str, float] = {}
    for split, _, _ in SPLITS:
        kept += card.at("splits", split, "windows", "kept") or 0
        empty += card.at("splits", split, "windows", "kept_empty") or 0
        for reason, number in card.named("splits", split, "windows", "dropped").items():
            dropped[reason] = dropped.get(reason, 0) + number
    parts = [Part("kept with genes", kept - empty, "s1"), Part("kept without genes", empty, "s3")]
    parts += [
        Part(f"dropped: {DROPPED.get(reason, reason)}", number, WINDOW_STYLES[index % len(WINDOW_STYLES)])
        for index, (reason, number) in enumerate(sorted(dropped.items()))
    ]
    scanned = kept + sum(dropped.values())
    return _bar("Windows", f"{count(kept)} of {count(scanned)} kept", parts) if scanned else None


def _split_table(card: DataCard) -> Markup | None:
    present = [(split, name) for split, name, _ in SPLITS if card.at("splits", split, "bases")]
    if not present:
        return None
    head = [tag("th", "", scope="col"), [tag("th", name, scope="col") for _, name in present]]
    rows = []
    for label, keys, written in SPLIT_ROWS:
        values = [card.at("splits", split, *keys) for split, _ in present]
        if any(value is not None for value in values):
            rows.append(
                tag(
                    "tr",
                    tag("th", label, scope="row"),
                    [tag("td", MISSING if value is None else written(value)) for value in values],
                )
            )
    table = tag("table", tag("thead", tag("tr", head)), tag("tbody", rows))
    return tag("details", tag("summary", "Numbers by split"), tag("div", table, class_="scroll"))


def _left_out(card: DataCard) -> Markup | None:
    """Flags of genes, and what was met and left out while reading."""
    flags, counts = card.named("flags"), card.named("annotation_counts")
    if not flags and not counts:
        return None
    blocks = [
        tag(
            "div",
            tag("h4", title),
            tag("table", tag("tbody", [_reason(name, number) for name, number in sorted(found.items())])),
        )
        for title, found in (
            ("Flagged genes (not learnt from, not scored)", flags),
            ("Met while reading", counts),
        )
        if found
    ]
    return tag("details", tag("summary", "Flags, and what was met while reading"), blocks)


def _reason(name: str, number: float) -> Markup:
    return tag("tr", tag("th", name.replace("_", " "), scope="row"), tag("td", count(number)))
