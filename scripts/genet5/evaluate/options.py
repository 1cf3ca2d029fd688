"""Options of scoring: the section score of the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from genet5.options import option

#: Simple gene finders to compare with: two scans for long reading frames, and Prodigal.
BASELINE_NAMES = ("orf_atg", "orf_all", "prodigal")


@dataclass(frozen=True)
class ScoreOptions:
    """Scores of held-out genomes."""

    baselines: tuple[str, ...] = option(
        BASELINE_NAMES,
        "gene finders to compare with; orf_atg and orf_all take the longest reading frames, from ATG, or from ATG, GTG "
        "and TTG",
        choices=BASELINE_NAMES,
        unique=True,
    )
    bootstrap: int = option(1000, "number of resamples of 1-Mb blocks for the confidence intervals; 0: none", minimum=0)
    seed: int = option(42, "seed of the resampling", minimum=0)


@dataclass(frozen=True)
class BuscoOptions:
    """Conserved genes of held-out genomes, counted by BUSCO where the species table names a lineage."""

    data: str = option(
        "https://busco-data.ezlab.org/v5/data/",
        "where lineages that have a name come from: a URL, or a folder with a copy of file_versions.tsv and lineages/",
        nonempty=True,
    )
    genome: bool = option(
        False,
        "whether BUSCO also searches the held-out DNA itself, with a gene finder of its own; this needs prodigal, or "
        "metaeuk or miniprot for eukaryotes",
    )
