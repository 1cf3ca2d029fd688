"""The genomes of ``any_genome.py``: what is scored of each, which peers annotate it, and what was taught of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from genet5.errors import InputError


class Target(NamedTuple):
    """DNA that is scored.

    table: where it is shown. clade: the product's clade. data: its folder in the reference data. peers: ``prodigal``,
    ``geneml``, ``augustus PARAMETERS`` or ``snap MODEL``. contigs: those scored, whole; empty: the first ones, up to
    limit_bp bases. loci: each sequence holds one annotated gene and others that nobody annotated. names: last words of
    the sequences' names (``DROME``) that belong to the target; empty: all. verified: folder of genes with verified
    starts. label: what the annotation is worth, where that is not plain.
    """

    table: str
    clade: str
    species: str
    data: str
    code: int
    peers: tuple[str, ...]
    contigs: tuple[str, ...] = ()
    loci: bool = False
    names: tuple[str, ...] = ()
    verified: str | None = None
    label: str = ""
    limit_bp: int = 1_500_000


def _prokaryote(species: str, data: str, code: int = 11, verified: bool = False) -> Target:
    kept = ("E.coli.verified" if data == "E.coli" else data) if verified else None
    return Target("prokaryotes", "bacteria", species, data, code, ("prodigal",), verified=kept, limit_bp=2_000_000)


def _loci(table: str, clade: str, peer: str, names: str, limit_bp: int = 1_000_000) -> Target:
    return Target(
        table, clade, "several", "G3PO.confirmed", 1, (peer,), loci=True, names=tuple(names.split()), limit_bp=limit_bp
    )


def _protist(species: str, data: str, *peers: str) -> Target:
    return Target(
        "apicomplexa", "protist", species, data, 1, tuple(f"augustus {peer}" for peer in peers), limit_bp=1_000_000
    )


_FISSION_YEAST = ("augustus schizosaccharomyces_pombe", "geneml")
_FLY = ("augustus fly", "snap D.melanogaster")
_WORM = ("augustus caenorhabditis", "snap C.elegans")
_THALE = ("augustus arabidopsis", "snap A.thaliana")

TARGETS = {
    "E.coli": _prokaryote("Escherichia coli", "E.coli", verified=True),
    "M.alvi": _prokaryote("Mycoplasmoides alvi", "M.alvi", 4),
    "Halobacterium.salinarum": _prokaryote("Halobacterium salinarum", "Halobacterium.salinarum", verified=True),
    "Aeropyrum.pernix": _prokaryote("Aeropyrum pernix", "Aeropyrum.pernix", verified=True),
    "Deinococcus.deserti": _prokaryote("Deinococcus deserti", "Deinococcus.deserti", verified=True),
    "Synechocystis.sp": _prokaryote("Synechocystis sp.", "Synechocystis.sp", verified=True),
    "Mycobacterium.tuberculosis": _prokaryote(
        "Mycobacterium tuberculosis", "Mycobacterium.tuberculosis", verified=True
    ),
    "Bacillus.subtilis": _prokaryote("Bacillus subtilis", "Bacillus.subtilis"),
    "Caulobacter.crescentus": _prokaryote("Caulobacter crescentus", "Caulobacter.crescentus"),
    "Mycoplasmoides.genitalium": _prokaryote("Mycoplasmoides genitalium", "Mycoplasmoides.genitalium", 4),
    "Staphylococcus.aureus": _prokaryote("Staphylococcus aureus", "Staphylococcus.aureus"),
    "Pseudomonas.fluorescens": _prokaryote("Pseudomonas fluorescens", "Pseudomonas.fluorescens"),
    "Mycoplasma.mycoides": _prokaryote("Mycoplasma mycoides", "Mycoplasma.mycoides", 4),
    "Methanosarcina.mazei": _prokaryote("Methanosarcina mazei", "Methanosarcina.mazei"),
    "Pyrococcus.horikoshii": _prokaryote("Pyrococcus horikoshii", "Pyrococcus.horikoshii"),
    "Mycolicibacterium.diernhoferi": _prokaryote("Mycolicibacterium diernhoferi", "Mycolicibacterium.diernhoferi"),
    "Lactiplantibacillus.pentosus": _prokaryote("Lactiplantibacillus pentosus", "Lactiplantibacillus.pentosus"),
    "Chlamydia.trachomatis": _prokaryote("Chlamydia trachomatis", "Chlamydia.trachomatis"),
    "Pelagibacter.ubique": _prokaryote("Pelagibacter ubique", "Pelagibacter.ubique"),
    "Phycorickettsia.trachydisci": _prokaryote("Phycorickettsia trachydisci", "Phycorickettsia.trachydisci"),
    "S.pombe.III": Target(
        "fungi", "fungi", "Schizosaccharomyces pombe", "S.pombe", 1, _FISSION_YEAST, ("III",)
    ),
    "S.cryophilus": Target(
        "fungi", "fungi", "Schizosaccharomyces cryophilus", "S.cryophilus", 1, _FISSION_YEAST,
    ),
    # Oomycetes and their relatives live like moulds, and models for fungi were taught none. No locus is of a fungus.
    "G3PO.oomycetes": _loci(
        "fungi", "filamentous_fungi", "augustus fusarium_graminearum", "PHYPR 9STRA SAPPC PHYPN PHYNI PHYRM PYTUL",
        limit_bp=3_000_000,
    )._replace(data="G3PO.unconfirmed", species="oomycetes"),
    "D.melanogaster.2L": Target(
        "invertebrates", "invertebrate", "Drosophila melanogaster", "D.melanogaster.2L", 1, _FLY
    ),
    "D.melanogaster.2L.contigs": Target(
        "invertebrates", "invertebrate", "Drosophila melanogaster", "D.melanogaster.2L.contigs", 1, _FLY
    ),
    "D.melanogaster.chr4": Target(
        "invertebrates", "invertebrate", "Drosophila melanogaster", "D.melanogaster.chr4", 1, _FLY
    ),
    "C.elegans.IV.V": Target(
        "invertebrates", "nematode", "Caenorhabditis elegans", "C.elegans", 1, _WORM, ("IV", "V")
    ),
    "C.elegans.X": Target("invertebrates", "nematode", "Caenorhabditis elegans", "C.elegans", 1, _WORM, ("X",)),
    "C.elegans.chrII": Target(
        "invertebrates", "nematode", "Caenorhabditis elegans", "C.elegans.chrII", 1, _WORM
    ),
    "G3PO.insects": _loci(
        "invertebrates", "invertebrate", "augustus fly",
        "ATTCE DROAN DROGR DROPE CULQU DROME DROMO DROPS DROSE DROVI DROWI ANODA LUCCU PEDHC AEDAE DROSI RHOPR BOMMO "
        "ZOONE",
    ),
    "G3PO.nematodes": _loci(
        "invertebrates", "nematode", "augustus caenorhabditis", "CAEEL CAERE STRRB ONCVO CAEBR"
    ),
    "G3PO.molluscs": _loci("invertebrates", "invertebrate", "augustus Argopecten_irradians", "CRAGI"),
    "A.thaliana.Chr4.Chr5": Target(
        "plants", "plant", "Arabidopsis thaliana", "A.thaliana", 1, _THALE, ("Chr4", "Chr5")
    ),
    "A.thaliana.Chr1.Chr3": Target(
        "plants", "plant", "Arabidopsis thaliana", "A.thaliana", 1, _THALE, ("Chr1", "Chr3")
    ),
    "Volvox.carteri": Target(
        "plants", "alga", "Volvox carteri", "Volvox.carteri", 1, ("augustus volvox", "augustus chlamydomonas")
    ),
    "R.communis": Target(
        "plants", "plant", "Ricinus communis", "R.communis", 1, ("augustus arabidopsis", "augustus Ricinus_communis"),
        label="automatic labels",
    ),
    # Most pieces of this set hold few genes. This one holds a third of them.
    "H.sapiens.chr1": Target(
        "vertebrates", "vertebrate", "Homo sapiens", "H.sapiens.chr1", 1, ("augustus human",),
        ("chr1_157999000_160486507",),
    ),
    "G3PO.mammals": _loci(
        "vertebrates", "vertebrate", "augustus human",
        "CHLSB RAT AILME OTOGA PONAB MUSPF SHEEP MOUSE MYOLU MONDO MACFA HETGA RABIT CALJA NOMLE BOVIN CANLF GORGO "
        "PAPAN PIG",
        limit_bp=2_000_000,
    ),
    "G3PO.birds.reptiles": _loci("vertebrates", "vertebrate", "augustus chicken", "ANOCA FICAL PELSI"),
    "G3PO.fishes": _loci(
        "vertebrates", "vertebrate", "augustus zebrafish", "POEFO TETNG LEPOC ORENI LATCH ORYLA TAKRU"
    ),
    "P.falciparum": _protist("Plasmodium falciparum", "P.falciparum", "pfalciparum")._replace(
        clade="plasmodium", contigs=("Pf3D7_01_v3", "Pf3D7_02_v3")
    ),
    "P.vivax": _protist("Plasmodium vivax", "P.vivax", "pfalciparum")._replace(clade="plasmodium"),
    "P.knowlesi": _protist("Plasmodium knowlesi", "P.knowlesi", "pfalciparum")._replace(clade="plasmodium"),
    "Babesia.bovis": _protist("Babesia bovis", "Babesia.bovis", "toxoplasma", "pfalciparum"),
    "Babesia.microti": _protist("Babesia microti", "Babesia.microti", "toxoplasma", "pfalciparum"),
    "Babesia.bigemina": _protist("Babesia bigemina", "Babesia.bigemina", "toxoplasma", "pfalciparum"),
    "Cryptosporidium.muris": _protist("Cryptosporidium muris", "Cryptosporidium.muris", "Cryptosporidium_hominis"),
    "Cryptosporidium.ubiquitum": _protist(
        "Cryptosporidium ubiquitum", "Cryptosporidium.ubiquitum", "Cryptosporidium_hominis"
    ),
    "T.brucei": _protist(
        "Trypanosoma brucei", "T.brucei", "leishmania_tarentolae", "Trypanosoma_cruzi"
    )._replace(clade="kinetoplastid"),
    "T.thermophila": _protist("Tetrahymena thermophila", "T.thermophila", "tetrahymena")._replace(
        clade="ciliate", code=6, loci=True, label="structures by homology"
    ),
}  # fmt: skip

TABLES = tuple(dict.fromkeys(target.table for target in TARGETS.values()))

# Species whose genes taught the parameters of a peer.
PEER_SPECIES = {
    "augustus Argopecten_irradians": "Argopecten irradians",
    "augustus Cryptosporidium_hominis": "Cryptosporidium hominis",
    "augustus Ricinus_communis": "Ricinus communis",
    "augustus Trypanosoma_cruzi": "Trypanosoma cruzi",
    "augustus arabidopsis": "Arabidopsis thaliana",
    "augustus caenorhabditis": "Caenorhabditis elegans",
    "augustus chicken": "Gallus gallus",
    "augustus chlamydomonas": "Chlamydomonas reinhardtii",
    "augustus fly": "Drosophila melanogaster",
    "augustus fusarium_graminearum": "Fusarium graminearum",
    "augustus human": "Homo sapiens",
    "augustus leishmania_tarentolae": "Leishmania tarentolae",
    "augustus pfalciparum": "Plasmodium falciparum",
    "augustus schizosaccharomyces_pombe": "Schizosaccharomyces pombe",
    "augustus tetrahymena": "Tetrahymena thermophila",
    "augustus toxoplasma": "Toxoplasma gondii",
    "augustus volvox": "Volvox carteri",
    "augustus zebrafish": "Danio rerio",
    "snap A.thaliana": "Arabidopsis thaliana",
    "snap C.elegans": "Caenorhabditis elegans",
    "snap D.melanogaster": "Drosophila melanogaster",
}

# Targets that a shipped model has not learned although it knows the species: its card says so.
HELD_OUT = {
    "fungi": {"S.pombe.III"},
    "invertebrate": {"D.melanogaster.2L", "D.melanogaster.2L.contigs"},
    "nematode": {"C.elegans.IV.V", "C.elegans.X"},
    "plant": {"A.thaliana.Chr4.Chr5"},
    "plasmodium": {"P.falciparum"},
    "vertebrate": {"H.sapiens.chr1"},
}


def targets_of(names: Iterable[str]) -> dict[str, Target]:
    """Targets by their names or by the names of tables, in the order of TARGETS. InputError for an unknown name."""
    wanted = set(names)
    if unknown := wanted - set(TARGETS) - set(TABLES):
        raise InputError(f"--sets: {min(unknown)!r}; allowed: {', '.join((*TABLES, *TARGETS))}")
    return {name: target for name, target in TARGETS.items() if not wanted or {name, target.table} & wanted}


def seen_by(taught: Iterable[str], species: str) -> str:
    """``species``, ``genus`` or ``no``: what of a species those that taught a model hold (texts, names first)."""
    names = [words[:2] for words in (re.findall(r"[\w.-]+", text) for text in taught) if len(words) > 1]
    wanted = species.split()[:2]
    if wanted in names:
        return "species"
    return "genus" if any(genus == wanted[0] for genus, _ in names) else "no"
