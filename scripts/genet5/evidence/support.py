"""Annotated genes beside the hints: what of each transcript they show, and what became of each hinted intron."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from genet5.evidence.hints import CDS_PART, INTRON, KINDS, START, STOP
from genet5.evidence.matching import ContigHints, Evidence
from genet5.genome.genes import Gene, Region, Transcript

FULL, PARTIAL, NONE = VERDICTS = ("full", "partial", "none")
CONFIRMED, MISSED, CONTRADICTED = FATES = ("confirmed", "missed", "contradicted")
#: A hinted intron with a smaller share of its strongest rival's counts is not counted as contradicted or missed.
LEAST_SHARE = 0.1


class Support(NamedTuple):
    """Of one transcript. supported: hints that agree with it: its introns, its start, its stop, coding parts in its
    frame. contradicted: hinted introns of its strand that cut its coding exons. support: ``full`` if each intron is
    hinted, or of a transcript without introns both its start and its stop; ``partial`` if some hint agrees.
    """

    supported: int
    contradicted: int
    support: str

    def attributes(self) -> dict[str, str]:
        """Of its row in the GFF3."""
        return {
            "hints_supported": str(self.supported),
            "hints_contradicted": str(self.contradicted),
            "support": self.support,
        }


@dataclass(frozen=True)
class Supported:
    """by_transcript: support by the transcript's id. introns: hinted introns by their fate (``FATES``), each once."""

    by_transcript: Mapping[str, Support]
    introns: Mapping[str, int]

    def summary(self) -> dict[str, dict[str, int]]:
        verdicts = [one.support for one in self.by_transcript.values()]
        return {
            "introns": dict(self.introns),
            "transcripts": {verdict: verdicts.count(verdict) for verdict in VERDICTS},
        }


def support_of(genes: Iterable[Gene], evidence: Evidence, regions: Sequence[Region] | None = None) -> Supported:
    """The support of every transcript, and the fates of the hinted introns within ``regions`` (None: of all)."""
    by_contig: dict[str, list[Gene]] = {}
    for gene in genes:
        by_contig.setdefault(gene.seqid, []).append(gene)
    found: dict[str, Support] = {}
    fates = dict.fromkeys(FATES, 0)
    for seqid, hints in evidence.contigs.items():
        members = by_contig.get(seqid, [])
        for minus in (False, True):
            strand = _StrandHints(hints, minus)
            sign = "-" if minus else "+"
            own = [transcript for gene in members if gene.strand == sign for transcript in gene.transcripts]
            for transcript in own:
                found[transcript.id] = strand.support(transcript, sign)
            spans = None if regions is None else [region for region in regions if region.seqid == seqid]
            for fate in strand.fates(own, spans):
                fates[fate] += 1
    for seqid, members in by_contig.items():
        if seqid not in evidence.contigs:
            for gene in members:
                found |= {transcript.id: Support(0, 0, NONE) for transcript in gene.transcripts}
    return Supported(found, fates)


class _StrandHints:
    def __init__(self, hints: ContigHints, minus: bool) -> None:
        def places(kind: str, least_share: float = 0.0) -> list[tuple[int, int]]:
            chosen = (hints.kind == KINDS.index(kind)) & (hints.minus == minus) & ~hints.both
            chosen &= hints.share >= least_share
            return sorted(set(zip(hints.start[chosen].tolist(), hints.end[chosen].tolist(), strict=True)))

        self.introns, self.starts, self.stops = (set(places(kind)) for kind in (INTRON, START, STOP))
        self.counted = places(INTRON, LEAST_SHARE)
        self.begins = [begin for begin, _ in self.counted]
        self.reach = max((end - begin for begin, end in self.counted), default=0)
        chosen = (hints.kind == KINDS.index(CDS_PART)) & (hints.minus == minus)
        columns = (hints.start[chosen], hints.end[chosen], hints.frame[chosen])
        self.parts = sorted(set(zip(*(column.tolist() for column in columns), strict=True)))

    def support(self, transcript: Transcript, strand: str) -> Support:
        introns = [tuple(intron) for intron in transcript.introns]
        hinted = sum(intron in self.introns for intron in introns)
        first, last = (transcript.start, transcript.end - 3), (transcript.end - 3, transcript.start)
        start, stop = first if strand == "+" else last
        has_start = transcript.complete5 and (start, start + 3) in self.starts
        has_stop = transcript.complete3 and (stop, stop + 3) in self.stops
        supported = hinted + has_start + has_stop + self._coding(transcript, strand)
        whole = hinted == len(introns) if introns else has_start and has_stop
        return Support(supported, len(self._cutting(transcript)), FULL if whole else PARTIAL if supported else NONE)

    def _coding(self, transcript: Transcript, strand: str) -> int:
        """Coding parts within an exon and in its frame."""
        found = 0
        for (start, end), phase in zip(transcript.cds, transcript.phases, strict=True):
            place = bisect_left(self.parts, (start, 0, -1))
            while place < len(self.parts) and self.parts[place][0] < end:
                first, last, frame = self.parts[place]
                if last <= end:
                    shift = first - start if strand == "+" else end - last
                    found += frame < 0 or (shift + frame - phase) % 3 == 0
                place += 1
        return found

    def _cutting(self, transcript: Transcript) -> list[tuple[int, int]]:
        """Hinted introns that share bases with the coding exons and are none of the transcript's."""
        own = {tuple(intron) for intron in transcript.introns}
        low = bisect_left(self.begins, transcript.start - self.reach)
        high = bisect_left(self.begins, transcript.end)
        return [
            hint
            for hint in self.counted[low:high]
            if hint not in own and any(start < hint[1] and hint[0] < end for start, end in transcript.cds)
        ]

    def fates(self, transcripts: Sequence[Transcript], regions: Sequence[Region] | None) -> Iterable[str]:
        """Of each counted intron within the regions."""
        annotated = {tuple(intron) for transcript in transcripts for intron in transcript.introns}
        cut = {hint for transcript in transcripts for hint in self._cutting(transcript)}
        for hint in self.counted:
            if regions is not None and not any(one.start <= hint[0] and hint[1] <= one.end for one in regions):
                continue
            yield CONFIRMED if hint in annotated else CONTRADICTED if hint in cut else MISSED


def fate_of(start: int, end: int, transcripts: Sequence[Transcript]) -> str:
    """Of one hinted intron beside the transcripts of its strand; they ascend by start."""
    low = 0
    high = bisect_right([transcript.start for transcript in transcripts], end)
    fate = MISSED
    for transcript in transcripts[low:high]:
        if (start, end) in {tuple(intron) for intron in transcript.introns}:
            return CONFIRMED
        if any(begin < end and start < finish for begin, finish in transcript.cds):
            fate = CONTRADICTED
    return fate
