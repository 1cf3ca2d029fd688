"""Hints beside a genome: names and places that it has, and what its bases allow. What remains is kept by contig.

How sure a hint is, is told here once for all windows. Of introns that overlap on one strand at most one can be right,
so each is measured against the strongest of them. And chance lets few introns through: where most introns of a file
have no splice sites, the file is of another sequence, and the few that are left count for as much less.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from genet5.errors import InputError
from genet5.evidence.hints import (
    CDS_PART,
    INTRON,
    KINDS,
    SOURCES,
    START,
    STOP,
    Hint,
    HintFile,
)
from genet5.genome.fasta import Genome, shown_names
from genet5.genome.sites import GeneRules

#: Share of introns that pass by chance: two dinucleotides of three pairs, and an unknown strand twice as many.
CHANCE = 0.02
LEAST_JUDGED = 50  # introns of a file from which on its share is believed
MOST_SHOWN = 20  # refused hints that are listed
PREFIXES = ("chr", "Chr", "CHR")
REASONS = {
    "name": "on a sequence that the genome does not have",
    "outside": "outside its sequence",
    "length": "an intron shorter or longer than the clade allows",
    "splice": "no splice sites that the clade allows",
    "start": "no start codon there",
    "stop": "no stop codon there",
    "strand": "no strand",
}


class ContigHints(NamedTuple):
    """The matched hints of one contig, by start; arrays of one length.

    start, end: 0-based half-open. minus: bool. both: bool, the strand is unknown (of covered stretches alone). kind,
    source: numbers in ``KINDS`` and ``SOURCES``. mult: counts. share: of the strongest rival's counts, 0 to 1, times
    what the file is trusted. usual: bool, an intron from GT to AG. frame: as in ``Hint``. reach: longest of them.
    """

    start: np.ndarray
    end: np.ndarray
    minus: np.ndarray
    both: np.ndarray
    kind: np.ndarray
    source: np.ndarray
    mult: np.ndarray
    share: np.ndarray
    usual: np.ndarray
    frame: np.ndarray
    reach: int

    def within(self, start: int, end: int) -> ContigHints:
        """Those that touch the bases from ``start`` to ``end``."""
        first, last = np.searchsorted(self.start, (start - self.reach, end))
        taken = np.flatnonzero(self.end[first:last] > start) + first
        return ContigHints(*(column[taken] for column in self[:-1]), self.reach)


@dataclass
class Evidence:
    """Matched hints by contig, and counts of what was read and refused.

    files: one entry for each file: path, source, format, hints read and matched. refused: number by reason (a key of
    ``REASONS``). listed: the first refused hints, with their reasons. notes: what a user should know, one line each.
    """

    contigs: dict[str, ContigHints]
    files: list[dict[str, Any]] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    listed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def read(self) -> int:
        return sum(one["read"] for one in self.files)

    @property
    def matched(self) -> int:
        return sum(one["matched"] for one in self.files)

    def summary(self) -> dict[str, Any]:
        """As ``{prefix}.json`` says it."""
        return {
            "read": self.read,
            "matched": self.matched,
            "refused": dict(self.refused),
            "files": self.files,
            "listed": self.listed,
            "notes": self.notes,
        }

    def lines(self) -> list[str]:
        """For the log: the counts, then what a user should know."""
        reasons = ", ".join(f"{number} {REASONS[name]}" for name, number in self.refused.items())
        refused = sum(self.refused.values())
        counts = f"evidence: {self.read} hints read, {self.matched} matched, {refused} refused"
        return [f"{counts} ({reasons})" if reasons else counts, *self.notes]


def match(files: Sequence[HintFile], genome: Genome, rules: GeneRules) -> Evidence:
    """What of the files the genome allows. Raises ``InputError`` where no name of a file is in the genome."""
    found = Evidence({})
    taken: dict[str, list[_Matched]] = {}
    for file in files:
        by_contig = _by_contig(file, genome, found)
        matched = introns = legal = 0
        kept: list[tuple[str, list[_Matched]]] = []
        for seqid, hints in by_contig.items():
            checked = _check(hints, genome.sequence(seqid, 0, genome.lengths[seqid]).upper(), rules, found)
            introns += sum(hint.kind == INTRON for hint in hints)
            legal += sum(one.hint.kind == INTRON for one in checked)
            matched += len(checked)
            kept.append((seqid, checked))
        trust = trusted_share(legal, introns)
        if trust < 0.5:
            found.notes.append(
                f"{file.path}: {legal} of {introns} introns have splice sites in this genome, hardly more than by "
                f"chance, so its hints count for {100 * trust:.0f} %; is it of this assembly?"
            )
        for seqid, checked in kept:
            taken.setdefault(seqid, []).extend(one._replace(trust=trust) for one in checked)
        about = {"path": file.path, "source": file.source, "format": file.form, "read": len(file.hints)}
        found.files.append(about | {"matched": matched, "skipped": dict(file.skipped)})
    found.contigs = {seqid: _columns(hints) for seqid, hints in taken.items() if hints}
    return found


def trusted_share(legal: int, introns: int) -> float:
    """Of the introns that pass, the share that does not pass by chance alone; 1 where there are too few to tell."""
    if introns < LEAST_JUDGED or not legal:
        return 1.0
    passing = legal / introns
    return max(0.0, min(1.0, (passing - CHANCE) / (1 - CHANCE) / passing))


class _Matched(NamedTuple):
    hint: Hint
    usual: bool
    trust: float = 1.0


def _by_contig(file: HintFile, genome: Genome, found: Evidence) -> dict[str, list[Hint]]:
    """Hints by the genome's own name of their contig; those of unknown names are refused."""
    by_name: dict[str, list[Hint]] = {}
    for hint in file.hints:
        by_name.setdefault(hint.seqid, []).append(hint)
    names = {name: matching_name(name, genome.lengths) for name in by_name}
    unknown = [name for name, own in names.items() if own is None]
    if by_name and len(unknown) == len(by_name):
        raise InputError(
            f"{file.path}: its sequences are named {shown_names(unknown)}; the genome has {shown_names(genome.lengths)}"
        )
    for name in unknown:
        _refuse(found, "name", by_name[name])
    if unknown:
        found.notes.append(f"{file.path}: the genome has no sequences named {shown_names(unknown)}")
    renamed = sorted(f"{name} = {own}" for name, own in names.items() if own not in (None, name))
    if renamed:
        found.notes.append(f"{file.path}: names were matched: {', '.join(renamed[:4])}")
    return {own: by_name[name] for name, own in names.items() if own is not None}


def matching_name(name: str, lengths: Mapping[str, int]) -> str | None:
    """The genome's name of a sequence: the same, its first word, or the same with or without ``chr`` before it."""
    if name in lengths:
        return name
    words = name.split()
    candidates = words[:1]
    for prefix in PREFIXES:
        candidates += [prefix + word for word in words[:1]]
        candidates += [word.removeprefix(prefix) for word in words[:1] if word.startswith(prefix)]
    known = list(dict.fromkeys(one for one in candidates if one in lengths))
    return known[0] if len(known) == 1 else None


def _refuse(found: Evidence, reason: str, hints: Iterable[Hint]) -> None:
    for hint in hints:
        found.refused[reason] = found.refused.get(reason, 0) + 1
        if len(found.listed) < MOST_SHOWN:
            found.listed.append(f"{hint.shown()}: {REASONS[reason]}")


def _check(hints: Sequence[Hint], bases: str, rules: GeneRules, found: Evidence) -> list[_Matched]:
    """The hints that the bases of their contig allow, with their strands."""
    size = len(bases)
    pairs = {(donor, acceptor) for donor, acceptor in rules.splice_pairs}
    turned = {(_turned(acceptor), _turned(donor)): (donor, acceptor) for donor, acceptor in pairs}
    starts, stops = set(rules.starts), rules.stops
    taken = []
    for hint in hints:
        _, kind, _, start, end, strand, _, _ = hint
        if end > size:
            reason = "outside"
        elif kind == INTRON:
            reason = "length"
            if rules.least_intron_bp <= end - start <= rules.max_intron_bp:
                ends = bases[start : start + 2], bases[end - 2 : end]
                forward, backward = ends in pairs, ends in turned
                if strand == "." and forward != backward:
                    strand = "+" if forward else "-"
                    hint = hint._replace(strand=strand)
                reason = ""
                if strand == ".":
                    reason = "strand" if forward else "splice"
                elif not (forward if strand == "+" else backward):
                    reason = "splice"
                if not reason:
                    own = ends if strand == "+" else turned[ends]
                    taken.append(_Matched(hint, own == ("GT", "AG")))
                    continue
        elif kind in (START, STOP):
            codon = bases[start:end] if strand != "-" else _turned(bases[start:end])
            reason = "strand" if strand == "." else "" if codon in (starts if kind == START else stops) else kind
        elif kind == CDS_PART and (strand == "."):
            reason = "strand"
        else:
            reason = ""
        if reason:
            _refuse(found, reason, [hint])
        else:
            taken.append(_Matched(hint, True))
    return taken


_COMPLEMENT = str.maketrans("ACGT", "TGCA")


def _turned(bases: str) -> str:
    return bases.translate(_COMPLEMENT)[::-1]


def _columns(matched: Sequence[_Matched]) -> ContigHints:
    """Arrays by start, of files together: the same hint of several files of one source adds up."""
    together: dict[tuple, list] = {}
    for (source, kind, _, start, end, strand, mult, frame), usual, trust in matched:
        key = SOURCES.index(source), KINDS.index(kind), start, end, strand, frame
        known = together.get(key)
        if known is None:
            together[key] = [mult, usual, trust]
        else:
            known[0] += mult
            known[2] = max(known[2], trust)
    keys = sorted(together, key=lambda key: key[2:4] + key[:2] + key[4:])
    values = [together[key] for key in keys]
    source, kind, start, end, frame = (
        np.array([key[place] for key in keys], dtype=np.int64) for place in (0, 1, 2, 3, 5)
    )
    strand = [key[4] for key in keys]
    mult = np.array([value[0] for value in values], dtype=np.float64)
    share = np.array([value[2] for value in values], dtype=np.float64)
    minus = np.array([sign == "-" for sign in strand], dtype=bool)
    introns = kind == KINDS.index(INTRON)
    for number in range(len(SOURCES)):
        for side in (False, True):
            chosen = np.flatnonzero(introns & (source == number) & (minus == side))
            share[chosen] *= shares_of_rivals(start[chosen], end[chosen], mult[chosen])
    return ContigHints(
        start,
        end,
        minus,
        np.array([sign == "." for sign in strand], dtype=bool),
        kind,
        source,
        mult,
        share,
        np.array([value[1] for value in values], dtype=bool),
        frame,
        int((end - start).max()),
    )


def shares_of_rivals(start: np.ndarray, end: np.ndarray, mult: np.ndarray) -> np.ndarray:
    """Of each span its ``mult`` over the largest of those that overlap it, itself included. Spans ascend by start."""
    number = len(start)
    most = mult.astype(np.float64).copy()
    active: list[tuple[float, int]] = []  # spans that began before, the largest first
    for one in range(number):
        while active and end[active[0][1]] <= start[one]:
            heapq.heappop(active)
        if active:
            most[one] = max(most[one], -active[0][0])
        heapq.heappush(active, (-mult[one], one))
    # Those that begin within a span: a table of maxima over stretches of 1, 2, 4, ... spans.
    tables = [mult.astype(np.float64)]
    while 2 << (len(tables) - 1) <= number:
        last, step = tables[-1], 1 << (len(tables) - 1)
        tables.append(np.maximum(last[:-step], last[step:]))
    behind = np.searchsorted(start, end)
    for one in range(number):
        length = int(behind[one]) - one
        level = length.bit_length() - 1
        most[one] = max(most[one], tables[level][one], tables[level][int(behind[one]) - (1 << level)])
    return mult / most
