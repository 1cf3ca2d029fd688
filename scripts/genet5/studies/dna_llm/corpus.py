"""DNA to pretrain on: stretches of genomes as token ids, split by block, and windows drawn from them.

A stretch is DNA that stands together in a genome. No window crosses the end of one, so nothing is learned from letters
that were never neighbours, and no letter of a contig's name is in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genet5.arrays import INTEGERS, read_array
from genet5.errors import InputError
from genet5.files import atomic_write, one_line, read_json, write_json
from genet5.genome.fasta import fasta_records
from genet5.genome.spans import true_runs
from genet5.studies.dna_llm.alphabets import BPE32, Alphabet, alphabet_named
from genet5.studies.dna_llm.bpe import learn_merges
from genet5.studies.dna_llm.shared_kmers import KmerSet

SPLITS = ("train", "val")
_BASE = np.zeros(256, dtype=bool)
_BASE[list(b"ACGTUacgtu")] = True


@dataclass(frozen=True)
class CorpusOptions:
    """How genomes are split and cut. Lengths in bp. Sequences with a name like ``leave_out`` are not read."""

    block_bp: int = 100_000
    validation_share: float = 0.1
    least_stretch_bp: int = 301
    seed: int = 42
    # Alternate loci repeat DNA of the chromosomes: in assemblies of RefSeq they are NT_ and NW_ sequences.
    leave_out: str = "^N[TW]_"


def validation_blocks(lengths: Mapping[str, int], options: CorpusOptions) -> dict[str, np.ndarray]:
    """Which blocks of ``block_bp`` of each sequence are for validation: bool arrays, [blocks].

    Blocks are drawn over all sequences together, at least one, never all; the draw depends on seed and lengths alone.
    """
    counts = {name: -(-length // options.block_bp) for name, length in lengths.items()}
    total = sum(counts.values())
    wanted = min(max(1, round(options.validation_share * total)), total - 1)
    if wanted < 1:
        raise InputError(f"block_bp: {options.block_bp} leaves {total} block, needs two at least: lower it")
    chosen = np.zeros(total, dtype=bool)
    chosen[np.random.default_rng(options.seed).permutation(total)[:wanted]] = True
    parts = np.split(chosen, np.cumsum(list(counts.values()))[:-1])
    return dict(zip(counts, parts, strict=True))


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise InputError(f"leave_out: {text!r} is no regular expression ({error})") from None


def write_corpus(
    genomes: Mapping[str, Path],
    alphabet: Alphabet,
    options: CorpusOptions,
    folder: Path,
    held_out: KmerSet | None = None,
) -> dict[str, Any]:
    """Write ``train.bin``, ``val.bin`` (uint8 ids), ``{split}_stretches.npy`` (their ends, int64) and ``meta.json``.

    Validation stretches hold A, C, G, T only, whatever the alphabet, so that all alphabets are validated on the same
    DNA; training stretches hold what the alphabet has. Stretches of 300 bp half of whose 24-mers are in ``held_out``
    (windows that predictions are tested on) are left out. The alphabet ``bpe32`` learns its merges from the training
    stretches. Returns what meta.json says.
    """
    left_out = _pattern(options.leave_out)
    records = {
        f"{genome}/{name}": sequence
        for genome, path in genomes.items()
        for name, sequence in fasta_records(path)
        if not left_out.search(name)
    }
    if not records:
        raise InputError(f"leave_out: {options.leave_out!r} is in the name of every sequence; '^$' leaves none out")
    for_validation = validation_blocks({name: len(sequence) for name, sequence in records.items()}, options)
    ids: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
    counts = {"sequences": len(records), "bases": 0, "short_bases": 0, "held_out_bases": 0}
    table = alphabet.id_table()
    for name, sequence in records.items():
        letters = np.frombuffer(sequence, dtype=np.uint8)
        tokens = table[letters]
        validates = np.repeat(for_validation[name], options.block_bp)[: len(letters)]
        usable = np.ones(len(letters), dtype=bool)
        if held_out is not None:
            usable = ~held_out.covered(sequence, 300, 0.5)
        counts["bases"] += len(letters)
        counts["held_out_bases"] += int((~usable).sum())
        for split, mask in (("train", ~validates & (tokens != 255)), ("val", validates & _BASE[letters])):
            for start, end in true_runs(mask & usable):
                if end - start >= options.least_stretch_bp:
                    ids[split].append(tokens[start:end])
                else:
                    counts["short_bases"] += int(end - start)
    for split in SPLITS:
        if not ids[split]:
            raise InputError(
                f"{', '.join(map(str, genomes.values()))}: no stretch of {options.least_stretch_bp} bp for {split}; "
                f"lower block_bp ({options.block_bp})"
            )
        with atomic_write(folder / f"{split}.bin", "wb") as stream:
            stream.writelines(part.tobytes() for part in ids[split])
        with atomic_write(folder / f"{split}_stretches.npy", "wb") as stream:
            np.save(stream, np.cumsum([len(part) for part in ids[split]], dtype=np.int64))
    if alphabet.name == BPE32.name:
        alphabet = alphabet_named(alphabet.name, learn_merges(ids["train"]))
    meta = {
        "alphabet": alphabet.name,
        "merges": alphabet.merges,
        "vocab_size": len(alphabet),
        "letters": alphabet.letters,
        "genomes": sorted(genomes),
        **counts,
        **{f"{split}_tokens": sum(map(len, ids[split])) for split in SPLITS},
        **{f"{split}_stretches": len(ids[split]) for split in SPLITS},
        "block_bp": options.block_bp,
        "seed": options.seed,
    }
    write_json(folder / "meta.json", meta)
    return meta


class Corpus:
    """One split of a written corpus; windows of any length that do not cross the end of a stretch."""

    def __init__(self, folder: Path, split: str):
        what, remedy = "not a corpus", "make it with dna_llm_corpus.py"
        self.meta = read_json(folder / "meta.json")
        self.file = folder / f"{split}.bin"
        try:
            self.tokens = np.memmap(self.file, dtype=np.uint8, mode="r")
            self.alphabet = alphabet_named(self.meta["alphabet"], self.meta.get("merges", ()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{folder}: {what} ({one_line(error)}); {remedy}") from None
        self.ends = read_array(folder / f"{split}_stretches.npy", what, remedy)
        ends, sound = self.ends, self.ends.dtype.kind in INTEGERS and self.ends.ndim == 1
        # Compared, not subtracted: the difference of damaged numbers may overflow.
        if not sound or (len(ends) and (ends[0] < 0 or (ends[:-1] > ends[1:]).any() or ends[-1] > len(self.tokens))):
            raise InputError(f"{folder}: {what} (stretches do not fit its tokens); {remedy}")
        self.starts = np.concatenate(([0], self.ends[:-1]))

    def random_starts(self, length: int, rng: np.random.Generator, count: int) -> np.ndarray:
        """First positions of ``count`` windows of ``length``, drawn evenly from all there are; int64, [count]."""
        places = np.maximum(self.ends - self.starts - length + 1, 0)
        bounds = np.cumsum(places)
        if not bounds[-1]:
            raise self._too_short(length)
        drawn = rng.integers(0, bounds[-1], size=count)
        stretch = np.searchsorted(bounds, drawn, side="right")
        return self.starts[stretch] + drawn - (bounds - places)[stretch]

    def tiled_starts(self, length: int, most: int) -> np.ndarray:
        """First positions of at most ``most`` windows that do not overlap, evenly spread; int64, [windows]."""
        tiles: Iterable[np.ndarray] = (
            np.arange(start, end - length + 1, length) for start, end in zip(self.starts, self.ends, strict=True)
        )
        every = np.concatenate(list(tiles))
        if not len(every):
            raise self._too_short(length)
        return every[np.unique(np.linspace(0, len(every) - 1, min(most, len(every))).round().astype(np.int64))]

    def _too_short(self, length: int) -> InputError:
        longest = int((self.ends - self.starts).max())
        return InputError(f"{self.file}: no stretch has {length} letters, the longest {longest}; lower the context")

    def windows(self, starts: np.ndarray, length: int) -> np.ndarray:
        """Ids, uint8, [windows, length]."""
        return np.asarray(self.tokens[starts[:, None] + np.arange(length)])

    def base_codes(self) -> Iterator[np.ndarray]:
        """0 to 3 for A, C, G, T of either case, 4 for others; one array for each stretch."""
        codes = self.alphabet.base_codes()
        for start, end in zip(self.starts, self.ends, strict=True):
            yield codes[self.tokens[start:end]]
