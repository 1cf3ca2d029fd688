"""Evidence as arrays: in the file of a part of an annotation, and the hints of a few loci for the report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from genet5.evidence.hints import INTRON, KINDS
from genet5.evidence.matching import ContigHints, Evidence
from genet5.genome.genes import Region

_COLUMNS = ContigHints._fields[:-1]


def evidence_arrays(evidence: Evidence) -> dict[str, np.ndarray]:
    """The whole of it; ``evidence_from_arrays`` reads it."""
    contigs = evidence.contigs
    about = {"names": list(contigs), "sizes": [len(one.start) for one in contigs.values()]}
    about |= {"reach": [one.reach for one in contigs.values()], "summary": evidence.summary()}
    found = {"about": np.array(json.dumps(about, sort_keys=True))}
    for name in _COLUMNS if contigs else ():
        found[name] = np.concatenate([getattr(one, name) for one in contigs.values()])
    return found


def evidence_from_arrays(arrays: Mapping[str, np.ndarray]) -> Evidence:
    """Raises ``KeyError`` and ``ValueError`` for arrays that are not whole."""
    about = json.loads(str(arrays["about"]))
    contigs, first = {}, 0
    for name, size, reach in zip(about["names"], about["sizes"], about["reach"], strict=True):
        contigs[name] = ContigHints(*(arrays[column][first : first + size] for column in _COLUMNS), reach)
        first += size
    said = about["summary"]
    return Evidence(contigs, said["files"], said["refused"], said["listed"], said["notes"])


def hinted_introns(evidence: Evidence, loci: Sequence[Region]) -> dict[str, np.ndarray]:
    """``locus_{i}_hints``: int64 [N, 4], the hinted introns there: start, end, 1 if on the reverse strand, mult."""
    found = {}
    for number, (seqid, start, end) in enumerate(loci):
        rows = np.zeros((0, 4), np.int64)
        if contig := evidence.contigs.get(seqid):
            near = contig.within(start, end)
            chosen = near.kind == KINDS.index(INTRON)
            columns = (near.start, near.end, near.minus, near.mult)
            rows = np.stack([column[chosen].astype(np.int64) for column in columns], axis=1)
        found[f"locus_{number}_hints"] = rows
    return found
