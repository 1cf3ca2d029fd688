"""Which genetic code a genome has, as far as its DNA says: which of TAA, TAG and TGA stand within coding stretches.

Coding stretches are found by their other codons (``coding_by_codons.py``). A stop codon is nearly absent there in
frame. One that codes for an amino acid is not. So codes 4 (TGA is Trp) and 6 (TAA and TAG are Gln) can be seen. Codes 1
and 11 differ in their starts alone; codes 12 and 26 in the meaning of CTG, which no gene structure shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genet5.annotate.coding_by_codons import STOP_NUMBERS, STOPS, CodonModel, codons_at, learn_codons
from genet5.clades import Clade
from genet5.errors import InputError
from genet5.genome.genetic_code import GeneticCode

CODE_SAMPLE_BP = 400_000
#: Of what is expected by its share of all codons, a stop has at most this in frame, and a codon with a meaning at least
#: that (docs/decisions.md: 0.05 and 0.28 were the extremes of bacteria, 0.14 the most of *P. falciparum*).
MOST_OF_A_STOP, LEAST_OF_A_CODON = 0.15, 0.2
LEAST_EXPECTED = 30.0
LEAST_CONTRAST = 8.0  # a codon with a meaning has this many times as much in frame as any stop
#: The code that has exactly these stops, where the clade's has not.
CODE_OF_STOPS = {frozenset(STOPS): 1, frozenset({"TAA", "TAG"}): 4, frozenset({"TGA"}): 6}


@dataclass(frozen=True)
class StopEvidence:
    """What the DNA says of stops. stops: the codons that are; None where it is not clear. in_frame: of each of the
    three, how often it stands in frame, against its share of all codons; none where too little coding DNA was found.
    bases: that were read.
    """

    stops: frozenset[str] | None
    in_frame: dict[str, float]
    bases: int

    @property
    def text(self) -> str:
        """For the log."""
        if not self.in_frame:
            return "too little coding DNA to see"
        return ", ".join(f"{codon} {ratio:.2f}" for codon, ratio in self.in_frame.items())


def stops_of_dna(windows: Sequence[str]) -> StopEvidence:
    """Stops that DNA (upper-case bases) has. Of several starting points, the most probable one with a clear answer."""
    codons = [codons_at(window) for window in windows]
    bases = sum(int((one >= 0).sum()) for one in codons)
    numbers = dict(zip(STOPS, STOP_NUMBERS, strict=True))
    clear: list[tuple[float, StopEvidence]] = []
    others: list[tuple[float, StopEvidence]] = []
    for ends in CODE_OF_STOPS:
        found = learn_codons(codons, frozenset(numbers[stop] for stop in ends))
        if found is not None:
            evidence = _evidence(found, bases)
            (others if evidence.stops is None else clear).append((found.likelihood, evidence))
    best = max(clear or others, key=lambda one: one[0], default=None)
    return best[1] if best else StopEvidence(None, {}, bases)


def _evidence(found: CodonModel, bases: int) -> StopEvidence:
    expected = {
        codon: found.in_frame.sum() * found.anywhere[number] for codon, number in zip(STOPS, STOP_NUMBERS, strict=True)
    }
    if min(expected.values()) < LEAST_EXPECTED:
        return StopEvidence(None, {}, bases)
    ratios = {
        codon: float(found.in_frame[number] / expected[codon])
        for codon, number in zip(STOPS, STOP_NUMBERS, strict=True)
    }
    stops = frozenset(codon for codon, ratio in ratios.items() if ratio <= MOST_OF_A_STOP)
    meant = [ratio for codon, ratio in ratios.items() if codon not in stops]
    most = max((ratios[codon] for codon in stops), default=1.0)
    apart = all(ratio >= max(LEAST_OF_A_CODON, LEAST_CONTRAST * most) for ratio in meant)
    return StopEvidence(stops if apart and stops in CODE_OF_STOPS else None, ratios, bases)


@dataclass(frozen=True)
class ChosenCode:
    """A genetic code, and why."""

    table: int
    reason: str


def code_for(clade: Clade, evidence: StopEvidence) -> ChosenCode:
    """The code of a clade, or the one that has the stops of the DNA where these are clear and the clade allows it."""
    own = clade.genetic_code
    if evidence.stops is None:
        return ChosenCode(own, f"the DNA is not clear ({evidence.text}), so that of {clade.name}")
    shown = f"in frame {evidence.text} of what is expected"
    if GeneticCode.from_table(own).stops == evidence.stops:
        same = "; codes 12 and 26 have the same genes, only proteins differ" if own == 1 else ""
        return ChosenCode(own, f"that of {clade.name}, and the DNA agrees: {shown}{same}")
    seen = CODE_OF_STOPS[evidence.stops]
    try:
        clade.gene_rules(seen)
    except InputError:
        return ChosenCode(own, f"the DNA looks like code {seen} ({shown}), but {clade.name} has starts that it lacks")
    stops = ", ".join(sorted(evidence.stops))
    return ChosenCode(seen, f"the DNA has no stops but {stops}: {shown}")
