"""``VqTokenizer``: DNA as codes of a trained network, and back; codes in a file; a table of the codes of k-mers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genet5.arrays import INTEGERS, TEXT, Wanted, read_arrays
from genet5.errors import InputError
from genet5.files import atomic_write, write_json
from genet5.genome.spans import true_runs
from genet5.studies.vq_transformer.encodings import BASES, UNKNOWN, base_codes, base_letters
from genet5.studies.vq_transformer.network import VqTransformer, load_network
from genet5.studies.vq_transformer.points import LARGEST_TABLE_K, Point

BATCH_BASES = 64 * 1024


@dataclass(frozen=True)
class CodedDna:
    """``codes``: uint16, [codes, groups]. ``length`` in bases. ``unknown``: runs of unknown bases, int64, [runs, 2].

    A slot of nothing but unknown bases has a code, too; what stands in it is overwritten when it is decoded.
    """

    codes: np.ndarray
    length: int
    unknown: np.ndarray


class VqTokenizer:
    """Blocks of ``block_size`` bases are read one by one; codes of a block know nothing of its neighbours."""

    def __init__(self, network: VqTransformer):
        self.network = network.eval()
        self.config = network.config

    @classmethod
    def load(cls, folder: Path) -> VqTokenizer:
        """From the folder of a trained network."""
        return cls(load_network(folder))

    @property
    def point(self) -> Point:
        return Point(self.config.bases_per_code, self.config.codebook_size, self.config.groups)

    @property
    def vocab_size(self) -> int:
        """Codes there are: of all groups together."""
        return self.point.num_codes

    def encode(self, dna: str | bytes) -> CodedDna:
        """Codes of a sequence; letters other than A, C, G, T (either case) are unknown bases."""
        return self.encode_bases(base_codes(dna))

    def decode(self, coded: CodedDna) -> str:
        """The bases that the codes stand for, upper case; unknown bases are N where they were."""
        return base_letters(self.decode_bases(coded))

    def encode_bases(self, bases: np.ndarray) -> CodedDna:
        """The same for base codes (uint8, [bases])."""
        codes = [self.network.codes(tokens).flatten(0, 1) for tokens in self._blocks(bases)]
        width = self.config.groups
        joined = torch.cat(codes).numpy().astype(np.uint16) if codes else np.zeros((0, width), dtype=np.uint16)
        runs = true_runs(bases == UNKNOWN)
        return CodedDna(joined, len(bases), runs)

    def decode_bases(self, coded: CodedDna) -> np.ndarray:
        """The same as base codes (uint8, [bases])."""
        chances = self.log_chances(coded)
        bases = chances.argmax(1).astype(np.uint8)
        for start, end in coded.unknown:
            bases[start:end] = UNKNOWN
        return bases

    @torch.no_grad()
    def log_chances(self, coded: CodedDna) -> np.ndarray:
        """Log-probability (nats) of A, C, G, T at each base given the codes; float32, [bases, 4].

        Raises:
            InputError: the codes are not of this codebook, or not as many as the length needs.
        """
        expected = (-(-coded.length // self.config.bases_per_code), self.config.groups)
        if coded.codes.shape != expected:
            raise InputError(f"codes: found an array of {coded.codes.shape}, expected {expected} for this codec")
        if len(coded.codes) and coded.codes.max() >= self.config.codebook_size:
            raise InputError(
                f"codes: found code {coded.codes.max()}, this codebook has 0 to {self.config.codebook_size - 1}"
            )
        per_block = self.config.block_size // self.config.bases_per_code
        found = [
            self._decode_batch(codes)
            for codes in _batches(torch.from_numpy(coded.codes.astype(np.int64)), per_block, self.config.bases_per_code)
        ]
        joined = torch.cat(found).numpy() if found else np.zeros((0, 4), dtype=np.float32)
        return joined[: coded.length]

    def tokenize(self, dna: str) -> list[str]:
        """Names of the codes, ``<vq_17>``; of several groups ``<vq_17_3>``."""
        return [f"<vq_{'_'.join(map(str, row))}>" for row in self.encode(dna).codes.tolist()]

    def _decode_batch(self, codes: Tensor) -> Tensor:
        logits = self.network.decode(self.network.quantiser.vectors(codes))
        return logits.float().log_softmax(-1).flatten(0, 1)

    @torch.no_grad()
    def _blocks(self, bases: np.ndarray) -> Sequence[Tensor]:
        """Token ids of blocks; the last block is filled up to a whole code with unknown bases."""
        padded = np.pad(bases, (0, -len(bases) % self.config.bases_per_code), constant_values=UNKNOWN)
        batches = _batches(torch.from_numpy(padded), self.config.block_size, 1)
        return [torch.from_numpy(self.config.kmers.ids(batch.numpy())) for batch in batches]


def _batches(items: Tensor, per_block: int, bases_each: int) -> list[Tensor]:
    """Whole blocks of ``per_block`` items in batches of at most ``BATCH_BASES`` bases, and the rest on its own."""
    whole = len(items) // per_block
    rows = max(1, BATCH_BASES // (per_block * bases_each))
    blocks = items[: whole * per_block].reshape(whole, per_block, *items.shape[1:])
    rest = items[whole * per_block :]
    return [*(blocks.split(rows) if whole else ()), *([rest[None]] if len(rest) else [])]


def save_coded(sequences: Mapping[str, CodedDna], path: Path) -> None:
    """Write sequences as codes: ``names``, ``lengths``, codes of all one after the other, runs of unknown bases."""
    if not sequences:
        raise InputError(f"{path}: no sequence to write")
    coded = list(sequences.values())
    with atomic_write(path, "wb") as stream:
        np.savez_compressed(
            stream,
            names=np.array(list(sequences)),
            lengths=np.array([one.length for one in coded], dtype=np.int64),
            num_codes=np.array([len(one.codes) for one in coded], dtype=np.int64),
            codes=np.concatenate([one.codes for one in coded]),
            num_unknown=np.array([len(one.unknown) for one in coded], dtype=np.int64),
            unknown=np.concatenate([one.unknown for one in coded]),
        )


def load_coded(path: Path) -> dict[str, CodedDna]:
    """What ``save_coded`` wrote. ``InputError`` when the file is something else."""
    what, remedy = "not a file of codes", "make it with vq_encode.py"
    counts = {name: Wanted(INTEGERS, 1) for name in ("lengths", "num_codes", "num_unknown")}
    wanted = {"names": Wanted(TEXT, 1), "codes": Wanted("u", 2), "unknown": Wanted(INTEGERS, 2), **counts}
    arrays = read_arrays(path, what, remedy, wanted)
    if any((arrays[name] < 0).any() for name in counts) or arrays["unknown"].shape[1] != 2:
        raise InputError(f"{path}: {what} (negative numbers); {remedy}")
    for name, number in (("codes", "num_codes"), ("unknown", "num_unknown")):
        if len(arrays[name]) != arrays[number].sum() or (arrays[number] > len(arrays[name])).any():
            raise InputError(f"{path}: {what} ({number} does not fit {name}); {remedy}")
    codes = np.split(arrays["codes"], np.cumsum(arrays["num_codes"])[:-1])
    unknown = np.split(arrays["unknown"], np.cumsum(arrays["num_unknown"])[:-1])
    names, lengths = arrays["names"].tolist(), arrays["lengths"].tolist()
    if len({len(names), len(lengths), len(codes), len(unknown)}) > 1 or len(set(names)) < len(names):
        raise InputError(f"{path}: {what} (names, lengths and codes are not as many); {remedy}")
    rows = zip(names, codes, lengths, unknown, strict=True)
    return {name: CodedDna(part, length, runs) for name, part, length, runs in rows}


def kmer_table(tokenizer: VqTokenizer, dna: Sequence[np.ndarray]) -> np.ndarray:
    """The code that each k-mer (k = ``bases_per_code``) mostly gets in ``dna``; int64, [4**k].

    A k-mer that does not occur gets the code it has in a block of its own. With several groups a code is the number
    whose digits (base ``codebook_size``) are the codes of the groups.

    Raises:
        InputError: k-mers too long for a table, or more codes than k-mers.
    """
    config = tokenizer.config
    k = config.bases_per_code
    if not tokenizer.point.has_table:
        raise InputError(
            f"codec {tokenizer.point.name}: no table of its k-mers; allowed: k-mers of at most {LARGEST_TABLE_K} "
            f"bases, and no more codes than k-mers"
        )
    alone = np.array(np.unravel_index(np.arange(4**k), (4,) * k), dtype=np.uint8).T
    with torch.no_grad():
        tokens = torch.from_numpy(config.kmers.ids(alone))
        table = _number(tokenizer.network.codes(tokens)[:, 0].numpy(), config.codebook_size)
    kmers, codes = [], []
    for bases in dna:
        slots = bases[: len(bases) // k * k].reshape(-1, k)
        known = (slots < UNKNOWN).all(1)
        kmers.append(slots[known].astype(np.int64) @ 4 ** np.arange(k - 1, -1, -1))
        codes.append(_number(tokenizer.encode_bases(bases).codes[: len(slots)][known], config.codebook_size))
    pairs, counts = np.unique(np.stack([np.concatenate(kmers), np.concatenate(codes)]), axis=1, return_counts=True)
    order = np.argsort(counts, kind="stable")
    table[pairs[0, order]] = pairs[1, order]  # of two codes of a k-mer the more frequent is written last
    return table


def write_kmer_table(table: np.ndarray, size: int, path: Path) -> None:
    """Write what the DNA tokenizer ``vq`` of the main workflow reads (``genet5.tokens.dna.VqCodes``)."""
    k = round(np.log2(len(table)) / 2)
    write_json(path, {"format_version": 1, "k": k, "size": size, "codes": table.tolist()}, indent=None)


def table_accuracy(table: np.ndarray, dna: Sequence[np.ndarray]) -> float:
    """Share of known bases that come back when a code is read as the k-mer that most often gets it in ``dna``."""
    k = round(np.log2(len(table)) / 2)
    powers = 4 ** np.arange(k - 1, -1, -1)
    slots = np.concatenate([bases[: len(bases) // k * k].reshape(-1, k) for bases in dna])
    slots = slots[(slots < UNKNOWN).all(1)].astype(np.int64)
    counts = np.bincount(slots @ powers, minlength=len(table))
    order = np.argsort(counts, kind="stable")
    stands_for = np.zeros(table.max() + 1, dtype=np.int64)
    stands_for[table[order]] = order
    read = stands_for[table[slots @ powers]]
    return float((read[:, None] // powers % len(BASES) == slots).mean())


def _number(codes: np.ndarray, size: int) -> np.ndarray:
    """One number, int64, for the codes of all groups, [..., groups]."""
    return codes.astype(np.int64) @ size ** np.arange(codes.shape[-1] - 1, -1, -1)
