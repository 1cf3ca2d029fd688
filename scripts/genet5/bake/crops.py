"""Windows as a network sees them: crops of baked samples, on either strand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genet5.bake.samples import Sample, window_genes
from genet5.bake.shards import ShardReader
from genet5.errors import InputError
from genet5.files import read_json
from genet5.genome.genetic_code import reverse_complement
from genet5.genome.window_genes import WindowGene, reverse_complement_genes


@dataclass(frozen=True)
class Window:
    """A crop of a sample as the network sees it."""

    bases: str
    genes: list[WindowGene]
    dont_care: list[tuple[int, int, str]]
    clade: str
    genetic_code: int


class Place(NamedTuple):
    """Bases ``start`` .. ``end - 1`` of a sample, on one of its strands."""

    start: int
    end: int
    reverse: bool = False

    def first(self, length_bp: int) -> Place:
        """The first bases of the place, as they are read on its strand."""
        start, end, reverse = self
        return Place(end - length_bp, end, True) if reverse else Place(start, start + length_bp)


def crop(sample: Sample, start: int, end: int, reverse: bool = False) -> Window:
    """Bases ``start`` .. ``end - 1`` of a sample with its genes, on either strand; soft-masking is ignored."""
    genes, spans = window_genes(sample, start, end)
    bases = sample.bases[start:end].decode("ascii").upper()
    dont_care = [tuple(span) for span in spans]
    if reverse:
        size = end - start
        turned = {"+": "-", "-": "+", ".": "."}
        bases = reverse_complement(bases)
        genes = reverse_complement_genes(genes, size)
        dont_care = [(size - high, size - low, turned[strand]) for low, high, strand in dont_care]
    return Window(bases, genes, dont_care, sample.meta["clade"], sample.meta["genetic_code"])


def random_place(sample: Sample, rng: np.random.Generator) -> Place:
    """A place as long as the core anywhere in the sample, on a random strand."""
    length = sample.core.length
    start = int(rng.integers(0, len(sample.bases) - length + 1))
    return Place(start, start + length, bool(rng.integers(2)))


def random_crop(sample: Sample, rng: np.random.Generator) -> Window:
    """The window at a ``random_place``."""
    return crop(sample, *random_place(sample, rng))


def read_eval_windows(path: Path, shards: ShardReader) -> list[Window]:
    """The validation windows that ``eval.json`` names. Raises ``InputError`` where it names others than there are."""
    chosen = read_json(path).get("samples")
    if not isinstance(chosen, list) or not all(isinstance(entry, dict) for entry in chosen):
        raise InputError(f"{path}, key samples: expected a list of windows, as merge_validation.py writes it")
    places = [entry.get("index") for entry in chosen]
    for number, place in enumerate(places):
        if type(place) is not int or not 0 <= place < len(shards):
            raise InputError(
                f"{path}, key samples[{number}].index: {str(place)[:40]}, but {shards.path} has the samples 0 to "
                f"{len(shards) - 1}; merge the validation windows again"
            )
    samples = [shards.read(place) for place in places]
    return [crop(sample, *sample.core) for sample in samples]
