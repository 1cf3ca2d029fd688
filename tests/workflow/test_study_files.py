"""The studies fetch the public tables that data_root does not have. A server here stands in for GitHub."""

from __future__ import annotations

import functools
import gzip
import http.server
import threading
from collections.abc import Callable, Iterator

import pandas as pd
import pytest
from dry_runs import commands, jobs

from genet5.sources.published import published_files

FILES = published_files()
SCORES = "data/studies/dna_llm/main/tables/scores.gz"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def github(tmp_path) -> Iterator[tuple[str, Callable[[str, bytes], None]]]:
    """Address of a server, and a function that puts what a path of data_root is made from there."""

    def put(path: str, content: bytes) -> None:
        file = FILES[path]
        place = tmp_path / file.repository / file.commit / file.file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", put
        server.shutdown()


def settings(workspace, address: str) -> tuple[str, ...]:
    text = f"download: {{github: '{address}', retries: 0}}\ndata_root: nothing"
    return "--cores", "2", "--configfile", workspace.overlay(text)


def errors(output: str) -> list[str]:
    return [line.strip() for line in output.splitlines() if line.strip().startswith("error: ")]


@pytest.mark.parametrize(
    ("study", "tables", "files"), [("dna_llm", "dna_llm_table", 2), ("cpivae", "cpivae_table", 10)]
)
def test_each_public_file_is_fetched_once(workspace, study, tables, files):
    result = workspace.run(study, "-n", "-p")
    assert result.returncode == 0, result.stdout
    found = jobs(result.stdout)
    assert (found["study_file"], found[tables]) == (2, files)
    lines = [
        line for line in commands(result.stdout) if "data/raw/published/" in line and "download.py --source h" in line
    ]
    assert all(" --source https://raw.githubusercontent.com/" in line and " --sha256 " in line for line in lines)
    assert len(lines) == 2


def test_nothing_is_fetched_that_data_root_has(workspace):
    for path in FILES:
        file = workspace.folder / "sources" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    for study in ("dna_llm", "cpivae"):
        result = workspace.run(study, "-n", "-p", "--config", "data_root=sources")
        assert result.returncode == 0, result.stdout
        assert "study_file" not in jobs(result.stdout) and "raw.githubusercontent" not in result.stdout


def test_a_source_of_the_user_is_read_as_before(workspace):
    overlay = workspace.overlay("dna_llm: {windows: {scores: my/scores.txt, sequences: 'https://x.org/s.gz'}}")
    result = workspace.run("dna_llm", "-n", "-p", "--configfile", overlay)
    assert "study_file" not in jobs(result.stdout)
    lines = " ".join(line for line in commands(result.stdout) if "download.py" in line)
    assert "--source my/scores.txt " in lines and "--source https://x.org/s.gz " in lines


def test_without_network_there_is_one_line_that_says_what_to_do(workspace):
    result = workspace.run(SCORES, *settings(workspace, "http://127.0.0.1:9"))
    assert result.returncode == 1
    url = FILES["tf-binding/chr22_scores.txt.gz"].url("http://127.0.0.1:9")
    (line,) = set(errors(result.stdout))
    assert line.startswith(f"error: {url}: download failed after 1 attempts, the last: ")
    assert line.endswith("; or put the files that docs/data.md lists into nothing/tf-binding")
    assert not (workspace.folder / SCORES).exists()


def test_a_file_of_another_content_is_refused(workspace, github):
    address, put = github
    put("tf-binding/chr22_scores.txt.gz", gzip.compress(b"chr22_0_300\n1\n"))
    result = workspace.run(SCORES, *settings(workspace, address))
    assert result.returncode == 1
    (line,) = set(errors(result.stdout))
    assert f"expected {FILES['tf-binding/chr22_scores.txt.gz'].sha256}" in line and ": sha256 is " in line
    assert not list((workspace.folder / "data").rglob("*.gz"))


def test_public_files_become_the_tables_that_the_studies_read(workspace, github, shared_data):
    address, put = github
    folder = "data/studies/cpivae/main/tables/tcga_mrna_protein"
    put("tf-binding/chr22_scores.txt.gz", (shared_data / "tf-binding/chr22_scores.txt.gz").read_bytes())
    put("paired-omics/TCGA_train_protein.csv.gz", (shared_data / "paired-omics/breast.TCGA.rda").read_bytes())
    targets = (SCORES, f"{folder}/platform_b.csv.gz", f"{folder}/labels.csv.gz")
    result = workspace.run(*targets, *settings(workspace, address))
    assert result.returncode == 0, result.stdout
    made = [workspace.folder / target for target in targets]
    assert made[0].read_bytes() == (shared_data / "tf-binding/chr22_scores.txt.gz").read_bytes()
    for path, name in zip(made[1:], ("protein", "subtype"), strict=True):
        pd.testing.assert_frame_equal(
            pd.read_csv(path), pd.read_csv(shared_data / f"paired-omics/TCGA_train_{name}.csv.gz")
        )


def test_a_genome_of_a_study_is_fetched_too(workspace, github):
    address, put = github
    content = b">chr9\nACGT\n"
    put("H.sapiens/fna.gz", content)
    sheet = ("--config", "species_sheet=config/studies/dna_llm.species.tsv")
    result = workspace.run("data/raw/H.sapiens/fna.gz", *settings(workspace, address), *sheet)
    (line,) = set(errors(result.stdout))
    assert f"{FILES['H.sapiens/fna.gz'].url(address)}: sha256 is " in line
    assert line.endswith(f"expected {FILES['H.sapiens/fna.gz'].sha256}; or put the files that docs/data.md "
                         "lists into nothing/H.sapiens")  # fmt: skip


def test_secrets_of_addresses_are_on_no_command_line(workspace, github):
    """Nor in what Snakemake prints and keeps; the file arrives."""
    address, put = github
    file = FILES["tf-binding/chr22_scores.txt.gz"]
    packed = gzip.compress(b">c\nACGT\n", mtime=0)
    put("tf-binding/chr22_scores.txt.gz", packed)
    source = f"{file.url(address)}?token=s3cret"
    sheet = workspace.sheet(f"A.one fungi 1 train - - {source} a.gff")
    study = f"dna_llm: {{windows: {{scores: '{source}', sequences: 'https://u:s3cret@x.org/s.gz'}}}}"
    lineages = "busco: {data: 'https://u:s3cret@x.org/busco'}"
    overlay = workspace.overlay(f"species_sheet: {sheet}\n{study}\n{lineages}\n")
    targets = ["data/raw/A.one/fna.gz", SCORES, "data/studies/dna_llm/main/tables/sequences.gz"]
    planned = workspace.run(*targets, "data/lineages/fungi_odb12.tar.gz", "-n", "-p", "--configfile", overlay)
    assert planned.returncode == 0, planned.stdout
    hidden = [line for line in commands(planned.stdout) if "env:GENET5_SOURCE_" in line]
    assert len(hidden) == 4 and "s3cret" not in planned.stdout
    done = workspace.run(targets[0], "-p", "--cores", "1", "--configfile", overlay)
    assert done.returncode == 0, done.stdout
    assert (workspace.folder / targets[0]).read_bytes() == packed
    kept = [path for name in (".snakemake/metadata", ".snakemake/log", "data/logs")
            for path in (workspace.folder / name).rglob("*") if path.is_file()]  # fmt: skip
    assert len(kept) > 1 and not [path for path in kept if b"s3cret" in path.read_bytes()]
    assert "s3cret" not in done.stdout
