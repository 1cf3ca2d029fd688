"""GeneT5 from Python: load a model, annotate a genome, get genes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from genet5.annotate.adapting import adaptation_wanted
from genet5.annotate.calibration import Calibration
from genet5.annotate.calibration_file import CALIBRATION_FILE, calibration_beside, decoder_by_validation
from genet5.annotate.choosing_clade import choose_if_asked
from genet5.annotate.gathering import evidence_wanted
from genet5.annotate.models import Model, load_annotator
from genet5.annotate.options import AnnotateOptions
from genet5.annotate.run import Annotated, annotate_genome, chosen_regions, how_to_annotate
from genet5.annotate.shipped import is_shipped, load_shipped
from genet5.clades import Clade, clade_named, read_clades
from genet5.configuration import AUTO
from genet5.crf.folder import WEIGHTS_FILE
from genet5.errors import InputError
from genet5.evidence.hints import LEARNED
from genet5.genome.fasta import Genome, open_genome
from genet5.genome.genes import Gene


@dataclass
class Annotator:
    """A model with what it needs to annotate: its clade, and the calibration of its scores by decoder.

    shipped: it came with GeneT5, and the clade's file says how it annotates best.
    """

    model: Model
    clade: Clade
    clades: dict[str, Clade]
    shipped: bool
    folder: Path | None = None
    calibration: Calibration | None = None

    def calibration_of(self, decoder: str) -> Calibration:
        """Of the scores of a decoder; one with a reason where there is none."""
        shipped = self.clade.model
        if self.shipped and shipped is not None and self.calibration is not None and shipped.decoder == decoder:
            return self.calibration
        if self.folder is None:
            return Calibration(reason=f"no calibration for the decoder {decoder}")
        return calibration_beside(self.folder, decoder)

    def annotate(
        self,
        genome: Genome,
        *,
        genetic_code: int | None = None,
        regions: str = "",
        options: AnnotateOptions | None = None,
    ) -> Annotated:
        """Genes of a genome and a summary. What is left open is as the clade recommends. Raises ``InputError``."""
        validated = None
        if self.folder is not None:
            weights, writes = self.folder / WEIGHTS_FILE, self.model.has_writer
            validated = decoder_by_validation(self.folder / CALIBRATION_FILE, weights, self.clade, writes)
        how = how_to_annotate(
            self.clade, genetic_code, options or AnnotateOptions(), self.model, self.shipped, validated=validated
        )
        chosen, wanted = chosen_regions(genome, regions, "regions"), options or AnnotateOptions()
        evidence = evidence_wanted(genome, self.clade, how, wanted)
        adaptation = adaptation_wanted(self.model, self.clades, genome, chosen, how, wanted, evidence)
        calibration = self.calibration_of(how.decoder)
        found = annotate_genome(self.model, calibration, self.clades, genome, chosen, how, adaptation, evidence)
        return replace(found, fitted=adaptation if wanted.adapt else None)


def load(name: str | Path, clade: str = "", clade_folder: str | Path = "", device: str = "auto") -> Annotator:
    """The model for a clade (``fungi``), or the one in a folder (a ``Path``, or a text), which needs ``clade`` too.

    clade_folder: with clades of your own. device: one of ``device.DEVICES``.
    Raises ``InputError`` for a clade or a folder without a model, and for a device that is not there.
    """
    clades = read_clades(clade_folder)
    folder = Path(name)
    if isinstance(name, Path) or (name not in clades and (folder.is_dir() or len(folder.parts) > 1)):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such model folder")
        if not clade:
            raise InputError(f"{folder}: a model folder needs a clade, known: {', '.join(clades)}")
        found = clade_named(clades, clade, "clade")
        if not is_shipped(found, folder):
            return Annotator(load_annotator(folder).on(device), found, clades, False, folder)
        name = clade
    shipped = load_shipped(clades, str(name), "clade")
    return Annotator(shipped.model.on(device), shipped.clade, clades, True, None, shipped.calibration)


def annotate(
    genome: str | Path,
    clade: str = "",
    *,
    model: str | Path | Annotator | None = None,
    genetic_code: int | str | None = None,
    regions: str = "",
    decoder: str | None = None,
    min_confidence: float = 0.0,
    adapt: bool = False,
    adaptation: str | Path = "",
    rnaseq: str | Path = "",
    proteins: str | Path = "",
    hint_weight: str = LEARNED,
    clade_folder: str | Path = "",
    device: str = "auto",
) -> list[Gene]:
    """Genes of a FASTA file, plain or gzip, in genomic order.

    clade: its name, or ``auto`` for the shipped model whose genes make the DNA most predictable; a clade with
    subclades is asked for the best of these and itself. model: what ``load`` gives, or a model folder; by default a
    shipped one. genetic_code: NCBI table, or ``auto`` where the DNA is to say it; by default the clade's. regions:
    ``chrI,chrII:1-50000`` (1-based, closed), by default everything. decoder: a name of ``decoders.DECODERS``.
    min_confidence: genes of a lower calibrated score are left out. adapt: fit the model to this genome first;
    adaptation: the file of one that was made before. rnaseq, proteins: files of evidence, separated by commas;
    hint_weight: one of ``HINT_WEIGHTS`` (``AnnotateOptions``). device: one of ``device.DEVICES``; not for a model
    that is loaded. Raises ``InputError``.
    """
    annotator = model if isinstance(model, Annotator) else None
    if annotator and clade and clade != annotator.clade.name:
        raise InputError(f"clade: {clade}, but the model was loaded for {annotator.clade.name}")
    if annotator is None:
        if not clade:
            raise InputError(f"clade: none given, known: {', '.join(read_clades(clade_folder))}")
        if clade == AUTO and model:
            raise InputError(f"clade: {AUTO} chooses among shipped models; name the clade of {model}")
        if clade != AUTO:
            annotator = load(model or clade, clade, clade_folder, device)
    with open_genome(genome) as opened:
        clades = annotator.clades if annotator else read_clades(clade_folder)
        asked = annotator.clade.name if annotator else AUTO
        within = chosen_regions(opened, regions, "regions")
        if choice := choose_if_asked(opened, within, clades, asked, genetic_code, model is not None):
            genetic_code = choice.genetic_code
            if annotator is None or choice.clade != annotator.clade.name:
                annotator = load(choice.clade, choice.clade, clade_folder, device)
        options = AnnotateOptions(
            decoder=decoder,
            min_confidence=min_confidence,
            adapt=adapt,
            adaptation=str(adaptation),
            rnaseq=str(rnaseq),
            proteins=str(proteins),
            hint_weight=hint_weight,
        )
        found = annotator.annotate(opened, genetic_code=genetic_code, regions=regions, options=options)
    return found.genes
