"""One genome annotated: how it is done, what is found, and the files that are written."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from genet5.adapt.adaptation import Adaptation, adaptation_line, save_adaptation
from genet5.annotate.calibration import Calibration
from genet5.annotate.decoders import DECODERS, DecodingOptions, make_decoder
from genet5.annotate.genomes import DecodedTiles, Tiling, decode_tiles, genes_of_tiles, tiles_of
from genet5.annotate.models import Model
from genet5.annotate.options import AnnotateOptions
from genet5.annotate.parts import WHOLE, Part
from genet5.annotate.sampled_dna import masked_cost_of
from genet5.annotate.tracks import TRACK_BP, crf_tracks, spread_loci
from genet5.clades import Clade, clade_named
from genet5.crf.expected import ExpectedOptions
from genet5.crf.isoforms import IsoformOptions
from genet5.errors import InputError
from genet5.evidence.hints import LEARNED
from genet5.evidence.matching import Evidence
from genet5.evidence.potentials import WindowEvidence
from genet5.evidence.stored import hinted_introns
from genet5.evidence.support import support_of
from genet5.evidence.weights import weights_of
from genet5.files import atomic_write, write_json
from genet5.genome.fasta import Genome, check_bases
from genet5.genome.genes import Gene, Region
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.sites import GeneRules
from genet5.genome.splits import parse_regions
from genet5.genome.writing import validate_gff3, write_cds_fasta, write_gff3, write_proteins


@dataclass(frozen=True)
class How:
    """How a genome is annotated. Lengths in bases; ``decoder`` is a name of ``decoders.DECODERS``."""

    clade: str
    genetic_code: int
    decoder: str
    window_bp: int
    overlap_bp: int
    batch_size: int = 8
    beam_width: int = 1
    precision: str = "auto"
    min_confidence: float = 0.0
    expected_temperature: float = 1.0
    expected_threshold: float = 0.6
    isoforms: int = 1
    isoform_posterior: float = 0.1
    hint_weight: str = LEARNED
    masked_cost: float = 0.0

    @property
    def tiling(self) -> Tiling:
        return Tiling(self.window_bp, self.overlap_bp, self.batch_size)


def how_to_annotate(
    clade: Clade,
    genetic_code: int | None,
    wanted: AnnotateOptions,
    model: Model,
    shipped: bool,
    precision: str = "auto",
    validated: str | None = None,
) -> How:
    """What the user sets, else what the shipped model recommends, else the usual.

    shipped: ``model`` is the one that comes with GeneT5 for the clade. validated: the decoder that validation prefers.
    """
    usual = validated or ("lm" if model.has_writer else "viterbi")
    settled = wanted.settled(usual, clade.window_bp, clade.model if shipped else None)
    return How(
        clade=clade.name,
        genetic_code=genetic_code or clade.genetic_code,
        decoder=settled.decoder,
        window_bp=settled.window_bp,
        overlap_bp=settled.overlap_bp,
        batch_size=settled.batch_size,
        beam_width=settled.beam_width,
        precision=precision,
        min_confidence=settled.min_confidence,
        expected_temperature=settled.expected_temperature,
        expected_threshold=settled.expected_threshold,
        hint_weight=settled.hint_weight,
        isoforms=settled.isoforms,
        isoform_posterior=settled.isoform_posterior,
        masked_cost=settled.masked_cost,
    )


@dataclass
class Annotated:
    """genes: those kept, in genomic order. summary: what was done, as ``{prefix}.json`` says it. fitted: the adaptation
    that was made for it, None where none was asked for or one was given. attributes: of rows in the GFF3, by the
    transcript's id: what hints say of it. evidence: the hints that were used.
    """

    genes: list[Gene]
    summary: dict[str, Any]
    fitted: Adaptation | None = None
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    evidence: Evidence | None = None


def annotate_genome(
    model: Model,
    calibration: Calibration,
    clades: Mapping[str, Clade],
    genome: Genome,
    regions: Sequence[Region],
    how: How,
    adaptation: Adaptation | None = None,
    evidence: Evidence | None = None,
) -> Annotated:
    """Genes of ``regions``. Raises ``InputError`` for settings that do not fit the model, the clade or the genome."""
    decoded = decode_genome(model, calibration, clades, genome, regions, how, adaptation=adaptation, evidence=evidence)
    about = adaptation.about if adaptation is not None and adaptation.about else None
    return annotation_of(decoded, calibration, clades, genome, regions, how, about, evidence)


def decode_genome(
    model: Model,
    calibration: Calibration,
    clades: Mapping[str, Clade],
    genome: Genome,
    regions: Sequence[Region],
    how: How,
    part: Part = WHOLE,
    adaptation: Adaptation | None = None,
    evidence: Evidence | None = None,
) -> DecodedTiles:
    """Decode the tiles of ``regions``, or the share of a part. Raises ``InputError`` as ``annotate_genome`` does."""
    _check(how, model, calibration)
    expected = ExpectedOptions(temperature=how.expected_temperature, threshold=how.expected_threshold)
    hints = None if evidence is None else WindowEvidence(evidence, weights_of(how.hint_weight))
    isoforms = IsoformOptions(how.isoforms, how.isoform_posterior)
    masked_cost = masked_cost_of(how.masked_cost, genome)
    if masked_cost != how.masked_cost:
        print(f"{genome.path}: nearly all in lower case, which is not taken for soft-masking", file=sys.stderr)
    options = DecodingOptions(how.beam_width, how.precision, adaptation, hints, expected, isoforms, masked_cost)
    if how.isoforms > 1 and part != WHOLE:
        raise InputError(f"isoforms: {how.isoforms}, but parts of a genome keep one transcript of a gene; use 1 part")
    decoder = make_decoder(how.decoder, model, clades, how.clade, how.genetic_code, options)
    rules = clade_named(clades, how.clade).gene_rules(how.genetic_code)
    check_bases(genome, regions)
    cpu, wall = time.process_time(), time.perf_counter()
    tiles = tiles_of(genome, regions, how.tiling)
    decoded = decode_tiles(decoder, rules, genome, tiles, how.tiling, part, hints is not None)
    decoded.cpu_s, decoded.wall_s = time.process_time() - cpu, time.perf_counter() - wall
    return decoded


def annotation_of(
    decoded: DecodedTiles,
    calibration: Calibration,
    clades: Mapping[str, Clade],
    genome: Genome,
    regions: Sequence[Region],
    how: How,
    adaptation: Mapping[str, Any] | None = None,
    evidence: Evidence | None = None,
) -> Annotated:
    """Genes of decoded tiles: stitched, numbered, scored, and how hints support them. It takes no model;
    ``adaptation``: what is said of it.
    """
    cpu, wall = time.process_time(), time.perf_counter()
    rules = clade_named(clades, how.clade).gene_rules(how.genetic_code)
    tiles, code = tiles_of(genome, regions, how.tiling), GeneticCode.from_table(how.genetic_code)
    result = genes_of_tiles(tiles, decoded, rules, genome, regions, code, calibration.probability, how.isoforms)
    cpu, wall = decoded.cpu_s + time.process_time() - cpu, decoded.wall_s + time.perf_counter() - wall
    # Ids are given before, so that a gene keeps its own whatever is left out.
    genes = [gene for gene in result.genes if gene.score >= how.min_confidence]
    counts = result.counts | {"below_min_confidence": len(result.genes) - len(genes), "genes": len(genes)}
    summary = {
        "bases": result.bases,
        "calibrated": calibration.calibrated,
        "counts": counts,
        "cpu_s": round(cpu, 2),
        "options": _told(how, evidence),
        "wall_s": round(wall, 2),
    }
    if adaptation is not None:
        summary["adaptation"] = dict(adaptation)
    if evidence is None:
        return Annotated(genes, summary)
    support = support_of(genes, evidence, regions)
    summary["evidence"] = evidence.summary() | support.summary()
    attributes = {name: one.attributes() for name, one in support.by_transcript.items()}
    return Annotated(genes, summary, attributes=attributes, evidence=evidence)


def _told(how: How, evidence: Evidence | None) -> dict[str, Any]:
    """The settings as the summary tells them; how hints are weighed, only where there are some."""
    told = asdict(how)
    return told if evidence is not None else {key: value for key, value in told.items() if key != "hint_weight"}


def _check(how: How, model: Model, calibration: Calibration) -> None:
    for key, value in (("batch_size", how.batch_size), ("beam_width", how.beam_width)):
        if value < 1:
            raise InputError(f"{key}: {value}, must be at least 1")
    if how.isoforms > 1 and DECODERS[how.decoder].needs_writer:
        raise InputError(
            f"isoforms: {how.isoforms}, but the decoder {how.decoder} finds one transcript; use viterbi or expected"
        )
    if not 0 <= how.min_confidence <= 1:
        raise InputError(f"min_confidence: {how.min_confidence:g}, allowed: 0 to 1")
    if how.min_confidence > 0 and not calibration.calibrated:
        raise InputError(
            f"min_confidence: {how.min_confidence:g}, but scores are not calibrated, so only 0 is allowed "
            f"({calibration.reason})"
        )
    longest = model.longest_window_bp
    decoder = DECODERS.get(how.decoder)  # None: ``make_decoder`` says what is allowed
    if decoder is not None and decoder.needs_writer and longest is not None and how.window_bp > longest:
        raise InputError(f"window_bp: {how.window_bp}, the model writes windows of at most {longest}")


def chosen_regions(genome: Genome, text: str = "", where: str = "--regions") -> list[Region]:
    """Contigs and ``contig:start-end`` of a comma list; all contigs where it is empty."""
    if text:
        return list(parse_regions(text, genome.lengths, key=where))
    return [Region(name, 0, genome.lengths[name]) for name in genome.names]


def write_annotation(prefix: str | Path, found: Annotated, genome: Genome) -> None:
    """Write ``{prefix}.gff3``, ``.faa``, ``.cds.fna`` and ``.json``, and ``.adaptation.npz`` if one was made.

    The GFF3 gets its name only after it was read back and found valid. Raises ``InputError`` for a gene that cannot be
    right.
    """
    code = GeneticCode.from_table(found.summary["options"]["genetic_code"])
    unchecked = Path(f"{prefix}.unchecked.gff3")
    try:
        write_gff3(unchecked, found.genes, genome.lengths, notes=_notes(found.summary), attributes=found.attributes)
        validate_gff3(unchecked, genome, code)
        write_proteins(f"{prefix}.faa", found.genes, genome, code)
        write_cds_fasta(f"{prefix}.cds.fna", found.genes, genome)
        unchecked.replace(f"{prefix}.gff3")
    finally:
        unchecked.unlink(missing_ok=True)
    write_json(f"{prefix}.json", found.summary)
    if found.fitted is not None:
        save_adaptation(f"{prefix}.adaptation.npz", found.fitted)


def _notes(summary: Mapping[str, Any]) -> list[str]:
    """What the header of the GFF3 says of clade and code, where the DNA was asked for one, and of an adaptation."""
    notes = []
    if chosen := summary.get("chosen"):
        notes += [f"clade {chosen['clade']}", f"genetic-code {chosen['genetic_code']}"]
    if adapted := summary.get("adaptation"):
        notes.append(adaptation_line(adapted))
    return notes


def chosen_loci(regions: Sequence[Region], number: int) -> list[Region]:
    """Loci whose tracks are kept, evenly spread over ``regions``. Raises ``InputError`` for a number below 0."""
    if number < 0:
        raise InputError(f"--track-loci: {number}, must be at least 0")
    return spread_loci(regions, number, TRACK_BP)


def write_tracks(
    path: str | Path,
    model: Model,
    rules: GeneRules,
    genome: Genome,
    loci: Sequence[Region],
    precision: str = "auto",
    evidence: Evidence | None = None,
) -> None:
    """Write the CRF's probabilities at ``loci`` (``tracks.py``), and the hinted introns there."""
    hints = {} if evidence is None else hinted_introns(evidence, loci)
    save_tracks(path, crf_tracks(model.crf, rules, genome, loci, precision) | hints)


def save_tracks(path: str | Path, tracks: Mapping[str, np.ndarray]) -> None:
    """Write what ``crf_tracks`` gave."""
    with atomic_write(path, "wb") as stream:
        np.savez_compressed(stream, **tracks)
