"""The DNA of the study: FASTA or plain text, split by block into training and validation, with regions held out.

A span is DNA that stands together in one sequence and belongs to one split; no window crosses the end of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genet5.arrays import INTEGERS, TEXT, Wanted, read_arrays
from genet5.compressed import open_input
from genet5.errors import InputError
from genet5.files import atomic_write
from genet5.genome.fasta import BLANK, IUPAC_LETTERS, fasta_records
from genet5.genome.genes import Annotation, Region
from genet5.genome.splits import complement
from genet5.studies.vq_transformer.encodings import UNKNOWN, KmerEncoding, base_codes, encoding_named

SPLITS = ("train", "val", "test")
CLASSES = ("intergenic", "intron", "coding")
NO_CLASS = len(CLASSES)


def read_dna(path: str | Path) -> dict[str, np.ndarray]:
    """Base codes (uint8, [bases]) by sequence name, of FASTA or plain text, either of them gzip or not.

    Text whose first letter is no ``>`` is one sequence, named after the file; white space in it does not count.

    Raises:
        InputError: no bases, a name that stands twice, a letter that no nucleotide code has.
    """
    with open_input(path) as stream:
        if stream.read(4096).lstrip(BLANK).startswith(b">"):
            return {name: base_codes(bases) for name, bases in fasta_records(path)}
    name = Path(path).name.split(".")[0]
    with open_input(path) as stream:
        bases = stream.read().translate(None, BLANK)
    if not bases:
        raise InputError(f"{path}: sequence {name!r} has no bases")
    if wrong := bases.translate(None, IUPAC_LETTERS):
        raise InputError(f"{path}: sequence {name!r} holds {chr(wrong[0])!r}; allowed: IUPAC nucleotide letters")
    return {name: base_codes(bases)}


@dataclass(frozen=True)
class Corpus:
    """Sequences one after the other, and the spans of each split.

    ``bases``: uint8 codes, [bases]. ``spans``: for each split, starts and ends (half-open) in ``bases``, int64, [n, 2].
    ``names`` and ``offsets``: sequences, and where each starts (one more offset: the end). ``classes``: index in
    ``CLASSES`` of each base, uint8, [bases]; ``NO_CLASS`` where nothing is annotated.
    """

    bases: np.ndarray
    spans: Mapping[str, np.ndarray]
    names: tuple[str, ...]
    offsets: np.ndarray
    classes: np.ndarray

    @classmethod
    def split(
        cls,
        sequences: Mapping[str, np.ndarray],
        held_out: Sequence[Region],
        ratio: float,
        block_bp: int,
        seed: int,
        classes: Mapping[str, np.ndarray] | None = None,
    ) -> Corpus:
        """``held_out`` is the test split; of the rest, a share ``ratio`` of the blocks of ``block_bp`` validates.

        Neighbouring blocks of one split are one span. Which blocks validate depends on the seed and the lengths alone.
        Without held-out regions the validation blocks are also the test split. ``classes``: see ``base_classes``.
        """
        lengths = {name: len(codes) for name, codes in sequences.items()}
        offsets = np.concatenate(([0], np.cumsum(list(lengths.values()), dtype=np.int64)))
        place = dict(zip(lengths, offsets.tolist(), strict=False))
        parts = complement(held_out, lengths)
        blocks = [
            (place[seqid] + start, place[seqid] + min(start + block_bp, end), seqid)
            for seqid, first, end in parts
            for start in range(first, end, block_bp)
        ]
        wanted = min(max(1, round(ratio * len(blocks))), len(blocks) - 1)
        if wanted < 1:
            raise InputError(
                f"block_bp: {block_bp} leaves {len(blocks)} block beside held-out DNA, needs two: lower it"
            )
        chosen = np.zeros(len(blocks), dtype=bool)
        chosen[np.random.default_rng(seed).permutation(len(blocks))[:wanted]] = True
        spans = {
            "train": _joined([block for block, validates in zip(blocks, chosen, strict=True) if not validates]),
            "val": _joined([block for block, validates in zip(blocks, chosen, strict=True) if validates]),
        }
        test = [(place[seqid] + start, place[seqid] + end, seqid) for seqid, start, end in held_out]
        spans["test"] = _joined(test) if test else spans["val"]
        bases = np.concatenate(list(sequences.values()))
        labels = np.full(len(bases), NO_CLASS, dtype=np.uint8)
        for name, part in (classes or {}).items():
            labels[place[name] : place[name] + lengths[name]] = part
        return cls(bases, spans, tuple(sequences), offsets, labels)

    def save(self, path: Path) -> None:
        arrays = {f"spans_{split}": spans for split, spans in self.spans.items()}
        with atomic_write(path, "wb") as stream:
            np.savez_compressed(
                stream,
                bases=self.bases,
                names=np.array(self.names),
                offsets=self.offsets,
                classes=self.classes,
                **arrays,
            )

    @classmethod
    def load(cls, path: Path) -> Corpus:
        """Raises ``InputError`` when the file is no corpus."""
        what, remedy = "not a corpus", "make it with vq_corpus.py"
        wanted = {
            "bases": Wanted(INTEGERS, 1),
            "names": Wanted(TEXT, 1),
            "offsets": Wanted(INTEGERS, 1),
            "classes": Wanted(INTEGERS, 1),
            **{f"spans_{split}": Wanted(INTEGERS, 2) for split in SPLITS},
        }
        arrays = read_arrays(path, what, remedy, wanted)
        spans = {split: arrays[f"spans_{split}"] for split in SPLITS}
        bases = arrays["bases"]
        for found in spans.values():
            if found.shape[1] != 2 or not ((0 <= found) & (found <= len(bases))).all():
                raise InputError(f"{path}: {what} (spans beyond its bases); {remedy}")
            if (found[:, 0] > found[:, 1]).any():
                raise InputError(f"{path}: {what} (a span that ends before it begins); {remedy}")
        if len(arrays["classes"]) != len(bases):
            raise InputError(f"{path}: {what} (bases and classes are not as many); {remedy}")
        return cls(bases, spans, tuple(arrays["names"].tolist()), arrays["offsets"], arrays["classes"])

    @property
    def held_out(self) -> bool:
        """Whether the test split is DNA of its own, not the validation blocks."""
        return not np.array_equal(self.spans["test"], self.spans["val"])

    def size(self, split: str) -> int:
        """Bases of a split."""
        return int(np.diff(self.spans[split]).sum())

    def pieces(self, split: str) -> list[np.ndarray]:
        """Base codes of each span of a split."""
        return [self.bases[start:end] for start, end in self.spans[split]]

    def random_starts(self, split: str, length: int, rng: np.random.Generator, count: int) -> np.ndarray:
        """First bases of ``count`` windows, each place in the split equally likely; int64, [count]."""
        spans = self.spans[split]
        places = np.maximum(spans[:, 1] - spans[:, 0] - length + 1, 0)
        bounds = np.cumsum(places)
        if not len(bounds) or not bounds[-1]:
            raise InputError(f"split {split}: no span of {length} bases; lower block_size or raise block_bp")
        drawn = rng.integers(0, bounds[-1], size=count)
        span = np.searchsorted(bounds, drawn, side="right")
        return spans[span, 0] + drawn - (bounds - places)[span]

    def even_starts(self, split: str, length: int, most: int) -> np.ndarray:
        """First bases of at most ``most`` windows without overlap, evenly spread over the split; int64, [windows]."""
        tiles = [np.arange(start, end - length + 1, length) for start, end in self.spans[split]]
        every = np.concatenate(tiles) if tiles else np.zeros(0, dtype=np.int64)
        if not len(every):
            raise InputError(f"split {split}: no span of {length} bases; lower block_size or raise block_bp")
        return every[np.unique(np.linspace(0, len(every) - 1, min(most, len(every))).round().astype(np.int64))]

    def windows(self, starts: np.ndarray, length: int) -> np.ndarray:
        """Base codes, uint8, [windows, length]."""
        return self.bases[starts[:, None] + np.arange(length)]


class Dataset:
    """Batches (X, Y) of DNA: token ids in an encoding, and the bases they stand for.

    Y are the bases of X themselves, not the next ones: an encoder that sees the whole block would find the next
    base in its input.
    """

    def __init__(self, corpus: Corpus, encoding: KmerEncoding):
        self.corpus, self.encoding = corpus, encoding

    @classmethod
    def read(
        cls, path: str | Path, encoding: str, ratio: float = 0.2, *, overlapping: bool = False, block_bp: int = 10_000,
        seed: int = 42,
    ) -> Dataset:  # fmt: skip
        """From a FASTA or text file; ``encoding``: a name of ``get_encodings``, ``ratio``: the share that validates."""
        corpus = Corpus.split(read_dna(path), (), ratio, block_bp, seed)
        return cls(corpus, encoding_named(encoding, overlapping))

    def get_batch(
        self, split: str, batch_size: int, block_size: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Windows at random places: ids, int64, [batch, block / stride], and base codes, int64, [batch, block].

        ``rng`` moves on, so that the next batch is another one.
        """
        return self.batch_at(self.corpus.random_starts(split, block_size, rng, batch_size), block_size)

    def batch_at(self, starts: np.ndarray, block_size: int) -> tuple[np.ndarray, np.ndarray]:
        """The same for windows at ``starts``."""
        bases = self.corpus.windows(starts, block_size)
        return self.encoding.ids(bases), bases.astype(np.int64)


def base_classes(annotation: Annotation, lengths: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Class of each base by sequence name, uint8 [bases], from the first transcript of each gene.

    A base that codes in one gene codes, whatever it is in another; bases of flagged genes have no class.
    """
    classes = {name: np.zeros(length, dtype=np.uint8) for name, length in lengths.items()}
    for gene in annotation.genes:
        first = gene.transcripts[0]
        for intron in first.introns:
            part = classes[gene.seqid][intron.start : intron.end]
            part[part == CLASSES.index("intergenic")] = CLASSES.index("intron")
        for segment in first.cds:
            classes[gene.seqid][segment.start : segment.end] = CLASSES.index("coding")
    for region in annotation.dont_care:
        classes[region.seqid][region.start : region.end] = NO_CLASS
    return classes


def known_bases(codes: np.ndarray) -> np.ndarray:
    """The bases without the unknown ones."""
    return codes[codes != UNKNOWN]


def _joined(blocks: Sequence[tuple[int, int, str]]) -> np.ndarray:
    """Spans, int64, [n, 2], of blocks in order; neighbours in one sequence become one."""
    spans: list[list[int]] = []
    last = ""
    for start, end, seqid in blocks:
        if spans and last == seqid and spans[-1][1] == start:
            spans[-1][1] = end
        else:
            spans.append([start, end])
        last = seqid
    return np.array(spans, dtype=np.int64).reshape(-1, 2)
