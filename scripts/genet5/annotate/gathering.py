"""The evidence that a user names, gathered for one genome: files read, proteins aligned, hints matched."""

from __future__ import annotations

from pathlib import Path

from genet5.annotate.decoders import check_takes_evidence
from genet5.annotate.options import AnnotateOptions
from genet5.annotate.run import How
from genet5.clades import Clade
from genet5.errors import InputError
from genet5.evidence.aligners import align_proteins
from genet5.evidence.formats import is_fasta, read_hints
from genet5.evidence.hints import PROTEINS, RNASEQ, HintFile
from genet5.evidence.matching import Evidence, match
from genet5.genome.fasta import Genome


def evidence_wanted(genome: Genome, clade: Clade, how: How, wanted: AnnotateOptions) -> Evidence | None:
    """The hints of all files, matched with the genome; None where no file is named. Raises ``InputError``."""
    if not wanted.rnaseq and not wanted.proteins:
        return None
    check_takes_evidence(how.decoder)
    rules = clade.gene_rules(how.genetic_code)
    files = [read_hints(path, RNASEQ, genome.path) for path in _paths(wanted.rnaseq, "rnaseq")]
    for path in _paths(wanted.proteins, "proteins"):
        files.append(_protein_hints(path, genome, rules.max_intron_bp))
    return match(files, genome, rules)


def _paths(text: str, key: str) -> list[Path]:
    """Paths of a comma list. Raises ``InputError`` for one that is no file."""
    found = [Path(part.strip()).expanduser() for part in text.split(",") if part.strip()]
    for path in found:
        if not path.is_file():
            raise InputError(f"{key}: {path}: no such file")
    return found


def _protein_hints(path: Path, genome: Genome, max_intron_bp: int) -> HintFile:
    if path.stat().st_size and is_fasta(path):
        return align_proteins(path, Path(genome.path), max_intron_bp)
    return read_hints(path, PROTEINS)
