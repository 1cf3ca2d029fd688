#!/usr/bin/env python
"""A CRF for genomes of which little is annotated, trained and scored by cross-validation over contigs.

Scored: pieces of the chromosomes of *A. thaliana*, *C. elegans* and *D. melanogaster* (1 Mb each) that ``GENET5_DATA``
holds. A CRF is first taught single-gene loci of the three, without the loci whose DNA stands in any of the pieces
(on either strand); then the same loci joined to pseudo-chromosomes (``pseudo_chromosomes.py``). Fold k trains it
further on these and on pieces without the k-th contig of every species, and annotates these contigs; ``all`` leaves
none out, for genomes elsewhere. The merged annotations are ready for
``benchmarks/accuracy_vs_peers.py --ours crf=data/studies/small_sets/annotation``.

A stopped run goes on where it was, and nothing is repeated. ``--audit`` says instead what held-out contigs share with
what their fold learns from.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from experiment import REPOSITORY, annotate, call, train_crf

sys.path.insert(0, str(REPOSITORY / "scripts"))

from pseudo_chromosomes import join_loci

from genet5.errors import InputError, run_command
from genet5.files import atomic_write, write_json
from genet5.genome.fasta import Genome, decompress_genome
from genet5.genome.kmers import canonical_kmers
from genet5.genome.leak_audit import AuditedSpecies, audited_species, leak_audit, report_table

K, SHARED = 24, 0.1  # a locus with more of its 24-mers than this in a scored piece is left out
COPIES, SEED = 3, 42  # of each locus in pseudo-chromosomes
VALIDATED = 10  # one locus in so many picks the best weights


class Pieces(NamedTuple):
    """Scored contigs of a species, and those whose annotation is not good enough to use."""

    clade: str
    contigs: tuple[str, ...]
    excluded: tuple[str, ...]


class Loci(NamedTuple):
    """Single-gene loci: of which scored species, and the files (genome, annotation) in the data folder."""

    of: str
    genome: str = "fna.gz"
    annotation: str = "gff.gz"


PIECES = {
    "A.thaliana": Pieces("plant", ("Chr1", "Chr3", "Chr4", "Chr5"), ("Chr2", "ChrC", "ChrM")),
    "C.elegans": Pieces("invertebrate", ("I", "II", "III", "IV", "V"), ("X", "MtDNA")),
    "D.melanogaster": Pieces("invertebrate", ("2L", "3L"), ("2R", "3R", "4", "X", "Y")),
}
LOCI = {
    "A.thaliana.hmmstar": Loci("A.thaliana"),
    "C.elegans.apc": Loci("C.elegans"),
    "D.melanogaster.chr2L": Loci("D.melanogaster", "genes.gb.train.gz", "genes.gb.train.gz"),
    "D.melanogaster.chr2R": Loci("D.melanogaster", "genes.gb.train.gz", "genes.gb.train.gz"),
}
FOLDS = max(len(pieces.contigs) for pieces in PIECES.values())
WINDOW = ("--window-bp=12000", "--stride-bp=4000", "--flank-bp=1000")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of the CRF to start from, for example that for fungi")
    parser.add_argument("--loci-steps", type=int, default=4000, help="loci that the CRF sees first (%(default)s)")
    parser.add_argument("--joined-steps", type=int, default=2500, help="windows of joined loci after it (%(default)s)")
    parser.add_argument("--steps", type=int, default=600, help="windows that each fold sees (%(default)s)")
    folds = [*map(str, range(FOLDS)), "all"]
    parser.add_argument("--folds", nargs="+", choices=folds, default=folds, help="(default: all of them)")
    parser.add_argument("--jobs", type=int, default=1, help="folds trained at the same time (%(default)s)")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "data/studies/small_sets", help="(%(default)s)")
    parser.add_argument(
        "--audit", action="store_true", help="prepare the data, and print what each fold's splits share"
    )
    arguments = parser.parse_args()
    work, joined = arguments.work, [f"{name}.joined" for name in LOCI]
    prepare(work)
    if arguments.audit:
        for fold in range(FOLDS):
            print(f"fold {fold}\n{report_table(leak_audit(species_of(fold, work)))}", flush=True)
        return
    if not arguments.model:
        raise InputError("--model: wanted a model to start from")
    train(arguments.model, work, "loci", list(LOCI), f"--max-steps={arguments.loci_steps}")
    train(work / "loci", work, "base", joined, f"--max-steps={arguments.joined_steps}", "--lr=2.5e-3")
    with ThreadPoolExecutor(arguments.jobs) as pool:

        def train_fold(fold: str) -> None:
            train(work / "base", work, fold, pieces_of(fold) + joined, f"--max-steps={arguments.steps}", "--lr=1.5e-3")

        list(pool.map(train_fold, arguments.folds))
    for species in PIECES:
        annotate_pieces(work, species, arguments.folds)


def pieces_of(fold: str) -> list[str]:
    """Names of the sets of windows; a species without a contig of this number is trained on in full."""
    return [
        f"{name}.{fold if fold != 'all' and int(fold) < len(pieces.contigs) else 'all'}"
        for name, pieces in PIECES.items()
    ]


# -------------------------------------------------------------------- data


def prepare(work: Path) -> None:
    """Genomes, and the windows of every set, of the pieces once per fold."""
    data = data_folder()
    for name, pieces in PIECES.items():
        unpack(data / name / "fna.gz", work / "raw" / f"{name}.fna")
        for fold, held in enumerate(pieces.contigs):
            regions = [f"--test-regions={held}", f"--excluded-regions={','.join(pieces.excluded)}"]
            bake(work, name, pieces.clade, data / name / "gff.gz", regions, f"{name}.{fold}")
        bake(work, name, pieces.clade, data / name / "gff.gz",
             [f"--excluded-regions={','.join(pieces.excluded)}"], f"{name}.all")  # fmt: skip
    for name, loci in LOCI.items():
        fna = work / "raw" / f"{name}.fna"
        unpack(data / name / loci.genome, fna)
        known, names = known_loci(fna, work / "raw" / f"{loci.of}.fna", PIECES[loci.of].contigs)
        validation = [locus for locus in names if locus not in known][::VALIDATED]
        regions = [f"--validation-regions={','.join(validation)}"]
        regions += [f"--excluded-regions={','.join(sorted(known))}"] if known else []
        bake(work, name, PIECES[loci.of].clade, data / name / loci.annotation, regions, name)
        joined = work / "raw" / f"{name}.joined.gff3"
        if not joined.is_file():
            join_loci(fna, data / name / loci.annotation, set(names) - known - set(validation), COPIES, SEED, joined)
        bake(work, f"{name}.joined", PIECES[loci.of].clade, joined, [], f"{name}.joined")
        print(f"{name}: {len(names)} loci, {len(known)} left out, {len(validation)} for validation", flush=True)
    call("merge_validation.py", f"--output-dir={work / 'validation'}",
         "--manifests", *(str(manifest(work, name)) for name in LOCI))  # fmt: skip


def data_folder() -> Path:
    return Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data"))


def unpack(source: Path, fna: Path) -> None:
    if not source.is_file():
        raise InputError(f"{source}: no such file; GENET5_DATA names the folder of the reference data")
    if not fna.is_file():
        fna.parent.mkdir(parents=True, exist_ok=True)
        decompress_genome(source, fna)


def known_loci(loci: Path, genome: Path, contigs: tuple[str, ...]) -> tuple[set[str], list[str]]:
    """Names of the loci that share DNA with the contigs, and of all loci."""
    with Genome(genome) as opened:
        scored = np.unique(np.concatenate([canonical_kmers(opened.sequence(c).encode(), K)[1] for c in contigs]))
    known, names = set(), []
    with Genome(loci) as opened:
        for name in opened.lengths:
            words = canonical_kmers(opened.sequence(name).encode(), K)[1]
            names.append(name)
            at = np.searchsorted(scored, words)
            if (scored[np.minimum(at, len(scored) - 1)] == words).mean() > SHARED:
                known.add(name)
    return known, names


def species_of(fold: int, work: Path) -> list[AuditedSpecies]:
    """Pieces and loci with the regions that are held out or left out in a fold."""
    data, found = data_folder(), []
    for name, pieces in PIECES.items():
        held = {"test_regions": pieces.contigs[fold]} if fold < len(pieces.contigs) else {}
        held["excluded_regions"] = ",".join(pieces.excluded)
        found.append(audited_species(name, work / "raw" / f"{name}.fna", data / name / "gff.gz",
                                     genetic_code=1, split="train", **held))  # fmt: skip
    for name, loci in LOCI.items():
        left_out = json.loads(manifest(work, name).read_text(encoding="utf-8"))["parameters"]["excluded_regions"]
        found.append(audited_species(name, work / "raw" / f"{name}.fna", data / name / loci.annotation,
                                     genetic_code=1, split="train", excluded_regions=left_out))  # fmt: skip
    return found


def bake(work: Path, species: str, clade: str, annotation: Path, regions: list[str], name: str) -> None:
    if manifest(work, name).is_file():
        return
    genome = work / "raw" / f"{species}.fna"
    call("bake_shards.py", f"--species={species}", f"--genome={genome}", f"--annotation={annotation}",
         "--genetic-code=1", f"--clade={clade}", "--split=train", *WINDOW, *regions,
         f"--output-dir={manifest(work, name).parent}")  # fmt: skip


def manifest(work: Path, name: str) -> Path:
    return work / "baked" / name / "manifest.json"


# -------------------------------------------------------------------- CRFs


def train(model: Path, work: Path, name: str, sets: list[str], *options: str) -> None:
    """A CRF taught windows of ``sets``, in the folder of its name."""
    manifests = [manifest(work, entry) for entry in sets]
    train_crf(model, work / "validation/validation.tar", work / name, manifests, "--species-balance=0.5",
                 "--eval-steps=2000", *options)  # fmt: skip


def annotate_pieces(work: Path, species: str, folds: list[str]) -> None:
    """Each contig by the CRF that has not seen it; one GFF3 for the species, and the time taken beside it."""
    pieces, rows, total = PIECES[species], [], {"bases": 0, "cpu_s": 0.0}
    folder = work / "annotation"
    folder.mkdir(parents=True, exist_ok=True)
    for fold, contig in enumerate(pieces.contigs):
        if str(fold) in folds:
            prefix = folder / f"{species}.{contig}"
            genome = work / "raw" / f"{species}.fna"
            found = annotate(work / str(fold), genome, pieces.clade, contig, prefix, window_bp=48000, overlap_bp=8000)
            rows += [line for line in found.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
            summary = json.loads(Path(f"{prefix}.json").read_text(encoding="utf-8"))
            total = {key: value + summary[key] for key, value in total.items()}
    with atomic_write(folder / f"{species}.gff3") as stream:
        stream.write("\n".join(["##gff-version 3", *rows]) + "\n")
    write_json(folder / f"{species}.json", total)


if __name__ == "__main__":
    run_command(main)
