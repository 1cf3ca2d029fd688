"""One genome annotated by several jobs: each decodes its share of the tiles, and one that needs no model joins them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from genet5 import __version__
from genet5.adapt.adaptation import Adaptation
from genet5.adapt.relatives import FILE as RELATIVES_FILE
from genet5.annotate.calibration import Calibration
from genet5.annotate.models import Model
from genet5.annotate.part_files import join_parts, part_path, read_part, write_part
from genet5.annotate.parts import Part
from genet5.annotate.run import Annotated, How, annotation_of, chosen_loci, chosen_regions, decode_genome
from genet5.annotate.tracks import crf_tracks
from genet5.clades import Clade, clade_named
from genet5.crf.folder import WEIGHTS_FILE
from genet5.errors import InputError
from genet5.evidence.matching import Evidence
from genet5.evidence.stored import evidence_arrays, evidence_from_arrays, hinted_introns
from genet5.files import file_sha256
from genet5.genome.fasta import Genome
from genet5.training.precision import chosen_precision

CONFIG_FILE = "config.json"
_OF_MODEL = (WEIGHTS_FILE, CONFIG_FILE, RELATIVES_FILE)  # files that say which genes are found; the last may be missing
_EVIDENCE = "evidence."  # how names of its arrays begin among those of the tracks


def annotate_part(
    prefix: str | Path,
    part: Part,
    model: Model,
    folder: Path,
    calibration: Calibration,
    clades: Mapping[str, Clade],
    genome: Genome,
    regions: str,
    track_loci: int,
    how: How,
    chosen: Mapping[str, Any] | None = None,
    adaptation: Adaptation | None = None,
    evidence: Evidence | None = None,
) -> int:
    """Decode a part and write its file; the number of tiles decoded.

    folder: of ``model``. regions, track_loci: as the flags of these names. The first part also holds the tracks and
    the evidence. chosen: how clade and code were chosen, where the DNA was asked. The seconds of it differ between jobs
    and are left out.
    """
    of_genome = chosen_regions(genome, regions)
    loci = chosen_loci(of_genome, track_loci)
    clade = clade_named(clades, how.clade)
    device = model.crf.device.type
    origin = {
        "calibration": asdict(calibration),
        "chosen": {key: value for key, value in (chosen or {}).items() if key != "seconds"},
        "clade": _as_json(clade.identity()),
        "device": device,
        "genome": file_sha256(genome.path),
        "model": {name: file_sha256(folder / name) for name in _OF_MODEL if (folder / name).is_file()},
        "options": asdict(how),
        "precision": chosen_precision(how.precision, device),
        "regions": regions,
        "track_loci": track_loci,
        "version": __version__,
    }
    if adaptation is not None and adaptation.about:
        origin["adaptation"] = dict(adaptation.about)
    if evidence is not None:
        origin["evidence"] = _as_json(evidence.summary())
    decoded = decode_genome(model, calibration, clades, genome, of_genome, how, part, adaptation, evidence)
    tracks: dict[str, np.ndarray] = {}
    if part.number == 1:
        tracks = crf_tracks(model.crf, clade.gene_rules(how.genetic_code), genome, loci, how.precision)
        if evidence is not None:
            tracks |= hinted_introns(evidence, loci)
            tracks |= {_EVIDENCE + name: values for name, values in evidence_arrays(evidence).items()}
    write_part(part_path(prefix, part), part, origin, decoded, tracks)
    return len(decoded.done)


def join_annotation(
    paths: Sequence[str | Path], genome: Genome, clades: Mapping[str, Clade]
) -> tuple[Annotated, dict[str, np.ndarray]]:
    """The annotation that one job would have made, and its tracks.

    Raises ``InputError`` for a part that is missing, cut short or there twice, for parts that were not made alike, and
    for a genome or a clade that is not the one they were made with.
    """
    parts = [read_part(path) for path in paths]
    joined = join_parts(parts)
    first = min(parts, key=lambda one: one.part.number)
    origin = first.origin
    how = How(**origin["options"])
    if file_sha256(genome.path) != origin["genome"]:
        raise InputError(f"{first.path}: made from another genome than {genome.path}")
    clade = clade_named(clades, how.clade, f"{first.path}, clade")
    if _as_json(clade.identity()) != origin["clade"]:
        raise InputError(f"{first.path}: made with other rules of genes than {clade.path}; make the parts again")
    regions = chosen_regions(genome, origin["regions"], f"{first.path}, regions")
    calibration = Calibration(**origin["calibration"])
    stored = {name: values for name, values in first.tracks.items() if name.startswith(_EVIDENCE)}
    evidence = None
    if stored:
        evidence = evidence_from_arrays({name.removeprefix(_EVIDENCE): values for name, values in stored.items()})
    found = annotation_of(joined, calibration, clades, genome, regions, how, origin.get("adaptation"), evidence)
    if origin["chosen"]:
        found.summary["chosen"] = origin["chosen"]
    return found, {name: values for name, values in first.tracks.items() if name not in stored}


def _as_json(value: Any) -> Any:
    """``value`` as it comes back from a file: tuples are lists."""
    return json.loads(json.dumps(value))
