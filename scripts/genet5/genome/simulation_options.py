"""Options of simulated genomes: the section simulate of the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from genet5.options import option


@dataclass(frozen=True)
class SimulateOptions:
    """Genomes drawn from AUGUSTUS's published parameters. Shares of decoys are parts of the bases between genes.

    A genome has each kind of decoy more or less often than its share says: by a factor between 0 and 2, drawn once.
    """

    augustus_config: str = option(
        "",
        "AUGUSTUS's folder config; empty: that of the variable AUGUSTUS_CONFIG_PATH, else /usr/share/augustus/config, "
        "where Debian's package augustus-data puts it",
    )
    seed: int = option(42, "seed; each name of a species has random numbers of its own", minimum=0)
    jitter: float = option(
        0.0,
        "how far each genome's parameters are moved from the published ones, so that genomes lie between those of the "
        "species: 0 not at all, 0.2 about as far as species of one genus",
        minimum=0,
        maximum=1,
    )
    contig_bp: int = option(
        300_000, "mean length of a contig; each has between half of it and half more", minimum=20_000
    )
    intergenic_bp: int | None = option(
        None,
        "mean distance between genes, untranslated DNA not counted; null: 400 bp and 1 bp for each base of intron in "
        "a mean gene of the species, at most 20 kb, times a factor around 1 drawn for each genome",
        minimum=50,
    )
    isochore_bp: int = option(60_000, "mean length of a stretch of one class of GC content", minimum=1000)
    mean_utr5_bp: float = option(150.0, "mean length of untranslated DNA before a gene", minimum=0)
    mean_utr3_bp: float = option(300.0, "mean length of untranslated DNA after a gene", minimum=0)
    utr_intron_share: float = option(
        0.15, "part of untranslated ends with an intron, in genomes where every gene has introns", minimum=0, maximum=1
    )
    gc_donor_share: float = option(
        0.005,
        "part of introns that begin with GC; at least 0.02 where the parameters allow such introns",
        minimum=0,
        maximum=0.5,
    )
    pseudogene_share: float = option(
        0.02, "decoys: genes with introns, with frame shifts and stops inside", minimum=0, maximum=0.3
    )
    processed_share: float = option(
        0.02,
        "decoys: spliced copies of genes, damaged, some without their 5' end, most with a poly-A tail",
        minimum=0,
        maximum=0.3,
    )
    open_frame_share: float = option(0.01, "decoys: coding DNA that begins with no start", minimum=0, maximum=0.3)
    transposon_share: float = option(
        0.05, "decoys: copies of the genome's families of repeats, which hold coding DNA", minimum=0, maximum=0.3
    )
    tandem_share: float = option(0.02, "decoys: tandem repeats of units of 1 to 60 bases", minimum=0, maximum=0.3)
    low_complexity_share: float = option(0.01, "decoys: stretches of few letters, or of one", minimum=0, maximum=0.3)
    cpg_island_share: float = option(0.01, "decoys: stretches rich in C and G", minimum=0, maximum=0.3)
