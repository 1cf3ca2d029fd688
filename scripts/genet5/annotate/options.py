"""Options of annotation: the section annotate of the configuration, and who decides what the user leaves open."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Protocol

from genet5.configuration import AUTO
from genet5.errors import InputError
from genet5.evidence.hints import HINT_WEIGHTS, LEARNED
from genet5.options import option

DECODERS = ("viterbi", "expected", "lm", "joint", "reranked")
#: Options that a command which annotates has as flags.
ANNOTATION_FLAGS = (
    "decoder",
    "window_bp",
    "overlap_bp",
    "batch_size",
    "beam_width",
    "expected_temperature",
    "expected_threshold",
    "isoforms",
    "isoform_posterior",
    "min_confidence",
    "adapt",
    "adaptation",
    "adapt_bp",
    "rnaseq",
    "proteins",
    "hint_weight",
    "masked_cost",
)
#: Bases that neighbouring tiles share where nobody says otherwise; never more than half a tile.
OVERLAP_BP = 4_000


def code_from_text(text: str) -> int | str:
    """A genetic code as a flag has it: the number of an NCBI table, or auto. Raises ``InputError``."""
    if text == AUTO:
        return text
    if not text.isdecimal():
        raise InputError(f"--genetic-code: found {text!r}, expected the number of an NCBI translation table, or {AUTO}")
    return int(text)


class Recommendation(Protocol):
    """How a model annotates best."""

    @property
    def decoder(self) -> str: ...

    @property
    def window_bp(self) -> int: ...

    @property
    def overlap_bp(self) -> int: ...

    @property
    def masked_cost(self) -> float: ...


@dataclass(frozen=True)
class AnnotateOptions:
    """Annotation of genomes. What is null is decided by the model, or by the clade."""

    model: str = option(
        "auto",
        "the model that annotates a new genome (key genome); run: the model of this run, trained first if it must be; "
        "shipped: the model that GeneT5 ships for the clade; auto: the run's if it is trained, else the shipped one",
        choices=("auto", "run", "shipped"),
    )
    stage: str | None = option(
        None,
        "the stage whose model annotates a new genome; null: the last of stages",
        choices=("crf", "grpo_crf", "sft", "grpo"),
    )
    decoder: str | None = option(
        None,
        "viterbi: the CRF alone, by dynamic programming; expected: the CRF alone, the genes with the highest expected "
        "F1; reranked: the CRF, and the writer judges between the probable genes of a place; lm: the writer, under the "
        "grammar; joint: the writer, "
        "limited to the reading frames of viterbi, for clades without introns; null: what the shipped model "
        "recommends, else the one that found most exons and genes of the validation DNA",
        choices=DECODERS,
    )
    window_bp: int | None = option(
        None, "bases of a tile; null: what the shipped model recommends, else the window of the clade", minimum=100
    )
    overlap_bp: int | None = option(
        None,
        "bases that neighbouring tiles share; null: what the shipped model recommends, else "
        f"{OVERLAP_BP}, but at most half a tile",
        minimum=0,
    )
    batch_size: int = option(8, "number of tiles that are decoded together", minimum=1)
    beam_width: int = option(
        1, "number of most probable structure sequences of a tile that the writer keeps at a time; 1: greedy", minimum=1
    )
    expected_temperature: float = option(
        1.0, "what the decoder expected divides the potentials of the CRF by; above 1: it is less sure", above=0
    )
    expected_threshold: float = option(
        0.6,
        "the decoder expected takes an exon that is more probable than half of this; 0: what gives each tile the "
        "highest expected F1",
        minimum=0,
        maximum=2,
    )
    isoforms: int = option(
        1,
        "most transcripts of a gene; 1: its best one alone; further ones are other genes that the CRF holds for "
        "probable at the same place; needs the decoder viterbi or expected",
        minimum=1,
    )
    isoform_posterior: float = option(
        0.1, "least probability of a further transcript under the CRF", above=0, maximum=1
    )
    min_confidence: float = option(
        0.0, "leave out genes whose calibrated score is lower; a value over 0 needs a calibration", minimum=0, maximum=1
    )
    calibration_bp: int = option(
        3_000_000,
        "validation bases of each species that the calibration of scores is fitted to; 0: leave scores as they are",
        minimum=0,
    )
    adapt: bool = option(
        False,
        "fit the CRF to the new genome before it is annotated, without labels: hexamers and sites of its own DNA are "
        "counted in a few rounds, where the CRF is sure of them, by evidence too; kept only if the genes "
        "then explain held-back DNA better; needs the decoder viterbi or expected",
    )
    adaptation: str = option("", "an adaptation that was made before, to annotate with ({name}.adaptation.npz)")
    adapt_bp: int = option(
        2_000_000, "most bases of the genome that an adaptation is learnt from, evenly spread", minimum=1
    )
    rnaseq: str = option(
        "",
        "RNA-seq of this genome, for the decoders viterbi and expected: files separated by commas, plain or gzip: "
        "hints in GFF (AUGUSTUS, VARUS, bam2hints), SJ.out.tab of STAR, BED of junctions, BAM or CRAM",
    )
    proteins: str = option(
        "",
        "proteins of relatives, for the decoders viterbi and expected: files separated by commas: FASTA (aligned with "
        "miniprot or spaln), GFF of miniprot or spaln, hints of ProtHint",
    )
    hint_weight: str = option(
        LEARNED,
        "learned: hints are weighed against what the DNA says; hard: genes have to agree with each hint that the DNA "
        "allows, of hints that contradict each other with the one that has most counts",
        choices=HINT_WEIGHTS,
    )
    masked_cost: float | None = option(
        None,
        "what a coding base costs that is soft-masked (in lower case), in nats, for the decoders viterbi and expected; "
        "0: case says nothing; null: what the shipped model recommends, else 0",
        minimum=0,
    )
    parts: int = option(
        1,
        "number of jobs that share the annotation of one genome, for instance one on each node; the files are the same "
        "as those of one job",
        minimum=1,
    )

    def settled(
        self, decoder: str | None, window_bp: int, recommended: Recommendation | None = None
    ) -> AnnotateOptions:
        """These options with no null among decoder, window_bp, overlap_bp and masked_cost.

        What the user sets wins; then what a shipped model recommends; then ``decoder`` and ``window_bp``, those of the
        stage and of the clade. Only where ``decoder`` is None, it may stay open: validation decides later.
        """
        if recommended:
            decoder, window_bp = recommended.decoder, recommended.window_bp
        window = self.window_bp or window_bp
        overlap = min(recommended.overlap_bp if recommended else OVERLAP_BP, window // 2)
        masked_cost = recommended.masked_cost if recommended else 0.0
        return dataclasses.replace(
            self,
            decoder=self.decoder or decoder,
            window_bp=window,
            overlap_bp=overlap if self.overlap_bp is None else self.overlap_bp,
            masked_cost=masked_cost if self.masked_cost is None else self.masked_cost,
        )
