"""What annotating writes and reads again: the file of a part of an annotation, and the tracks of its loci."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import mutators
import numpy as np
from reader import Reader

from genet5.annotate.by_parts import join_annotation
from genet5.annotate.calibration import Calibration
from genet5.annotate.genomes import DecodedTiles
from genet5.annotate.part_files import write_part
from genet5.annotate.parts import Part
from genet5.annotate.run import How
from genet5.clades import read_clades
from genet5.evidence.hints import INTRON, RNASEQ, Hint, HintFile
from genet5.evidence.matching import match
from genet5.evidence.stored import evidence_arrays
from genet5.files import file_sha256
from genet5.genome.fasta import Genome
from genet5.genome.genes import Interval
from genet5.genome.window_genes import ScoredGene, WindowGene
from genet5.report.loci import read_tracks

BASES = "TTTTTATGAAAGTAAGTCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCAGAAATAATTTTT" * 6


def annotation_readers(data: Path, folder: Path) -> dict[str, Reader]:
    tracks = io.BytesIO()
    np.savez_compressed(tracks, names=np.array(["c:0-4"]), locus_0_coding_plus=np.zeros(4, np.float32))
    (folder / "part").mkdir()
    (folder / "part/c.fna").write_text(f">c\n{BASES}\n")
    genome = Genome(folder / "part/c.fna")
    _write_part(folder / "part/a.npz", genome)
    return {
        "part of an annotation": Reader(
            "a.npz", (folder / "part/a.npz").read_bytes(), mutators.ARRAYS, _join_check(genome)
        ),
        "tracks": Reader("a.tracks.npz", tracks.getvalue(), mutators.ARRAYS, read_tracks),
    }  # fmt: skip


def _write_part(path: Path, genome: Genome) -> None:
    clades = read_clades()
    clade = clades["fungi"]
    how = How("fungi", 1, "viterbi", 1000, 100)
    evidence = match([HintFile("h.gff", RNASEQ, "hints", [Hint(RNASEQ, INTRON, "c", 11, 51, "+", 3)])], genome,
                     clade.gene_rules(1))  # fmt: skip
    origin = {
        "calibration": asdict(Calibration(1.0, 0.0)),
        "chosen": {},
        "clade": clade.identity(),
        "device": "cpu",
        "genome": file_sha256(genome.path),
        "model": {"model.safetensors": "0" * 64},
        "options": asdict(how),
        "precision": "float32",
        "regions": "",
        "track_loci": 1,
        "version": "1",
        "evidence": evidence.summary(),
    }
    gene = ScoredGene(WindowGene("+", (Interval(5, 11), Interval(51, 57)), False, False, 0), -0.5)
    counts = {"tiles": 1, "tiles_unknown": 0, "sequences_truncated": 0}
    arrays = {f"evidence.{name}": values for name, values in evidence_arrays(evidence).items()}
    tracks = {"names": np.array(["c:0-4"]), "locus_0_coding_plus": np.zeros(4, np.float32), **arrays}
    write_part(path, Part(1, 1), origin, DecodedTiles([[gene]], [0], counts, 1.0, 1.0), tracks)


def _join_check(genome: Genome) -> Callable[[Path], None]:
    clades = read_clades()

    def check(path: Path) -> None:
        found, _ = join_annotation([path], genome, clades)
        for gene in found.genes:
            for start, end in gene.canonical.cds:
                assert 0 <= start < end <= genome.lengths[gene.seqid], "a CDS beyond its contig"

    return check
