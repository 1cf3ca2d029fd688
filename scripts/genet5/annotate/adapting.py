"""Fitting a model to the genome that it annotates: when that can be done, and what an adaptation belongs to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from genet5.adapt.adaptation import Adaptation, load_adaptation
from genet5.adapt.relatives import Relatives
from genet5.adapt.rounds import adapt
from genet5.adapt.typical import typical_of
from genet5.annotate.decoders import OF_THE_CRF, check_adaptable
from genet5.annotate.models import Model
from genet5.annotate.options import AnnotateOptions
from genet5.annotate.run import How
from genet5.annotate.sampled_dna import masked_cost_of
from genet5.clades import Clade, clade_named
from genet5.crf.model import Crf
from genet5.crf.window_decoder import WindowDecoder
from genet5.errors import InputError
from genet5.evidence.matching import Evidence
from genet5.evidence.potentials import WindowEvidence
from genet5.evidence.weights import weights_of
from genet5.genome.fasta import Genome, check_bases
from genet5.genome.genes import Region
from genet5.genome.sites import GeneRules


def adaptation_wanted(
    model: Model,
    clades: Mapping[str, Clade],
    genome: Genome,
    regions: Sequence[Region],
    how: How,
    wanted: AnnotateOptions,
    evidence: Evidence | None = None,
) -> Adaptation | None:
    """The one in a file, one that is fitted here, or what is typical of the species of the model's tables, if it has
    tables and the decoder can take them. Raises ``InputError`` where both of the first are asked for.
    """
    if wanted.adapt and wanted.adaptation:
        raise InputError(f"adapt, adaptation: {wanted.adaptation} is given, so none is made; allowed: one of the two")
    if wanted.adaptation:
        return read_adaptation(wanted.adaptation, model, how)
    if wanted.adapt:
        return fit_adaptation(model, clades, genome, regions, how, wanted.adapt_bp, evidence)
    if how.decoder not in OF_THE_CRF:
        return None
    rules = clade_named(clades, how.clade, "clade").gene_rules(how.genetic_code)
    return typical_adaptation(model, rules, genome, how.precision, masked_cost_of(how.masked_cost, genome))


def typical_adaptation(
    model: Model, rules: GeneRules, genome: Genome, precision: str = "auto", masked_cost: float = 0.0
) -> Adaptation | None:
    """What the tables beside the weights add to a genome of which nothing else is known; None where there are none.

    Raises ``InputError`` for a damaged file of them.
    """
    relatives = model.relatives()
    decoder = WindowDecoder(model.crf, rules, precision, masked_cost=masked_cost)
    return None if relatives is None else typical_of(relatives, decoder, genome)


def fit_adaptation(
    model: Model,
    clades: Mapping[str, Clade],
    genome: Genome,
    regions: Sequence[Region],
    how: How,
    most_bp: int,
    evidence: Evidence | None = None,
    relatives: Relatives | None = None,
) -> Adaptation:
    """An adaptation to ``regions``, learnt from ``most_bp`` bases of them, and from evidence where there is some.

    relatives: where it may begin; None: those beside the model. Raises ``InputError`` for decoders that take none.
    """
    check_adaptable(how.decoder)
    check_bases(genome, regions)
    rules = clade_named(clades, how.clade, "clade").gene_rules(how.genetic_code)
    hints = None if evidence is None else WindowEvidence(evidence, weights_of(how.hint_weight))
    masked_cost = masked_cost_of(how.masked_cost, genome)
    decoder = WindowDecoder(model.crf, rules, how.precision, evidence=hints, masked_cost=masked_cost)
    found = adapt(decoder, genome, regions, most_bp, relatives or model.relatives())
    return replace(found, about={**found.about, **_belongs_to(model.crf, how)})


def read_adaptation(path: str | Path, model: Model, how: How) -> Adaptation:
    """The adaptation in a file. Raises ``InputError`` for one of another model, clade or genetic code, too."""
    check_adaptable(how.decoder)
    found = load_adaptation(path)
    for key, wanted in _belongs_to(model.crf, how).items():
        said = found.about.get(key)
        if said != wanted:
            raise InputError(f"{path}: made for {key} {said}, here it is {wanted}; make it again with genet5 adapt")
    return found


def _belongs_to(crf: Crf, how: How) -> dict[str, Any]:
    return {"model": crf_fingerprint(crf), "clade": how.clade, "genetic_code": how.genetic_code}


def crf_fingerprint(crf: Crf) -> str:
    """Of the weights, wherever they are."""
    found = hashlib.sha256()
    for name, tensor in sorted(crf.state_dict().items()):
        found.update(name.encode())
        found.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]
