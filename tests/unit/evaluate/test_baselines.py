"""Baselines: reading frames worked out by hand, and the numbers known for real bacteria."""

from __future__ import annotations

import importlib.resources
import random

import pytest

from genet5.errors import InputError
from genet5.evaluate.baselines import ATG, ATG_GTG_TTG, BASELINES, min_orf_bp, orf_scan, prodigal, run_baseline
from genet5.evaluate.scores import score_annotation
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome, decompress_genome, write_fasta
from genet5.genome.genes import Region
from genet5.genome.genetic_code import GeneticCode, reverse_complement

STANDARD = GeneticCode.from_table(1)
# No start and no stop codon on either strand, in any frame.
SILENT = "CCG"


def genome_of(tmp_path, **sequences):
    tmp_path.mkdir(exist_ok=True)
    write_fasta(tmp_path / "g.fna", sequences.items())
    return Genome(tmp_path / "g.fna")


def found(baseline):
    return [(gene.seqid, gene.strand, *gene.canonical.cds[0]) for gene in baseline.genes]


def test_frames_on_both_strands_and_in_all_phases(tmp_path):
    orf = "ATG" + SILENT * 8 + "TAA"  # 30 bases
    forward = SILENT * 4 + "C" + orf + SILENT * 4
    genome = genome_of(tmp_path, fwd=forward, rev=reverse_complement("C" + forward))
    baseline = orf_scan(genome, STANDARD, ATG, 30)
    # fwd: 13 bases before. rev: 14 before it on the other strand, of 14 + 30 + 12 = 56.
    assert found(baseline) == [("fwd", "+", 13, 43), ("rev", "-", 12, 42)]
    assert baseline.bases == 55 + 56 and baseline.cpu_s >= 0
    transcript = baseline.genes[0].canonical
    assert transcript.complete5 and transcript.complete3 and transcript.phases == (0,)
    assert found(orf_scan(genome, STANDARD, ATG, 31)) == []


def test_the_first_start_after_the_last_stop_is_taken(tmp_path):
    text = SILENT * 2 + "ATG" + SILENT + "TAG" + SILENT + "GTG" + SILENT * 3 + "ATG" + SILENT * 9 + "TGA" + SILENT
    genome = genome_of(tmp_path, c=text)
    # Codon by codon: the first stop ends at 15; GTG at 18, ATG at 30, TGA ends at 63.
    assert found(orf_scan(genome, STANDARD, ATG, 15)) == [("c", "+", 30, 63)]
    assert found(orf_scan(genome, STANDARD, ATG_GTG_TTG, 15)) == [("c", "+", 18, 63)]
    # 9 bases from ATG to TAG are a frame too.
    assert found(orf_scan(genome, STANDARD, ATG, 9)) == [("c", "+", 6, 15), ("c", "+", 30, 63)]


def test_the_genetic_code_decides_what_ends_a_frame(tmp_path):
    genome = genome_of(tmp_path, c="ATG" + SILENT * 5 + "TGA" + SILENT * 5 + "TAA")
    assert found(orf_scan(genome, STANDARD, ATG, 15)) == [("c", "+", 0, 21)]
    assert found(orf_scan(genome, GeneticCode.from_table(4), ATG, 15)) == [("c", "+", 0, 39)]
    assert (min_orf_bp(STANDARD), min_orf_bp(GeneticCode.from_table(4))) == (300, 210)


def test_unknown_letters_break_a_frame_only_where_a_whole_codon_is_unknown(tmp_path):
    gap = "ATG" + SILENT * 5 + "N" * 60 + SILENT * 5 + "TAA"
    letter = "ATG" + SILENT * 5 + "CNG" + SILENT * 5 + "TAA"
    genome = genome_of(tmp_path, gap=gap, letter=letter, only="N" * 50, short="A")
    assert found(orf_scan(genome, STANDARD, ATG, 15)) == [("letter", "+", 0, 39)]


def test_a_frame_mostly_taken_by_longer_ones_is_dropped(tmp_path):
    def sequence(codons_behind):
        """A frame of 78 bases, and one in the next phase that begins at the ATG of its CATGCC: 14 bases are shared."""
        return "ATG" + SILENT * 20 + "CATGCC" + SILENT * 2 + "TAA" + "C" + SILENT * codons_behind + "TAG"

    # The second frame has 18 + 3 * codons_behind bases: 14 of 48 are 29 %, 14 of 45 are 31 %.
    kept, dropped = (genome_of(tmp_path / name, c=sequence(number)) for name, number in (("a", 10), ("b", 9)))
    assert found(orf_scan(kept, STANDARD, ATG, 40)) == [("c", "+", 0, 78), ("c", "+", 64, 112)]
    assert found(orf_scan(dropped, STANDARD, ATG, 40)) == [("c", "+", 0, 78)]
    # Longest first, not leftmost first: with a longer second frame the first is the shorter one. 14 of 78 are 18 %.
    swapped = genome_of(tmp_path / "c", c=sequence(40))
    assert found(orf_scan(swapped, STANDARD, ATG, 40)) == [("c", "+", 0, 78), ("c", "+", 64, 202)]


def test_only_the_regions_are_scanned(tmp_path):
    orf = "ATG" + SILENT * 8 + "TAA"
    genome = genome_of(tmp_path, c=SILENT * 10 + orf + SILENT * 10 + orf, d=orf)
    regions = [Region("c", 61, 120), Region("c", 10, 61), Region("d", 0, 29)]
    baseline = orf_scan(genome, STANDARD, ATG, 30, regions)
    # Touching regions are one; the frame on d lacks its last base.
    assert found(baseline) == [("c", "+", 30, 60), ("c", "+", 90, 120)]
    assert baseline.bases == 110 + 29


def random_genome(tmp_path, length):
    rng = random.Random(5)
    text = "".join(rng.choice("ACGT") for _ in range(length))
    orf = "ATG" + "".join(rng.choice(("GCT", "GAA", "AAA", "CTG", "GGT", "ATC", "GAC")) for _ in range(400)) + "TAA"
    return genome_of(tmp_path, c=text[: length // 2] + "AGGAGGTAACAT" + orf + text[length // 2 :])


def test_prodigal_uses_ready_made_models_where_there_is_too_little_to_train_on(tmp_path):
    genome = random_genome(tmp_path, 9_000)
    baseline = prodigal(genome, GeneticCode.from_table(11))
    assert baseline.options["mode"] == "meta"
    assert ("c", "+", 4512, 5718) in found(baseline)
    assert prodigal(genome, GeneticCode.from_table(4)).options["mode"] == "meta"
    with pytest.raises(InputError, match="Prodigal has no ready-made model for table 2"):
        prodigal(genome, GeneticCode.from_table(2))


def test_prodigal_trains_on_the_regions_and_marks_genes_they_cut(tmp_path):
    archive = importlib.resources.files("pyrodigal.tests.data") / "MIIJ01000039.fna.gz"
    with importlib.resources.as_file(archive) as path:
        decompress_genome(path, tmp_path / "fna")
    genome, code = Genome(tmp_path / "fna"), GeneticCode.from_table(11)
    (seqid,) = genome.names
    half = prodigal(genome, code, [Region(seqid, 0, 200_000)])
    assert (half.options["mode"], half.bases) == ("single", 200_000)
    for strand in "+-":
        chosen = next(gene for gene in half.genes[50:] if gene.strand == strand and gene.end - gene.start > 900)
        middle = (chosen.start + chosen.end) // 2
        # The part with the start codon: its stop codon lies beyond the edge.
        forward = strand == "+"
        part = prodigal(genome, code, [Region(seqid, 0, middle) if forward else Region(seqid, middle, 200_000)])
        cut = part.genes[-1 if forward else 0]
        assert cut.strand == strand and cut.canonical.complete5 and not cut.canonical.complete3
        assert abs((cut.end if forward else cut.start) - middle) < 3
        assert (cut.start == chosen.start) if forward else (cut.end == chosen.end)


def test_unknown_baselines_and_codes(tmp_path):
    genome = random_genome(tmp_path, 60_000)
    with pytest.raises(InputError, match="baselines: 'glimmer' is not known; allowed: orf_atg, orf_all, prodigal"):
        run_baseline("glimmer", genome, STANDARD)
    with pytest.raises(InputError, match="genetic code: Prodigal does not know table 27"):
        prodigal(genome, GeneticCode.from_table(27))


KNOWN = {
    # Gene and stop-side F1 without don't-care regions, as measured by an independent scorer with other programs.
    ("E.coli", 11): {"orf_atg": (0.688, 0.902), "orf_all": (0.572, 0.883), "prodigal": (0.904, 0.957)},
    ("M.alvi", 4): {"orf_atg": (0.786, 0.947), "prodigal": (0.898, 0.982)},
}


@pytest.mark.parametrize("species, table", KNOWN)
def test_numbers_known_for_real_bacteria(shared_data, tmp_path, species, table):
    decompress_genome(shared_data / species / "fna.gz", tmp_path / "fna")
    genome, code = Genome(tmp_path / "fna"), GeneticCode.from_table(table)
    reference = read_annotation(shared_data / species / "gff.gz", genome, code)
    for name, (gene_f1, stop_f1) in KNOWN[species, table].items():
        made = BASELINES[name](genome, code, None)
        report = score_annotation(reference, made.genes, genome.lengths, ignore_dont_care=True)
        assert report["gene"]["f1"] == pytest.approx(gene_f1, abs=0.005), name
        assert report["stop"]["f1"] == pytest.approx(stop_f1, abs=0.005), name
        assert made.kb_per_cpu_s > 0
