"""The score command on files: tables, timing, don't-care, regions, wrong inputs; and the same counts as ``gt eval``."""

from __future__ import annotations

import csv
import json
import random
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from programs import needs

from genet5.errors import InputError
from genet5.evaluate.comparison import read_timing
from genet5.evaluate.predictions import read_predictions
from genet5.evaluate.scores import score_annotation
from genet5.evaluate.tables import score_text
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome, decompress_genome, write_fasta
from genet5.genome.genes import Annotation, Gene, Interval, Transcript, phases_from_lengths
from genet5.genome.genetic_code import GeneticCode, reverse_complement
from genet5.genome.writing import write_gff3

CODE = GeneticCode.from_table(11)
ORF = "ATG" + "GCC" * 110 + "TAA"  # 336 bases
SPACER = "TTAATTAATTAA" * 41 + "C" * 8  # stop codons in all six frames
GFF = "##gff-version 3\n"


def coding_row(start, end, strand, name, seqid="c"):
    return "".join(
        f"{seqid}\tX\t{kind}\t{start}\t{end}\t.\t{strand}\t{'0' if kind == 'CDS' else '.'}\t{attributes}\n"
        for kind, attributes in (
            ("gene", f"ID={name}"),
            ("mRNA", f"ID={name}.t;Parent={name}"),
            ("CDS", f"Parent={name}.t"),
        )
    )


@pytest.fixture
def files(tmp_path):
    """Four genes at 500, 1336, 2172 (reverse) and 3008; the reference flags the last (its stop is missing)."""
    blocks = [SPACER, ORF, SPACER, ORF, SPACER, reverse_complement(ORF), SPACER, ORF, SPACER]
    write_fasta(tmp_path / "fna", [("c", "".join(blocks)), ("d", "ACGT" * 100)])
    rows = [coding_row(501, 836, "+", "a"), coding_row(1337, 1672, "+", "b"), coding_row(2173, 2508, "-", "r")]
    (tmp_path / "ref.gff3").write_text(
        GFF + "".join(rows) + coding_row(3009, 3341, "+", "cut").replace("CDS\t3009", "CDS\t3010")
    )
    (tmp_path / "ours.gff3").write_text(GFF + rows[0] + rows[2] + coding_row(1340, 1672, "+", "late"))
    return tmp_path


def score(repository, folder, *flags, prediction="ours.gff3", reference="ref.gff3"):
    command = [sys.executable, repository / "scripts/score.py", "--reference", folder / reference]
    command += ["--genome", folder / "fna", "--genetic-code", 11, "--output", folder / "out/s.json"]
    command += ["--table", folder / "out/s.tsv", *(("--prediction", folder / prediction) if prediction else ()), *flags]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_score_script_writes_document_table_and_text(repository, files):
    (files / "timing.json").write_text('{"timing": {"bases": 4000, "cpu_s": 2.0, "wall_s": 1.0}}')
    done = score(
        repository, files, "--prediction-name", "genet5/sft", "--timing", files / "timing.json",
        "--baselines", "orf_atg", "orf_all", "prodigal", "--bootstrap", 50, "--species", "E.made",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = (files / "out/s.json").read_text()
    document = json.loads(text)
    assert text == json.dumps(document, indent=1, sort_keys=True) + "\n"
    assert (document["species"], document["regions"], document["genetic_code"]) == ("E.made", None, 11)
    assert (document["reference"]["genes"], document["reference"]["genes_flagged"]) == (3, 1)
    assert document["teacher"] is None
    assert set(document["systems"]) == {"genet5/sft", "orf_atg", "orf_all", "prodigal"}
    ours = document["systems"]["genet5/sft"]
    # Genes a and r are right, b starts 3 bases late: 2 of 3, 2 of 3.
    assert (ours["gene"]["tp"], ours["gene"]["fp"], ours["gene"]["fn"]) == (2, 1, 1)
    assert (ours["stop"]["f1"], ours["nucleotide"]["fn"]) == (1.0, 3)
    assert (ours["cpu_s"], ours["kb_per_cpu_s"]) == (2.0, 2.0)
    scan = document["systems"]["orf_atg"]
    # The scan finds all four; the flagged one is ignored, and wrong without don't-care regions.
    assert (scan["gene"]["f1"], scan["gene"]["ignored"], scan["without_dont_care"]["gene"]["tp"]) == (1.0, 1, 3)
    assert scan["options"]["min_bp"] == 210 and scan["kb_per_cpu_s"] > 0
    assert document["systems"]["prodigal"]["options"]["mode"] == "meta"
    with (files / "out/s.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert len(rows) == 4 * 9
    row = next(row for row in rows if (row["system"], row["level"]) == ("genet5/sft", "gene"))
    assert (row["reference"], row["predicted"], row["found"], row["fp"], row["fn"]) == ("3", "3", "2", "1", "1")
    assert (row["f1"], row["cpu_s"], row["kb_per_cpu_s"]) == ("0.666667", "2.0", "2.0")
    intron = next(row for row in rows if (row["system"], row["level"]) == ("genet5/sft", "intron"))
    assert (intron["f1"], intron["reference"]) == ("", "0")
    assert re.search(r"^genet5/sft +\S+ +0\.667 +- +1\.000 +0\.667 +0\.667 +0\.667 +- +2\.00 +2$", done.stdout, re.M)
    assert "orf_atg: 1 genes ignored, gene F1 without don't-care" in done.stdout
    assert "95 %" not in done.stdout  # too short to resample
    ours["bootstrap"] = {"f1": {"nucleotide": [0.9, 1.0], "exon": [0.25, 0.5], "gene": [0.1234, 0.75]}}
    scan["bootstrap"] = {"f1": {"exon": [0.25, 0.5], "gene": [None, None]}}
    shown = dict(re.findall(r"^(\S+): .*; 95 % intervals: (.*)$", score_text(document), re.M))
    assert shown == {"genet5/sft": "exon 0.250 to 0.500, gene 0.123 to 0.750", "orf_atg": "exon 0.250 to 0.500"}


def test_score_table_puts_stages_beside_each_other_and_baselines_once(repository, files):
    paths = []
    for stage in ("sft", "grpo"):
        assert score(repository, files, "--prediction-name", stage, "--baselines", "orf_atg", "orf_all").returncode == 0
        paths.append((files / "out/s.json").rename(files / f"{stage}.json"))
    command = [sys.executable, repository / "scripts/score_table.py", "--scores", *paths]
    printed = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout
    rows = [line.split()[0] for line in printed.splitlines()[2:6]]
    assert rows == ["sft", "grpo", "orf_all", "orf_atg"]
    assert printed.count(" region(s)") + printed.count("whole genome") == 1
    document = json.loads(paths[1].read_text())
    paths[1].write_text(json.dumps(document | {"species": "other"}))
    printed = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout
    assert printed.count("whole genome") == 2  # of another species: a table of its own


def test_regions_and_default_names(repository, files):
    done = score(repository, files, "--regions", "c:1-1400,d", "--baselines", "orf_atg")
    assert done.returncode == 0, done.stderr
    document = json.loads((files / "out/s.json").read_text())
    assert document["species"] == "ours" and document["regions"] == [["c", 0, 1400], ["d", 0, 400]]
    # Gene a is inside, b is cut at 1,400 and so is its late prediction.
    assert document["reference"]["genes"] == document["reference"]["genes_cut_by_region"] == 1
    assert document["systems"]["genet5"]["gene"]["f1"] == document["systems"]["orf_atg"]["gene"]["f1"] == 1.0
    assert document["systems"]["genet5"]["cpu_s"] is None


def test_the_teacher_is_named(repository, files):
    labels = (files / "ref.gff3").read_text().replace("\tX\t", "\tProdigal\t")
    (files / "labels.gff3").write_text(labels)
    done = score(repository, files, "--baselines", "orf_atg", reference="labels.gff3", prediction=None)
    assert done.returncode == 0, done.stderr
    assert json.loads((files / "out/s.json").read_text())["teacher"] == "prodigal"


def test_header_alone_is_a_prediction_of_nothing(repository, files):
    (files / "none.gff3").write_text(GFF + "##sequence-region c 1 3844\n")
    done = score(repository, files, prediction="none.gff3")
    assert done.returncode == 0, done.stderr
    gene = json.loads((files / "out/s.json").read_text())["systems"]["genet5"]["gene"]
    assert (gene["tp"], gene["fp"], gene["fn"], gene["precision"], gene["f1"]) == (0, 0, 3, None, 0.0)


@pytest.mark.parametrize(
    ("prediction", "flags", "message"),
    [
        (GFF + coding_row(501, 836, "+", "a", "Chr1 extra"), (), "p.gff3, line 4: 1 of 1 CDS rows name a sequence"),
        ("", (), "p.gff3: the file is empty"),
        (GFF + "c\tX\texon\t501\t836\t.\t+\t.\tID=e\n", (), "p.gff3: 1 rows, but no CDS of a gene"),
        (GFF + coding_row(3801, 9000, "+", "a"), (), "p.gff3, line 4: CDS 3801..9000"),
        (GFF, ("--baselines", "genscan"), "--baselines: found 'genscan', allowed: orf_atg, orf_all, prodigal"),
        (GFF, ("--baselines", "orf_atg", "--prediction-name", "orf_atg"), "systems: names must differ"),
        (GFF, ("--regions", "chr1"), "--regions: no contig 'chr1'"),
        (GFF, ("--timing", "ref.gff3"), "ref.gff3: not JSON"),
        (GFF, ("--timing", "bad.json"), "bad.json: expected numbers 'bases' and 'cpu_s'"),
        (GFF, ("--genetic-code", "7"), "genetic code: unknown NCBI translation table 7"),
    ],
)
def test_wrong_inputs_are_one_line_and_leave_nothing(repository, files, prediction, flags, message):
    (files / "p.gff3").write_text(prediction)
    (files / "bad.json").write_text('{"bases": "many"}')
    flags = [files / flag if flag.endswith((".gff3", ".json")) else flag for flag in flags]
    done = score(repository, files, *flags, prediction="p.gff3")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and message in done.stderr and done.stderr.count("\n") == 1
    assert not (files / "out").exists()


def test_nothing_to_score(repository, files):
    done = score(repository, files, "--baselines", prediction=None)
    assert (done.returncode, done.stderr) == (1, "error: nothing to score: give a prediction, or baselines, or both\n")


def test_predictions_are_read_as_they_are(files):
    genome = Genome(files / "fna")
    # No start codon, no stop codon, an in-frame stop; and one whose stop codon is left out, which is put right.
    odd = [(504, 836, "+"), (1337, 1660, "+"), (2170, 2508, "-"), (3009, 3341, "+")]
    (files / "odd.gff3").write_text(GFF + "".join(coding_row(*span, f"g{index}") for index, span in enumerate(odd)))
    genes, left_out = read_predictions(files / "odd.gff3", genome, CODE)
    assert [gene.canonical.cds for gene in genes] == [
        ((503, 836),), ((1336, 1660),), ((2169, 2508),), ((3008, 3344),)
    ]  # fmt: skip
    assert left_out == {}
    two = coding_row(501, 836, "+", "g") + coding_row(504, 836, "+", "h").replace("Parent=h\n", "Parent=g\n")
    (files / "two.gff3").write_text(GFF + two + coding_row(1, 30, "+", "x", "elsewhere"))
    (gene,), left_out = read_predictions(files / "two.gff3", genome, CODE)
    assert [transcript.cds for transcript in gene.transcripts] == [((500, 836),), ((503, 836),)]
    assert left_out == {"cds_rows_on_unknown_sequences": 1}


def spliced_genes(rng, number):
    """Genes of one to three exons and one or two isoforms on a coarse grid, side by side."""
    genes = []
    for index in range(number):
        origin = 2_000 * index
        isoforms = []
        for isoform in range(rng.choice((1, 1, 2))):
            cuts = sorted(rng.sample(range(0, 1_200, 60), 2 * rng.choice((1, 2, 3))))
            cds = tuple(Interval(origin + a, origin + b) for a, b in zip(cuts[::2], cuts[1::2], strict=True))
            if all(cds != other.cds for other in isoforms):
                isoforms.append(Transcript(f"{index}.{isoform}", cds, phases_from_lengths(cds, "+")))
        genes.append(Gene(str(index), "c", rng.choice("+-"), tuple(isoforms)))
    return genes


def gt_eval(folder, reference, predicted, lengths):
    """(tp, reference, predicted) of nucleotide, exon and transcript as GenomeTools counts them on CDS rows."""
    for name, genes in (("r", reference), ("p", predicted)):
        write_gff3(folder / f"{name}.gff3", genes, lengths)
        with (folder / f"{name}.sorted.gff3").open("w") as stream:
            subprocess.run(
                ["gt", "gff3", "-sort", "-tidy", "-retainids", folder / f"{name}.gff3"], stdout=stream, check=True
            )
    command = ["gt", "eval", folder / "r.sorted.gff3", folder / "p.sorted.gff3"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counts = {}
    for level, label in (("exon", r"exon {} \(CDS level, all, collapsed\)"), ("transcript", r"mRNA {} \(CDS level\)")):
        sides = [
            re.search(label.format(side) + r": +\S+ \((\d+)/(\d+)\)", text) for side in ("sensitivity", "specificity")
        ]
        counts[level] = (int(sides[0][1]), int(sides[0][2]), int(sides[1][2]))
    tp, fn = map(int, re.search(r"nucleotide sensitivity \(CDS level\): .*?TP=(\d+) \+ FN=(\d+)", text).groups())
    fp = int(re.search(r"nucleotide specificity \(CDS level\): .*?FP=(\d+)", text)[1])
    return counts | {"nucleotide": (tp, tp + fn, tp + fp)}


def sides(report):
    return {
        level: (entry["tp"], entry["tp"] + entry["fn"], entry["tp"] + entry["fp"])
        for level in ("nucleotide", "exon", "transcript")
        for entry in (report[level],)
    }


@needs("gt")
@pytest.mark.parametrize("seed", range(3))
def test_same_counts_as_genometools_on_spliced_genes(tmp_path, seed):
    rng = random.Random(seed)
    reference = spliced_genes(rng, 150)
    predicted = [
        mine if rng.random() < 0.5 else other for mine, other in zip(reference, spliced_genes(rng, 150), strict=True)
    ]
    lengths = {"c": 400_000}
    report = score_annotation(Annotation(tuple(reference), ()), predicted, lengths, ignore_dont_care=True)
    assert sides(report) == gt_eval(tmp_path, reference, predicted, lengths)
    assert 0.3 < report["exon"]["f1"] < 0.9


@needs("gt")
def test_same_counts_as_genometools_on_a_real_annotation(shared_data, tmp_path):
    decompress_genome(shared_data / "A.thaliana/fna.gz", tmp_path / "fna")
    genome = Genome(tmp_path / "fna")
    annotation = read_annotation(shared_data / "A.thaliana/gff.gz", genome, GeneticCode.from_table(1))
    rng = random.Random(0)
    # GenomeTools counts isoforms that differ in their UTRs alone apart; here a chain counts once.
    genes = [replace(gene, transcripts=_distinct(gene.transcripts)) for gene in annotation.trusted]
    predicted = [gene if rng.random() < 0.5 else _shifted(gene) for gene in genes if rng.random() < 0.8]
    report = score_annotation(Annotation(tuple(genes), ()), predicted, genome.lengths)
    assert sides(report) == gt_eval(tmp_path, genes, predicted, genome.lengths)


def _distinct(transcripts):
    return tuple({transcript.cds: transcript for transcript in reversed(transcripts)}.values())


def _shifted(gene):
    """The gene with the inner border of its first segment three bases off, in every transcript."""
    return replace(gene, transcripts=tuple(replace(tr, cds=_shorter(tr.cds)) for tr in gene.transcripts))


def _shorter(cds):
    (start, end), *others = cds
    return (Interval(start, max(end - 3, start + 1)), *others)


def test_predictions_on_another_genome_are_refused_even_when_only_genes_are_given():
    gene = Gene("g", "elsewhere", "+", (Transcript("t", (Interval(0, 30),), (0,)),))
    with pytest.raises(InputError, match="1 sequence name"):
        score_annotation(Annotation((), ()), [gene], {"c": 100})


@pytest.mark.parametrize("bases", ["1" + "0" * 400, '"many"', "null", "[]"])
def test_a_damaged_timing_is_one_line(tmp_path, bases):
    path = tmp_path / "timing.json"
    path.write_text(f'{{"timing": {{"bases": {bases}, "cpu_s": 1}}}}')
    with pytest.raises(InputError, match=r"timing\.json: expected numbers 'bases' and 'cpu_s'"):
        read_timing(path)
