"""The report as a whole: one page that stands alone, shows what it was given, and survives hostile and broken files."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from approved import check_approved, page_lines
from report_files import CONTIG, SPECIES, Page, RunFolder, changed, check_policy, table_cells, toy_run

from genet5.genome.writing import write_gff3
from genet5.report import page as page_module

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "report.py"
EVIL = '<img src=x onerror="alert(1)">&\'"</td></script>'


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return toy_run(tmp_path)


def written(run: RunFolder, monkeypatch: pytest.MonkeyPatch, arguments: list[str] | None = None) -> str:
    """The page that the script writes for these arguments."""
    monkeypatch.setattr(sys, "argv", ["report.py", *(run.arguments() if arguments is None else arguments)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    return run.page.read_text(encoding="utf-8")


def refused(run: RunFolder, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> str:
    """The script's error line; nothing may have been written."""
    with pytest.raises(SystemExit) as stopped:
        written(run, monkeypatch, arguments)
    message = str(stopped.value.code)
    assert message.startswith("error: ") and "\n" not in message
    assert not run.page.exists()
    return message


def test_page_is_well_formed_and_has_every_section(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    text = written(run, monkeypatch)
    page = Page(text)
    sections = [attrs["id"] for tag, attrs, _ in page.elements if tag == "section"]
    assert sections == ["scores", "sanity", "loci", "near-misses", "busco", "training", "data", "provenance"]
    ids = [attrs["id"] for _, attrs, _ in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = {attrs["href"] for tag, attrs, _ in page.elements if tag == "a"}
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert not page.with_class("absent")


def test_the_page_is_the_approved_one(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    check_approved(page_lines(written(run, monkeypatch), run.root), Path(__file__).parent / "approved/run.html")


def test_the_first_lines_say_what_a_program_labelled(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "made the labels" not in Page(written(run, monkeypatch)).text
    Path(run.flags["--scores"][0]).write_text(json.dumps(run.score | {"teacher": "prodigal"}))
    text = Page(written(run, monkeypatch)).text
    assert f"Prodigal made the labels of {SPECIES}, not a curator. It is the teacher here." in text


def test_the_scores_have_a_chart_of_levels_and_one_of_genes(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    captions = [part.split("<")[0] for part in written(run, monkeypatch).split("<figcaption>")[1:]]
    assert captions[:2] == ["F1 by level ", "Genes: precision and recall"]


def test_page_loads_nothing_from_outside(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    config = run.root / "config.json"
    config.write_text(json.dumps({"genome": "https://example.org/genome.fna.gz"}))
    text = written(run, monkeypatch)
    page = Page(text)
    for tag, attrs, _ in page.elements:
        assert tag not in ("iframe", "object", "embed", "img", "video", "audio", "base", "form")
        for name, value in attrs.items():
            if name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href", "background", "ping"):
                assert value.startswith(("#", "data:")), (tag, name, value)
            assert "url(" not in (value or "")
    for part in ("style", "script"):
        code = page.inside(part)
        assert code.strip()
        assert not re.search(r"https?:|//\w+\.|@import|url\(|fetch\(|XMLHttpRequest|import\(", code)
    # A source named in the settings is text, and stays text.
    assert "https://example.org/genome.fna.gz" in page.inside("code")


def test_the_page_allows_its_own_script_alone(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    check_policy(written(run, monkeypatch))


def test_score_table_shows_the_numbers_of_the_document(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = table_cells(written(run, monkeypatch), "scores")
    header = rows[0]
    assert header[1:] == [
        "Nucleotide", "Exon", "Intron", "Stop side", "Transcript", "Gene", "Gene, single exon", "Gene, multi-exon",
        "CPU s", "kb per CPU s",
    ]  # fmt: skip
    levels = ("nucleotide", "exon", "intron", "stop", "transcript", "gene", "gene_single_exon", "gene_multi_exon")
    names = {"GeneT5 sft": "genet5/sft", "Longest ORF, ATG": "orf_atg", "Prodigal": "prodigal"}
    assert [row[0] for row in rows[1:]] == list(names)
    for row in rows[1:]:
        entry = run.score["systems"][names[row[0]]]
        for level, cell in zip(levels, row[1:9], strict=True):
            f1 = entry[level]["f1"]
            assert cell == ("–" if f1 is None else f"{f1:.3f}"), (row[0], level)
        assert float(row[9]) == entry["cpu_s"]
        assert float(row[10]) == pytest.approx(entry["kb_per_cpu_s"])


def test_hostile_names_are_text_everywhere(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    score = Path(run.flags["--scores"][0])
    document = json.loads(score.read_text())
    document["systems"][EVIL] = document["systems"].pop("prodigal")
    document["species"] = EVIL
    score.write_text(json.dumps(document))
    stats = Path(run.flags["--stats"][0])
    card = json.loads(stats.read_text())
    card |= {"species": EVIL, "flags": {EVIL: 3}}
    stats.write_text(json.dumps(card))
    Path(run.root / "config.json").write_text(json.dumps({EVIL: EVIL}))
    predictions = Path(run.flags["--predictions"][0])
    write_gff3(predictions, [changed(run.genes[0], EVIL)], {CONTIG: 12000})
    log = Path(run.flags["--training-log"][0])
    log.write_text(log.read_text().replace("lm_loss", '"<script>_loss"'))
    arguments = run.arguments()
    arguments[1] = EVIL
    text = written(run, monkeypatch, arguments)
    page = Page(text)
    assert [tag for tag, _, _ in page.elements].count("script") == 1
    assert not [attrs for tag, attrs, _ in page.elements if tag == "img" or "onerror" in attrs]
    assert EVIL in page.inside("h1") and EVIL in page.inside("h3")
    assert any(EVIL in (attrs.get("aria-label") or "") for _, attrs, _ in page.elements)
    assert any(EVIL in data for parent, data in page.texts if parent == "title")
    assert EVIL not in text


def test_page_is_the_same_twice(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(run, monkeypatch) == written(run, monkeypatch)


def test_every_flag_may_be_left_out(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    text = written(run, monkeypatch, ["--run", "bare", "--output", str(run.page)])
    page = Page(text)
    said = [data for _, data in page.texts if "give --" in data or "--busco was not given" in data]
    flags = {flag for data in said for flag in re.findall(r"--[a-z-]+", data)}
    assert flags >= {"--scores", "--predictions", "--references", "--busco", "--training-log", "--stats", "--times"}
    assert flags >= {"--config", "--model", "--manifests"}
    assert "Gene sets were not checked" in page.text
    assert "Not checked: give --predictions (GFF3) and --references." in page.text
    for flag in run.flags:
        if flag == "--predictions":
            arguments = run.arguments("--predictions", "--tracks", "--orf-genes")
        elif flag == "--references":
            arguments = run.arguments("--references", "--predictions", "--tracks", "--orf-genes")
        else:
            arguments = run.arguments(flag)
        assert Page(written(run, monkeypatch, arguments)).text


def test_logs_that_do_not_exist_are_noted_not_fatal(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(run.flags["--training-log"][0]).unlink()
    Path(run.flags["--eval-log"][0]).unlink()
    assert "No training log" in Page(written(run, monkeypatch)).text


def test_alarm_is_red_and_names_the_species(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Gene sets look sane" in Page(written(run, monkeypatch)).text
    # 36 genes where the reference has 12; a reference as small as this one raises no alarm unless told so.
    monkeypatch.setattr("genet5.evaluate.sanity.FEWEST_GENES", 5)
    predictions = Path(run.flags["--predictions"][0])
    many = [changed(run.genes[0], f"x{number}", ((number * 300 + 10, number * 300 + 160),)) for number in range(36)]
    write_gff3(predictions, many, {CONTIG: 12000})
    page = Page(written(run, monkeypatch))
    banners = page.with_class("banner")
    assert [attrs["class"] for _, attrs in banners] == ["banner bad"]
    assert f"{SPECIES} (sft): genes per Mb: 3.0 times the reference" in page.text


def test_page_stays_small_by_dropping_loci(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = written(run, monkeypatch)
    assert len(whole.encode()) < 2_000_000
    assert len(Page(whole).with_class("locus")) == 2
    monkeypatch.setattr(page_module, "MOST_BYTES", len(whole.encode()) - 1)
    less = written(run, monkeypatch)
    assert len(Page(less).with_class("locus")) == 1
    assert "1 more loci were left out" in Page(less).text


def test_figures_speak(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page(written(run, monkeypatch))
    for tag, attrs, _ in page.elements:
        if tag == "svg":
            assert attrs.get("aria-hidden") == "true" or (attrs.get("role") == "img" and len(attrs["aria-label"]) > 8)
        if tag == "th":
            assert attrs.get("scope") in ("row", "col")


def test_training_and_times_reach_the_page(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    text = Page(written(run, monkeypatch)).text
    assert "sft steps 200" in text and "sft lowest validation loss 1.1" in text and "sft training time 20 s" in text
    assert "parameters 205" in text
    assert "C:70.0%[S:60.0%,D:10.0%],F:20.0%,M:10.0%,n:10" in text and "toy_odb10" in text
    assert "12.5 s" in text and "321 MB" in text and "4.8 kb/cpu-s" in text


def test_two_stages_share_a_table(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    later = run.root / "score" / "toy" / "grpo" / f"{SPECIES}.json"
    later.parent.mkdir()
    document = json.loads(Path(run.flags["--scores"][0]).read_text())
    document["systems"]["genet5/grpo"] = document["systems"].pop("genet5/sft")
    later.write_text(json.dumps(document))
    run.flags["--scores"].append(str(later))
    text = written(run, monkeypatch)
    assert len(Page(text).with_class("scores")) == 1
    assert [row[0] for row in table_cells(text, "scores")[1:]] == [
        "GeneT5 grpo", "GeneT5 sft", "Longest ORF, ATG", "Prodigal",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("flag", "content", "said"),
    [
        ("--scores", "{", "not JSON"),
        ("--scores", "[1]", "expected a JSON object"),
        ("--scores", '{"species": "x"}', "not a score document"),
        ("--scores", '{"species": "x", "systems": {"a": 3}}', "systems.a is a int"),
        (
            "--scores",
            '{"species": "x", "systems": {}, "regions": [["c", 1]]}',
            "expected a list of [seqid, start, end]",
        ),
        ("--stats", '{"bases": 3}', "not a stats.json"),
        ("--busco", '{"single": 3}', "'duplicated' is None"),
        ("--training-log", "", "is empty"),
        ("--training-log", "step,lr\n1\n", "line 2: 1 cells, the header has 2"),
        ("--config", "{", "not JSON"),
        ("--times", "a\tb\n", "not a benchmark table"),
        ("--model", "x", "not a safetensors file"),
        ("--tracks", "x", "not a readable .npz"),
    ],
)
def test_broken_files_are_one_line(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, flag: str, content: str, said: str
) -> None:
    path = Path(run.flags[flag][0])
    path.write_text(content)
    message = refused(run, monkeypatch, run.arguments())
    assert path.name in message and said in message


def test_references_are_checked(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    run.flags["--references"] = ["T.toy=a=b"]
    assert "expected species=annotation=genome=code" in refused(run, monkeypatch, run.arguments())
    run.flags["--references"] = ["Other=a=b=1"]
    assert "--references: none for" in refused(run, monkeypatch, run.arguments())
    assert "--predictions has no file" in refused(run, monkeypatch, run.arguments("--predictions", "--references"))


def test_genome_without_a_reference_is_drawn_and_checked(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    species, _, genome, code = run.flags["--references"][0].split("=")
    run.flags["--references"] = [f"{species}=={genome}={code}"]
    page = Page(written(run, monkeypatch, run.arguments("--scores", "--tracks")))
    assert "no reference annotation" in page.text and "Usual in the clade" in page.text
    # 11 genes on 12 kb: 917 genes per Mb, more than fungi have.
    assert "unusual for genomes of clade fungi" in page.text
    assert page.with_class("locus")


def test_script_runs_alone_and_has_help() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True, check=True)
    assert "--references" in done.stdout and "SPECIES=ANNOTATION=GENOME=CODE" in done.stdout


def test_the_last_line_counts_score_tables_and_alarms(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = written(run, monkeypatch)
    megabytes = f"{len(text.encode()) / 1e6:.2f}"
    assert capsys.readouterr().out == f"{run.page}: {megabytes} MB, 1 score tables, 0 sanity alarms\n"


def test_settings_may_be_yaml_that_is_a_mapping(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = run.root / "config.yml"
    run.flags["--config"] = [str(path)]
    path.write_text("- run\n")
    assert "config.yml: holds a list, expected a mapping of keys" in refused(run, monkeypatch, run.arguments())
    path.write_text("seed_of_yaml: 7\n")
    assert "seed_of_yaml" in Page(written(run, monkeypatch)).text


def test_genes_of_a_scan_and_tracks_need_predictions_beside_them(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refused(run, monkeypatch, run.arguments("--predictions", "--tracks"))
    assert (
        said == f"error: {run.flags['--orf-genes'][0]}: --predictions has no file of this stage and species: {SPECIES}"
    )
    said = refused(run, monkeypatch, run.arguments("--predictions", "--orf-genes"))
    assert (
        said == f"error: {run.flags['--tracks'][0]}: --predictions has no file of this stage and species: sft {SPECIES}"
    )
    other = run.root / "annotation/toy/grpo" / f"{SPECIES}.tracks.npz"
    run.flags["--tracks"] = [str(other)]
    assert f"stage and species: grpo {SPECIES}" in refused(run, monkeypatch, run.arguments())


def test_six_loci_of_a_prediction_are_drawn_at_most(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{CONTIG}:{1000 * number}-{1000 * number + 1000}" for number in range(7)]
    np.savez(run.flags["--tracks"][0], names=np.array(names))
    assert len(Page(written(run, monkeypatch)).with_class("locus")) == 6
