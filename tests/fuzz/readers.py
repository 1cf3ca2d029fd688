"""All readers that are fuzzed, by name."""

from __future__ import annotations

from pathlib import Path

from annotation_readers import annotation_readers
from baked_readers import baked_readers
from evidence_readers import evidence_readers
from genome_readers import genome_readers
from model_readers import model_readers
from reader import Reader
from report_readers import report_readers
from settings_readers import settings_readers
from study_readers import study_readers

SUBJECTS = (
    genome_readers,
    evidence_readers,
    baked_readers,
    model_readers,
    annotation_readers,
    report_readers,
    settings_readers,
    study_readers,
)


def readers(data: Path, folder: Path) -> dict[str, Reader]:
    """``folder`` keeps what they need beside the damaged file. Raises MissingData."""
    return {name: reader for subject in SUBJECTS for name, reader in subject(data, folder).items()}
