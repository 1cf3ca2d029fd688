"""Broken input, case by case, through the real scripts: one clear line, exit status 1, and nothing left behind."""

from __future__ import annotations

import gzip
import io
import random
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from genet5.bake.manifest import LOCK
from genet5.genome.fasta import index_genome

# Codons that are neither stops nor starts in any table used here, TGA apart, which codes for Trp in table 4.
CODONS = ("GCT", "AAA", "CCG", "GGA", "TTC", "TGA")
CONTIGS = ("chrI", "chrII")
NUM_GENES = 24


class Workplace:
    """A small genome with its annotation (genetic code 4), whole and sound until a test breaks something."""

    def __init__(self, folder: Path, scripts: Path) -> None:
        self.folder, self._scripts = folder, scripts
        draw = random.Random(4)
        self.fasta, self.rows = "", ["##gff-version 3"]
        for seqid in CONTIGS:
            bases = "CTAACTGATTAG" * 10
            for number in range(NUM_GENES // 2):
                gene = f"{seqid}.g{number + 1}"
                start = len(bases) + 1
                bases += "ATG" + "".join(draw.choices(CODONS, k=100)) + "TAA" + "CTAACTGATTAG" * 10
                end = start + 305
                self.rows += [
                    f"{seqid}\tlab\tgene\t{start}\t{end}\t.\t+\t.\tID={gene}",
                    f"{seqid}\tlab\tmRNA\t{start}\t{end}\t.\t+\t.\tID={gene}.t1;Parent={gene}",
                    f"{seqid}\tlab\tCDS\t{start}\t{end}\t.\t+\t0\tID={gene}.cds;Parent={gene}.t1",
                ]
            self.fasta += f">{seqid} test\n" + "".join(bases[i : i + 60] + "\n" for i in range(0, len(bases), 60))
        self.write("fna", self.fasta)
        index_genome(folder / "fna")
        self.write("gff", self.gff)

    @property
    def gff(self) -> str:
        return "\n".join(self.rows) + "\n"

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def swap(self, old: str, new: str) -> None:
        """Write the annotation with the first ``old`` replaced."""
        assert old in self.gff
        self.write("gff", self.gff.replace(old, new, 1))

    def run(self, script: str, *arguments: object, **options: object) -> None:
        argv = [script, *map(str, arguments)]
        for name, value in options.items():
            argv += [f"--{name.replace('_', '-')}", str(value)]
        before = sys.argv
        try:
            sys.argv = argv
            runpy.run_path(str(self._scripts / script), run_name="__main__")
        finally:
            sys.argv = before

    def bake(self, **options: object) -> None:
        """Run the script that every genome and annotation goes through."""
        defaults = {
            "species": "S.test",
            "genome": self.folder / "fna",
            "annotation": self.folder / "gff",
            "genetic_code": 4,
            "clade": "fungi",
            "split": "train",
            "window_bp": 1200,
            "stride_bp": 600,
            "output_dir": self.folder / "baked",
        }
        self.run("bake_shards.py", **(defaults | options))

    def index(self, archive: Path) -> None:
        self.run("index_genome.py", archive=archive, output=self.folder / "new" / "fna")

    def files(self) -> dict[str, bytes]:
        """All but the lock, which stays where somebody baked."""
        found = (path for path in sorted(self.folder.rglob("*")) if path.is_file() and path.name != LOCK)
        return {str(path): path.read_bytes() for path in found}

    def shards(self) -> dict[str, bytes]:
        return {name: content for name, content in self.files().items() if name.endswith(".tar")}


@pytest.fixture
def workplace(tmp_path: Path, repository: Path) -> Workplace:
    return Workplace(tmp_path, repository / "scripts")


def refused(workplace: Workplace, action: Callable[[], None]) -> str:
    """The message of an action that must fail for a stated reason and leave every file as it was."""
    before = workplace.files()
    with pytest.raises(SystemExit) as stopped:
        action()
    # sys.exit(text): Python prints the text to standard error and leaves with status 1.
    message = stopped.value.code
    assert isinstance(message, str)
    assert message.startswith("error: ")
    assert "\n" not in message
    assert workplace.files() == before
    return message.removeprefix("error: ")


def packed(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)


def test_the_sound_input_works(workplace: Workplace) -> None:
    workplace.bake()
    assert (workplace.folder / "baked" / "manifest.json").is_file()
    workplace.index(workplace.write("fna.gz", packed(workplace.fasta)))
    assert (workplace.folder / "new" / "fna").read_text() == workplace.fasta


BROKEN_GENOMES = {
    "truncated gzip": (lambda fasta: packed(fasta)[:-30], "truncated gzip: the end of the file is missing"),
    "damaged gzip": (lambda fasta: packed(fasta)[:40] + b"\xff" * 30 + packed(fasta)[70:], "damaged gzip"),
    "gzip cut in its header": (lambda fasta: packed(fasta)[:5], "truncated gzip"),
    "gzip of nothing": (lambda fasta: packed(""), "not a FASTA file: no '>' header found"),
    "empty file": (lambda fasta: b"", "the file is empty"),
    "blank lines only": (lambda fasta: b"\n\n  \n", "not a FASTA file: no '>' header found"),
    "bases without a header": (
        lambda fasta: fasta.partition("\n")[2].encode(),
        "line 1: not a FASTA file: expected a '>' header, found 'CTAACTGATTAG",
    ),
    "a name twice": (
        lambda fasta: fasta.replace(">chrII", ">chrI").encode(),
        "sequence name 'chrI' appears twice",
    ),
    "header without a name": (
        lambda fasta: fasta.replace(">chrI test", ">").encode(),
        "line 1: '>' without a sequence",
    ),
    "header without bases": (lambda fasta: fasta.encode() + b">chrIII\n", "sequence 'chrIII' has no bases"),
    "protein": (lambda fasta: b">p1\nMKVLEFPQ\n", "line 2: sequence 'p1' holds 'EFLPQ'"),
    "digits among the bases": (
        lambda fasta: fasta.replace("CTAAC", "CTA1C", 1).encode(),
        "line 2: sequence 'chrI' holds '1'",
    ),
    "alignment gaps": (lambda fasta: fasta.replace("CTAAC", "CT--C", 1).encode(), "sequence 'chrI' holds '-'"),
    "binary garbage": (lambda fasta: bytes(random.Random(1).randbytes(5000)), "not a FASTA file"),
    "a web page": (
        lambda fasta: b"<!DOCTYPE html>\n<html></html>\n",
        "line 1: not a FASTA file: expected a '>' header",
    ),
    "another packer": (lambda fasta: b"BZh91AY&SY" + b"\0" * 50, "packed with bzip2; allowed: plain text or gzip"),
    "an annotation": (
        lambda fasta: b"##gff-version 3\nchrI\ta\tgene\t1\t9\t.\t+\t.\tID=g\n",
        "line 1: not a FASTA file",
    ),
}


@pytest.mark.parametrize("case", BROKEN_GENOMES)
def test_broken_genome_archives(workplace: Workplace, case: str) -> None:
    damage, expected = BROKEN_GENOMES[case]
    archive = workplace.write("broken.fna.gz", damage(workplace.fasta))
    message = refused(workplace, lambda: workplace.index(archive))
    assert message.startswith(str(archive))
    assert expected in message


def test_missing_archive_and_folder_for_an_archive(workplace: Workplace) -> None:
    absent = workplace.folder / "absent.fna.gz"
    assert (
        refused(workplace, lambda: workplace.index(absent)) == f"{absent}: cannot be read (No such file or directory)"
    )
    folder = workplace.folder / "folder.fna.gz"
    folder.mkdir()
    assert refused(workplace, lambda: workplace.index(folder)) == f"{folder}: cannot be read (Is a directory)"


def test_broken_archive_leaves_the_earlier_genome_in_place(workplace: Workplace) -> None:
    workplace.index(workplace.write("fna.gz", packed(workplace.fasta)))
    broken = workplace.write("fna.gz", packed(workplace.fasta)[:-30])
    assert "truncated gzip" in refused(workplace, lambda: workplace.index(broken))


BROKEN_ROWS = {
    "start after end": ("CDS\t121\t426", "CDS\t426\t121", "line 4: start 426, end 121"),
    "start 0": ("CDS\t121\t426", "CDS\t0\t426", "line 4: start 0, end 426; starts count from 1"),
    "no number": ("CDS\t121\t426", "CDS\tone\t426", "line 4: start and end must be numbers"),
    "a fraction": ("CDS\t121\t426", "CDS\t121.5\t426", "line 4: start and end must be numbers"),
    "5 columns": (
        "CDS\t121\t426\t.\t+\t0\tID=chrI.g1.cds;Parent=chrI.g1.t1",
        "CDS\t121\t426",
        "line 4: 5 tab-separated columns",
    ),
    "blanks for tabs": ("chrI\tlab\tCDS\t121", "chrI lab CDS 121", "line 4: 6 tab-separated columns"),
    "bad strand": ("CDS\t121\t426\t.\t+", "CDS\t121\t426\t.\tforward", "line 4: strand 'forward'; allowed: + - . ?"),
    "CDS outside its contig": ("CDS\t121\t426", "CDS\t121\t99999", "CDS 121..99999 of 'chrI.g1.t1' ends beyond 'chrI'"),
}


@pytest.mark.parametrize("case", BROKEN_ROWS)
def test_broken_rows(workplace: Workplace, case: str) -> None:
    old, new, expected = BROKEN_ROWS[case]
    workplace.swap(old, new)
    message = refused(workplace, workplace.bake)
    assert message.startswith(f"{workplace.folder / 'gff'}, line ")
    assert expected in message


BROKEN_ANNOTATIONS = {
    "empty": (lambda gff: b"", "the file is empty"),
    "header only": (lambda gff: b"##gff-version 3\n", "no coding gene"),
    "no coding gene": (lambda gff: gff.replace("\tCDS\t", "\texon\t").encode(), "no coding gene"),
    "other names": (
        lambda gff: gff.replace("chrI", "1").encode(),
        "24 of 24 CDS rows name a sequence that the genome does not have",
    ),
    "truncated gzip": (lambda gff: packed(gff)[:-30], "truncated gzip"),
    "binary garbage": (lambda gff: random.Random(1).randbytes(5000), ", line 1: 1 tab-separated columns"),
    "FASTA": (lambda gff: b">chrI\nACGT\n", "looks like FASTA; an annotation is GFF3, GTF or GenBank"),
    "GTF rows under a GFF3 header": (
        lambda gff: "\n".join(
            row.rpartition("\t")[0] + '\tgene_id "g"; transcript_id "t";' if "\t" in row else row
            for row in gff.splitlines()
        ).encode(),
        "no coding gene",
    ),
}


@pytest.mark.parametrize("case", BROKEN_ANNOTATIONS)
def test_broken_annotations(workplace: Workplace, case: str) -> None:
    damage, expected = BROKEN_ANNOTATIONS[case]
    path = workplace.write("gff", damage(workplace.gff))
    message = refused(workplace, workplace.bake)
    assert message.startswith(str(path))
    assert expected in message


OPTIONS = {
    "wrong genetic code": ({"genetic_code": 11}, "with genetic code 11, "),
    "unknown genetic code": ({"genetic_code": 99}, "unknown NCBI translation table 99; allowed: 1, 2, 3, 4"),
    "unknown split": ({"split": "training"}, "split: 'training' is not a split, allowed: train, validation, test"),
    "unknown contig": (
        {"test_regions": "chrIII"},
        "test_regions: no contig 'chrIII'; the genome has 'chrI', 'chrII'",
    ),
    "region beyond its contig": (
        {"validation_regions": "chrI:1-99999"},
        "validation_regions: 'chrI:1-99999' is not within 1-",
    ),
    "region that is no range": ({"validation_regions": "chrI:5"}, "validation_regions: no contig 'chrI:5'"),
    "overlapping regions": (
        {"validation_regions": "chrI:1-900", "test_regions": "chrI:800-1200"},
        "validation_regions and test_regions: chrI:1-900 and chrI:800-1200 overlap",
    ),
    "nothing left to train on": ({"test_regions": "chrI,chrII"}, "no base is left for train"),
    "missing genome": ({"genome": "absent.fna"}, "absent.fna: cannot be read (No such file or directory)"),
    "missing annotation": ({"annotation": "absent.gff"}, "absent.gff: cannot be read (No such file or directory)"),
    "folder for an annotation": ({"annotation": "."}, ".: cannot be read (Is a directory)"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_wrong_options(workplace: Workplace, case: str) -> None:
    options, expected = OPTIONS[case]
    assert expected in refused(workplace, lambda: workplace.bake(**options))


def test_compressed_genome_says_how_to_unpack_it(workplace: Workplace) -> None:
    path = workplace.write("genome.fna.gz", packed(workplace.fasta))
    message = refused(workplace, lambda: workplace.bake(genome=path))
    assert message == f"{path}: compressed; unpack it first with scripts/index_genome.py"


def test_wrong_checksum_and_truncated_download(workplace: Workplace) -> None:
    source = workplace.write("source.gz", packed(workplace.fasta))
    output = workplace.folder / "raw" / "fna.gz"
    fetch = {"source": source, "output": output}
    message = refused(workplace, lambda: workplace.run("download.py", **fetch, sha256="0" * 64))
    assert message.startswith(f"{source}: sha256 is ")
    source.write_bytes(source.read_bytes()[:-9])
    assert "truncated gzip" in refused(workplace, lambda: workplace.run("download.py", **fetch))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda text: text.replace("\n", "\r\n"), id="Windows line ends"),
        pytest.param(lambda text: text.removesuffix("\n"), id="no newline at the end"),
        pytest.param(lambda text: "\n" + text.replace("\n", "\n\n"), id="blank lines"),
    ],
)
@pytest.mark.parametrize("compressed", [True, False])
def test_untidy_files_give_the_same_shards(
    workplace: Workplace, damage: Callable[[str], str], compressed: bool
) -> None:
    workplace.bake()
    expected = workplace.shards()
    assert expected
    shutil.rmtree(workplace.folder / "baked")
    fasta, gff = damage(workplace.fasta).encode(), damage(workplace.gff).encode()
    workplace.index(workplace.write("archive", gzip.compress(fasta) if compressed else fasta))
    assert (workplace.folder / "new" / "fna").read_text() == workplace.fasta
    workplace.write("gff", gzip.compress(gff) if compressed else gff)
    workplace.bake(genome=workplace.folder / "new" / "fna")
    assert workplace.shards() == expected


def test_unwrapped_and_ragged_genomes_work(workplace: Workplace) -> None:
    draw = random.Random(8)
    records = [block.partition("\n") for block in workplace.fasta.split(">")[1:]]
    unwrapped = "".join(f">{header}\n{''.join(bases.split())}\n" for header, _, bases in records)
    ragged = io.StringIO()
    for header, _, bases in records:
        letters = io.StringIO("".join(bases.split()))
        ragged.write(f">{header}\n")
        while piece := letters.read(draw.randint(1, 90)):
            ragged.write(piece + "\n")
    for text in (unwrapped, ragged.getvalue(), workplace.fasta.replace("T", "U").replace("Uest", "test")):
        workplace.index(workplace.write("untidy.fna", text))
        assert (workplace.folder / "new" / "fna").read_text() == workplace.fasta.replace("Uest", "test")


def test_the_shell_sees_one_line_and_status_1(workplace: Workplace, repository: Path) -> None:
    archive = workplace.write("broken.fna.gz", packed(workplace.fasta)[:-30])
    output = workplace.folder / "new" / "fna"
    command = [sys.executable, repository / "scripts" / "index_genome.py", "--archive", archive, "--output", output]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"error: {archive}: truncated gzip: the end of the file is missing; download it again\n"
    assert not output.exists()
