"""Condensed genomes: exons with their surroundings, the same genes, and nothing of what is held out."""

from __future__ import annotations

from pathlib import Path

import pytest
from bake_toy_genome import write_toy_genome

from genet5.bake.condensing import CONTIG_BP, LEAST_KEPT_BP, condense_genome
from genet5.bake.manifest import NAME, read_manifest, shard_paths
from genet5.bake.shards import ShardSet
from genet5.bake.species import SpeciesSource, bake_species
from genet5.bake.windows import WindowRules
from genet5.errors import InputError
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome, write_fasta
from genet5.genome.genes import Annotation, DontCare, Gene, Interval, Region, Transcript
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.writing import cds_sequence
from genet5.report.build import _by_species
from genet5.report.datacard import data_card, read_data_card

KEPT_BP, OUTER_BP = 60, 90
WHOLE = Region("chr", 0, 12_000)


def gene(name: str, strand: str, *cds: tuple[int, int], flags: frozenset[str] = frozenset()) -> Gene:
    segments = tuple(Interval(*one) for one in cds)
    return Gene(name, "chr", strand, (Transcript(f"{name}.t", segments, (0,) * len(cds)),), flags=flags)


GENES = (
    gene("spliced", "+", (1000, 1100), (3000, 3050), (3100, 3200)),  # one long intron, one that stays whole
    gene("nested", "-", (2000, 2060)),
    gene("flagged", "+", (3260, 3300), flags=frozenset({"no_start"})),
    gene("single", "-", (9000, 9300)),
)
DONT_CARE = (DontCare("chr", 2030, 2040, "+", "pseudogene"), DontCare("chr", 3210, 9010, ".", "unknown"))


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A base of every place: 4,000 places spelled in letters, so that each stretch of eight occurs once.
    path = tmp_path_factory.mktemp("condensing") / "fna"
    bases = "".join("ACGTacgt"[place // 8**digit % 8] for place in range(3000) for digit in range(4))
    write_fasta(path, [("chr", bases)])
    return path


def condensed(fasta: Path, tmp_path: Path, region: Region = WHOLE, seed: str = "1"):
    """The contigs' bases, the annotation, and the bases of the whole genome."""
    with Genome(fasta) as genome:
        short = condense_genome(
            genome, Annotation(GENES, DONT_CARE), [region], KEPT_BP, OUTER_BP, seed, tmp_path / "short"
        )
        with Genome(tmp_path / "short") as contigs:
            bases = {
                name: contigs.sequence(name, 0, length, keep_case=True) for name, length in contigs.lengths.items()
            }
        return bases, short, genome.sequence("chr", 0, 12_000, keep_case=True)


def test_exons_keep_their_bases_and_introns_are_cut_short(fasta: Path, tmp_path: Path) -> None:
    bases, short, whole = condensed(fasta, tmp_path)
    assert list(bases) == ["condensed_1"] and [one.id for one in short.genes] == ["spliced", "nested", "single"]
    short_bases = bases["condensed_1"]
    for before, after in zip([GENES[0], GENES[1], GENES[3]], short.genes, strict=True):
        old, new = before.canonical.cds, after.canonical.cds
        assert [short_bases[start:end] for start, end in new] == [whole[start:end] for start, end in old]
        assert (after.strand, after.canonical.phases) == (before.strand, before.canonical.phases)
    introns = [intron.length for intron in short.genes[0].canonical.introns]
    # The first holds the nested gene with what lies around it; the second is short as it is.
    assert 4 * LEAST_KEPT_BP + 60 <= introns[0] <= 2 * KEPT_BP + 2 * OUTER_BP + 60 and introns[1] == 50
    assert LEAST_KEPT_BP <= short.genes[0].start <= OUTER_BP
    assert LEAST_KEPT_BP <= len(short_bases) - short.genes[2].end <= OUTER_BP


def test_lengths_are_drawn_between_their_limits(fasta: Path, tmp_path: Path) -> None:
    one = gene("one", "+", (1000, 1100), (3000, 3050))
    found = []
    with Genome(fasta) as genome:
        for seed in range(200):
            short = condense_genome(
                genome, Annotation((one,), ()), [WHOLE], KEPT_BP, OUTER_BP, str(seed), tmp_path / "short"
            ).genes[0]
            found.append((short.start, short.canonical.introns[0].length))
    starts, introns = map(set, zip(*found, strict=True))
    assert starts == set(range(LEAST_KEPT_BP, OUTER_BP + 1))
    assert 2 * LEAST_KEPT_BP <= min(introns) < 2 * LEAST_KEPT_BP + 4 and 2 * KEPT_BP - 4 < max(introns) <= 2 * KEPT_BP


def test_what_is_kept_of_a_short_intron_does_not_reach_beyond_it(fasta: Path, tmp_path: Path) -> None:
    for name, *cds in (("left", (1000, 1010), (1030, 1200)), ("right", (1000, 1170), (1190, 1200))):
        with Genome(fasta) as genome:
            known = Annotation((gene(name, "+", *cds),), ())
            condense_genome(genome, known, [WHOLE], 500, LEAST_KEPT_BP, "1", tmp_path / name)
        with Genome(tmp_path / name) as short:
            assert list(short.lengths.values()) == [200 + 2 * LEAST_KEPT_BP]


def test_pieces_follow_each_other_as_in_the_genome(fasta: Path, tmp_path: Path) -> None:
    bases, short, whole = condensed(fasta, tmp_path)
    start = short.genes[0].start
    assert bases["condensed_1"][:start] == whole[1000 - start : 1000]
    donor = short.genes[0].canonical.cds[0].end
    assert bases["condensed_1"][donor : donor + LEAST_KEPT_BP] == whole[1100 : 1100 + LEAST_KEPT_BP]
    acceptor = short.genes[0].canonical.cds[1].start
    assert bases["condensed_1"][acceptor - LEAST_KEPT_BP : acceptor] == whole[3000 - LEAST_KEPT_BP : 3000]


def test_dont_care_stays_where_its_bases_stay(fasta: Path, tmp_path: Path) -> None:
    bases, short, whole = condensed(fasta, tmp_path)
    pseudogene, behind, before = short.dont_care
    assert (pseudogene.strand, behind.strand, before.reason) == ("+", ".", "unknown")
    assert bases["condensed_1"][pseudogene.start : pseudogene.end] == whole[2030:2040]
    assert pseudogene.start - short.genes[1].start == 30
    assert behind.start == short.genes[0].end + 10 and before.end == short.genes[2].start + 10
    assert behind.end == before.start  # nothing between them is left


def test_draws_depend_on_the_seed(fasta: Path, tmp_path: Path) -> None:
    first, again, other = (condensed(fasta, tmp_path, seed=seed)[0] for seed in ("1", "1", "2"))
    assert first == again != other


def test_genes_outside_the_training_regions_are_left_out(fasta: Path, tmp_path: Path) -> None:
    bases, short, whole = condensed(fasta, tmp_path, Region("chr", 1010, 9280))
    assert [one.id for one in short.genes] == ["nested"]
    bases, short, _ = condensed(fasta, tmp_path, Region("chr", 8990, 9310))
    assert bases["condensed_1"] == whole[8990:9310]
    with pytest.raises(InputError, match="no gene lies wholly in a training region"):
        condensed(fasta, tmp_path, Region("chr", 0, 900))


def test_a_gene_that_a_region_cuts_is_dont_care(fasta: Path, tmp_path: Path) -> None:
    genes = (gene("whole", "+", (1000, 1100)), gene("cut", "-", (1110, 1400)))
    with Genome(fasta) as genome:
        short = condense_genome(
            genome, Annotation(genes, ()), [Region("chr", 0, 1300)], KEPT_BP, OUTER_BP, "1", tmp_path / "short"
        )
        length = Genome(tmp_path / "short").lengths["condensed_1"]
    assert [one.id for one in short.genes] == ["whole"]
    (cut,) = short.dont_care
    assert (cut.start, cut.end, cut.strand) == (short.genes[0].end + 10, length, "-")


def test_regions_share_contigs_up_to_their_length(tmp_path: Path) -> None:
    exon = CONTIG_BP // 2
    write_fasta(tmp_path / "fna", [(name, "ACGT" * (exon // 2)) for name in ("a", "b", "c")])
    genes = [gene(name, "+", (500, 500 + exon)) for name in "abc"]
    genes = tuple(Gene(one.id, one.id, "+", one.transcripts) for one in genes)
    with Genome(tmp_path / "fna") as genome:
        regions = [Region(name, 0, 2 * exon) for name in "abc"]
        short = condense_genome(genome, Annotation(genes, ()), regions, KEPT_BP, OUTER_BP, "1", tmp_path / "short")
    assert [one.seqid for one in short.genes] == ["condensed_1", "condensed_1", "condensed_2"]


def test_a_condensed_genome_is_baked_with_its_genes(tmp_path: Path) -> None:
    toy = write_toy_genome(tmp_path, {"chrI": 40_000, "chrII": 30_000})
    source = SpeciesSource("Toy.short", toy.fasta, toy.gff, 1, "fungi", "train", excluded_regions="chrII",
                           exon_flank_bp=100)  # fmt: skip
    rules = WindowRules(window_bp=2000, stride_bp=2000, flank_bp=0, seed=5)
    bake_species(source, rules, 50, tmp_path / "short")
    bake_species(SpeciesSource("Toy.long", toy.fasta, toy.gff, 1, "fungi", "train", excluded_regions="chrII"),
                 rules, 50, tmp_path / "long")  # fmt: skip
    short, whole = (read_manifest(tmp_path / name / NAME) for name in ("short", "long"))
    assert short["parameters"]["exon_flank_bp"] == 100 and "exon_flank_bp" not in whole["parameters"]
    assert short["counts"]["train"]["bases"] < 0.8 * whole["counts"]["train"]["bases"]
    stats, kept = tmp_path / "short/stats.json", _by_species([tmp_path / "short" / NAME], "exon_flank_bp")
    assert "condensed to 100 bp beside exons" in str(data_card(read_data_card(stats, {}, {"exon_flank_bp": kept})))
    assert "condensed" not in str(data_card(read_data_card(stats, {}, {})))
    code = GeneticCode.from_table(1)
    with Genome(toy.fasta) as genome:
        known = {
            cds_sequence(genome, one, one.canonical)
            for one in read_annotation(toy.gff, genome, code).trusted
            if one.seqid == "chrI"
        }
    shards = ShardSet(shard_paths(tmp_path / "short" / NAME, "train"))
    samples = [shards.read(number) for number in range(len(shards))]
    assert {sample.meta["seqid"] for sample in samples} == {"condensed_1"}
    found = {
        "".join(sample.bases.decode().upper()[start:end] for start, end in one.cds)
        for sample in samples
        for one in sample.genes
        if one.strand == "+" and one.start >= 0 and one.end <= len(sample.bases)
    }
    assert len(found) > 3 and found <= known


def test_of_loci_nothing_unknown_is_kept(tmp_path: Path) -> None:
    toy = write_toy_genome(tmp_path, {"chrI": 40_000})
    source = SpeciesSource("Toy.loci", toy.fasta, toy.gff, 1, "fungi", "train", annotated="some", exon_flank_bp=400)
    bake_species(source, WindowRules(window_bp=2000, stride_bp=2000, flank_bp=0, seed=5), 50, tmp_path / "loci")
    shards = ShardSet(shard_paths(tmp_path / "loci" / NAME, "train"))
    unclear = [span for number in range(len(shards)) for span in shards.read(number).dont_care]
    flagged = [one for one in unclear if one.strand != "."]
    assert len(shards) > 3 and unclear == flagged


@pytest.mark.parametrize("flank_bp", [-5, 20])
def test_a_flank_that_is_too_short_is_one_line(tmp_path: Path, flank_bp: int) -> None:
    source = SpeciesSource("Toy.short", tmp_path / "a", tmp_path / "b", 1, "fungi", "train", exon_flank_bp=flank_bp)
    with pytest.raises(InputError, match=f"exon_flank_bp: {flank_bp} is not allowed, use 0 or at least 100"):
        bake_species(source, WindowRules(window_bp=2000, stride_bp=2000, flank_bp=0, seed=5), 50, tmp_path / "out")


@pytest.mark.parametrize("changes", [{"split": "test"}, {"validation_regions": "chrI:1-500"}, {"test_regions": "chrI"}])
def test_a_condensed_genome_is_for_training_alone(tmp_path: Path, changes: dict[str, str]) -> None:
    source = SpeciesSource("Toy.short", tmp_path / "a", tmp_path / "b", 1, "fungi",
                           **{"split": "train", "exon_flank_bp": 350, **changes})  # fmt: skip
    with pytest.raises(InputError, match="exon_flank_bp: a condensed genome is for training alone"):
        bake_species(source, WindowRules(window_bp=2000, stride_bp=2000, flank_bp=0, seed=5), 50, tmp_path / "out")
