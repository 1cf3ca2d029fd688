"""DNA between simulated genes that looks like something and is no gene: what a gene finder must not fall for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from genet5.genome.simulated_genes import DnaClass, DnaWriter, GeneSampler
from genet5.genome.simulation_options import SimulateOptions

_CPG_ISLAND = np.full((1, 4, 4), (0.16, 0.34, 0.34, 0.16))
_CPG_ISLAND[0, 1] = (0.16, 0.32, 0.36, 0.16)  # CG as often as its letters say
_A = 0
_MOST_DECOYS = 0.8  # of the bases between genes
_MEASURED = 30  # decoys of a kind, to know their mean length


class DecoySampler:
    """Draws decoys; the families of repeats and how often each kind occurs are drawn once, for the genome."""

    def __init__(self, rng: np.random.Generator, genes: GeneSampler, options: SimulateOptions) -> None:
        self.genes = genes
        kinds: dict[str, tuple[float, Callable[[np.random.Generator, DnaClass], np.ndarray]]] = {
            "pseudogene": (options.pseudogene_share, self.pseudogene),
            "processed": (options.processed_share, self.processed),
            "open_frame": (options.open_frame_share, self.open_frame),
            "transposon": (options.transposon_share, self.transposon),
            "tandem": (options.tandem_share, self.tandem_repeat),
            "low_complexity": (options.low_complexity_share, self.low_complexity),
            "cpg_island": (options.cpg_island_share, self.cpg_island),
        }
        self.kinds = tuple(kinds)
        self._samplers = [sampler for _, sampler in kinds.values()]
        self.shares = np.array([share for share, _ in kinds.values()]) * rng.uniform(0, 2, len(kinds))
        self.shares *= min(1.0, _MOST_DECOYS / max(self.shares.sum(), 1e-9))
        self.families = [self._family(rng) for _ in range(int(rng.integers(3, 9)))]
        self.mean_bp = np.array([self._mean_length(kind, rng) for kind in range(len(kinds))])

    def between_genes(self, rng: np.random.Generator, dna: DnaClass, length: int) -> np.ndarray:
        """About ``length`` bases between two genes: intergenic DNA with decoys at random places in it."""
        decoys = [
            self.draw(kind, rng, dna)
            for kind, mean in enumerate(self.shares / self.mean_bp * length)
            for _ in range(rng.poisson(mean))
        ]
        rng.shuffle(decoys)
        plain = int(length * (1 - self.shares.sum()))
        cuts = np.sort(rng.integers(0, plain + 1, len(decoys)))
        writer = DnaWriter(rng, dna, length + sum(map(len, decoys)))
        done = 0
        for cut, decoy in zip(cuts, decoys, strict=True):
            writer.markov(int(cut) - done, dna.intergenic)
            writer.put(decoy if rng.random() < 0.5 else 3 - decoy[::-1])
            done = int(cut)
        writer.markov(plain - done, dna.intergenic)
        return writer.bases()

    def draw(self, kind: int, rng: np.random.Generator, dna: DnaClass) -> np.ndarray:
        """A decoy of kind ``kinds[kind]``."""
        return self._samplers[kind](rng, dna)

    def pseudogene(self, rng: np.random.Generator, dna: DnaClass) -> np.ndarray:
        """A gene with its introns, each coding segment damaged."""
        piece = self.genes.gene(rng, dna)
        rate = rng.uniform(0.02, 0.2)
        parts, done = [], 0
        for start, end in piece.cds:
            parts += [piece.bases[done:start], damaged(rng, piece.bases[start:end], rate, self._stop(rng))]
            done = end
        return mutated(rng, np.concatenate([*parts, piece.bases[done:]]), rate / 4)

    def processed(self, rng: np.random.Generator, dna: DnaClass) -> np.ndarray:
        """A spliced copy of a gene, damaged; many lack their 5' end, most have a poly-A tail."""
        piece = self.genes.gene(rng, dna)
        spliced = np.concatenate([piece.bases[start:end] for start, end in piece.cds])
        copy = damaged(rng, spliced, rng.uniform(0.01, 0.15), self._stop(rng))
        if rng.random() < 0.5:
            copy = copy[int(len(copy) * rng.uniform(0, 0.7)) :]
        tail = np.full(int(rng.integers(8, 35)) if rng.random() < 0.7 else 0, _A, dtype=np.int8)
        return np.concatenate([copy, tail])

    def open_frame(self, rng: np.random.Generator, dna: DnaClass) -> np.ndarray:
        """Coding DNA without stops that begins with no start codon."""
        writer = DnaWriter(rng, dna, 2000)
        writer.markov(3 * int(rng.integers(50, 280)), dna.exon, 0, self.genes.stops)
        return writer.bases()

    def transposon(self, rng: np.random.Generator, dna: DnaClass) -> np.ndarray:
        """A copy of a member of a family of repeats, older or younger, often only its 3' end."""
        family = self.families[int(rng.integers(len(self.families)))]
        copy = mutated(rng, family, rng.uniform(0.02, 0.25))
        return copy[int(len(copy) * rng.uniform(0, 0.9)) :] if rng.random() < 0.7 else copy

    def tandem_repeat(self, rng: np.random.Generator, dna: DnaClass) -> np.ndarray:
        """Copies of a short unit, side by side, that differ a little."""
        unit = self._letters(rng, dna, int(rng.integers(1, 12) if rng.random() < 0.6 else rng.integers(12, 61)))
        length = max(2 * len(unit), int(rng.integers(20, 480)))
        return mutated(rng, np.resize(unit, length), rng.uniform(0, 0.12))

    def low_complexity(self, rng: np.random.Generator, dna: DnaClass) -> np.ndarray:
        """One letter repeated, mostly A, or a stretch in which few letters dominate."""
        length = int(rng.integers(12, 108))
        if rng.random() < 0.4:
            return np.full(min(length, 40), _A if rng.random() < 0.8 else rng.integers(4), dtype=np.int8)
        return rng.choice(4, length, p=rng.dirichlet(np.full(4, 0.3))).astype(np.int8)

    def cpg_island(self, rng: np.random.Generator, dna: DnaClass) -> np.ndarray:
        """DNA rich in C and G."""
        writer = DnaWriter(rng, dna, 1000)
        writer.markov(int(rng.integers(200, 1000)), _CPG_ISLAND)
        return writer.bases()

    def _mean_length(self, kind: int, rng: np.random.Generator) -> float:
        if not self.shares[kind]:
            return 1.0  # any number: none is drawn
        dna = self.genes.classes[0]
        return float(np.mean([len(self.draw(kind, rng, dna)) for _ in range(_MEASURED)]))

    def _family(self, rng: np.random.Generator) -> np.ndarray:
        """A mobile element: coding-like DNA between two direct or two inverted repeats."""
        dna = self.genes.classes[int(rng.integers(len(self.genes.classes)))]
        writer = DnaWriter(rng, dna, 4000)
        repeat = self._letters(rng, dna, int(rng.integers(15, 250)))
        writer.put(repeat)
        writer.markov(int(rng.integers(30, 200)), dna.flank)
        writer.markov(3 * int(rng.integers(80, 700)), dna.exon, 0, self.genes.stops)
        writer.markov(int(rng.integers(30, 200)), dna.flank)
        writer.put(repeat if rng.random() < 0.5 else 3 - repeat[::-1])
        return writer.bases().copy()

    def _letters(self, rng: np.random.Generator, dna: DnaClass, length: int) -> np.ndarray:
        writer = DnaWriter(rng, dna, length)
        writer.markov(length, dna.intergenic)
        return writer.bases().copy()

    def _stop(self, rng: np.random.Generator) -> np.ndarray:
        return self.genes.stop_codon(rng)


def damaged(rng: np.random.Generator, coding: np.ndarray, rate: float, stop: np.ndarray) -> np.ndarray:
    """Coding DNA with substitutions at ``rate``, and a stop, or one or two bases lost or gained, for each 300 bases."""
    coding = mutated(rng, coding, rate)
    for _ in range(1 + len(coding) // 300):
        if len(coding) < 9:
            break
        place = int(rng.integers(3, len(coding) - 3))
        damage = rng.integers(3)
        if damage == 0:
            place -= place % 3
            coding = np.concatenate([coding[:place], stop, coding[place + 3 :]])
        elif damage == 1:
            coding = np.delete(coding, slice(place, place + int(rng.integers(1, 3))))
        else:
            coding = np.insert(coding, place, rng.integers(0, 4, int(rng.integers(1, 3))))
    return coding


def mutated(rng: np.random.Generator, bases: np.ndarray, rate: float) -> np.ndarray:
    """A copy in which each base is another one with probability ``rate``."""
    changed = rng.random(len(bases)) < rate
    return np.where(changed, (bases + rng.integers(1, 4, len(bases))) % 4, bases).astype(np.int8)
