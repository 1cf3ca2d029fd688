"""Windows with a binding score at each base: read, split by position, and checked for DNA that two splits share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genet5.arrays import FLOATS, INTEGERS, TEXT, Wanted, read_arrays
from genet5.compressed import DAMAGED_GZIP, lines_of, open_input
from genet5.errors import InputError
from genet5.files import atomic_write, one_line, write_json
from genet5.studies.dna_llm.alphabets import BASES
from genet5.studies.dna_llm.shared_kmers import KmerSet
from genet5.tables import table_records

SPLITS = ("train", "validation", "test")
LEFT_OUT = "left_out"
_NAME = re.compile(r"(?P<seqid>.+)_(?P<start>[0-9]{1,18})_(?P<end>[0-9]{1,18})")
_LONGEST_ROW_BYTES = 64_000_000  # a column for each of a million windows
_LETTERS = np.frombuffer(BASES.encode(), dtype=np.uint8)


@dataclass(frozen=True)
class SplitOptions:
    """Whole blocks of ``block_bp`` go to one split; lengths in bp, shares of the windows."""

    block_bp: int = 500_000
    validation_share: float = 0.15
    test_share: float = 0.15
    max_shared: float = 0.5
    limit: int = 0
    seed: int = 42


@dataclass(frozen=True)
class BindingWindows:
    """Bases (codes 0 to 3, uint8, [windows, bp]), scores (float32, same shape), and where each window lies."""

    bases: np.ndarray
    scores: np.ndarray
    seqids: np.ndarray
    starts: np.ndarray
    splits: np.ndarray

    def part(self, split: str) -> BindingWindows:
        """The windows of one split."""
        chosen = self.splits == split
        if not chosen.any():
            raise InputError(f"no window is left for {split}: lower block_bp or raise its share")
        return BindingWindows(*(array[chosen] for array in self.__dict__.values()))

    def sequence(self, index: int) -> bytes:
        """Bases of a window as text."""
        return _LETTERS[self.bases[index]].tobytes()


def read_windows(sequences: Path, scores: Path) -> BindingWindows:
    """Read the published pair of tables; every window is in no split yet.

    ``sequences``: TSV with columns sequence and window_name (``{seqid}_{start}_{end}``); ``scores``: TSV, one column
    for each window in the same order, one row for each base. Plain or gzip.

    Raises:
        InputError: columns missing, names that differ, sequences of several lengths or with letters beside A, C, G, T.
    """
    with open_input(sequences) as stream:
        text = (line.decode("utf-8", "replace") for line in lines_of(sequences, stream))
        rows = table_records(text, sequences)
    missing = {"sequence", "window_name"} - set(rows[0] if rows else ())
    if missing:
        raise InputError(f"{sequences}: no column {', '.join(sorted(missing))}, or no row")
    names, texts = [row["window_name"] or "" for row in rows], [row["sequence"] or "" for row in rows]
    places = [_NAME.fullmatch(name) for name in names]
    if None in places:
        wrong = places.index(None)
        raise InputError(f"{sequences}, line {wrong + 2}: window {names[wrong]!r} is not SEQID_START_END")
    numbers = _read_scores(scores, names, sequences)
    lengths = {len(text) for text in texts}
    if lengths != {numbers.shape[1]}:
        raise InputError(
            f"{sequences}: windows of {min(lengths)} to {max(lengths)} bp, "
            f"but {scores} has {numbers.shape[1]} rows of scores"
        )
    # A letter beyond ASCII becomes one byte, which is none of the four.
    letters = np.frombuffer("".join(texts).encode("ascii", "replace"), dtype=np.uint8).reshape(len(texts), -1)
    codes = np.full(256, 255, dtype=np.uint8)
    codes[_LETTERS] = np.arange(4)
    bases = codes[letters]
    if (bases == 255).any():
        row = int((bases == 255).any(axis=1).argmax())
        raise InputError(f"{sequences}, line {row + 2}: a letter beside A, C, G, T")
    seqids = np.array([place["seqid"] for place in places])
    starts = np.array([int(place["start"]) for place in places], dtype=np.int64)
    return BindingWindows(bases, numbers, seqids, starts, np.full(len(names), "", dtype="<U10"))


def _read_scores(path: Path, names: list[str], sequences: Path) -> np.ndarray:
    """Scores of the windows, float32, [windows, bp]."""
    with open_input(path) as stream:
        if stream.readline(_LONGEST_ROW_BYTES).decode("utf-8", "replace").split() != names:
            raise InputError(f"{path}: its columns are not the windows of {sequences}, in the same order")
        try:
            values = np.loadtxt(lines_of(path, stream, _LONGEST_ROW_BYTES), delimiter="\t", dtype=np.float32, ndmin=2)
        except DAMAGED_GZIP:
            raise
        except Exception as error:  # NumPy's parser raises ValueError, IndexError, and errors of its own
            raise InputError(f"{path}: not a table of numbers ({one_line(error)})") from None
    if values.shape[1] != len(names) or not np.isfinite(values).all() or (values < 0).any():
        raise InputError(f"{path}: a score is missing, negative or no number")
    return np.ascontiguousarray(values.T)


def split_windows(windows: BindingWindows, options: SplitOptions) -> tuple[BindingWindows, dict[str, Any]]:
    """Put every window into a split, or leave it out; and what was found on the way.

    Blocks of the sequences are shuffled and dealt to test, validation and training in turn: neighbours stay together.
    A window of validation or test with at least ``max_shared`` of its 24-mers in training DNA (of test: in validation
    DNA too), on either strand, is left out: repeats and duplications would be recognised, not predicted. So are
    windows that overlap one of another split. With ``limit``, a random part of each split is kept.
    """
    rng = np.random.default_rng(options.seed)
    blocks = np.array([f"{s}:{p}" for s, p in zip(windows.seqids, windows.starts // options.block_bp, strict=True)])
    names, block, sizes = np.unique(blocks, return_inverse=True, return_counts=True)
    shares = {"test": options.test_share, "validation": options.validation_share}
    owner = np.full(len(names), "train", dtype="<U10")
    waiting = list(rng.permutation(len(names)))
    for split, share in shares.items():
        taken = 0
        while waiting and taken < share * len(blocks):
            taken += sizes[waiting[0]]
            owner[waiting.pop(0)] = split
    if not waiting:
        raise InputError(f"block_bp: {options.block_bp} makes {len(names)} blocks, too few for three splits")
    splits = owner[block]
    report: dict[str, Any] = {"windows": len(blocks), "blocks": len(names)}
    report["overlapping"] = _leave_out_overlapping(windows, splits)
    report["audit"] = _leave_out_shared(windows, splits, options.max_shared)
    if options.limit:
        for split in SPLITS:
            members = rng.permutation(np.flatnonzero(splits == split))
            splits[members[options.limit :]] = LEFT_OUT
    report["splits"] = {split: int((splits == split).sum()) for split in (*SPLITS, LEFT_OUT)}
    report["blocks_of"] = {split: sorted(names[owner == split].tolist()) for split in SPLITS}
    return BindingWindows(windows.bases, windows.scores, windows.seqids, windows.starts, splits), report


def _leave_out_overlapping(windows: BindingWindows, splits: np.ndarray) -> int:
    """Mark windows that share a base with a window of another split; their number."""
    order = np.lexsort((windows.starts, windows.seqids))
    marked = 0
    while True:
        left, right = order[:-1], order[1:]
        clash = (
            (windows.seqids[left] == windows.seqids[right])
            & (windows.starts[right] < windows.starts[left] + windows.bases.shape[1])
            & (splits[left] != splits[right])
        )
        found = np.unique(np.concatenate((left[clash], right[clash])))
        if not len(found):
            return marked
        splits[found] = LEFT_OUT
        marked += len(found)
        order = order[splits[order] != LEFT_OUT]  # what is left may have new neighbours


def _leave_out_shared(windows: BindingWindows, splits: np.ndarray, max_shared: float) -> dict[str, Any]:
    """Mark windows that share too much with DNA of the splits before theirs; shares before and after."""
    audit: dict[str, Any] = {"max_shared": max_shared}
    for split, others in (("validation", ("train",)), ("test", ("train", "validation"))):
        known = KmerSet(windows.sequence(i) for i in np.flatnonzero(np.isin(splits, others)))
        members = np.flatnonzero(splits == split)
        shares = np.array([known.share(windows.sequence(i)) for i in members])
        too_much = shares >= max_shared
        splits[members[too_much]] = LEFT_OUT
        audit[split] = {
            "windows": len(members),
            "left_out": int(too_much.sum()),
            "highest_share_kept": float(shares[~too_much].max(initial=0.0)),
            "mean_share_kept": float(shares[~too_much].mean()) if (~too_much).any() else None,
        }
    return audit


def save_windows(windows: BindingWindows, report: Mapping[str, Any], path: Path, report_path: Path) -> None:
    """Write the windows (.npz) and, last, the report (.json)."""
    with atomic_write(path, "wb") as stream:
        np.savez_compressed(stream, **windows.__dict__)
    write_json(report_path, report)


def load_windows(path: Path) -> BindingWindows:
    """Raises ``InputError`` when the file is missing or no such file."""
    wanted = {
        "bases": Wanted(INTEGERS, 2),
        "scores": Wanted(FLOATS, 2),
        "seqids": Wanted(TEXT, 1),
        "starts": Wanted(INTEGERS, 1),
        "splits": Wanted(TEXT, 1),
    }
    what, remedy = "no binding windows", "make them with dna_llm_windows.py"
    arrays = read_arrays(path, what, remedy, wanted)
    bases = arrays["bases"]
    if bases.shape != arrays["scores"].shape or {len(array) for array in arrays.values()} != {len(bases)}:
        raise InputError(f"{path}: {what} (its arrays differ in length); {remedy}")
    if bases.size and not 0 <= bases.min() <= bases.max() <= 3:
        raise InputError(f"{path}: {what} (codes of bases beyond 0 to 3); {remedy}")
    return BindingWindows(**arrays)
