"""Which clade's model annotates a genome: the one whose genes make its DNA most predictable (``code_length.py``)."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import exp
from typing import Any

from genet5.adapt.sampling import SampledWindow, find_repeats
from genet5.adapt.typical import typical_of_windows
from genet5.annotate.choosing_code import CODE_SAMPLE_BP, ChosenCode, StopEvidence, code_for, stops_of_dna
from genet5.annotate.code_length import saved_bits
from genet5.annotate.models import load_annotator
from genet5.annotate.sampled_dna import PIECE_BP, SAMPLE_BP, sampled_regions
from genet5.clades import Clade, clade_named
from genet5.configuration import AUTO
from genet5.crf.window_decoder import WindowDecoder
from genet5.errors import InputError
from genet5.genome.fasta import Genome
from genet5.genome.genes import Region
from genet5.genome.sites import GeneRules, WindowSites
from genet5.genome.window_genes import ScoredGene

#: Clades that save this share less than the best one are as good as it is.
EQUAL_SHARE = 0.001
EQUAL_SHARE_WITHIN = 0.015  # among a clade and its subclades, whose models are more alike
GENERAL_SHARE = 0.02  # of its bits that a general clade has to save more than another one
LEAST_BP = 20_000  # of known bases; with less, a choice is a guess
#: Read where no model finds genes in the first sample, as where they lie 100 kb apart: bases, and those of a piece.
MORE_BP, MORE_PIECE_BP = 1_000_000, 100_000


@dataclass(frozen=True)
class Evidence:
    """What a clade's model makes of the sample. saved_bits_per_kb: by its genes. certainty: mean probability of its
    genes. usual: whether as many genes per megabase are usual in the clade.
    """

    genetic_code: int
    saved_bits_per_kb: float
    certainty: float
    genes_per_mb: float
    usual: bool


@dataclass(frozen=True)
class Choice:
    """Clade and code that annotate a genome.

    evidence: of each clade with a model, best first; empty where the user named a clade without subclades. unsure:
    why the clade may be wrong; "" where nothing says so. code_reason: "" where the user named the code. bases: of the
    sample that models read. seconds: that it took.
    """

    clade: str
    genetic_code: int
    asked_clade: str
    asked_code: int | str | None
    evidence: dict[str, Evidence]
    unsure: str
    code_reason: str
    bases: int
    seconds: float

    def summary(self) -> dict[str, Any]:
        """As ``{prefix}.json`` has it."""
        return {
            "clade_asked": self.asked_clade,
            "clade": self.clade,
            "genetic_code_asked": self.asked_code,
            "genetic_code": self.genetic_code,
            "genetic_code_reason": self.code_reason,
            "evidence": {name: asdict(one) for name, one in self.evidence.items()},
            "unsure": self.unsure,
            "bases_read": self.bases,
            "seconds": round(self.seconds, 2),
        }

    def lines(self) -> list[str]:
        """For the log."""
        told = []
        if self.evidence:
            asked = "" if self.asked_clade == AUTO else f" within {self.asked_clade}"
            told.append(f"clade: {self.clade}, chosen{asked} by {self.bases} bases in {self.seconds:.0f} s")
            told += [
                f"  {name}: genes save {one.saved_bits_per_kb:.1f} bits per kb, mean probability {one.certainty:.2f}, "
                f"{one.genes_per_mb:.0f} genes per Mb{'' if one.usual else ' (unusual)'}"
                for name, one in self.evidence.items()
            ]
            if self.unsure:
                told.append(f"  this choice is unsure: {self.unsure}; --clade names another one")
        if self.code_reason:
            told.append(f"genetic code: {self.genetic_code} ({self.code_reason})")
        return told


def choose_if_asked(
    genome: Genome,
    regions: Sequence[Region],
    clades: Mapping[str, Clade],
    clade: str,
    genetic_code: int | str | None,
    own_model: bool,
) -> Choice | None:
    """``choose``, where something is ``auto``, or where the clade has subclades and the model is one of GeneT5's."""
    if AUTO in (clade, genetic_code) or (not own_model and clade_named(clades, clade).subclades):
        return choose(genome, regions, clades, clade, genetic_code, own_model)
    return None


def choose(
    genome: Genome,
    regions: Sequence[Region],
    clades: Mapping[str, Clade],
    clade: str = AUTO,
    genetic_code: int | str | None = AUTO,
    own_model: bool = False,
) -> Choice:
    """The clade and the genetic code that annotate ``regions``; each is chosen where it is ``auto``.

    A named clade is chosen, too, where it has subclades: it stays where the DNA says nothing. genetic_code: None means
    that of the clade. own_model: a model of the user's reads the named clade, so that stays. The same genome gives the
    same choice on all devices: models read on the CPU. Raises ``InputError`` for an unknown clade, and where no clade
    has a model.
    """
    began = time.perf_counter()
    stops = StopEvidence(None, {}, 0)
    if genetic_code == AUTO:
        stops = stops_of_dna(_windows(genome, sampled_regions(genome, regions, CODE_SAMPLE_BP)))

    def code_of(one: Clade) -> ChosenCode:
        if genetic_code == AUTO:
            return code_for(one, stops)
        return ChosenCode(int(genetic_code or one.genetic_code), "")

    evidence, unsure, bases, name = {}, "", 0, clade
    named = {} if clade == AUTO else {clade: clade_named(clades, clade)}
    among = clades if clade == AUTO else named | {one: clades[one] for one in named[clade].subclades if not own_model}
    if clade == AUTO or len(among) > 1:
        for one in named.values():
            one.gene_rules(code_of(one).table)
        codes = {name: code_of(one).table for name, one in among.items()}
        for sample in ((SAMPLE_BP, PIECE_BP), (MORE_BP, MORE_PIECE_BP)):
            windows = _windows(genome, sampled_regions(genome, regions, *sample))
            if evidence and sum(map(len, windows)) == bases:
                break  # the genome has no more
            bases = sum(map(len, windows))
            evidence = evidence_of_clades(windows, among, codes, EQUAL_SHARE_WITHIN if named else EQUAL_SHARE)
            unsure = _says_nothing(windows, evidence)
            if not unsure:
                break
        name = clade if named and unsure else next(iter(evidence))
        unsure = unsure or ("" if evidence[name].usual else f"so many genes per Mb are not usual in {name}")
    found = clade_named(clades, name)
    code = code_of(found)
    seconds = time.perf_counter() - began
    return Choice(name, code.table, clade, genetic_code, evidence, unsure, code.reason, bases, seconds)


def evidence_of_clades(
    windows: Sequence[str], clades: Mapping[str, Clade], codes: Mapping[str, int], equal_share: float = EQUAL_SHARE
) -> dict[str, Evidence]:
    """Evidence of all clades with a model, best first. codes: genetic code of each clade. equal_share: of ``ranked``.

    Raises ``InputError`` where no clade has a model, or none allows its code.
    """
    with_model = {name: one for name, one in clades.items() if one.model is not None}
    if not with_model:
        raise InputError("clade auto: no clade has a model to choose from; name a model (--model) and its clade")
    found: dict[str, Evidence] = {}
    read: dict[tuple, list[list[ScoredGene]]] = {}
    refused = ""
    for name, one in sorted(with_model.items(), key=lambda pair: (str(pair[1].model.folder), pair[0])):
        try:
            rules = one.gene_rules(codes[name])
        except InputError as error:
            refused = str(error)
            continue
        key = (one.model.folder, rules)
        if key not in read:
            read[key] = _read(one, rules, windows)
        found[name] = _evidence(windows, read[key], one, codes[name])
    if not found:
        raise InputError(f"clade auto: no clade with a model allows the genetic code ({refused})")
    return ranked(found, equal_share, {name for name in found if clades[name].general})


def ranked(
    evidence: Mapping[str, Evidence], equal_share: float = EQUAL_SHARE, general: Collection[str] = ()
) -> dict[str, Evidence]:
    """Best first: by the bits that genes save, of which those of ``general`` clades count less (GENERAL_SHARE).

    Those nearly as good as the best one are ordered by a usual number of genes, by certainty, then by bits. All are
    where the best one saves nothing.
    """
    counted = {
        name: one.saved_bits_per_kb * (1 - GENERAL_SHARE if name in general else 1) for name, one in evidence.items()
    }
    best = max(counted.values())
    least = best * (1 - equal_share) if best > 0 else float("-inf")

    def key(item: tuple[str, Evidence]) -> tuple:
        name, one = item
        bits = -counted[name]
        if counted[name] >= least:
            return (0, not one.usual, -one.certainty, bits, name)
        return (1, bits, name)

    return dict(sorted(evidence.items(), key=key))


def _says_nothing(windows: Sequence[str], ordered: Mapping[str, Evidence]) -> str:
    """Why the DNA cannot choose a clade; "" where it can."""
    known = sum(window.count(letter) for window in windows for letter in "ACGT")
    if known < LEAST_BP:
        return f"the genome has {known} known bases, at least {LEAST_BP} are needed"
    if next(iter(ordered.values())).saved_bits_per_kb <= 0:
        return "no model finds genes that make the DNA more predictable"
    return ""


def _windows(genome: Genome, regions: Sequence[Region]) -> list[str]:
    return [genome.sequence(*region).upper() for region in regions]


def _read(clade: Clade, rules: GeneRules, windows: Sequence[str]) -> list[list[ScoredGene]]:
    """Genes of the windows, with the tables of the model's species that are near, as in an annotation. Windows are in
    upper case, so that no masked base costs: clades differ in that, and the genome's repeats choose none.
    """
    model = load_annotator(clade.model.folder)
    decoder, relatives = WindowDecoder(model.crf, rules), model.relatives()
    sites = [WindowSites(window, rules) for window in windows]
    read = decoder.read_windows(sites)
    if relatives is not None:
        sample = [SampledWindow(*row) for row in zip(sites, read, find_repeats(sites), strict=True)]
        decoder.add = typical_of_windows(relatives, decoder, sample)
    return list(decoder.each(lambda one, potentials: decoder.genes(one, potentials, None), sites, read))


def _evidence(windows: Sequence[str], genes: Sequence[Sequence[ScoredGene]], clade: Clade, code: int) -> Evidence:
    total, number = sum(map(len, windows)), sum(map(len, genes))
    sure_first = [[one.gene for one in sorted(of, key=lambda one: -one.log_probability)] for of in genes]
    least, most = (limit * total / 1e6 for limit in clade.genes_per_mb)
    return Evidence(
        genetic_code=code,
        saved_bits_per_kb=round(1000 * saved_bits(windows, sure_first) / max(total, 1), 3),
        certainty=round(sum(exp(one.log_probability) for of in genes for one in of) / max(number, 1), 4),
        genes_per_mb=round(1e6 * number / max(total, 1), 1),
        usual=least - 2 * least**0.5 <= number <= most + 2 * most**0.5,
    )
