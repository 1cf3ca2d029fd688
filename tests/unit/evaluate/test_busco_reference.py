"""The published genes that BUSCO counts beside the predicted ones."""

from __future__ import annotations

from genet5.evaluate.reference_genes import reference_genes
from genet5.genome.genes import Annotation, Gene, Interval, Region, Transcript
from genet5.genome.splits import complement
from genet5.genome.writing import write_proteins


def gene(name: str, start: int, end: int, *, seqid: str = "c", flags: tuple[str, ...] = ()) -> Gene:
    transcript = Transcript(f"{name}.t1", (Interval(start, end),), (0,))
    return Gene(name, seqid, "+", (transcript,), flags=frozenset(flags))


def test_busco_reference_has_the_genes_that_lie_whole_in_the_held_out_regions():
    genes = [
        gene("before", 0, 9),
        gene("cut", 96, 105),
        gene("first", 100, 130),
        gene("frameshift", 150, 180, flags=("frameshift",)),
        gene("last", 191, 200),
        gene("origin", 180, 190, flags=("beyond_contig",)),
        gene("spliced", 160, 190, flags=("trans_spliced", "no_stop")),
        gene("elsewhere", 100, 130, seqid="d"),
        gene("second", 500, 530),
    ]
    found = reference_genes(Annotation(tuple(genes), (), {}), [Region("c", 100, 200), Region("c", 490, 600)])
    assert [one.id for one in found] == ["first", "frameshift", "last", "second"]


def test_busco_reference_has_one_protein_for_each_real_gene(read_set, tmp_path):
    """85 genes with 244 transcripts; the file says the same of its genes."""
    genome, code, annotation = read_set("D.melanogaster/gff.gz")
    genes = reference_genes(annotation, complement((), genome.lengths))
    lost = [one for one in annotation.genes if one.flags & {"trans_spliced", "beyond_contig"}]
    assert len(genes) == 85 - len(lost) and len(lost) < 3
    assert write_proteins(tmp_path / "p.faa", genes, genome, code) == len(genes)
    names = [line.split()[0][1:] for line in (tmp_path / "p.faa").read_text().splitlines() if line.startswith(">")]
    assert set(names) == {one.canonical.id for one in genes}
