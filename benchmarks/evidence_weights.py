#!/usr/bin/env python
"""The weights of hints (``resources/evidence/weights.json``), learned on validation DNA.

Hints are linear features of the CRF (``genet5/evidence/potentials.py``), and the networks stay as they are. First their
weights are those with which the annotated genes are most probable. All are at least 0. Then a search multiplies those
of a group as long as exon and gene F1 rise. RNA-seq hints are the real ones of the validation DNA, with some left out
(recall 60 to 95 %) and false introns added (10 to 60 %), anew for each copy. Proteins are simulated from the annotated
genes in the same way. A third of the copies has RNA-seq, a third proteins, and a third both. The search also sees the
real RNA-seq as it is.

DNA: chromosome III of *C. elegans*, chromosome 3 of *A. thaliana* and the validation contigs of *D. melanogaster* 2R.
No model was trained on it, and nothing is scored on it.

Covered stretches (BAM) and irparts have no real examples here: their weights are set by hand.

    python benchmarks/evidence_weights.py
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "benchmarks")]

from evidence_hints import FALSE_SHARE, RECALL, false_introns, protein_hints, thinned  # noqa: E402

from genet5.annotate.shipped import load_shipped  # noqa: E402
from genet5.clades import read_clades  # noqa: E402
from genet5.crf.chains import chain_loss  # noqa: E402
from genet5.crf.decoding import best_genes  # noqa: E402
from genet5.crf.labels import chain_labels, label_window  # noqa: E402
from genet5.crf.window_decoder import WindowDecoder  # noqa: E402
from genet5.errors import run_command  # noqa: E402
from genet5.evaluate.scores import score_annotation  # noqa: E402
from genet5.evidence.formats import read_hints  # noqa: E402
from genet5.evidence.hints import RNASEQ, HintFile  # noqa: E402
from genet5.evidence.matching import Evidence, match  # noqa: E402
from genet5.evidence.potentials import strand_features  # noqa: E402
from genet5.evidence.weights import Weights  # noqa: E402
from genet5.files import write_json  # noqa: E402
from genet5.genome.annotation import read_annotation  # noqa: E402
from genet5.genome.fasta import Genome, decompress_genome  # noqa: E402
from genet5.genome.genes import Annotation, Gene, Interval, Region, Transcript, phases_from_lengths  # noqa: E402
from genet5.genome.genetic_code import GeneticCode  # noqa: E402
from genet5.genome.sites import WindowSites  # noqa: E402
from genet5.genome.window_genes import WindowGene  # noqa: E402
from genet5.species_table import read_species_table  # noqa: E402

SPECIES = {"C.elegans": "nematode", "A.thaliana": "plant", "D.melanogaster.2R.contigs": "invertebrate"}
BY_HAND = {"rnaseq.covered": 1.0, "proteins.covered": 0.0, "rnaseq.irpart": 2.0, "proteins.irpart": 2.0}
SLOWNESS = 3.5  # best by F1 of 1.2, 2, 3.5 and 5
#: What the search multiplies at a time, and with what.
GROUPS = (
    ("rnaseq.site", "rnaseq.rare"), ("rnaseq.malus",), ("rnaseq.intron",),
    ("proteins.site", "proteins.rare", "proteins.malus", "proteins.intron"),
    ("proteins.start", "proteins.stop", "proteins.coding"),
)  # fmt: skip
FACTORS = (1.6, 1 / 1.6)
LEAST_START = 1.0  # nats from which the search begins where likelihood leaves less
LEAST_GAIN = 5e-4  # of mean F1, for which a step is taken
RIDGE = 1e-3  # nats per squared nat, against weights that nothing holds


class Set(NamedTuple):
    """Validation DNA of a species with what the network says of it. hints: real ones."""

    name: str
    clade: str
    genome: Genome
    annotation: Annotation
    regions: list[Region]
    hints: HintFile


class Strand(NamedTuple):
    """One strand of a region: fixed arrays, and features as (name, of sites?, places, values)."""

    bases: np.ndarray
    sites: np.ndarray
    allowed: np.ndarray
    labels: np.ndarray
    penalty: float
    features: list[tuple[str, bool, np.ndarray, np.ndarray]]
    scale: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, default=3, help="of the DNA, each with hints of its own (%(default)s)")
    parser.add_argument("--steps", type=int, default=12, help="towards the most probable weights (%(default)s)")
    parser.add_argument("--slowness", type=float, default=SLOWNESS, help="how slowly counts saturate (%(default)s)")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "data/studies/evidence", help="(%(default)s)")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "resources/evidence/weights.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data"))
    sets = [validation_set(name, clade, data, arguments.work) for name, clade in SPECIES.items()]
    read = {one.name: networks_say(one) for one in sets}
    rng, strands, copies = np.random.default_rng(0), [], []
    for copy in range(arguments.copies):
        for one in sets:
            evidence = match(made_hints(one, rng, copy % 3), one.genome, rules_of(one))
            strands += with_features(one, read[one.name], evidence, arguments.slowness, 1 / arguments.copies)
            copies.append((one, strands[-2 * len(one.regions) :]))
    nats, loss, before = learn(strands, arguments.steps)
    print(f"{before:.4f} -> {loss:.4f} nats per kb", flush=True)
    print("  " + ", ".join(f"{name} {value:.2f}" for name, value in sorted(nats.items())), flush=True)
    for one in sets:
        evidence = match([one.hints], one.genome, rules_of(one))
        copies.append((one, with_features(one, read[one.name], evidence, arguments.slowness, 1.0)))
    nats = {name: round(float(value), 3) for name, value in sorted((search(copies, read, nats) | BY_HAND).items())}
    # RNA-seq hints of these kinds are rare; they count as those of proteins.
    nats |= {f"rnaseq.{part}": nats[f"proteins.{part}"] for part in ("start", "stop", "coding")}
    write_json(arguments.output, {"nats": nats, "slowness": arguments.slowness})


def search(copies: Sequence[tuple[Set, list[Strand]]], read: dict[str, list[tuple]], nats: dict[str, float]) -> dict:
    """Weights multiplied, group by group, as long as F1 rises."""
    nats = {name: max(value, LEAST_START) if name.split(".")[1] != "rare" else value for name, value in nats.items()}
    best = mean_f1(copies, read, nats)
    print(f"F1 {best:.4f}", flush=True)
    for group in GROUPS:
        for factor in FACTORS:
            risen = False
            while True:
                tried = {name: value * (factor if name in group else 1) for name, value in nats.items()}
                f1 = mean_f1(copies, read, tried)
                print(f"F1 {f1:.4f}: {', '.join(f'{name} {tried[name]:.2f}' for name in group)}", flush=True)
                if f1 < best + LEAST_GAIN:
                    break
                nats, best, risen = tried, f1, True
            if risen:
                break
    return nats


def mean_f1(copies: Sequence[tuple[Set, list[Strand]]], read: dict[str, list[tuple]], nats: dict[str, float]) -> float:
    """Of exons and of genes, over all copies."""
    found = []
    for one, strands in copies:
        genes: list[Gene] = []
        for number, (region, (sites, *_)) in enumerate(zip(one.regions, read[one.name], strict=True)):
            pair = [weighed(strand, nats) for strand in strands[2 * number : 2 * number + 2]]
            bases, of_sites = (np.stack(arrays) for arrays in zip(*pair, strict=True))
            for gene, _ in best_genes(bases, of_sites, sites, strands[0].penalty):
                if not gene.partial5 and not gene.partial3:
                    cds = tuple(Interval(*part) for part in gene.cds)
                    name = f"{region.seqid}.{len(genes)}"
                    transcript = Transcript(f"{name}.t", cds, phases_from_lengths(cds, gene.strand))
                    genes.append(Gene(name, region.seqid, gene.strand, (transcript,), score=0.5))
        report = score_annotation(one.annotation, genes, one.genome.lengths, regions=one.regions, bootstrap=0)
        found += [report[level]["f1"] or 0.0 for level in ("exon", "gene")]
    return float(np.mean(found))


def weighed(strand: Strand, nats: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Potentials of bases and of sites with the weighed features."""
    bases, sites = strand.bases.copy(), strand.sites.copy()
    for name, is_site, places, values in strand.features:
        if name in nats:
            (sites if is_site else bases).reshape(-1)[places] += nats[name] * values
    return bases, sites


def rules_of(one: Set):
    return read_clades()[one.clade].gene_rules(1)


def validation_set(name: str, clade: str, data: Path, work: Path) -> Set:
    """The parts of a species that its table holds out for validation."""
    table = read_species_table(REPOSITORY / f"config/clades/{clade}.species.tsv", str(data), list(read_clades()))
    row = table[name]
    plain = work / f"{name}.fna"
    if not plain.is_file():
        plain.parent.mkdir(parents=True, exist_ok=True)
        decompress_genome(data / name / "fna.gz", plain)
    genome = Genome(plain)
    annotation = read_annotation(data / name / "gff.gz", genome, GeneticCode.from_table(1))
    regions = [Region(seqid, 0, genome.lengths[seqid]) for seqid in row.validation_regions.split(",")]
    hints = read_hints(data / "hints" / name / "rnaseq.introns.gff.gz", RNASEQ)
    names = {region.seqid for region in regions}
    hints.hints[:] = [hint for hint in hints.hints if hint.seqid in names]
    print(f"{name}: {sum(region.end for region in regions)} bases, {len(hints.hints)} hints", flush=True)
    return Set(name, clade, genome, annotation, regions, hints)


def networks_say(one: Set) -> list[tuple]:
    """Of each region: sites, potentials of bases and of sites, labels; and the gene penalty."""
    model = load_shipped(read_clades(), one.clade, "clade").model
    decoder = WindowDecoder(model.crf, rules_of(one), "fp32")
    found = []
    for region in one.regions:
        sites = WindowSites(one.genome.sequence(*region).upper(), rules_of(one))
        (potentials,) = decoder.read_windows([sites])
        genes = [
            WindowGene(gene.strand, tuple(Interval(*part) for part in gene.canonical.cds))
            for gene in one.annotation.trusted
            if gene.seqid == region.seqid
        ]
        ignored = [
            (area.start, area.end, area.strand) for area in one.annotation.dont_care if area.seqid == region.seqid
        ]
        labels, _ = label_window(sites, genes, ignored)
        labels = chain_labels(labels, genes)
        found.append((sites, potentials.bases, potentials.sites, labels, decoder.gene_penalty))
    return found


def made_hints(one: Set, rng: np.random.Generator, kind: int) -> list[HintFile]:
    """kind 0: RNA-seq, 1: proteins, 2: both."""
    files = []
    if kind != 1:
        kept = thinned(one.hints.hints, rng, rng.uniform(*RECALL))
        genes = one.annotation.trusted
        true = {(g.seqid, *intron, g.strand) for g in genes for t in g.transcripts for intron in t.introns}
        lengths = sorted(end - start for _, start, end, _ in true)
        share = rng.uniform(*FALSE_SHARE)
        number = int(share / (1 - share) * sum((h.seqid, h.start, h.end, h.strand) in true for h in kept))
        false = false_introns(one.genome, one.regions, rules_of(one), rng, number, RNASEQ, lengths, true)
        files.append(HintFile(f"{one.name} RNA-seq", RNASEQ, "made", kept + false))
    if kind != 0:
        made = protein_hints(
            one.annotation, one.genome, one.regions, rules_of(one), rng, rng.uniform(*RECALL), rng.uniform(*FALSE_SHARE)
        )
        files.append(HintFile(f"{one.name} proteins", "proteins", "made", made))
    return files


def with_features(one: Set, read: Sequence[tuple], evidence: Evidence, slowness: float, share: float) -> list[Strand]:
    weights = Weights({}, slowness)
    total_kb = sum(region.end for region in one.regions) / 1000
    found = []
    for region, (sites, bases, of_sites, labels, penalty) in zip(one.regions, read, strict=True):
        contig = evidence.contigs.get(region.seqid)
        for row in range(2):
            features = []
            if contig is not None:
                for feature in strand_features(contig, region, sites, row, weights):
                    for values, is_site in ((feature.bases, False), (feature.sites, True)):
                        if values is not None:
                            flat = values.reshape(-1)
                            places = np.flatnonzero(flat)
                            features.append((feature.name, is_site, places, flat[places]))
            found.append(
                Strand(
                    bases[row].astype(np.float64), of_sites[row].astype(np.float64), sites.allowed[row], labels[row],
                    penalty, features, share / total_kb / len(SPECIES),
                )
            )  # fmt: skip
    return found


def learn(strands: Sequence[Strand], steps: int) -> tuple[dict[str, float], float, float]:
    """Weights, and nats per kb with and without them."""
    names = sorted({name for strand in strands for name, *_ in strand.features} - set(BY_HAND))
    index = {name: number for number, name in enumerate(names)}

    def cost(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total, slope = RIDGE * float(weights @ weights), 2 * RIDGE * weights
        for strand in strands:
            bases, sites = weighed(strand, {name: weights[number] for name, number in index.items()})
            of_bases, of_sites = (torch.from_numpy(one)[None].requires_grad_() for one in (bases, sites))
            found = chain_loss(
                of_bases, of_sites, torch.tensor(strand.penalty), torch.from_numpy(strand.allowed)[None],
                torch.from_numpy(strand.labels)[None].long(), torch.tensor([len(bases)]),
            )  # fmt: skip
            found.loss.sum().backward()
            total += strand.scale * float(found.loss.detach().sum())
            for name, is_site, places, values in strand.features:
                if name in index:
                    gradient = (of_sites if is_site else of_bases).grad.numpy().reshape(-1)
                    slope[index[name]] += strand.scale * float(gradient[places] @ values)
        return total, slope

    before, _ = cost(np.zeros(len(names)))
    found = minimize(
        cost, np.ones(len(names)), jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(names),
        options={"maxiter": steps, "ftol": 1e-5},
    )  # fmt: skip
    return dict(zip(names, found.x, strict=True)), float(found.fun), before


if __name__ == "__main__":
    run_command(main)
