"""Decoders: how a model turns the DNA of windows into genes. One table of objects behind one interface.

viterbi: dynamic programming over the CRF alone. expected: the genes of the CRF with the highest expected F1. reranked:
the language model judges between the genes that the CRF holds for probable at one place. lm: the language model under
the grammar. joint: the language model among the reading frames that the CRF takes, in clades without introns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from genet5.clades import Clade, clade_named
from genet5.crf.annotating_network import WindowPotentials
from genet5.crf.expected import ExpectedOptions, expected_genes
from genet5.crf.isoforms import IsoformOptions, other_transcripts
from genet5.crf.model import Crf
from genet5.crf.window_decoder import Addition, Choice, WindowDecoder
from genet5.errors import InputError
from genet5.evidence.potentials import WindowEvidence
from genet5.genome.genes import Region
from genet5.genome.sites import GeneRules, WindowSites
from genet5.genome.window_genes import ScoredGene, WindowGene

if TYPE_CHECKING:  # annotating with a CRF alone imports no transformers
    from genet5.annotate.models import Model


class DecodedWindow(NamedTuple):
    """Genes of a window with their log-probabilities. truncated: its structure sequence was cut for its length.

    others: further transcripts of genes, where these are asked for.
    """

    genes: list[ScoredGene]
    truncated: bool = False
    others: Mapping[WindowGene, list[WindowGene]] = MappingProxyType({})


class Decoder(Protocol):
    """Turns windows into genes. Lower case: soft-masked. places: where windows lie, given where there is evidence."""

    def decode(self, windows: Sequence[str], places: Sequence[Region] | None = None) -> list[DecodedWindow]: ...


#: What the language model judges between: a gene and three others at most.
RIVALS = IsoformOptions(number=4, posterior=0.02)

#: Decoders that take an adaptation and evidence.
OF_THE_CRF = ("viterbi", "expected")


@dataclass(frozen=True)
class DecodingOptions:
    """How a decoder works. beam_width: structure sequences of a window that the language model keeps at a time.
    precision: of the CRF's networks (``training/precision.py``). add: an adaptation of the CRF. evidence: hints.
    expected: of the decoder expected. isoforms: further transcripts. masked_cost: of a coding base that is soft-masked.
    The last five are for the decoders of the CRF.
    """

    beam_width: int = 1
    precision: str = "auto"
    add: Addition | None = None
    evidence: WindowEvidence | None = None
    expected: ExpectedOptions = field(default_factory=ExpectedOptions)
    isoforms: IsoformOptions = field(default_factory=IsoformOptions)
    masked_cost: float = 0.0

    def window_decoder(self, crf: Crf, rules: GeneRules, choose: Choice | None = None) -> WindowDecoder:
        return WindowDecoder(crf, rules, self.precision, self.add, self.evidence, choose, self.masked_cost)


@dataclass(frozen=True)
class Organism:
    """What decoders have to know of the organism."""

    clade: Clade
    genetic_code: int

    @property
    def rules(self) -> GeneRules:
        return self.clade.gene_rules(self.genetic_code)


class Viterbi:
    """The best chain of genes under the CRF."""

    def __init__(self, crf: Crf, rules: GeneRules, options: DecodingOptions) -> None:
        self.crf, self.isoforms = crf, options.isoforms
        self.decoder = options.window_decoder(crf, rules)

    def decode(self, windows: Sequence[str], places: Sequence[Region] | None = None) -> list[DecodedWindow]:
        return _decoded(self.decoder, windows, places, self.isoforms)


class Expected:
    """The legal chain of genes with the highest expected exon and gene F1 under the CRF."""

    def __init__(self, crf: Crf, rules: GeneRules, options: DecodingOptions) -> None:
        def choose(sites: WindowSites, potentials: WindowPotentials) -> list[WindowGene]:
            return expected_genes(*potentials, sites, self.decoder.gene_penalty, options.expected, self.decoder.introns)

        self.isoforms = options.isoforms
        self.decoder = options.window_decoder(crf, rules, choose)

    def decode(self, windows: Sequence[str], places: Sequence[Region] | None = None) -> list[DecodedWindow]:
        return _decoded(self.decoder, windows, places, self.isoforms)


def _decoded(
    decoder: WindowDecoder, windows: Sequence[str], places: Sequence[Region] | None, options: IsoformOptions
) -> list[DecodedWindow]:
    """Genes of windows, with further transcripts if more than one of a gene is asked for."""
    if options.number < 2:
        return [DecodedWindow(genes) for genes in decoder.decode(windows, places)]

    def others(sites: WindowSites, potentials: WindowPotentials, genes: list[WindowGene]) -> Mapping:
        found = other_transcripts(*potentials, sites, decoder.gene_penalty, genes, options, decoder.introns)
        return {gene: [other for other, _ in others] for gene, others in found.items()}

    return [DecodedWindow(genes, False, found) for genes, found in decoder.decode_with(windows, others, places)]


class LanguageModel:
    """The most probable structure sequence, among all reading frames or among those that another decoder takes."""

    def __init__(
        self, model: Model, organism: Organism, options: DecodingOptions, frames: Decoder | None = None
    ) -> None:
        from genet5.tokens.grammar import Grammar

        self.writer, self.frames, self.options = model.writer, frames, options
        self.clade = organism.clade.name
        self.grammar = Grammar(model.tokenizer, organism.rules)

    def decode(self, windows: Sequence[str], places: Sequence[Region] | None = None) -> list[DecodedWindow]:
        from genet5.writer.decoding import write_genes

        windows, frames = [window.upper() for window in windows], None
        if self.frames is not None:
            frames = [[scored.gene for scored in found.genes] for found in self.frames.decode(windows)]
        written = write_genes(
            self.writer, self.grammar, windows, self.clade, frames, self.options.beam_width, self.options.precision
        )
        return [
            DecodedWindow(
                [ScoredGene(*pair) for pair in zip(one.genes, one.gene_log_probability, strict=True)], one.truncated
            )
            for one in written
        ]


class Reranked:
    """The best chain of the CRF, with the gene at each place that the CRF and the language model together prefer."""

    def __init__(self, model: Model, organism: Organism, options: DecodingOptions) -> None:
        from genet5.annotate.judge import Judge
        from genet5.tokens.grammar import Grammar

        self.decoder = WindowDecoder(model.crf, organism.rules, options.precision)
        grammar = Grammar(model.tokenizer, organism.rules)
        self.judge = Judge(model.writer, grammar, organism.clade.name, options.precision)

    def decode(self, windows: Sequence[str], places: Sequence[Region] | None = None) -> list[DecodedWindow]:
        def others(sites: WindowSites, potentials: WindowPotentials, genes: list[WindowGene]) -> Mapping:
            return other_transcripts(*potentials, sites, self.decoder.gene_penalty, genes, RIVALS)

        windows = [window.upper() for window in windows]
        found = zip(windows, self.decoder.decode_with(windows, others), strict=True)
        return [DecodedWindow(self.judge.choose(window, *of)) for window, of in found]


def _viterbi(model: Model, organism: Organism, options: DecodingOptions) -> Decoder:
    return Viterbi(model.crf, organism.rules, options)


def _expected(model: Model, organism: Organism, options: DecodingOptions) -> Decoder:
    return Expected(model.crf, organism.rules, options)


def _reranked(model: Model, organism: Organism, options: DecodingOptions) -> Decoder:
    return Reranked(model, organism, options)


def _lm(model: Model, organism: Organism, options: DecodingOptions) -> Decoder:
    return LanguageModel(model, organism, options)


def _joint(model: Model, organism: Organism, options: DecodingOptions) -> Decoder:
    return LanguageModel(model, organism, options, _viterbi(model, organism, options))


@dataclass(frozen=True)
class DecoderKind:
    """An entry of the table. needs_writer: it works with a language model. spliced: it knows introns."""

    make: Callable[[Model, Organism, DecodingOptions], Decoder]
    needs_writer: bool = False
    spliced: bool = True


DECODERS: Mapping[str, DecoderKind] = {
    "viterbi": DecoderKind(_viterbi),
    "expected": DecoderKind(_expected),
    "lm": DecoderKind(_lm, needs_writer=True),
    "joint": DecoderKind(_joint, needs_writer=True, spliced=False),
    "reranked": DecoderKind(_reranked, needs_writer=True),
}


def check_decoder(name: str, clade: Clade, has_writer: bool) -> None:
    """Raise ``InputError`` for a decoder that does not exist, or that cannot work with this model or in this clade."""
    if name not in DECODERS:
        raise InputError(f"decoder {name!r} is unknown, allowed: {', '.join(DECODERS)}")
    kind = DECODERS[name]
    if kind.needs_writer and not has_writer:
        without = ", ".join(other for other, one in DECODERS.items() if not one.needs_writer)
        raise InputError(f"decoder {name}: the model is a CRF without a language model, allowed: {without}")
    if not kind.spliced and clade.rules.splice_pairs:
        raise InputError(
            f"decoder {name}: works in clades without introns, and {clade.name} has them; use lm or viterbi"
        )


def check_adaptable(decoder: str) -> None:
    """Raise ``InputError`` for a decoder that takes no potentials."""
    if decoder not in OF_THE_CRF:
        raise InputError(f"adapt: the decoder {decoder} takes no adaptation, allowed: {', '.join(OF_THE_CRF)}")


def check_takes_evidence(decoder: str) -> None:
    """Raise ``InputError`` for a decoder that takes no hints."""
    if decoder not in OF_THE_CRF:
        raise InputError(f"rnaseq, proteins: the decoder {decoder} takes no evidence, allowed: {', '.join(OF_THE_CRF)}")


def make_decoder(
    name: str, model: Model, clades: Mapping[str, Clade], clade: str, genetic_code: int, options: DecodingOptions
) -> Decoder:
    """The decoder ``name`` for an organism. Raises ``InputError`` as ``check_decoder`` does."""
    found = clade_named(clades, clade, "clade")
    check_decoder(name, found, model.has_writer)
    if options.add is not None:
        check_adaptable(name)
    if options.evidence is not None:
        check_takes_evidence(name)
    if options.masked_cost and name not in OF_THE_CRF:
        raise InputError(
            f"masked_cost: the decoder {name} takes none, allowed: 0, or one of the decoders {', '.join(OF_THE_CRF)}"
        )
    return DECODERS[name].make(model, Organism(found, genetic_code), options)
