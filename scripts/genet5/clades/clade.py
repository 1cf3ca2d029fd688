"""A clade, and its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from genet5.configuration import check_against_schema, dotted, read_yaml
from genet5.errors import InputError
from genet5.genome.genetic_code import GeneticCode, genetic_codes
from genet5.genome.sites import GeneRules

_LENGTH = {"type": "integer", "minimum": 1}
_OVERLAP = {"type": "integer", "minimum": 0}


def _section(**properties: Any) -> dict[str, Any]:
    """A mapping in which every key is needed and no other is allowed."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


def _motifs(length: int, **details: Any) -> dict[str, Any]:
    motif = {"type": "string", "pattern": f"^[ACGT]{{{length}}}$", "description": f"{length} of A, C, G, T"}
    return {"type": "array", "items": motif, **details}


_RULES = _section(
    starts=_motifs(3, minItems=1),
    splice_pairs={"type": "array", "items": _motifs(2, minItems=2, maxItems=2)},
    min_intron_bp=_OVERLAP,
    max_intron_bp=_OVERLAP,
    min_exon_bp=_LENGTH,
    min_gene_bp={"type": "integer", "minimum": 6},
    max_overlap_bp=_OVERLAP,
)
_NAMES = {"type": "array", "uniqueItems": True, "items": {"type": "string", "minLength": 1}}
_WINDOWS = _section(window_bp={"type": "integer", "minimum": 100}, stride_bp=_LENGTH)
_MODEL = _section(
    folder={"type": "string", "minLength": 1},
    calibration={"type": "string", "minLength": 1},
    decoder={"type": "string", "minLength": 1},
    window_bp={"type": "integer", "minimum": 100},
    overlap_bp=_OVERLAP,
)
_MODEL["properties"] |= {"masked_cost": {"type": "number", "minimum": 0}}


def _schema() -> dict[str, Any]:
    schema = _section(
        description={"type": "string", "minLength": 1},
        genetic_code={"enum": list(genetic_codes())},
        rules=_RULES,
        windows=_WINDOWS,
        genes_per_mb={"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number", "minimum": 0}},
    )
    schema["properties"] |= {"subclades": _NAMES, "general": {"type": "boolean"}, "model": _MODEL}
    return schema


@dataclass(frozen=True)
class ShippedModel:
    """A trained model for a clade, and how it annotates best.

    folder: with its weights; clades may share one. calibration: the file there that belongs to the clade. decoder,
    window_bp, overlap_bp, masked_cost: as of annotate_genome.py.
    """

    folder: Path
    calibration: Path
    decoder: str
    window_bp: int
    overlap_bp: int
    masked_cost: float = 0.0


@dataclass(frozen=True)
class Clade:
    """One clade.

    genetic_code: NCBI table where the user names none. rules: of its genes, with the stops of ``genetic_code``.
    window_bp, stride_bp: of training windows. genes_per_mb: usual range of coding genes in a genome. model: the one
    that comes with GeneT5, if there is one. path: the clade's file. subclades: names of clades within this one that
    have models of their own. general: its model reads any DNA, and is chosen where no other clade's is nearly as good.
    """

    name: str
    description: str
    genetic_code: int
    rules: GeneRules
    window_bp: int
    stride_bp: int
    genes_per_mb: tuple[float, float]
    model: ShippedModel | None
    path: Path
    subclades: tuple[str, ...] = ()
    general: bool = False

    def gene_rules(self, genetic_code: int) -> GeneRules:
        """The rules under a genetic code. Raises ``InputError`` if the code starts no gene with one of the starts."""
        code = GeneticCode.from_table(genetic_code)
        if wrong := sorted(set(self.rules.starts) - code.starts):
            raise InputError(
                f"{self.path}, key rules.starts: {', '.join(wrong)} is no start codon of genetic code {genetic_code}, "
                f"allowed: {', '.join(sorted(code.starts))}"
            )
        return replace(self.rules, stops=code.stops)

    def identity(self) -> dict[str, Any]:
        """What a training run depends on: the rules, as JSON values."""
        return {key: sorted(value) if key == "stops" else value for key, value in asdict(self.rules).items()}


def read_clade(path: Path) -> Clade:
    """The clade in the file ``{name}.yaml``. Raises ``InputError`` for anything that cannot be one."""
    content = read_yaml(path, "clade")

    def subject(place: Sequence[str | int]) -> str:
        return f"{path}, key {dotted(place)}" if place else str(path)

    check_against_schema(content, _schema(), subject)
    rules, windows = content["rules"], content["windows"]
    if rules["splice_pairs"] and rules["min_intron_bp"] > rules["max_intron_bp"]:
        raise InputError(
            f"{path}, key rules.min_intron_bp: {rules['min_intron_bp']} is more than max_intron_bp "
            f"({rules['max_intron_bp']})"
        )
    if windows["stride_bp"] > windows["window_bp"]:
        raise InputError(
            f"{path}, key windows.stride_bp: {windows['stride_bp']} leaves gaps between windows, expected at most "
            f"window_bp ({windows['window_bp']})"
        )
    low, high = content["genes_per_mb"]
    if low > high:
        raise InputError(f"{path}, key genes_per_mb: {low:g} is more than {high:g}, expected [least, most]")
    facts = {
        **rules,
        "starts": tuple(rules["starts"]),
        "splice_pairs": tuple(tuple(pair) for pair in rules["splice_pairs"]),
    }
    clade = Clade(
        path.stem,
        content["description"],
        content["genetic_code"],
        GeneRules(**facts),
        windows["window_bp"],
        windows["stride_bp"],
        (float(low), float(high)),
        _shipped_model(content.get("model"), path),
        path,
        tuple(content.get("subclades", ())),
        content.get("general", False),
    )
    return replace(clade, rules=clade.gene_rules(clade.genetic_code))


def _shipped_model(section: Mapping[str, Any] | None, path: Path) -> ShippedModel | None:
    if section is None:
        return None
    if "\0" in section["folder"] + section["calibration"]:
        raise InputError(f"{path}, key model: a name of a file has no zero byte")
    folder = (path.parent / section["folder"]).resolve()
    calibration = folder / section["calibration"]
    for key, place, found in (
        ("folder", folder, folder.is_dir()),
        ("calibration", calibration, calibration.is_file()),
    ):
        if not found:
            raise InputError(f"{path}, key model.{key}: {place} does not exist; paths start at the clade's file")
    if section["overlap_bp"] >= section["window_bp"]:
        raise InputError(
            f"{path}, key model.overlap_bp: {section['overlap_bp']} is not shorter than window_bp "
            f"({section['window_bp']})"
        )
    return ShippedModel(
        folder,
        calibration,
        section["decoder"],
        section["window_bp"],
        section["overlap_bp"],
        section.get("masked_cost", 0.0),
    )
