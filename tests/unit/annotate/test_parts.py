"""One genome annotated by several jobs: the bytes of one job, whatever the number of parts, and faults are named."""

from __future__ import annotations

import json
import math
import shutil
import struct
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from annotate_toy_genome import toy_rules, train_tiny_model, write_three_contigs
from hypothesis import given
from hypothesis import strategies as st
from toy_bacterium import CLADE, CODE, WINDOW_BP, chromosome

import annotate_genome
import join_annotation
from genet5.annotate.decoders import DECODERS, DecodedWindow
from genet5.annotate.genomes import DecodedTiles, Tiling, decode_tiles, genes_of_tiles, tiles_of
from genet5.annotate.part_files import PartFile, join_parts, part_path, read_part, write_part
from genet5.annotate.parts import Part, part_from_text
from genet5.clades import read_clades
from genet5.crf.window_decoder import WindowDecoder
from genet5.errors import InputError
from genet5.genome.fasta import Genome, decompress_genome, write_fasta
from genet5.genome.genes import Interval, Region
from genet5.genome.window_genes import ScoredGene, WindowGene

pytestmark = pytest.mark.usefixtures("one_thread")

ENDINGS = (".gff3", ".faa", ".cds.fna", ".tracks.npz")


def flags(**named: object) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in named.items()]


def by_parts(number: int, prefix: Path, genome: Path, **how: object) -> list[Path]:
    """Annotate a genome by ``number`` jobs and join them; the files of the parts."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    for part in range(1, number + 1):
        annotate_genome.main(flags(genome=genome, output_prefix=prefix, part=f"{part}/{number}", **how))
    parts = [part_path(prefix, Part(part, number)) for part in range(1, number + 1)]
    assert sorted(prefix.parent.iterdir()) == sorted(parts), "a part writes its own file alone"
    join(parts, genome, prefix)
    return parts


def join(parts: Sequence[Path], genome: Path, prefix: Path) -> None:
    join_annotation.main(["--parts", *map(str, parts), *flags(genome=genome, output_prefix=prefix)])


def assert_same(one: Path, other: Path) -> dict:
    """All files of two annotations are equal, but for the time taken; the summary."""
    for ending in ENDINGS:
        assert Path(f"{other}{ending}").read_bytes() == Path(f"{one}{ending}").read_bytes(), ending
    found, expected = (json.loads(Path(f"{prefix}.json").read_text()) for prefix in (other, one))
    times = {"cpu_s", "wall_s"}
    expected.get("chosen", {}).pop("seconds", None)  # that a choice of the clade took
    assert {k: v for k, v in found.items() if k not in times} == {k: v for k, v in expected.items() if k not in times}
    assert all(found[name] > 0 for name in times)
    return found


# ---------------------------------------------------------------- shares


@given(st.integers(1, 20), st.integers(0, 100))
def test_every_batch_is_dealt_to_one_part_and_shares_are_equal_but_for_one(of: int, batches: int) -> None:
    parts = [Part(number, of) for number in range(1, of + 1)]
    shares = [[batch for batch in range(batches) if part.takes(batch)] for part in parts]
    assert sorted(batch for share in shares for batch in share) == list(range(batches))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_part_is_read_from_text() -> None:
    assert part_from_text("2/3") == (2, 3) and str(Part(2, 3)) == "2/3"


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "1/0", "-1/2", "1/2/3", "a/b", "1.5/2", " 1/2", "01/2", ""])
def test_any_other_text_is_no_part(text: str) -> None:
    with pytest.raises(InputError, match=r"^--part: found '.*', allowed: K/N with K from 1 to N, such as 1/2$"):
        part_from_text(text)


class BatchReader:
    """A decoder whose numbers depend on all windows of a batch, as those of a GPU do."""

    def decode(self, windows: Sequence[str]) -> list[DecodedWindow]:
        mass = -sum((n + 1) * math.sqrt(len(window)) for n, window in enumerate(windows)) / 1000
        gene = WindowGene("-", (Interval(30, 90), Interval(150, 210)), False, False, 0)
        return [DecodedWindow([ScoredGene(gene, mass)], len(windows) > 1) for _ in windows]


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    return write_three_contigs(tmp_path_factory.mktemp("genome"))


@pytest.mark.parametrize("number", [1, 2, 3, 7, 40])
def test_a_part_decodes_the_batches_of_one_job(number: int, genome: Genome, tmp_path: Path) -> None:
    """Otherwise its numbers would differ from those of one job in the last digits."""
    regions, tiling = [Region(name, 0, length) for name, length in genome.lengths.items()], Tiling(WINDOW_BP, 1000, 4)
    tiles, rules = tiles_of(genome, regions, tiling), toy_rules()
    whole = decode_tiles(BatchReader(), rules, genome, tiles, tiling)
    parts = []
    for part in (Part(at, number) for at in range(1, number + 1)):
        decoded = decode_tiles(BatchReader(), rules, genome, tiles, tiling, part)
        write_part(tmp_path / "part.npz", part, {}, decoded, {})
        parts.append(read_part(tmp_path / "part.npz"))
    joined = join_parts(parts[::-1])
    assert (joined.windows, joined.done, joined.counts) == (whole.windows, whole.done, whole.counts)
    assert whole.counts["tiles_unknown"] == 3 and whole.counts["sequences_truncated"] > 10
    genes = [genes_of_tiles(tiles, one, rules, genome, regions, CODE).genes for one in (whole, joined)]
    assert genes[0] == genes[1]


SEGMENTS = st.lists(st.integers(0, 10**6), min_size=2, max_size=8, unique=True).filter(lambda ends: len(ends) % 2 == 0)
GENES = st.builds(
    lambda strand, ends, partial5, partial3, phase, mass: ScoredGene(
        WindowGene(strand, tuple(Interval(*pair) for pair in zip(*[iter(sorted(ends))] * 2, strict=True)),
                   partial5, partial3, phase), mass,
    ),
    st.sampled_from("+-"), SEGMENTS, st.booleans(), st.booleans(), st.integers(0, 2), st.floats(max_value=0.0),
)  # fmt: skip


@given(st.lists(st.lists(GENES, max_size=3), max_size=5), st.floats(0, 1e6))
def test_what_a_part_holds_comes_back_to_the_bit(
    tmp_path_factory, windows: list[list[ScoredGene]], cpu_s: float
) -> None:
    path = tmp_path_factory.mktemp("part") / "x.npz"
    counts = {"tiles": len(windows), "tiles_unknown": 0, "sequences_truncated": 3}
    decoded = DecodedTiles(windows, list(range(len(windows))), counts, cpu_s, 2.0)
    tracks = {"names": np.array(["c:0-4"]), "locus_0_coding_plus": np.array([0.5, 0.25], np.float16)}
    origin = {"options": {"clade": "fungi"}, "regions": ""}
    write_part(path, Part(2, 3), origin, decoded, tracks)
    found = read_part(path)
    assert (found.part, found.origin, found.decoded) == (Part(2, 3), origin, decoded)
    for name, values in tracks.items():
        assert found.tracks[name].dtype == values.dtype and (found.tracks[name] == values).all()


# ---------------------------------------------------------------- the same bytes


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny_model(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def toy(model_folder: Path) -> Callable[..., dict]:
    """Flags of the toy model."""

    def of(decoder: str, **changed: object) -> dict:
        how = {"model": model_folder, "clade": CLADE, "decoder": decoder, "window_bp": WINDOW_BP, "overlap_bp": 1000}
        return how | {"batch_size": 3, "track_loci": 5, **changed}

    return of


@pytest.mark.parametrize("decoder", DECODERS)
def test_parts_of_a_toy_model_join_to_the_bytes_of_one_job(
    decoder: str, toy: Callable[..., dict], genome: Genome, tmp_path: Path
) -> None:
    """Three contigs, one of unknown DNA; 21 tiles in 7 batches, so the last of 11 parts are empty."""
    annotate_genome.main(flags(genome=genome.path, output_prefix=tmp_path / "one", **toy(decoder)))
    for number in (1, 2, 11):
        prefix = tmp_path / str(number) / "joined"
        parts = by_parts(number, prefix, genome.path, **toy(decoder))
        summary = assert_same(tmp_path / "one", prefix)
        assert summary["counts"]["genes"] > 5 and summary["counts"]["tiles"] == 24
    decoded = [len(read_part(path).decoded.done) for path in parts]
    assert decoded == [3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0]


def test_the_threads_that_are_asked_for_decode_and_change_nothing(
    toy: Callable[..., dict], genome: Genome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, decode = [], WindowDecoder.decode

    def watched(decoder: WindowDecoder, windows: Sequence[str], places: object) -> list:
        seen.append(torch.get_num_threads())
        return decode(decoder, windows, places)

    monkeypatch.setattr(WindowDecoder, "decode", watched)
    for threads in (1, 3):
        prefix = tmp_path / str(threads)
        annotate_genome.main(flags(genome=genome.path, output_prefix=prefix, threads=threads, **toy("viterbi")))
        assert set(seen) == {threads}
        seen.clear()
    assert_same(tmp_path / "1", tmp_path / "3")
    with pytest.raises(InputError, match="--threads: 0, must be at least 1"):
        annotate_genome.main(flags(genome=genome.path, output_prefix=tmp_path / "0", threads=0, **toy("viterbi")))
    assert not list(tmp_path.glob("0.*"))


def test_only_the_chosen_regions_are_in_the_parts(toy: Callable[..., dict], genome: Genome, tmp_path: Path) -> None:
    how = toy("viterbi", regions="short,long:5001-20000")
    annotate_genome.main(flags(genome=genome.path, output_prefix=tmp_path / "one", **how))
    by_parts(2, tmp_path / "two/joined", genome.path, **how)
    assert assert_same(tmp_path / "one", tmp_path / "two/joined")["bases"] == 16_500


def contigs_of_many_lengths() -> list[tuple[str, str]]:
    """Real DNA: the longest contig is in the middle, many are shorter than a tile, one is unknown."""
    lengths = [9_000, 700, 31_000, 1_200, 2_500, 5_000, 800, 14_000, 600, 6_100]
    starts = [100_000 + 50_000 * number for number in range(len(lengths))]
    contigs = [(f"c{n}", chromosome()[s : s + size]) for n, (s, size) in enumerate(zip(starts, lengths, strict=True))]
    return [*contigs[:4], ("unknown", "N" * 8_000), *contigs[4:]]


@pytest.mark.slow
def test_parts_of_a_shipped_model_join_to_the_bytes_of_one_job(tmp_path: Path) -> None:
    fna = tmp_path / "fna"
    write_fasta(fna, contigs_of_many_lengths())
    how = {"clade": "fungi", "window_bp": 3_000, "overlap_bp": 600, "batch_size": 2, "min_confidence": 0.1}
    annotate_genome.main(flags(genome=fna, output_prefix=tmp_path / "one", **how))
    for number in (2, 3, 15):
        by_parts(number, tmp_path / str(number) / "joined", fna, **how)
        summary = assert_same(tmp_path / "one", tmp_path / str(number) / "joined")
    assert summary["calibrated"] and summary["counts"]["genes"] > 20 and summary["counts"]["joined"] > 0
    seqids = [line.split("\t")[0] for line in (tmp_path / "one.gff3").read_text().splitlines() if line[0] != "#"]
    assert len(Counter(seqids)) > 5


def test_parts_of_a_yeast_join_to_the_bytes_of_one_job(shared_data: Path, tmp_path: Path) -> None:
    """Of two chromosomes with introns, in the tiling that the model recommends: 6 tiles, 3 batches."""
    decompress_genome(shared_data / "S.cerevisiae/fna.gz", tmp_path / "fna")
    how = {"clade": "fungi", "regions": "BK006935.2:1-90000,BK006940.2:1-90000", "batch_size": 2}
    annotate_genome.main(flags(genome=tmp_path / "fna", output_prefix=tmp_path / "one", **how))
    by_parts(2, tmp_path / "two/joined", tmp_path / "fna", **how)
    assert assert_same(tmp_path / "one", tmp_path / "two/joined")["counts"]["genes"] > 60


# ---------------------------------------------------------------- faults


@pytest.fixture(scope="module")
def made(toy: Callable[..., dict], genome: Genome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two parts of an annotation."""
    prefix = tmp_path_factory.mktemp("made") / "x"
    for part in ("1/2", "2/2"):
        annotate_genome.main(flags(genome=genome.path, output_prefix=prefix, part=part, **toy("viterbi")))
    return prefix.parent


@pytest.fixture
def parts(made: Path, tmp_path: Path) -> list[Path]:
    """Copies of them."""
    return [Path(shutil.copy(made / f"x.part_{number}of2.npz", tmp_path)) for number in (1, 2)]


def refused(parts: Sequence[Path], genome: Path, message: str, clade_folder: str = "") -> None:
    """Joining says ``message`` in one line and writes nothing."""
    folder = parts[0].parent
    before = sorted(folder.iterdir())
    with pytest.raises(InputError) as error:
        words = ["--parts", *map(str, parts), *flags(genome=genome, output_prefix=folder / "joined")]
        join_annotation.main([*words, f"--clade-folder={clade_folder}"])
    text = str(error.value).replace(f"{folder}/", "")
    assert message in text and "\n" not in text, text
    assert sorted(folder.iterdir()) == before


def changed(path: Path, change: Callable[[PartFile], None]) -> Path:
    """The part with something else in it."""
    part = read_part(path)
    change(part)
    write_part(path, part.part, part.origin, part.decoded, part.tracks)
    return path


def test_a_missing_part_is_named(parts: list[Path], genome: Genome) -> None:
    refused(parts[:1], genome.path, "--parts: part 2/2 is missing; given: x.part_1of2.npz")


def test_a_part_that_is_there_twice_is_named(parts: list[Path], genome: Genome) -> None:
    again = Path(shutil.copy(parts[1], parts[1].parent / "again.npz"))
    refused([*parts, again], genome.path, "again.npz: part 2/2, as x.part_2of2.npz")


def test_a_part_of_another_number_is_named(parts: list[Path], genome: Genome) -> None:
    changed(parts[1], lambda part: setattr(part, "part", Part(2, 3)))
    refused(parts, genome.path, "x.part_2of2.npz: part 2/3, but x.part_1of2.npz is part 1/2")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_a_part_that_was_cut_short_is_named(share: float, parts: list[Path], genome: Genome) -> None:
    content = parts[1].read_bytes()
    parts[1].write_bytes(content[: int(len(content) * share)])
    refused(parts, genome.path, "x.part_2of2.npz: no whole part of an annotation (")


def test_a_damaged_part_is_named(parts: list[Path], genome: Genome) -> None:
    """A byte in the middle of each array is turned, one after the other. The clocks in a zip file may say anything."""
    content = parts[1].read_bytes()
    with zipfile.ZipFile(parts[1]) as packed:
        members = packed.infolist()
    assert len(members) > 3
    for member in members:
        head = member.header_offset
        begin = head + 30 + sum(struct.unpack_from("<HH", content, head + 26))  # name and extra field follow the head
        place = begin + member.compress_size // 2
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        parts[1].write_bytes(damaged)
        refused(parts, genome.path, "x.part_2of2.npz: no whole part of an annotation (")


@pytest.mark.parametrize("name", ["segments", "log_probability", "tracks.names", "about"])
def test_a_changed_part_is_named(name: str, parts: list[Path], genome: Genome) -> None:
    """A sound archive, in which an array or a setting has another value."""
    with np.load(parts[0]) as stored:
        arrays = {key: stored[key] for key in stored.files}
    if name == "about":
        arrays[name] = np.array(str(arrays[name]).replace('"cpu_s": ', '"cpu_s": 1'))
    else:
        arrays[name] = arrays[name][::-1].copy()
    np.savez(parts[0].open("wb"), **arrays)
    refused(parts, genome.path, "x.part_1of2.npz: no whole part of an annotation (its checksum is not that of its")


def test_a_file_that_is_no_part_and_one_that_is_not_there_are_named(parts: list[Path], genome: Genome) -> None:
    np.savez(parts[1].open("wb"), names=np.array(["a"]))
    refused(parts, genome.path, "x.part_2of2.npz: no whole part of an annotation (")
    parts[1].write_text("text\n")
    refused(parts, genome.path, "x.part_2of2.npz: no whole part of an annotation (")
    parts[1].unlink()
    refused(parts, genome.path, "x.part_2of2.npz: cannot be read: No such file or directory")


def test_a_part_without_some_of_its_tiles_is_noticed(parts: list[Path], genome: Genome) -> None:
    changed(parts[1], lambda part: part.decoded.done.pop())
    refused(parts, genome.path, "the 2 parts decoded 20 tiles, expected 21")


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        ({"genome": "0" * 64}, f"made with genome '{'0' * 64}', but x.part_1of2.npz with '"),
        ({"model": {"model.safetensors": "1", "config.json": "2"}}, "made with model.config.json '2', but"),
        ({"options": {"window_bp": 4000}}, "made with options.window_bp 4000, but x.part_1of2.npz with 3000"),
        ({"options": {"min_confidence": 0.5}}, "made with options.min_confidence 0.5, but x.part_1of2.npz with 0.0"),
        ({"regions": "long"}, "made with regions 'long', but x.part_1of2.npz with ''; all parts must be made alike"),
        ({"calibration": {"slope": 2.0}}, "made with calibration.slope 2.0, but x.part_1of2.npz with 1.0"),
        ({"device": "cuda"}, "made with device 'cuda', but x.part_1of2.npz with 'cpu'"),
        ({"precision": "other"}, "made with precision 'other', but"),
        ({"track_loci": 1}, "made with track_loci 1, but x.part_1of2.npz with 5"),
        ({"version": "0"}, "made with version '0', but"),
    ],
)
def test_a_part_that_was_made_otherwise_is_named(origin: dict, message: str, parts: list[Path], genome: Genome) -> None:
    def change(part: PartFile) -> None:
        for key, value in origin.items():
            part.origin[key] = {**part.origin[key], **value} if isinstance(value, dict) else value

    changed(parts[1], change)
    refused(parts, genome.path, f"x.part_2of2.npz: {message}")


def test_parts_of_another_genome_are_named(parts: list[Path], genome: Genome, tmp_path: Path) -> None:
    other = tmp_path / "other.fna"
    other.write_text(genome.path.read_text().replace("A", "C", 1))
    with Genome(other):  # its index is there before
        refused(parts, other, "x.part_1of2.npz: made from another genome than other.fna")


def test_parts_of_a_clade_with_other_rules_are_named(
    parts: list[Path], genome: Genome, tmp_path: Path, repository: Path
) -> None:
    origin = read_part(parts[0]).origin
    assert origin["clade"] == json.loads(json.dumps(read_clades()[CLADE].identity()))
    for path in parts:
        changed(path, lambda part: part.origin["clade"].update(min_gene_bp=7))
    clade = repository / f"resources/clades/{CLADE}.yaml"
    refused(parts, genome.path, f"x.part_1of2.npz: made with other rules of genes than {clade}; make the parts again")


def test_a_wrong_part_is_one_line_and_nothing_is_written(
    toy: Callable[..., dict], genome: Genome, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"^--part: found '3/2', allowed: K/N with K from 1 to N, such as 1/2$"):
        annotate_genome.main(flags(genome=genome.path, output_prefix=tmp_path / "x", part="3/2", **toy("viterbi")))
    assert not list(tmp_path.iterdir())
