"""Is a coding structure what it claims to be? Boundaries, phases and flags of transcripts.

Flags (a transcript without flags is *sound*):

========================  =========================================================================================
no_start                  complete at its 5' end by the file, but its first codon is no start codon of the code
no_stop                   complete at its 3' end by the file, but its last codon is no stop and none follows
in_frame_stop             a stop codon before the last codon (selenoproteins too)
length_not_multiple_of_3  coding bases, counted from the first whole codon, do not fill the last one
overlaps_itself           two segments share bases (-1 frameshifts are written so)
frameshift                segments 1 to 3 bases apart: no intron but a programmed frameshift or a mended frame
trans_spliced             segments on both strands, or the file says so
beyond_contig             runs over the origin of a circular sequence; ``cds`` holds its larger side
partial                   marked as incomplete, or begins inside a codon, or lacks an end at a contig's end
contains_n                a letter other than A, C, G, T in its coding bases
orphan                    its transcript's row is missing where others have one: an extract cut it
========================  =========================================================================================

What is put right rather than flagged: a stop codon just after the CDS is taken in, touching segments are joined, phases
are recomputed from lengths (the file's are used only where the 5' end is incomplete).
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from Bio.Data.CodonTable import unambiguous_dna_by_id

from genet5.errors import InputError
from genet5.genome.drafts import Segment, TranscriptDraft, place
from genet5.genome.fasta import Contig, Genome
from genet5.genome.genes import Interval, Transcript, phases_from_lengths
from genet5.genome.genetic_code import NUM_CODONS, GeneticCode, codon_numbers, reverse_complement

LONGEST_FRAMESHIFT_BP = 3
"""A gap of at most this many bases between CDS segments is a frameshift, not an intron."""

_NOT_READABLE = frozenset({"trans_spliced", "beyond_contig"})

_SPARSE_BP = 2000
"""Bases per CDS segment from which on reading the segments alone takes less time than reading all."""

_FROM_BASE_5 = np.array([[number // 25, number // 5 % 5, number % 5] for number in range(NUM_CODONS)])
_END_OF, _STRAND_OF, _PHASE_OF = (operator.attrgetter(name) for name in ("end", "strand", "phase"))
_HAS_UNKNOWN = (_FROM_BASE_5 == 4).any(axis=1)


@dataclass(slots=True)
class CheckedTranscript:
    """A transcript and what the checks found. ``looks_complete``: both ends are right, its length is whole codons."""

    transcript: Transcript
    draft: TranscriptDraft
    strand: str
    flags: set[str]
    looks_complete: bool = False
    pieces: tuple[Segment, ...] = ()

    @property
    def preference(self) -> tuple[int, int, str]:
        """Sorts the canonical transcript first: tag, then longest CDS, then smallest id."""
        return self.draft.rank, -self.transcript.length, self.transcript.id


@dataclass(slots=True)
class CodeCheck:
    """Coding sequences (with the codon that follows each), kept to tell which genetic code they fit."""

    most: int = 500
    sequences: list[tuple[bytes, bytes]] = field(default_factory=list)

    def add(self, spliced: bytes, following: bytes) -> None:
        if len(self.sequences) < self.most and len(spliced) % 3 == 0:
            self.sequences.append((spliced, following))

    def sound_share(self, code: GeneticCode) -> float:
        """Share of the sequences that start, stop and read through in ``code``."""
        sound = 0
        for spliced, following in self.sequences:
            last, inner = spliced[-3:].decode(), spliced[:-3]
            if last not in code.stops:
                inner, last = spliced, following.decode()
            if last in code.stops and spliced[:3].decode() in code.starts:
                sound += not code.is_in_frame_stop[codon_numbers(inner)].any()
        return sound / max(1, len(self.sequences))


@dataclass(slots=True)
class _Shape:
    """Segments of one transcript put in order: ``cds`` and the phases ``written`` ascending, ``pieces`` as given."""

    strand: str
    cds: list[Interval]
    pieces: tuple[Segment, ...]
    written: tuple[str, ...]
    flags: set[str]

    @property
    def phase(self) -> int | None:
        """The written phase of the 5'-most segment, None where it is no phase."""
        first = self.written[0 if self.strand == "+" else -1]
        return int(first) if first in ("0", "1", "2") else None


def bases_to_check(genome: Genome, seqid: str, drafts: Sequence[TranscriptDraft]) -> bytes | Contig:
    """The sequence of ``drafts``, whole where their segments are close together, else read segment by segment."""
    num_segments = sum(len(draft.segments) for draft in drafts)
    if genome.lengths[seqid] > _SPARSE_BP * num_segments:
        return genome.contig(seqid)
    return genome.sequence(seqid, keep_case=True).encode()


def check_transcripts(
    drafts: Sequence[TranscriptDraft],
    contig: bytes | Contig,
    code: GeneticCode,
    *,
    path: object,
    circular: bool,
    counts: Counter[str],
    code_check: CodeCheck,
) -> list[CheckedTranscript]:
    """Check all transcripts of one sequence; one result per draft that has a strand, in order.

    ``contig`` is the whole sequence in any case (see ``bases_to_check``). InputError when a CDS
    reaches beyond a sequence that is not circular.
    """
    checked, inner_parts = [], []
    for draft in drafts:
        shape = _shape(draft, len(contig), circular, path, counts)
        result, inner = _check_ends(draft, shape, contig, code, counts, code_check)
        checked.append(result)
        inner_parts.append(inner or b"AAA")
    # One pass over all codons of the contig: a part per transcript, each a whole number of codons.
    if checked:
        codons = codon_numbers(b"".join(inner_parts))
        first_codons = np.cumsum([0] + [len(inner) // 3 for inner in inner_parts[:-1]])
        stops = np.logical_or.reduceat(code.is_in_frame_stop[codons], first_codons)
        unknown = np.logical_or.reduceat(_HAS_UNKNOWN[codons], first_codons)
        for index in np.flatnonzero(stops):
            checked[index].flags.add("in_frame_stop")
        for index in np.flatnonzero(unknown):
            checked[index].flags.add("contains_n")
    return checked


def _shape(draft: TranscriptDraft, length: int, circular: bool, path: object, counts: Counter[str]) -> _Shape:
    rows = draft.segments
    flags = set(draft.flags)
    if max(map(_END_OF, rows)) > length:
        for row in rows:
            if row.end <= length:
                continue
            if not circular or row.end > 2 * length:  # a gene may run over the origin, once
                raise InputError(
                    f"{path}, {place(row.where)}: CDS {row.start + 1}..{row.end} of {draft.id!r} ends beyond "
                    f"{draft.seqid!r}, which has {length} bp; is this the annotation of another assembly?"
                )
            flags.add("beyond_contig")
    if len(rows) == 1 and not flags and not draft.stop_codon:
        row = rows[0]
        return _Shape(row.strand, [Interval(row.start, row.end)], (row,), (row.phase,), flags)
    strands = set(map(_STRAND_OF, rows))
    if strands in ({"+"}, {"-"}):
        strand, own = rows[0].strand, sorted(rows)
    else:
        strand = max("+-", key=lambda sign: sum(row.end - row.start for row in rows if row.strand == sign))
        own = sorted(row for row in rows if row.strand == strand)
        flags.add("trans_spliced")
    if "beyond_contig" in flags:
        own = _larger_side(own, length)
    if draft.stop_codon:
        extra = [row for row in draft.stop_codon if row.strand == strand and row.end <= length]
        if extra:
            counts["stop_codons_added"] += _take_in(own, extra)
    return _Shape(strand, _joined(own, flags, counts), tuple(rows), tuple(map(_PHASE_OF, own)), flags)


def _take_in(own: list[Segment], stop_codon: list[Segment]) -> bool:
    """Put the rows of a stop codon into ``own``; one that no segment touches (an intron splits it) is a segment."""
    added = False
    for stop in stop_codon:
        for index, row in enumerate(own):
            if row.start <= stop.end and stop.start <= row.end:
                own[index] = row._replace(start=min(row.start, stop.start), end=max(row.end, stop.end))
                added |= own[index] != row
                break
        else:
            own.append(stop._replace(phase="."))
            added = True
    own.sort()
    return added


def _larger_side(own: list[Segment], length: int) -> list[Segment]:
    """The segments before or after the origin of a circle, whichever hold more bases, within 0 .. length."""
    before = [row._replace(end=min(row.end, length)) for row in own if row.start < length]
    after = [row._replace(start=max(row.start - length, 0), end=row.end - length) for row in own if row.end > length]
    if not after:  # GenBank's way: join(4600..4641,1..100)
        middle = length // 2
        after = [row for row in before if row.end <= middle]
        before = [row for row in before if row.end > middle]
    return max(before, after, key=lambda rows: sum(row.end - row.start for row in rows))


def _joined(own: list[Segment], flags: set[str], counts: Counter[str]) -> list[Interval]:
    """Ascending intervals: rows given twice are taken once, rows that touch are joined."""
    cds: list[Interval] = []
    first = last = -1
    for row in own:
        start, end = row[0], row[1]
        gap = start - last
        if not cds or gap > LONGEST_FRAMESHIFT_BP:
            cds.append(Interval(start, end))
        elif start == first and end == last:
            counts["cds_rows_repeated"] += 1
            continue
        elif gap == 0:
            cds[-1] = Interval(first, end)
            counts["touching_segments_joined"] += 1
            last = end
            continue
        else:
            flags.add("overlaps_itself" if gap < 0 else "frameshift")
            cds.append(Interval(start, end))
        first, last = start, end
    return cds


def _check_ends(
    draft: TranscriptDraft,
    shape: _Shape,
    contig: bytes | Contig,
    code: GeneticCode,
    counts: Counter[str],
    code_check: CodeCheck,
) -> tuple[CheckedTranscript, bytes]:
    """Settle ends, frame and phases; also the whole codons before the stop, in which no stop may be."""
    flags, cds, forward = shape.flags, shape.cds, shape.strand == "+"
    if flags and flags & _NOT_READABLE:  # not read along one strand of one stretch: nothing more to check
        phases = phases_from_lengths(tuple(cds), shape.strand)
        transcript = Transcript(draft.id, tuple(cds), phases)
        return CheckedTranscript(transcript, draft, shape.strand, flags, pieces=shape.pieces), b""
    spliced = contig[cds[0].start : cds[0].end] if len(cds) == 1 else b"".join(contig[a:b] for a, b in cds)
    spliced = spliced.upper()
    left, right = cds[0].start, cds[-1].end
    if forward:
        following, room5, room3 = contig[right : right + 3].upper(), left, len(contig) - right
    else:
        spliced = reverse_complement(spliced)
        following, room5, room3 = reverse_complement(contig[max(0, left - 3) : left].upper()), len(contig) - right, left
    cut5, cut3 = (draft.cut_left, draft.cut_right) if forward else (draft.cut_right, draft.cut_left)
    if not flags and not (cut5 or cut3 or draft.cut):
        code_check.add(spliced, following)

    begins = spliced[:3].decode("latin-1") in code.starts
    phase = shape.phase
    complete5 = not cut5 and (begins or not (draft.cut or room5 < 3 or phase in (1, 2)))
    skip = 0 if complete5 else _partial_phase(phase, spliced, code)
    ends = spliced[-3:].decode("latin-1") in code.stops
    whole = (len(spliced) - skip) % 3 == 0
    if whole and not ends and not cut3 and following.decode("latin-1") in code.stops:
        spliced, ends = spliced + following, True
        if forward:
            cds[-1] = Interval(cds[-1].start, right + 3)
        else:
            cds[0] = Interval(left - 3, cds[0].end)
        counts["stop_codons_added"] += 1
    complete3 = not cut3 and (ends or not (draft.cut or room3 < 3))

    if complete5 and not begins:
        flags.add("no_start")
    if complete3 and not ends:
        flags.add("no_stop")
    if complete3 and not whole:
        flags.add("length_not_multiple_of_3")
    if draft.cut or not (complete5 and complete3):
        flags.add("partial")
    segments = tuple(cds)
    phases = phases_from_lengths(segments, shape.strand, skip) if len(segments) > 1 else (skip,)
    if len(phases) == len(shape.written):
        written = "".join(shape.written)
        if written != "".join(map(str, phases)) or len(written) != len(phases):
            differs = (str(phase) != written != "." for phase, written in zip(phases, shape.written, strict=True))
            counts["phases_corrected"] += any(differs)
    transcript = Transcript(draft.id, segments, phases, complete5, complete3)
    checked = CheckedTranscript(transcript, draft, shape.strand, flags, False, shape.pieces)
    checked.looks_complete = complete5 and complete3 and begins and ends and whole
    inner = spliced[skip : len(spliced) - 3 if ends and complete3 and whole else None]
    return checked, inner[: len(inner) // 3 * 3]


def _partial_phase(phase: int | None, spliced: bytes, code: GeneticCode) -> int:
    """Phase of a CDS that begins inside a gene: the file's, else the first frame without a stop."""
    if phase is not None:
        return phase
    letters = spliced.decode("latin-1")
    return next((skip for skip in range(3) if not code.has_in_frame_stop(letters[skip:-3])), 0)


# Codes in the order in which they are guessed: the common ones first, so that a tie goes to them.
_GUESSES = (1, 11, 4, 6, 10, 12, 26, 25, 2, 5, 3, 9, 13, 14, 15, 16, 21, 22, 23, 24, 29, 30, 33)
FEWEST_GENES_TO_JUDGE_CODE = 20
LARGEST_SHARE_WITH_STOPS = 0.3
_CLEARLY_BETTER = 0.2


def check_genetic_code(
    canonical: Iterable[CheckedTranscript], code: GeneticCode, code_check: CodeCheck, path: object
) -> None:
    """InputError when the genes say that ``code`` is not theirs, naming the code that fits better, if one does.

    Wrong is a code with in-frame stops in more than 30 % of at least 20 genes that are complete at both ends, or one
    that leaves so many genes unsound that another code makes at least 20 % more of them sound.
    """
    claimed = [checked for checked in canonical if not checked.flags & {"partial", "orphan", "beyond_contig"}]
    complete = [checked for checked in claimed if checked.looks_complete]
    stopped = sum("in_frame_stop" in checked.flags for checked in complete)
    sound = sum(not checked.flags for checked in claimed)
    many_stops = len(complete) >= FEWEST_GENES_TO_JUDGE_CODE and stopped > LARGEST_SHARE_WITH_STOPS * len(complete)
    few_sound = len(claimed) >= FEWEST_GENES_TO_JUDGE_CODE and sound < (1 - _CLEARLY_BETTER) * len(claimed)
    if not (many_stops or few_sound):
        return
    now = code_check.sound_share(code)
    shares = {table: code_check.sound_share(GeneticCode.from_table(table)) for table in _GUESSES}
    best = max(_GUESSES, key=lambda table: round(shares[table], 2))
    better = shares[best] >= now + _CLEARLY_BETTER
    if not many_stops and not better:
        return
    if many_stops:
        found = f"{stopped} of {len(complete)} complete genes have in-frame stops"
    else:
        found = f"only {sound} of {len(claimed)} genes start, stop and read through"
    if better:
        name = unambiguous_dna_by_id[best].names[0]
        advice = f"genetic code {best} ({name}) fits better: {shares[best]:.0%} of the genes are sound with it"
    else:
        advice = "no other code fits better: does the annotation belong to this assembly?"
    raise InputError(f"{path}: with genetic code {code.table}, {found}; {advice}")
