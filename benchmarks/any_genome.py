#!/usr/bin/env python
"""Models beside their peers on genomes of every clade: one table per clade, with 95 % intervals and CPU seconds.

A target is a genome, a chromosome, or the loci of G3PO of one group (``any_genome_sets.py``). Scored are its first
contigs up to ``--max-bp``, the last one cut where no gene lies, or the contigs that the target names. Every tool reads
the same FASTA file. One scorer compares all with the published annotation. Intervals resample blocks of 100 kb (of a
twelfth of the DNA where that is less than 1.2 Mb), or whole loci.

Loci are whole, a sample of the file. On a locus one gene is annotated. Scored are predictions that share coding bases
with its span, on its strand, and all of their exons count. Predictions elsewhere on the locus are not scored, because
nobody has annotated the flanks.

``seen`` says what the tool was taught: ``species``, ``genus`` or ``no``; ``species, other DNA`` where it has learned
other chromosomes. A model's card says it (``datasets``). ``itself``: the tool learns from the scored DNA.

Ours is the shipped model of the target's clade, and what ``--models`` or ``--folds`` name. What stands behind ``--``
is passed on to ``genet5 annotate``:

    python benchmarks/any_genome.py --sets fungi --models fungi=data/model/my/crf -- --min-confidence=0.2

A tool runs once for the same DNA and command: what it wrote is kept under ``--cache``.

Debian packages: augustus augustus-data snap prodigal.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "benchmarks")]

from any_genome_pieces import (  # noqa: E402
    copy_within,
    count_verified,
    cut_regions,
    on_loci,
    read_verified,
    whole_loci,
    wilson_interval,
)
from any_genome_sets import HELD_OUT, PEER_SPECIES, TABLES, TARGETS, Target, seen_by, targets_of  # noqa: E402
from any_genome_tables import COLUMNS, markdown_table, tsv_lines  # noqa: E402
from any_genome_tools import Made, model_card, run_ours, run_peer, taught_species  # noqa: E402

from genet5.clades import read_clades  # noqa: E402
from genet5.errors import InputError, run_command  # noqa: E402
from genet5.evaluate.predictions import read_predictions  # noqa: E402
from genet5.evaluate.scores import score_annotation  # noqa: E402
from genet5.files import atomic_write  # noqa: E402
from genet5.genome.annotation import read_annotation  # noqa: E402
from genet5.genome.fasta import Genome, decompress_genome, write_fasta  # noqa: E402
from genet5.genome.genes import Annotation, Region  # noqa: E402
from genet5.genome.genetic_code import GeneticCode  # noqa: E402

BLOCK_BP, MIN_BLOCKS = 100_000, 12
SEED = 42
GENOMES = ("fna.gz", "genes.gb.gz", "genome.fna", "genome.fna.gz", "fna")
ANNOTATIONS = ("gff.gz", "gtf.gz", "genes.gb.gz", "genome.gff3", "genome.gff3.gz", "gff3")


class Ours(NamedTuple):
    """A model to run. folder: None for the shipped one of the clade. seen: what it was taught, None: the card says."""

    name: str
    folder: Path | None
    seen: str | None = None


class Scored(NamedTuple):
    """A target on disk. genome: the whole one. fasta: the scored part, from each contig's first base."""

    name: str
    target: Target
    genome: Genome
    annotation: Annotation
    regions: list[Region]
    fasta: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=[], help="targets or tables (default: all)")
    parser.add_argument("--models", nargs="+", default=[], metavar="SET=FOLDER", help="of a target or a whole table")
    parser.add_argument("--folds", type=Path, metavar="TSV", help="lines of target or table, model folder and, if "
                        "wanted, what the model has seen")  # fmt: skip
    parser.add_argument("--no-shipped", action="store_true", help="leave out the shipped models")
    parser.add_argument("--no-peers", action="store_true", help="leave out the peers")
    parser.add_argument("--simulated", nargs="+", default=[], metavar="TABLE=FOLDER", help="genomes simulated "
                        "with AUGUSTUS: one folder (genome.fna, genome.gff3) for each species of AUGUSTUS")  # fmt: skip
    parser.add_argument("--max-bp", type=int, help="bases scored of a target that names no contigs, 0: all (default: "
                        "2 Mb of a prokaryote, 1.5 Mb of a eukaryote, 1 Mb of protists and loci)")  # fmt: skip
    parser.add_argument("--bootstrap", type=int, default=1000, help="resamples (%(default)s)")
    parser.add_argument("--cache", type=Path, default=REPOSITORY / "data/studies/any_genome", help="(%(default)s)")
    parser.add_argument("--tsv", type=Path, help="file for all rows")
    parser.add_argument("--markdown", type=Path, help="file for the tables (default: they are printed)")
    parser.add_argument("passed", nargs="*", metavar="-- FLAGS", help="flags for genet5 annotate, behind --")
    arguments = parser.parse_args()
    simulated = dict(simulated_targets(arguments.simulated))
    targets = (targets_of(arguments.sets) if arguments.sets or not simulated else {}) | simulated
    models = [*model_entries(arguments.models), *fold_entries(arguments.folds)]
    for where, _ in models:
        if where not in targets and where not in TABLES and where not in TARGETS:
            raise InputError(f"--models: {where!r} is neither a target nor a table; tables: {', '.join(TABLES)}")
    rows: list[dict] = []
    for name, target in targets.items():
        ours = [] if arguments.no_shipped or not read_clades()[target.clade].model else [Ours("shipped", None)]
        ours += [model for where, model in models if where in (name, target.table)]
        peers = () if arguments.no_peers else target.peers
        if ours or peers:
            rows += target_rows(name, target, ours, peers, arguments)
    texts = [markdown_table(table, [row for row in rows if row["table"] == table]) for table in TABLES]
    text = "\n".join(filter(None, texts))
    if arguments.markdown:
        with atomic_write(arguments.markdown) as stream:
            stream.write(text)
    else:
        print(text)
    if arguments.tsv:
        with atomic_write(arguments.tsv) as stream:
            stream.writelines(tsv_lines(rows))


def target_rows(
    name: str, target: Target, ours: Sequence[Ours], peers: Sequence[str], arguments: argparse.Namespace
) -> Iterator[dict]:
    """A row for each tool. A tool that cannot run gets a row that says why; no tool ends the run."""
    max_bp = target.limit_bp if arguments.max_bp is None else arguments.max_bp
    data = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data"))
    first = dict.fromkeys(COLUMNS) | {"table": target.table, "set": name, "species": target.species}
    try:
        scored = prepare(name, target, data, arguments.cache, max_bp)
    except InputError as error:
        yield first | {"tool": "none", "seen": "", "note": f"not measured: {error}", "ours": False}
        return
    with scored.genome:
        for entry in (*ours, *peers):
            tool, seen = describe(entry, scored, arguments.passed)
            row = first | {"tool": tool, "seen": seen, "note": target.label, "ours": isinstance(entry, Ours)}
            try:
                if isinstance(entry, Ours):
                    folder, flags = entry.folder, arguments.passed
                    made = run_ours(target.clade, folder, scored.fasta, target.code, flags, arguments.cache)
                else:
                    made = run_peer(entry, scored.fasta, target.code, arguments.cache)
                row |= scores_of(scored, made, data, arguments.bootstrap)
            except InputError as error:
                row["note"] = f"not measured: {error}"
            told = " ".join(str(row[name]) for name in ("exon_f1", "gene_f1", "cpu_s", "note"))
            print(f"{name}: {tool}: {told}", file=sys.stderr, flush=True)
            yield row


def prepare(name: str, target: Target, data: Path, cache: Path, max_bp: int) -> Scored:
    """The whole genome unpacked, its annotation, and a FASTA file of the scored part."""
    folder = data / target.data
    source, reference = (first_file(folder, names) for names in (GENOMES, ANNOTATIONS))
    whole = cache / "genomes" / f"{Path(target.data).name}.fna"
    if not whole.is_file():
        whole.parent.mkdir(parents=True, exist_ok=True)
        decompress_genome(source, whole)
    genome = Genome(whole)
    if target.table == "prokaryotes":
        kept = whole.with_suffix(".gff3")
        copy_within(reference, kept)
        reference = kept
    annotation = read_annotation(reference, genome, GeneticCode.from_table(target.code))
    lengths = {
        seqid: length for seqid, length in genome.lengths.items()
        if (not target.contigs or seqid in target.contigs)
        and (not target.names or seqid.rpartition("_")[2] in target.names)
    }  # fmt: skip
    if not lengths or set(target.contigs) - set(lengths):
        raise InputError(f"{source}: expected sequences {', '.join(target.contigs or target.names)}")
    if target.loci:
        regions = whole_loci(lengths, max_bp)
    else:
        regions = cut_regions(lengths, annotation, 0 if target.contigs else max_bp)
    fasta = cache / "scored" / f"{name}.fa"
    fasta.parent.mkdir(parents=True, exist_ok=True)
    write_fasta(fasta, ((region.seqid, masked_bases(genome, region)) for region in regions))
    return Scored(name, target, genome, annotation, regions, fasta)


def masked_bases(genome: Genome, region: Region) -> str:
    """Bases with their soft-masking. Where nine of ten are lower-case, that is no masking: all become upper-case."""
    bases = genome.sequence(*region, keep_case=True)
    lower = sum(bases.count(letter) for letter in "acgtn")
    return bases.upper() if lower > 0.9 * len(bases) else bases


def scores_of(scored: Scored, made: Made, data: Path, bootstrap: int) -> dict:
    """The columns of a row that are measured."""
    code = GeneticCode.from_table(scored.target.code)
    genes, _ = read_predictions(made.gff3, scored.genome, code)
    if scored.target.loci:
        genes = on_loci(genes, scored.annotation)
    bases = sum(region.end - region.start for region in scored.regions)
    block_bp = bases if scored.target.loci else max(1, min(BLOCK_BP, bases // MIN_BLOCKS))
    report = score_annotation(
        scored.annotation, genes, scored.genome.lengths, regions=scored.regions, bootstrap=bootstrap, seed=SEED,
        block_bp=(block_bp,),
    )  # fmt: skip
    row: dict = {"scored_bp": bases, "genes": report["reference"]["genes"], "predicted": report["predicted"]["genes"]}
    for level in ("exon", "stop", "gene"):
        row[f"{level}_f1"] = report[level]["f1"]
        row[f"{level}_low"], row[f"{level}_high"] = report.get("bootstrap", {}).get("f1", {}).get(level, (None, None))
    if scored.target.verified:
        known = read_verified(data / scored.target.verified / "verified.gff.gz", scored.regions)
        counts = count_verified(known, genes)
        row |= {"verified": counts.genes, "verified_stop": counts.stops / counts.genes}
        row["verified_start"] = counts.exact / counts.genes
        row["verified_low"], row["verified_high"] = wilson_interval(counts.exact, counts.genes)
    return row | {"cpu_s": made.cpu_s, "kb_per_cpu_s": bases / 1000 / made.cpu_s if made.cpu_s else None}


def describe(entry: Ours | str, scored: Scored, flags: Sequence[str]) -> tuple[str, str]:
    """The name of a tool in the table, and what it was taught of the target."""
    target = scored.target
    if isinstance(entry, str):
        if entry in ("prodigal", "geneml"):
            return entry, "itself" if entry == "prodigal" else "not stated"
        if target.label.startswith("simulated"):
            return entry, "species"
        return entry, seen_by([PEER_SPECIES[entry]], target.species)
    shipped = read_clades()[target.clade].model
    folder = entry.folder or (shipped.folder if shipped else Path())
    label = f"{entry.name} {folder.name}" if entry.folder is None else entry.name
    label = " ".join(["genet5", label, *flags])
    if entry.seen is not None:
        return label, entry.seen
    taught = taught_species(model_card(folder))
    if not taught:
        return label, "not stated"
    seen = seen_by(taught, target.species) if target.species != "several" else "some"
    held_out = scored.name in HELD_OUT.get(folder.name, set()) and entry.folder is None
    return label, "species, other DNA" if seen == "species" and held_out else seen


def model_entries(entries: Iterable[str]) -> Iterator[tuple[str, Ours]]:
    """``SET=FOLDER`` as (target or table, model); InputError for another form or a missing folder."""
    for entry in entries:
        where, equals, folder = entry.partition("=")
        if not equals:
            raise InputError(f"--models {entry}: expected SET=FOLDER, for example fungi=data/model/fungi/crf")
        yield where, Ours(Path(folder).name, existing_folder(folder, f"--models {entry}"))


def fold_entries(table: Path | None) -> Iterator[tuple[str, Ours]]:
    """The same from the lines of a table; a third column says what the model has seen."""
    if table is None:
        return
    if not table.is_file():
        raise InputError(f"--folds: {table}: no such file")
    for number, line in enumerate(table.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        columns = line.split("\t")
        if not 2 <= len(columns) <= 3:
            raise InputError(f"{table}, line {number}: {len(columns)} columns, expected set, folder and maybe seen")
        folder = existing_folder(columns[1], f"{table}, line {number}")
        yield columns[0], Ours(folder.name, folder, columns[2] if len(columns) == 3 else None)


def existing_folder(folder: str, where: str) -> Path:
    if not Path(folder).is_dir():
        raise InputError(f"{where}: {folder}: no such folder")
    return Path(folder)


def simulated_targets(entries: Iterable[str]) -> Iterator[tuple[str, Target]]:
    """A target for each genome in the folders; its peer has the parameters that made it."""
    clades: Mapping[str, str] = {target.table: target.clade for target in TARGETS.values()}
    for entry in entries:
        table, _, folder = entry.partition("=")
        if table not in clades or not folder:
            raise InputError(f"--simulated {entry}: expected TABLE=FOLDER; tables: {', '.join(clades)}")
        for genome in sorted(
            path for path in existing_folder(folder, f"--simulated {entry}").iterdir() if path.is_dir()
        ):
            peer = f"augustus {genome.name}"
            species = genome.name.replace("_", " ")
            yield (
                f"simulated.{genome.name}",
                Target(
                    table, clades[table], species, str(genome.resolve()), 1, (peer,), label="simulated by this AUGUSTUS"
                ),
            )


def first_file(folder: Path, names: Sequence[str]) -> Path:
    """The first of the files that is there; InputError where none is."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder}: none of {', '.join(names)}; GENET5_DATA names the folder of the reference data")


if __name__ == "__main__":
    run_command(main)
