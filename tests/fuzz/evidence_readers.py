"""RNA-seq and protein evidence: every text format of hints, matched with a genome, and what hints weigh."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import mutators
import numpy as np
from reader import Reader, as_json, first_contig, first_rows

from genet5.clades import read_clades
from genet5.evidence.formats import read_hints
from genet5.evidence.hints import PROTEINS, RNASEQ
from genet5.evidence.matching import match
from genet5.evidence.stored import evidence_arrays, evidence_from_arrays
from genet5.evidence.weights import PARTS, read_weights
from genet5.genome.fasta import Genome

PLANT, FLY = "A.thaliana", "D.melanogaster.2L"
BY_FORMAT = {
    "hints": (f"hints/{PLANT}/rnaseq.introns.gff.gz", PLANT, RNASEQ),
    "prothint": (f"hints/{FLY}/prothint.gff.gz", FLY, PROTEINS),
    "prothint as hints": (f"hints/{FLY}/prothint_augustus.gff.gz", FLY, PROTEINS),
}


def evidence_readers(data: Path, folder: Path) -> dict[str, Reader]:
    contigs = {name: _contig(data, folder, name) for name in (PLANT, FLY)}
    found = {}
    for name, (file, species, source) in BY_FORMAT.items():
        genome, seqid = contigs[species]
        found[name] = Reader("hints.gff", first_rows(data / file, seqid, 200), mutators.TEXT, _check(genome, source))
    genome, seqid = contigs[PLANT]
    for name, (file, text, source) in _made_up(seqid).items():
        found[name] = Reader(file, text.encode(), mutators.TEXT, _check(genome, source))
    weights = {"nats": {f"{source}.{part}": 1.5 for source in (RNASEQ, PROTEINS) for part in PARTS}, "slowness": 0.5}
    return found | {"weights of hints": Reader("weights.json", as_json(weights), mutators.JSON, _check_weights)}


def _contig(data: Path, folder: Path, species: str) -> tuple[Genome, str]:
    fasta, seqid = first_contig(data / species / "fna.gz")
    path = folder / "evidence" / species
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(fasta)
    return Genome(path), seqid


def _made_up(seqid: str) -> dict[str, tuple[str, str, str]]:
    """File, text and source of the formats that the reference data lacks."""
    star = [(3996, 4276, 1, 1, 1, 40, 2, 38), (4606, 4705, 2, 1, 1, 0, 7, 30), (5096, 5173, 0, 0, 0, 3, 0, 20)]
    blocks = f"{seqid}\t3900\t4300\tJ1\t3\t+\t3900\t4300\t255,0,0\t2\t95,24\t0,376\n"
    spans = "".join(f"{seqid}\t{start}\t{start + 90}\tJ\t{start % 7}\t+\n" for start in range(4000, 9000, 250))
    target = "Target=p1 {} {}"
    rows = [
        ("mRNA", 3760, 5630, ".", "ID=MP1;Rank=1;" + target.format(1, 429)),
        ("CDS", 3760, 3913, "0", "Parent=MP1;" + target.format(1, 51)),
        ("CDS", 3996, 4276, "2", "Parent=MP1;" + target.format(52, 145)),
        ("CDS", 4486, 4605, "0", "Parent=MP1;" + target.format(146, 185)),
        ("stop_codon", 5628, 5630, "0", "Parent=MP1;Rank=1"),
    ]
    gff = "".join(f"{seqid}\tminiprot\t{kind}\t{a}\t{b}\t90\t+\t{frame}\t{said}\n" for kind, a, b, frame, said in rows)
    return {
        "star junctions": (
            "SJ.out.tab",
            "".join(f"{seqid}\t" + "\t".join(map(str, row)) + "\n" for row in star),
            RNASEQ,
        ),
        "bed of blocks": ("j.bed", f"track name=junctions\n{blocks}", RNASEQ),
        "bed of spans": ("j.bed", spans, RNASEQ),
        "miniprot": ("p.gff", f"##gff-version 3\n##PAF\tp1\t429\n{gff}", PROTEINS),
    }


def _check(genome: Genome, source: str) -> Callable[[Path], None]:
    return partial(_read_and_match, genome, source, read_clades()["plant"].gene_rules(1))


def _read_and_match(genome: Genome, source: str, rules, path: Path) -> None:
    found = read_hints(path, source)
    for hint in found.hints:
        assert 0 <= hint.start < hint.end and hint.mult >= 1 and hint.strand in "+-.", f"{hint}"
    evidence = match([found], genome, rules)
    for seqid, contig in evidence.contigs.items():
        assert (contig.start < contig.end).all() and (contig.end <= genome.lengths[seqid]).all(), "beyond the contig"
        assert np.isfinite(contig.mult).all() and ((contig.share >= 0) & (contig.share <= 1)).all(), "shares"
    again = evidence_from_arrays(evidence_arrays(evidence))
    assert again.summary() == evidence.summary() and list(again.contigs) == list(evidence.contigs), "round trip"


def _check_weights(path: Path) -> None:
    found = read_weights(path)
    strength = found.strength(np.array([1.0, 9.0]), np.array([1.0, 0.1]))
    assert ((strength >= 0) & (strength <= 1)).all(), "a strength beyond 0 to 1"
    assert set(found.nats) == {f"{source}.{part}" for source in (RNASEQ, PROTEINS) for part in PARTS}
