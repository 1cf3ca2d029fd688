"""Simulated genomes: what is drawn is as often as the parameters say, and every gene is a gene."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from augustus_folder import DONORS, MadeParameters
from hypothesis import given
from hypothesis import strategies as st

from genet5.errors import InputError
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome, decompress_genome
from genet5.genome.genes import Annotation, Gene
from genet5.genome.genetic_code import GeneticCode, reverse_complement
from genet5.genome.sampling_loops import NO_STOPS, fill_markov, fill_motif, has_stop
from genet5.genome.simulate import SimulatedGenome, mean_intergenic_bp, simulate_genome, write_simulated
from genet5.genome.simulated_decoys import DecoySampler, damaged, mutated
from genet5.genome.simulated_genes import GeneSampler
from genet5.genome.simulation_options import SimulateOptions
from genet5.genome.simulation_origin import simulated_from
from genet5.sources.augustus_parameters import DEFAULT_CONFIG, AugustusParameters, read_parameters

STANDARD = GeneticCode.from_table(1)
SHARES = tuple(field.name for field in dataclasses.fields(SimulateOptions) if field.name.endswith("_share"))
DECOY_SHARES = tuple(name for name in SHARES if name not in ("utr_intron_share", "gc_donor_share"))
NO_DECOYS = SimulateOptions(**dict.fromkeys(DECOY_SHARES, 0.0))


def made(tmp_path: Path, **changes) -> AugustusParameters:
    """Parameters written and read again."""
    parameters = MadeParameters(**changes)
    parameters.write(tmp_path)
    return read_parameters(tmp_path, parameters.name)


def read_back(simulated: SimulatedGenome, folder: Path, code: GeneticCode) -> Annotation:
    """The annotation as training reads it."""
    write_simulated(simulated, folder / "fna.gz", folder / "gff.gz")
    decompress_genome(folder / "fna.gz", folder / "fna")
    with Genome(folder / "fna") as genome:
        assert genome.lengths == simulated.lengths
        return read_annotation(folder / "gff.gz", genome, code)


def transcribed(simulated: SimulatedGenome, gene: Gene, before: int = 0) -> tuple[str, list[tuple[int, int]]]:
    """DNA of a gene 5' to 3' with ``before`` bases in front, and its coding segments there."""
    letters = simulated.contigs[gene.seqid].decode()
    if gene.strand == "+":
        start = gene.start - before
        return letters[start : gene.end], [(a - start, b - start) for a, b in gene.canonical.cds]
    end = gene.end + before
    return reverse_complement(letters[gene.start : end]), [(end - b, end - a) for a, b in reversed(gene.canonical.cds)]


def chi_square(found: Counter | Sequence[int], expected: dict | Sequence[float]) -> float:
    """Sum of squared deviations by their variance, less its mean, in standard deviations of it: about normal."""
    keys = list(expected) if isinstance(expected, dict) else range(len(expected))
    pairs = [(found[key], expected[key]) for key in keys if expected[key] > 5]
    assert len(pairs) > 1
    value = sum((seen - mean) ** 2 / mean for seen, mean in pairs)
    return (value - len(pairs)) / np.sqrt(2 * len(pairs))


@pytest.fixture(scope="module")
def parameters(tmp_path_factory) -> AugustusParameters:
    return made(tmp_path_factory.mktemp("made"), classes=2, upper=True)


@pytest.fixture(scope="module")
def simulated(parameters) -> SimulatedGenome:
    """A genome of many genes."""
    return simulate_genome(parameters, 3_000_000, "made", dataclasses.replace(NO_DECOYS, intergenic_bp=200))


# -------------------------------------------------------------------- genes are genes


@pytest.mark.parametrize(
    ("changes", "table"),
    [
        ({}, 1),
        ({"order": 4, "classes": 3, "upper": True}, 1),
        ({"order": 1, "stops": (0, 0, 1)}, 6),
        ({"order": 3, "stops": (0.5, 0.5, 0)}, 4),
        ({"counts": (0, 20, 80, 20), "introns": {12: 0.5, 14: 0.5}, "exons": (6, 40)}, 1),
        ({"counts": (20, 0, 0, 0)}, 1),
    ],
)
@pytest.mark.parametrize("jitter", [0.0, 0.5])
def test_training_reads_every_gene_as_it_was_drawn(tmp_path: Path, changes, table, jitter) -> None:
    parameters = made(tmp_path, **changes)
    code = GeneticCode.from_table(table)
    options = SimulateOptions(intergenic_bp=500, contig_bp=40_000, jitter=jitter)
    simulated = simulate_genome(parameters, 300_000, "S.made", options)
    annotation = read_back(simulated, tmp_path, code)
    assert len(annotation.genes) > 60 and not annotation.dont_care
    assert not [gene for gene in annotation.genes if gene.flags]
    structure = [(gene.id, gene.seqid, gene.strand, gene.canonical.cds) for gene in annotation.genes]
    assert structure == [(gene.id, gene.seqid, gene.strand, gene.canonical.cds) for gene in simulated.genes]
    assert not annotation.counts.get("phases_corrected")
    assert {gene.strand for gene in simulated.genes} == {"+", "-"} and len(simulated.contigs) > 4
    assert sum(simulated.lengths.values()) == 300_000
    for gene in simulated.genes:
        bases, cds = transcribed(simulated, gene)
        coding = "".join(bases[start:end] for start, end in cds)
        assert coding.startswith("ATG") and coding[-3:] in code.stops and not code.has_in_frame_stop(coding[:-3])
        assert len(coding) >= parameters.min_coding_bp
        for (_, start), (end, _) in itertools.pairwise(cds):
            assert end - start >= 4 and bases[start : start + 2] in ("GT", "GC") and bases[end - 2 : end] == "AG"


def test_a_genome_is_the_same_for_the_same_name_and_seed_alone(tmp_path: Path, parameters) -> None:
    def files(name: str, seed: int, folder: str) -> bytes:
        genome = simulate_genome(parameters, 60_000, name, SimulateOptions(seed=seed))
        write_simulated(genome, tmp_path / folder / "fna.gz", tmp_path / folder / "gff.gz")
        return (tmp_path / folder / "fna.gz").read_bytes() + (tmp_path / folder / "gff.gz").read_bytes()

    first = files("S.made", 1, "a")
    assert files("S.made", 1, "b") == first
    assert files("S.made", 2, "c") != first and files("S.other", 1, "d") != first


def test_the_file_says_where_it_comes_from(tmp_path: Path, parameters) -> None:
    simulated = simulate_genome(parameters, 30_000, "S.made")
    write_simulated(simulated, tmp_path / "fna.gz", tmp_path / "gff.gz")
    assert simulated_from(tmp_path / "gff.gz") == "made"
    (tmp_path / "other.gff").write_text("##gff-version 3\n# simulated-from\nc\tx\tgene\t1\t9\t.\t+\t.\tID=g\n")
    assert simulated_from(tmp_path / "other.gff") == ""


# -------------------------------------------------------------------- as often as the parameters say


def test_coding_dna_follows_the_tables_of_codon_positions(tmp_path: Path) -> None:
    order = 3
    drawn = made(tmp_path, order=order, counts=(10, 0, 0, 0))
    simulated = simulate_genome(drawn, 800_000, "made", dataclasses.replace(NO_DECOYS, intergenic_bp=100))
    table = drawn.classes[0].exon
    found, expected = Counter(), Counter()
    for gene in simulated.genes:
        coding, _ = transcribed(simulated, gene)
        codes = ["ACGT".index(letter) for letter in coding]
        for place in range(3 + order, len(codes) - 3):  # the start and the stop are not of the table
            context = sum(code * 4 ** (order - 1 - rank) for rank, code in enumerate(codes[place - order : place]))
            chances = table[place % 3, context].copy()
            if place % 3 == 2:
                chances[[coding[place - 2 : place] + letter in STANDARD.stops for letter in "ACGT"]] = 0
            for base, chance in enumerate(chances / chances.sum()):
                expected[place % 3, context, base] += chance
            found[place % 3, context, codes[place]] += 1
    assert sum(found.values()) > 150_000
    # Four bases of a context share one sum, so that the sum of squares is smaller than that of independent numbers.
    assert -15 < chi_square(found, expected) < 4


def test_introns_follow_their_table_and_their_tail(simulated) -> None:
    lengths = Counter(intron.length for gene in simulated.genes for intron in gene.canonical.introns)
    total = sum(lengths.values())
    assert total > 3000
    table = {length: 0.8 * share * total for length, share in {40: 0.5, 50: 0.3, 60: 0.2}.items()}
    assert chi_square(lengths, table) < 4
    tail = [length - 80 for length in lengths.elements() if length > 80]
    assert len(tail) + sum(lengths[length] for length in table) == total
    assert len(tail) / total == pytest.approx(0.2, abs=4 * np.sqrt(0.2 * 0.8 / total))
    assert np.mean(tail) == pytest.approx(100, rel=4 / np.sqrt(len(tail)))


def test_exons_follow_their_counts_and_lengths(parameters, simulated) -> None:
    numbers = Counter(len(gene.canonical.cds) for gene in simulated.genes)
    total = sum(numbers.values())
    expected = {1: 0.4 * total} | {2 + inner: 0.6 * total * 0.4 * 0.6**inner for inner in range(12)}
    assert chi_square(numbers, expected) < 4
    inner = [
        segment.length
        for gene in simulated.genes
        for segment in gene.canonical.cds[1:-1]
        if len(gene.canonical.cds) > 3
    ]
    assert min(inner) >= 31 and max(inner) <= 200
    halves = Counter(length > 115 for length in inner)
    assert halves[True] / len(inner) == pytest.approx(0.5, abs=0.05)
    single = [gene.canonical.length for gene in simulated.genes if len(gene.canonical.cds) == 1]
    assert max(single) > parameters.exon_lengths.shape[1], "a tenth is longer than the table"


def test_donors_follow_their_patterns_but_for_stops(simulated) -> None:
    found, expected = Counter(), Counter()
    gc_donors = introns = 0
    for gene in simulated.genes:
        bases, cds = transcribed(simulated, gene)
        coding = ""
        for start, end in cds[:-1]:
            coding += bases[start:end]
            introns += 1
            gc_donors += bases[end : end + 2] == "GC"
            # The pattern has one base of the exon, which must not end a stop.
            allowed = {
                word: share
                for word, share in DONORS.items()
                if len(coding) % 3 or coding[-3:-1] + word[0].upper() not in STANDARD.stops
            }
            for word, share in allowed.items():
                expected[word.upper()] += share / sum(allowed.values())
            found[bases[end - 1] + bases[end + 2 : end + 4]] += 1
    assert set(found) == {word.upper() for word in DONORS}
    assert chi_square(found, expected) < 4
    assert 0 < gc_donors / introns < 0.015


def test_stops_starts_and_acceptors_follow_theirs(simulated) -> None:
    stops, before_start, before_acceptor = Counter(), Counter(), Counter()
    for gene in simulated.genes:
        bases, cds = transcribed(simulated, gene, before=4)
        stops[bases[-3:]] += 1
        before_start.update(bases[:4])
        for start, _ in cds[1:]:
            before_acceptor.update(bases[start - 8 : start - 3])
    total = sum(stops.values())
    assert chi_square(stops, {"TAA": 0.5 * total, "TAG": 0.3 * total, "TGA": 0.2 * total}) < 4
    assert before_start["A"] / before_start.total() == pytest.approx(0.7, abs=0.03)
    assert before_acceptor["T"] / before_acceptor.total() == pytest.approx(0.85, abs=0.03)


def test_dna_between_genes_has_the_composition_of_classes(tmp_path: Path) -> None:
    """Stretches of the two classes differ in GC content by what the tables say."""
    parameters = made(tmp_path, classes=2, counts=(10, 0, 0, 0))
    options = dataclasses.replace(NO_DECOYS, intergenic_bp=20_000, isochore_bp=40_000, contig_bp=1_000_000)
    simulated = simulate_genome(parameters, 2_000_000, "made", options)
    codes = np.frombuffer(b"".join(simulated.contigs.values()), np.uint8)
    gc = np.isin(codes, [ord("C"), ord("G")])[: len(codes) // 5000 * 5000].reshape(-1, 5000).mean(axis=1)
    means = []
    for one in parameters.classes:
        contexts = np.full(16, 1 / 16)
        for _ in range(50):
            contexts = (contexts[:, None] * one.intergenic).reshape(4, 4, 4).sum(axis=0).reshape(16)
        means.append(contexts.reshape(4, 4).sum(axis=0)[1:3].sum())
    assert means[1] - means[0] > 0.08
    near = [np.mean(np.abs(gc - mean) < 0.02) for mean in means]
    assert min(near) > 0.1 and sum(near) > 0.75


def test_genes_lie_as_far_apart_as_asked(parameters) -> None:
    for mean in (300, 3000):
        options = dataclasses.replace(NO_DECOYS, intergenic_bp=mean, mean_utr5_bp=0.0, mean_utr3_bp=0.0)
        simulated = simulate_genome(parameters, 1_000_000, "made", dataclasses.replace(options, utr_intron_share=0.0))
        gaps = [
            right.start - left.end for left, right in itertools.pairwise(simulated.genes) if left.seqid == right.seqid
        ]
        assert np.mean(gaps) == pytest.approx(mean + 30, rel=0.15, abs=40)
    assert mean_intergenic_bp(parameters) == pytest.approx(400 + 1.5 * (0.8 * 47 + 0.2 * 180))


# -------------------------------------------------------------------- decoys


def test_each_kind_of_decoy_takes_its_share(parameters) -> None:
    rng = np.random.default_rng(1)
    for name in DECOY_SHARES:
        options = dataclasses.replace(NO_DECOYS, **{name: 0.2})
        sampler = DecoySampler(rng, GeneSampler(parameters, STANDARD, options, 20_000), options)
        (share,) = sampler.shares[sampler.shares > 0]
        kind = int(sampler.shares.argmax())
        length = 2_000_000
        drawn = sampler.between_genes(rng, sampler.genes.classes[0], length)
        added = len(drawn) - length * (1 - share)
        assert added == pytest.approx(share * length, rel=0.5), name
        assert sampler.kinds[kind] == name.removesuffix("_share")
    assert set(DECOY_SHARES) == {f"{kind}_share" for kind in sampler.kinds}


def test_without_decoys_there_is_only_intergenic_dna(parameters) -> None:
    rng = np.random.default_rng(1)
    sampler = DecoySampler(rng, GeneSampler(parameters, STANDARD, NO_DECOYS, 20_000), NO_DECOYS)
    assert len(sampler.between_genes(rng, sampler.genes.classes[0], 5000)) == 5000


def test_damage_breaks_the_frame_or_stops_it() -> None:
    rng = np.random.default_rng(1)
    stop = np.array([3, 0, 0], dtype=np.int8)
    coding = np.tile(np.array([2, 1, 1], dtype=np.int8), 50)  # GCC: no substitution makes it a stop
    for _ in range(100):
        copy = damaged(rng, coding, 0.0, stop)
        letters = "".join("ACGT"[code] for code in copy)
        assert len(copy) % 3 or STANDARD.has_in_frame_stop(letters)
    changed = mutated(rng, np.zeros(10_000, np.int8), 0.1)
    assert np.mean(changed > 0) == pytest.approx(0.1, abs=0.02) and set(changed) == {0, 1, 2, 3}
    np.testing.assert_array_equal(mutated(rng, coding, 0.0), coding)


def test_open_frames_have_no_stop_and_processed_copies_no_intron(parameters) -> None:
    rng = np.random.default_rng(1)
    genes = GeneSampler(parameters, STANDARD, NO_DECOYS, 20_000)
    sampler = DecoySampler(rng, genes, NO_DECOYS)
    for _ in range(30):
        frame = "".join("ACGT"[code] for code in sampler.open_frame(rng, genes.classes[0]))
        assert len(frame) % 3 == 0 and not STANDARD.has_in_frame_stop(frame)
        assert len(sampler.processed(rng, genes.classes[0])) < len(sampler.pseudogene(rng, genes.classes[0])) + 5000


# -------------------------------------------------------------------- the loops


def straightforward(start: str, table: np.ndarray, phase: int, stops: frozenset[str], draws: Sequence[float]) -> str:
    """``fill_markov`` in words."""
    planes, contexts, _ = table.shape
    order = round(np.log(contexts) / np.log(4))
    letters = start
    for index, draw in enumerate(draws):
        context = ("A" * order + letters)[len(letters) :] if order else ""
        row = sum("ACGT".index(letter) * 4 ** (order - 1 - rank) for rank, letter in enumerate(context))
        chances = list(table[(phase + index) % 3 if planes == 3 else 0, row])
        if (phase + index) % 3 == 2 and len(letters) >= 2:
            chances = [0 if letters[-2:] + x in stops else c for x, c in zip("ACGT", chances, strict=True)]
        limits = np.cumsum(chances)
        letters += "ACGT"[next(base for base in range(4) if draw * limits[-1] < limits[base])]
    return letters


@given(
    order=st.integers(0, 4),
    planes=st.sampled_from([1, 3]),
    phase=st.integers(0, 2),
    stopped=st.booleans(),
    seed=st.integers(0, 1000),
    start=st.text("ACGT", max_size=6),
)
def test_the_markov_loop_is_the_straightforward_one(order, planes, phase, stopped, seed, start) -> None:
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.full(4, 0.7), (planes, 4**order))
    draws = rng.random(40)
    stops = STANDARD.stops if stopped else frozenset()
    masks = np.array([_word(index) in stops for index in range(64)]) if stopped else NO_STOPS
    out = np.zeros(len(start) + 40, dtype=np.int8)
    out[: len(start)] = ["ACGT".index(letter) for letter in start]
    fill_markov(out, len(start), table, phase, masks, draws)
    assert "".join("ACGT"[code] for code in out) == straightforward(start, table, phase, stops, draws)


def _word(index: int) -> str:
    return "ACGT"[index // 16] + "ACGT"[index // 4 % 4] + "ACGT"[index % 4]


def test_a_motif_follows_each_of_its_positions() -> None:
    rng = np.random.default_rng(1)
    table = rng.dirichlet(np.ones(4), (3, 4))
    counts = np.zeros((2, 4, 4))
    for _ in range(20_000):
        out = np.array([rng.integers(4), 0, 0], dtype=np.int8)
        fill_motif(out, 1, table, 1, rng.random(2))  # the last two positions of three
        counts[0, out[0], out[1]] += 1
        counts[1, out[1], out[2]] += 1
    np.testing.assert_allclose(counts / counts.sum(axis=-1, keepdims=True), table[1:], atol=0.03)


@given(st.text("ACGT", max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_a_stop_is_found_in_frame_alone(letters: str, first: int, end: int) -> None:
    codes = np.array(["ACGT".index(letter) for letter in letters], dtype=np.int8)
    masks = np.array([_word(index) in STANDARD.stops for index in range(64)])
    ends = [place for place in range(2, len(letters), 3) if letters[place - 2 : place + 1] in STANDARD.stops]
    expected = any(first <= place < end for place in ends)
    assert has_stop(codes, first, min(end, len(letters)), masks) == expected


# -------------------------------------------------------------------- mistakes


def test_what_cannot_be_drawn_is_one_line(tmp_path: Path, parameters) -> None:
    with pytest.raises(InputError, match="simulate S: 19999 bases, at least 20000 are needed"):
        simulate_genome(parameters, 19_999, "S")
    with pytest.raises(InputError, match="none of its stop codons ends a gene in genetic code 6"):
        simulate_genome(made(tmp_path, name="b", stops=(0.5, 0.5, 0)), 30_000, "S", None, GeneticCode.from_table(6))
    sparse = dataclasses.replace(NO_DECOYS, intergenic_bp=3_000_000)
    with pytest.raises(InputError, match="simulate S: no gene of made found room in 20000 bases; ask for more"):
        simulate_genome(parameters, 20_000, "S", sparse)
    short = made(tmp_path, name="c", introns={3: 1.0}, short_introns=1.0)
    with pytest.raises(InputError, match="no intron of at least 7 bp among its lengths"):
        simulate_genome(short, 30_000, "S")
    tiny = made(tmp_path, name="d", counts=(10, 0, 0, 0), exceeding=(0, 0, 0, 0), exons=(1, 5))
    with pytest.raises(InputError, match="no exon of at least 6 bp among its lengths"):
        simulate_genome(tiny, 30_000, "S")


def test_published_parameters_make_genes(tmp_path: Path) -> None:
    config = Path(DEFAULT_CONFIG)
    if not (config / "species").is_dir():
        pytest.skip(f"needs the Debian package augustus-data, not found at {config}")
    for name, table in (("fly", 1), ("tetrahymena", 6), ("saccharomyces", 1)):
        simulated = simulate_genome(read_parameters(config, name), 150_000, name)
        annotation = read_back(simulated, tmp_path / name, GeneticCode.from_table(table))
        assert len(annotation.trusted) == len(annotation.genes) == len(simulated.genes) > 5
