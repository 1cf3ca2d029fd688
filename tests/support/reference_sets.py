"""The sets of the reference data folder and what their documentation says of them."""

from __future__ import annotations

from typing import NamedTuple

from genet5.genome.fasta import Genome
from genet5.genome.genes import Annotation
from genet5.genome.genetic_code import GeneticCode


class Expected(NamedTuple):
    """``transcripts`` and ``loci`` as in SOURCES.md; ``sound`` and ``pseudogenes`` as known from the file."""

    format: str
    table: int
    transcripts: int
    loci: int
    sound: int
    pseudogenes: int = 0


EXPECTED = {
    "S.cerevisiae/gff.gz": Expected("GFF3", 1, 5983, 5983, 5936, 18),  # 47 programmed frameshifts
    "S.cerevisiae.ensembl/gtf.gz": Expected("GTF", 1, 6600, 6600, 6572, 12),  # 28 are Mito, another code
    "A.thaliana/gff.gz": Expected("GFF3", 1, 463, 347, 342, 7),
    "C.elegans/gff.gz": Expected("GFF3", 1, 307, 163, 156, 30),
    "D.melanogaster/gff.gz": Expected("GFF3", 1, 244, 85, 77),
    "D.melanogaster.chr2L/genes.gb.train.gz": Expected("GenBank", 1, 392, 392, 392),
    "D.melanogaster.chr2L/genes.gb.test.gz": Expected("GenBank", 1, 100, 100, 100),
    "H.sapiens/gtf.gz": Expected("GTF", 1, 41, 8, 8, 3),  # SOURCES.md counts transcripts: 8 genes
    "P.falciparum/gff.gz": Expected("GFF3", 1, 358, 347, 347, 25),
    "T.brucei/gff.gz": Expected("GFF3", 1, 472, 471, 470, 33),
    "E.coli/gff.gz": Expected("GFF3", 11, 4298, 4288, 4284, 182),  # 3 selenoproteins, 1 frameshift
    "E.coli/gbk.gz": Expected("GenBank", 11, 4140, 4140, 4136, 184),
    "M.alvi/gff.gz": Expected("GFF3", 4, 679, 679, 671, 7),  # 8 cut by scaffold ends
    "M.alvi/gbk.gz": Expected("GenBank", 4, 679, 679, 671, 7),
    "Y.pestis/gbk.gz": Expected("GenBank", 11, 10, 10, 10),
    "S.pombe/gff.gz": Expected("GFF3", 1, 5120, 5115, 5075, 48),
    "P.falciparum.chr3-12/gff.gz": Expected("GFF3", 1, 3524, 3524, 3518, 98),
    "P.yoelii/gff.gz": Expected("GFF3", 1, 4456, 4456, 4450, 49),
    "P.knowlesi/gff.gz": Expected("GFF3", 1, 3788, 3788, 3722, 11),
    "P.vivax/gff.gz": Expected("GFF3", 1, 528, 528, 526),
    "H.sapiens.clones/gff.gz": Expected("GFF3", 1, 115, 115, 106, 65),
    "A.thaliana.hmmstar/gff.gz": Expected("GFF3", 1, 631, 631, 631),
    "C.elegans.apc/gff.gz": Expected("GFF3", 1, 1051, 1051, 1045),
    "D.melanogaster.chr2R/genes.gb.train.gz": Expected("GenBank", 1, 486, 486, 486),
    "D.melanogaster.chr2R/genes.gb.test.gz": Expected("GenBank", 1, 100, 100, 100),
    "T.thermophila/genes.gb.gz": Expected("GenBank", 6, 393, 393, 393),
}


class ReadSet(NamedTuple):
    genome: Genome
    code: GeneticCode
    annotation: Annotation
