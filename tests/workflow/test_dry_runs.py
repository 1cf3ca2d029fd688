"""What Snakemake would do for each documented command, without doing it."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path

import patience
import pytest
import yaml
from dry_runs import commands, jobs
from file_servers import Hub
from script_flags import check_flags

from genet5.tokens.dna import train_bpe

DEMO = ("--configfile", "config/examples/demo.yaml", "--")
SPLITS = ("train", "validation", "test") * 8


@pytest.fixture(scope="module")
def demo_run(make_workspace) -> str:
    """Output of ``snakemake all -n -p`` with the demo's configuration."""
    result = make_workspace().run("-n", "-p", *DEMO, "all")
    assert result.returncode == 0, result.stdout
    return result.stdout


def test_all_runs_every_stage_once_per_species(demo_run):
    assert jobs(demo_run) == {
        "download": 2,
        "label_genome": 2,
        "index_genome": 2,
        "bake_shards": 2,
        "merge_validation": 1,
        "expand_tokenizer": 1,
        "init_model": 1,
        "resize_model": 1,
        "train_crf": 1,
        "train_sft": 1,
        "grpo_prompts": 1,
        "train_grpo": 1,
        "calibrate": 3,
        "annotate_genome": 6,
        "score": 6,
        "summary": 1,
        "report": 1,
        "all": 1,
    }


COUNTED = """
import collections, json, pathlib, sys
from snakemake.cli import main
opened = collections.Counter()
sys.addaudithook(lambda event, words: event == "open" and opened.update([str(words[0])]))
try:
    main(sys.argv[2:])
except SystemExit as ended:
    pathlib.Path(sys.argv[1]).write_text(json.dumps([ended.code, opened, sorted(sys.modules)]))
"""


def test_reading_the_workflow_takes_one_look_at_each_table_and_no_library_that_computes(workspace):
    species = [f"S.number{number} fungi 1 {split} - - g.fa prodigal" for number, split in enumerate(SPLITS)]
    sheet = workspace.sheet(*species)
    words = ("-n", "-q", "all", "--config", f"species_sheet={sheet}", "--", "all")
    done = patience.run(
        [sys.executable, "-c", COUNTED, "counts.json", *words], cwd=workspace.folder, env=workspace.environment
    )
    status, opened, modules = json.loads((workspace.folder / "counts.json").read_text())
    assert status == 0, done.stdout
    assert opened[sheet] == 1
    clades = {path: count for path, count in opened.items() if "clades" in path and path.endswith(".yaml")}
    assert len(clades) > 5 and set(clades.values()) == {1}, clades
    assert not {"torch", "transformers", "lightning", "numba"} & set(modules)


def test_training_reads_no_test_species(demo_run):
    for script in ("scripts/train_crf.py", "scripts/train_sft.py", "scripts/grpo_prompts.py", "scripts/calibrate.py"):
        lines = [line for line in commands(demo_run) if script in line]
        assert len(lines) == (3 if "calibrate" in script else 1)
        for line in lines:
            assert "data/baked/demo/C.diphtheriae/manifest.json" in line and "E.coli" not in line


def test_reinforcement_learning_starts_from_the_fine_tuned_model_and_can_be_left_out(workspace, demo_run):
    (line,) = [line for line in commands(demo_run) if "scripts/train_grpo.py" in line]
    for words in (
        "--model data/model/demo/sft ",
        "--prompts data/baked/demo/grpo_prompts.tar ",
        "--output-dir data/model/demo/grpo ",
    ):
        assert words in line
    overlay = workspace.overlay("stages: [sft]")
    alone = workspace.run("-n", "-p", "--configfile", "config/examples/demo.yaml", overlay, "--", "all")
    assert not [line for line in commands(alone.stdout) if "scripts/grpo" in line]
    assert jobs(alone.stdout)["annotate_genome"] == 2
    overlay = workspace.overlay("stages: [sft]\nannotate: {stage: grpo}")
    wrong = workspace.run("-n", "--configfile", overlay, "--", "all")
    assert (wrong.returncode, wrong.stdout.splitlines()[-1]) == (
        1,
        "error: config key annotate.stage: grpo is not in stages (sft)",
    )


def test_regions_of_the_table_reach_the_commands_and_validation_species_the_trainings(workspace):
    rows = [
        "species clade genetic_code split validation_regions test_regions excluded_regions genome annotation",
        "T.rain bacteria 11 train v:1-90 t:1-80 x:1-70,y g.fa prodigal",
        "V.alid bacteria 11 validation - - x:5-6 g.fa prodigal",
        "T.est bacteria 11 test - - - g.fa prodigal",
    ]
    (workspace.folder / "species.tsv").write_text("".join("\t".join(row.split()) + "\n" for row in rows))
    overlay = workspace.overlay("species_sheet: species.tsv\nrun: toy\nstages: [crf]")
    result = workspace.run("-n", "-p", "--configfile", overlay, "--", "all")
    assert result.returncode == 0, result.stdout
    baked = {
        name: line
        for line in commands(result.stdout)
        if "bake_shards.py" in line
        for name in ("T.rain", "V.alid", "T.est")
        if f"--species {name} " in line
    }
    for flags in ("--validation-regions v:1-90 ", "--test-regions t:1-80 ", "--excluded-regions x:1-70,y "):
        assert flags in baked["T.rain"]
    assert "--excluded-regions x:5-6 " in baked["V.alid"] and "-regions" not in baked["T.est"]
    (training,) = [line for line in commands(result.stdout) if "train_crf.py" in line]
    manifests = training.partition("--manifests ")[2].partition(" --")[0].split()
    assert manifests == [f"data/baked/toy/{name}/manifest.json" for name in ("T.rain", "V.alid")]


def test_fields_of_the_model_reach_its_command(workspace, demo_run):
    assert not [line for line in commands(demo_run) if "--overrides" in line]
    overlay = workspace.overlay(
        "writer: {overrides: {dna_window_size: 64, dna_block_size: 16, init_std: 0.1}}\n"
        "crf: {overrides: {stem_dilations: [1, 3], stem_dropout: 0}}"
    )
    result = workspace.run("-n", "-p", "--configfile", "config/examples/demo.yaml", overlay, "--", "all")
    (line,) = [line for line in commands(result.stdout) if "init_model.py" in line]
    assert "--overrides dna_block_size=16 dna_window_size=64 init_std=0.1 --output-dir" in line
    (line,) = [line for line in commands(result.stdout) if "train_crf.py" in line]
    assert "--size demo " in line and "--overrides stem_dilations=1,3 stem_dropout=0 " in line


def test_only_held_out_regions_are_annotated_and_scored(demo_run):
    for script in ("annotate_genome.py", "score.py"):
        lines = [line for line in commands(demo_run) if script in line]
        assert len(lines) == 6
        for line in lines:
            assert ("--regions NZ_LN831026.1:1900001-2463666" in line) == ("data/raw/C.diphtheriae" in line)
            assert "--regions" not in line or "C.diphtheriae" in line


def test_every_command_uses_flags_that_its_script_has(demo_run, repository):
    assert len(check_flags(commands(demo_run), repository)) == 17


def test_one_flag_stands_on_each_line_of_a_rule(repository):
    shells = {
        path: re.findall(r'shell:\s+"""(.+?)"""', path.read_text(), flags=re.DOTALL)
        for path in (repository / "workflow" / "rules").glob("*.smk")
    }
    assert sum(map(len, shells.values())) > 30
    for path, texts in shells.items():
        for line in "".join(texts).splitlines():
            assert len(re.findall(r" --[a-z]", line)) <= 1, f"{path}: {line}"


def test_scores_are_calibrated_for_the_decoder_and_genes_below_the_least_confidence_left_out(workspace, demo_run):
    lines = [line for line in commands(demo_run) if "calibrate.py" in line]
    by_stage = {re.search(r"--model data/model/demo/(\w+) ", line)[1]: line for line in lines}
    assert set(by_stage) == {"crf", "sft", "grpo"}
    # Of the stages with a writer all decoders are compared.
    assert {stage for stage, line in by_stage.items() if "--decoder viterbi " in line} == {"crf"}
    assert {stage for stage, line in by_stage.items() if "--decoder" in line} == {"crf"}
    assert all("--window-bp 6000 --overlap-bp 2000 " in line for line in lines)
    assert all("--min-confidence 0 " in line for line in commands(demo_run) if "annotate_genome.py" in line)
    overlay = workspace.overlay("stages: [crf]\nannotate: {min_confidence: 0.5, calibration_bp: 0}")
    result = workspace.run("-n", "-p", "--configfile", "config/examples/demo.yaml", overlay, "--", "all")
    (line,) = [line for line in commands(result.stdout) if "calibrate.py" in line]
    assert "--decoder viterbi --manifests --genomes --annotations --window-bp --overlap-bp" in line
    assert all("--min-confidence 0.5 " in line for line in commands(result.stdout) if "annotate_genome.py" in line)
    overlay = workspace.overlay("annotate: {min_confidence: 1.5}")
    wrong = workspace.run("-n", "--configfile", overlay, "--", "all")
    assert wrong.returncode == 1 and "error: config key annotate.min_confidence: 1.5" in wrong.stdout.splitlines()[-1]


STAGES = {"train_crf", "train_sft", "train_grpo"}
#: Configurations, as they are given together, and the stages that they train. The tests above plan the demo.
EXAMPLES = {
    ("config/recipe.yaml",): STAGES,
    ("config/recipe.yaml", "config/examples/recipe_small.yaml"): STAGES,
    ("config/examples/fungi.yaml",): {"train_crf", "train_sft"},
    ("config/examples/fungi.yaml", "config/examples/fungi.second.yaml"): {"train_crf", "train_sft"},
    ("config/examples/loci.yaml",): STAGES,
    ("config/examples/plasmodium.yaml",): {"train_crf", "train_sft"},
    ("config/examples/pombe.yaml",): {"train_crf"},
    ("config/examples/pombe.yaml", "config/examples/pombe.second.yaml"): {"train_crf"},
    ("config/examples/real.yaml",): {"train_crf", "train_sft"},
}


@pytest.mark.parametrize("files", EXAMPLES, ids=lambda files: "+".join(re.findall(r"([\w.]+)\.yaml", " ".join(files))))
def test_every_example_plans_its_stages(workspace, repository, files):
    for run in ("fungi", "fungi2"):  # pombe.yaml goes on from these
        weights = workspace.folder / f"data/model/{run}/crf/model.safetensors"
        weights.parent.mkdir(parents=True)
        weights.write_bytes(b"")
    overlay = []
    if "config/examples/recipe_small.yaml" in files:  # the tokenizer is in the folder of reference data
        (workspace.folder / "tokenizer.json").write_text("{}")
        overlay = [workspace.overlay("tokenizer: {base: tokenizer.json}")]
    result = workspace.run("all", "-n", "-p", "--configfile", *files, *overlay)
    assert result.returncode == 0, result.stdout
    assert set(jobs(result.stdout)) & STAGES == EXAMPLES[files]
    check_flags(commands(result.stdout), repository)


CLADES = sorted(Path(__file__).resolve().parents[2].glob("config/clades/*.yaml"))


@pytest.mark.parametrize("recipe", CLADES, ids=lambda path: path.stem)
def test_the_recipe_of_a_shipped_model_plans_one_training(workspace, repository, recipe):
    settings = yaml.safe_load(recipe.read_text())
    start = settings["crf"].get("init_from", "scratch")
    if start.startswith("data/"):  # other places, such as resources/, are links to the checkout, and have their files
        (workspace.folder / start).mkdir(parents=True)
        for name in ("model.safetensors", "config.json"):
            (workspace.folder / start / name).write_bytes(b"")
    target = f"data/model/{settings['run']}/crf/model.safetensors"
    result = workspace.run(target, "-n", "-p", "--configfile", f"config/clades/{recipe.name}")
    assert result.returncode == 0, result.stdout
    planned = jobs(result.stdout)
    assert planned["train_crf"] == 1 and planned["bake_shards"] == planned["index_genome"] > 1
    (command,) = [line for line in commands(result.stdout) if "train_crf.py" in line]
    assert f"--init-from {start} " in command and f"--max-steps {settings['crf']['max_steps']} " in command
    with (repository / settings["species_sheet"]).open() as sheet:
        rows = list(csv.DictReader(sheet, delimiter="\t"))
    baked = [line for line in commands(result.stdout) if "bake_shards.py" in line]
    for flag, column, value in (
        ("--annotated some ", "annotated", "some"),
        ("--exon-flank-bp 350 ", "exon_flank_bp", "350"),
    ):
        named = {line.split("--species ")[1].split()[0] for line in baked if flag in line}
        assert named == {row["species"] for row in rows if row.get(column) == value}


def test_no_example_is_left_out(repository):
    listed = {name for files in EXAMPLES for name in files} | {"config/examples/demo.yaml"}
    found = {str(path.relative_to(repository)) for path in (repository / "config/examples").glob("*.yaml")}
    assert found | {"config/recipe.yaml"} == listed


@pytest.mark.parametrize(
    ("selection", "baked"),
    [
        ("S.cerevisiae", {"S.cerevisiae"}),
        ("S.cerevisiae,E.coli", {"S.cerevisiae", "E.coli"}),
        (" S.cerevisiae , E.coli,E.coli", {"S.cerevisiae", "E.coli"}),
        (
            "all",
            {
                "S.cerevisiae",
                "S.pombe",
                "A.thaliana",
                "C.elegans",
                "D.melanogaster",
                "P.falciparum",
                "E.coli",
                "M.alvi",
            },
        ),
    ],
)
def test_bake_species_bakes_what_is_chosen(workspace, selection, baked):
    result = workspace.run(
        "bake_species", "-n", "--configfile", "config/examples/real.yaml", "--config", f"species={selection}"
    )
    assert result.returncode == 0, result.stdout
    assert set(re.findall(r"data/baked/real/([^/]+)/manifest\.json, ", result.stdout)) == baked
    assert set(jobs(result.stdout)) == {"download", "index_genome", "bake_shards", "bake_species"}


def test_an_unknown_species_is_one_clear_line(workspace):
    result = workspace.run("bake_species", "--config", "species=X.nobody")
    assert result.returncode == 1
    errors = [line for line in result.stdout.splitlines() if "X.nobody" in line]
    assert len(errors) == 1
    assert errors[0].startswith("error: config key species: 'X.nobody' is not in config/species.tsv; known: H.sapiens,")
    assert "Traceback" not in result.stdout


def test_an_empty_split_is_one_clear_line_where_it_matters(workspace):
    sheet = workspace.sheet("E.coli bacteria 11 train chr:1-9 - g.fna prodigal")
    result = workspace.run("-n", "all", "--config", f"species_sheet={sheet}")
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1].startswith(f"error: {sheet}: nothing is held out for testing; give a species")
    assert "Traceback" not in result.stdout
    assert workspace.run("bake_species", "-n", "--config", f"species_sheet={sheet}").returncode == 0


def test_wrong_types_are_one_clear_line(workspace):
    overlay = workspace.overlay("sft:\n  lr: 2e-4\n")
    result = workspace.run("-n", "all", "--configfile", overlay)
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1] == (
        "error: config key sft.lr: '2e-4' is text, expected a number (write 2.0e-4)"
    )
    result = workspace.run("-n", "all", "--config", "speceis=E.coli")
    assert (result.returncode, result.stdout.splitlines()[-1]) == (
        1,
        "error: config key speceis is unknown; did you mean 'species'?",
    )


def test_a_crf_that_training_starts_from_must_be_there(workspace):
    (workspace.folder / "start.yaml").write_text("crf: {init_from: nothere}\n")
    result = workspace.run("data/model/main/crf/model.safetensors", "-n", "--configfile", "start.yaml")
    assert result.returncode == 1
    assert "nothere/model.safetensors" in result.stdout


TOKENIZER = "data/model/main/tokenizer/tokenizer.json"


def test_the_base_of_the_tokenizer_is_an_input_where_it_is_on_this_machine(workspace):
    """A hub id needs no network here: the scripts fetch what it names."""
    hub = "zhihan1996/DNABERT-2-117M"
    overlay = workspace.overlay(f"tokenizer: {{kind: bpe, base: {hub}}}\nwriter: {{init_from: {hub}@main}}")
    result = workspace.run("all", "-n", "-p", "--configfile", overlay)
    assert result.returncode == 0, result.stdout
    (line,) = [line for line in commands(result.stdout) if "expand_tokenizer.py" in line]
    assert f"--kind bpe --k 6 --base {hub} " in line
    (line,) = [line for line in commands(result.stdout) if "init_model.py" in line]
    assert f"--init-from {hub}@main " in line
    assert hub not in "".join(re.findall(r"input: (.*)", result.stdout))

    local = workspace.folder / hub
    local.mkdir(parents=True)
    missing = workspace.run(TOKENIZER, "-n", "--configfile", overlay)
    assert (missing.returncode, missing.stdout.splitlines()[-1]) == (
        1,
        f"error: config key tokenizer.base: no file {hub}/tokenizer.json; allowed are a tokenizer.json, its folder, "
        "and a hub id",
    )
    (local / "tokenizer.json").write_text("{}")
    for base in (hub, f"{hub}/tokenizer.json"):
        overlay = workspace.overlay(f"tokenizer: {{kind: bpe, base: {base}}}")
        result = workspace.run(TOKENIZER, "-n", "-p", "--configfile", overlay)
        assert f"input: {hub}/tokenizer.json" in result.stdout and f"--base {base} " in result.stdout


def test_another_hub_id_makes_the_tokenizer_again(workspace, monkeypatch):
    base = train_bpe([b"ACGTTGCAATGCCGTA" * 20], 20).to_str().encode()
    with Hub({"tokenizer.json": base, "pytorch_model.bin": b""}) as hub:
        for name, value in hub.environment(workspace.folder / "cache").items():
            monkeypatch.setenv(name, value)
        overlay = workspace.overlay("tokenizer: {kind: bpe, base: owner/model}")
        made = workspace.run(TOKENIZER, "--cores", "1", "--configfile", overlay)
        assert made.returncode == 0, made.stdout
        assert hub.sent == ["tokenizer.json"]
        hub.status = 503
        again = workspace.run(TOKENIZER, "-n", "--configfile", overlay)
        assert "Nothing to be done" in again.stdout
        overlay = workspace.overlay("tokenizer: {kind: bpe, base: owner/model@v2}")
        changed = workspace.run(TOKENIZER, "-n", "--configfile", overlay)
        assert jobs(changed.stdout) == {"expand_tokenizer": 1} and "Params have changed" in changed.stdout
        failed = workspace.run(TOKENIZER, "--cores", "1", "--configfile", overlay)
        assert failed.returncode == 1 and "Traceback" not in failed.stdout
    log = (workspace.folder / "data/logs/expand_tokenizer/main.log").read_text().splitlines()
    assert len(log) == 1 and log[0].startswith("error: tokenizer.base: 'owner/model@v2' is no path here")


def test_every_rule_that_reads_clades_is_told_of_ones_own(workspace, repository):
    scripts = [path for path in (repository / "scripts").glob("*.py") if "arguments.clade_folder" in path.read_text()]
    planned = commands(workspace.run("all", "-n", "-p").stdout)
    checked = [line for line in planned if any(path.name in line for path in scripts)]
    assert len(checked) > 5
    assert all('--clade-folder "$GENET5_CLADE_FOLDER"' in line for line in checked)
