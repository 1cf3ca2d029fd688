"""One training sample: the bases of a window with its flanks, the genes that touch it, and how they look in a crop."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from genet5.errors import InputError
from genet5.files import json_value
from genet5.genome.fasta import IUPAC_LETTERS
from genet5.genome.genes import Interval
from genet5.genome.genetic_code import reverse_complement as reverse_complement_bases
from genet5.genome.window_genes import WindowGene, gene_order_key

MEMBERS = ("dna", "genes.json", "json")
"""Extensions of a sample's files in a shard, in the order in which they are written."""

_FARTHEST_BP = 2**62
_STRANDS = ("+", "-", ".")
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))

MIN_VISIBLE_BP = 30
"""A cut gene that shows fewer coding bases than this is don't-care instead of a partial gene."""

GENE_FIELDS = {
    "id": "gene id",
    "strand": "`+` or `-`",
    "cds": "CDS segments `[start, end]`, ascending on the forward strand, stop codon included; not clipped, so they "
    "may be negative or lie beyond the last base",
    "phases": "GFF3 phase of each segment, same order as `cds`",
    "complete5": "false where the annotation itself lacks the gene's start",
    "complete3": "false where the annotation itself lacks the gene's end",
}
META_FIELDS = {
    "species": "name of the species",
    "clade": "its clade, as in the `<clade:...>` tokens",
    "genetic_code": "NCBI translation table",
    "split": "`train` or `validation`",
    "seqid": "contig",
    "start": "first base of the core window on the contig",
    "end": "end of the core window on the contig",
    "flank5": "bases of `.dna` before the core window (left on the forward strand)",
    "flank3": "bases of `.dna` after the core window (right on the forward strand)",
    "num_genes": "genes written for the core window, partial ones included",
    "num_partial": "of these, genes that the core window's edge cuts",
    "num_introns": "introns between visible CDS segments of these genes",
    "coding_bp": "their visible coding bases",
}
SIMULATED_META_FIELDS = {
    "simulated_from": "of a simulated genome alone: AUGUSTUS's name of the species it was drawn from"
}


class Span(NamedTuple):
    """Don't-care bases ``start`` .. ``end - 1`` of a sample; ``strand`` is ``+``, ``-`` or ``.`` (both)."""

    start: int
    end: int
    strand: str


class SampleGene(NamedTuple):
    """The canonical transcript of a trusted gene, whole, in coordinates of whatever holds it (sample or contig).

    ``cds`` ascends on the forward strand; ``phases`` follow it one to one (GFF3's meaning). In a sample, coordinates
    may be negative or beyond its last base.
    """

    id: str
    strand: str
    cds: tuple[Interval, ...]
    phases: tuple[int, ...]
    complete5: bool = True
    complete3: bool = True

    @property
    def start(self) -> int:
        return self.cds[0].start

    @property
    def end(self) -> int:
        return self.cds[-1].end

    def shifted(self, offset: int) -> SampleGene:
        """The same gene with ``offset`` added to each coordinate."""
        cds = tuple([Interval(start + offset, end + offset) for start, end in self.cds])
        return SampleGene(self.id, self.strand, cds, self.phases, self.complete5, self.complete3)


@dataclass(frozen=True, slots=True)
class Sample:
    """A window of ``len(bases)`` bp; position 0 is the first base of ``bases``, flank included.

    ``bases``: IUPAC letters in the genome's case (lower = soft-masked). ``genes``: every trusted gene whose span
    touches the sample, not clipped, in ``gene_key`` order. ``dont_care``: within the sample, ascending. ``meta``:
    see ``META_FIELDS``.
    """

    key: str
    bases: bytes
    genes: tuple[SampleGene, ...]
    dont_care: tuple[Span, ...]
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def core(self) -> Interval:
        """The core window: the sample without its flanks."""
        return Interval(self.meta.get("flank5", 0), len(self.bases) - self.meta.get("flank3", 0))

    def to_members(self) -> dict[str, str | bytes]:
        """A WebDataset record: ``__key__`` and one entry per file of ``MEMBERS``."""
        genes = [
            {
                "id": gene.id,
                "strand": gene.strand,
                "cds": gene.cds,
                "phases": gene.phases,
                "complete5": gene.complete5,
                "complete3": gene.complete3,
            }
            for gene in self.genes
        ]
        return {
            "__key__": self.key,
            "dna": self.bases,
            "genes.json": _json_bytes({"genes": genes, "dont_care": self.dont_care}),
            "json": _json_bytes(self.meta),
        }

    @classmethod
    def from_members(cls, members: Mapping[str, Any]) -> Sample:
        """The inverse of ``to_members``; also takes the undecoded records that ``webdataset`` yields.

        Raises InputError naming the sample when a member is missing or not what the writer writes.
        """
        key = members.get("__key__", "")
        try:
            bases = bytes(members["dna"])
            genes, dont_care = stored_structures(members["genes.json"], f"sample {key!r}")
            meta = stored_meta(members["json"], f"sample {key!r}")
            if strange := bases.translate(None, IUPAC_LETTERS):
                raise ValueError(f"{chr(strange[0])!r} is no base")
            if not 0 <= meta.get("flank5", 0) <= len(bases) - meta.get("flank3", 0) <= len(bases):
                raise ValueError("the flanks are longer than the bases")
            return cls(key, bases, genes, dont_care, meta)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"sample {key!r}: not a sample of this version ({type(error).__name__}: {error}); "
                f"expected the members {', '.join(MEMBERS)}: bake again"
            ) from error


def stored_meta(text: bytes | str, where: str) -> dict[str, Any]:
    """What a sample's ``json`` holds (``META_FIELDS``). Raises InputError for anything else."""
    meta = json_value(text, where)
    if not isinstance(meta, dict):
        raise InputError(f"{where}: its .json holds a {type(meta).__name__}, expected an object; bake again")
    for name in ("flank5", "flank3", "start", "end", "num_genes"):
        if name in meta and not (type(meta[name]) is int and 0 <= meta[name] <= _FARTHEST_BP):
            raise InputError(f"{where}: {name} is {str(meta[name])[:40]!r}, expected a whole number; bake again")
    return meta


def stored_structures(text: bytes | str, where: str) -> tuple[tuple[SampleGene, ...], tuple[Span, ...]]:
    """The genes and don't-care spans that a sample's ``genes.json`` holds. Raises InputError for anything else."""
    structures = json_value(text, where)
    try:
        genes = tuple(
            SampleGene(
                gene["id"],
                gene["strand"],
                tuple(map(Interval._make, gene["cds"])),
                tuple(gene["phases"]),
                gene["complete5"],
                gene["complete3"],
            )
            for gene in structures["genes"]
        )
        dont_care = tuple(map(Span._make, structures["dont_care"]))
        sound = all(map(_is_gene, genes)) and all(_is_span(*span) for span in dont_care)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{where}: not a sample of this version ({type(error).__name__}: {error}); expected the members "
            f"{', '.join(MEMBERS)}: bake again"
        ) from error
    if not sound:
        raise InputError(f"{where}: a gene or span in its .genes.json can be none; bake again")
    return genes, dont_care


def _is_gene(gene: SampleGene) -> bool:
    return (
        isinstance(gene.id, str)
        and gene.strand in ("+", "-")
        and len(gene.phases) == len(gene.cds) > 0
        and all(_is_span(start, end, ".") for start, end in gene.cds)
        and all(one.start < two.start and one.end < two.end for one, two in pairwise(gene.cds))
        and all(type(phase) is int and 0 <= phase <= 2 for phase in gene.phases)
        and type(gene.complete5) is bool
        and type(gene.complete3) is bool
    )


def _is_span(start: int, end: int, strand: str) -> bool:
    return (
        type(start) is int and type(end) is int and -_FARTHEST_BP <= start < end <= _FARTHEST_BP and strand in _STRANDS
    )


def gene_key(gene: SampleGene) -> tuple:
    """Key of the order of genes in a sample: position, then strand, then id."""
    return gene.start, gene.end, gene.strand, gene.id


def clip_gene(gene: SampleGene, start: int, end: int) -> WindowGene | None:
    """What the window ``[start, end)`` shows of ``gene``, in window coordinates; None when that is no coding base.

    Coding bases lost on either side make the gene partial there, whether the cut falls into an exon or into an intron
    (its last visible boundary is then a splice site). The phase is that of the 5'-most visible segment in the whole
    transcript.
    """
    visible = [index for index, (left, right) in enumerate(gene.cds) if left < end and right > start]
    if not visible:
        return None
    cut_left, cut_right = gene.start < start, gene.end > end
    forward = gene.strand == "+"
    partial5 = not gene.complete5 or (cut_left if forward else cut_right)
    partial3 = not gene.complete3 or (cut_right if forward else cut_left)
    first = visible[0] if forward else visible[-1]
    left, right = gene.cds[first]
    removed = max(0, start - left) if forward else max(0, right - end)
    phase = (gene.phases[first] - removed) % 3 if partial5 else 0
    cds = tuple(
        Interval(max(left, start) - start, min(right, end) - start)
        for left, right in gene.cds[visible[0] : visible[-1] + 1]
    )
    return WindowGene(gene.strand, cds, partial5, partial3, phase)


def visible_genes(
    genes: Iterable[SampleGene], start: int, end: int, *, min_visible_bp: int = MIN_VISIBLE_BP
) -> tuple[list[WindowGene], list[Span]]:
    """Genes as the window ``[start, end)`` shows them, and the don't-care spans of those that show too little.

    A cut gene with fewer than ``min_visible_bp`` coding bases inside is no gene but don't-care: nobody could tell it
    from so few bases. A gene of which only intron shows leaves nothing. A gene that lies whole in the window is kept
    however short it is. Genes are in ``gene_order_key`` order, spans ascend; both are in window coordinates.
    """
    shown: list[WindowGene] = []
    unclear: list[Span] = []
    for gene in genes:
        clipped = clip_gene(gene, start, end)
        if clipped is None:
            continue
        is_cut = gene.start < start or gene.end > end
        if is_cut and sum(right - left for left, right in clipped.cds) < min_visible_bp:
            unclear.extend(Span(left, right, gene.strand) for left, right in clipped.cds)
        else:
            shown.append(clipped)
    return sorted(shown, key=gene_order_key), sorted(unclear)


def window_genes(
    sample: Sample, start: int, end: int, *, min_visible_bp: int = MIN_VISIBLE_BP
) -> tuple[list[WindowGene], list[Span]]:
    """What the crop ``[start, end)`` of a sample shows: its genes and its don't-care spans, in crop coordinates.

    Genes inside are whole; genes that the crop cuts are partial, or don't-care when too little of them shows (see
    ``visible_genes``). ``sample.core`` gives the bounds of the core window.
    Raises ValueError for a crop that is empty or reaches beyond the sample.
    """
    _check_crop(sample, start, end)
    genes, unclear = visible_genes(sample.genes, start, end, min_visible_bp=min_visible_bp)
    return genes, sorted(_clip_spans(sample.dont_care, start, end) + unclear)


def reverse_complement(sample: Sample) -> Sample:
    """The other strand of a sample. Its own inverse; ``meta["strand"]`` is ``-`` on an odd number of turns."""
    length = len(sample.bases)
    flip = {"+": "-", "-": "+", ".": "."}
    genes = [
        SampleGene(
            gene.id,
            flip[gene.strand],
            tuple(Interval(length - right, length - left) for left, right in reversed(gene.cds)),
            gene.phases[::-1],
            gene.complete5,
            gene.complete3,
        )
        for gene in sample.genes
    ]
    dont_care = sorted(Span(length - right, length - left, flip[strand]) for left, right, strand in sample.dont_care)
    meta = dict(sample.meta)
    if "flank5" in meta:
        meta["flank5"], meta["flank3"] = meta["flank3"], meta["flank5"]
    if meta.pop("strand", "+") == "+":
        meta["strand"] = "-"
    bases = reverse_complement_bases(sample.bases)
    return Sample(sample.key, bases, tuple(sorted(genes, key=gene_key)), tuple(dont_care), meta)


def key_text(name: str) -> str:
    """``name`` with ``-`` for whatever may not stand in a sample's key (a dot would end it)."""
    return re.sub(r"[^A-Za-z0-9_]", "-", name)


def count_introns(genes: Iterable[WindowGene]) -> int:
    """Introns between visible CDS segments. Gaps of 1-3 bp (programmed frameshifts) count: the structure has them."""
    return sum(right.start > left.end for gene in genes for left, right in pairwise(gene.cds))


def _clip_spans(spans: Sequence[Span], start: int, end: int) -> list[Span]:
    return [
        Span(max(left, start) - start, min(right, end) - start, strand)
        for left, right, strand in spans
        if left < end and right > start
    ]


def _check_crop(sample: Sample, start: int, end: int) -> None:
    if not 0 <= start < end <= len(sample.bases):
        raise ValueError(f"crop {start}..{end} of sample {sample.key!r}, allowed: within 0..{len(sample.bases)}")


def _json_bytes(value: Any) -> bytes:
    return _ENCODER.encode(value).encode("ascii")
