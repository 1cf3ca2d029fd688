"""What Snakemake would do to annotate a new genome: with a shipped model, with that of the run, adapted, by the DNA."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from dry_runs import commands, jobs

from genet5.annotate.options import ANNOTATION_FLAGS
from genet5.clades import read_clades

SHIPPED = ("annotate", "-n", "-p", "--config", "genome=my.fa")


@pytest.fixture
def own(workspace) -> Path:
    """A folder in the workspace with a clade without a model, ``oomycete``."""
    folder = workspace.folder / "own"
    folder.mkdir()
    rules, _, _ = read_clades()["plant"].path.read_text().partition("# The model that comes")
    (folder / "oomycete.yaml").write_text(rules)
    return folder


def test_a_new_genome_is_annotated_with_the_model_of_the_run(workspace):
    (workspace.folder / "my.fa").write_text(">chr\nACGT\n")
    result = workspace.run(
        "annotate", "-n", "-p", "--configfile", "config/examples/demo.yaml", "--config", "genome=my.fa",
        "annotate={model: run}",
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    assert jobs(result.stdout)["annotate_genome"] == 1 and "score" not in jobs(result.stdout)
    (command,) = [line for line in commands(result.stdout) if "annotate_genome.py" in line]
    assert "--genetic-code 11 --clade bacteria " in command and "--regions" not in command
    assert "--genome data/raw/my/fna " in command and "--output-prefix data/annotation/demo/grpo/my " in command
    assert "index_genome.py --archive my.fa --output data/raw/my/fna" in "\n".join(commands(result.stdout))


def test_a_new_genome_needs_a_clade_when_the_training_species_differ(workspace):
    result = workspace.run("annotate", "-n", "--config", "genome=my.fa", "annotate={model: run}")
    assert result.returncode == 1
    assert "error: config key clade is needed for a new genome" in result.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["clade=oomycete"], "no model comes with GeneT5 for 'oomycete'"),
        (["clade=oomycete", "genetic_code=1"], "no model comes with GeneT5 for 'oomycete'"),
        ([], "missing, a shipped model needs one"),
    ],
)
def test_a_training_starts_only_where_it_is_asked_for(workspace, own, words, problem):
    (workspace.folder / "my.fa").write_text(">chr\nACGT\n")
    result = workspace.run(*SHIPPED, "clade_folder=own", *words)
    assert (result.returncode, result.stdout.splitlines()[-1]) == (
        1,
        f"error: config key clade: {problem}, and data/model/main/grpo is not trained; clades with a model: "
        f"{', '.join(read_clades())}; to train on the 7 training species of config/species.tsv first, add "
        "'annotate={model: run}'",
    )
    asked = workspace.run(*SHIPPED, "clade_folder=own", "clade=oomycete", "genetic_code=1", "annotate={model: run}")
    assert asked.returncode == 0 and jobs(asked.stdout)["train_crf"] == 1


# -------------------------------------------------------------------- models that come with the workflow


def test_a_new_genome_needs_no_training_where_a_model_is_shipped(workspace):
    clade = "protist"
    (workspace.folder / "my.fa").write_text(">chr\nACGT\n")
    result = workspace.run(*SHIPPED, f"clade={clade}")
    assert result.returncode == 0, result.stdout
    assert jobs(result.stdout) == {"index_genome": 1, "annotate_genome": 1, "annotate": 1}
    (command,) = [line for line in commands(result.stdout) if "annotate_genome.py" in line]
    assert "--model" not in command and f"--genetic-code 1 --clade {clade} " in command
    assert f"--output-prefix data/annotation/main/shipped-{clade}/my " in command
    assert "--decoder viterbi --window-bp 48000 --overlap-bp 8000 " in command


def test_the_dna_chooses_clade_and_code_where_the_keys_say_auto(workspace):
    (workspace.folder / "my.fa").write_text(">chr\nACGT\n")
    result = workspace.run(*SHIPPED, "clade=auto", "genetic_code=auto")
    assert result.returncode == 0, result.stdout
    (command,) = [line for line in commands(result.stdout) if "annotate_genome.py" in line]
    assert "--genetic-code auto --clade auto " in command and "--model" not in command
    assert "--output-prefix data/annotation/main/shipped-auto/my " in command
    assert not any(flag in command for flag in ("--window-bp", "--overlap-bp", "--decoder"))
    named_code = workspace.run(*SHIPPED, "clade=auto", "genetic_code=4")
    assert any("--genetic-code 4 --clade auto " in line for line in commands(named_code.stdout))
    own = workspace.run(*SHIPPED, "clade=auto", "annotate={model: run}")
    assert own.returncode == 1 and "clade: auto chooses among shipped models" in own.stdout


def test_every_key_of_decoding_reaches_the_script(workspace):
    """The flags of annotate_genome.py are the keys of the section, and the rule gives each that is set."""
    for name, text in (("my.fa", ">chr\nACGT\n"), ("hints.gff", ""), ("given.npz", "")):
        (workspace.folder / name).write_text(text)
    said = {
        "decoder": "expected", "window_bp": 20000, "overlap_bp": 3000, "batch_size": 3, "beam_width": 2,
        "expected_temperature": 1.5, "expected_threshold": 0, "isoforms": 4, "isoform_posterior": 0.25,
        "min_confidence": 0.5, "adaptation": "given.npz", "rnaseq": "hints.gff", "proteins": "hints.gff",
        "hint_weight": "hard", "masked_cost": 0.3,
    }  # fmt: skip
    assert set(said) == set(ANNOTATION_FLAGS) - {"adapt", "adapt_bp"}, "these two are of the rule adapt"
    overlay = workspace.overlay(yaml.safe_dump({"annotate": said}))
    result = workspace.run(*SHIPPED, "clade=fungi", "--configfile", overlay)
    assert result.returncode == 0, result.stdout
    (command,) = [line for line in commands(result.stdout) if "annotate_genome.py" in line]
    flags = [f" --{key.replace('_', '-')} {value} " for key, value in said.items()]
    assert [flag for flag in flags if flag not in command] == []


def test_a_new_genome_is_adapted_to_where_the_user_asks(workspace):
    """Once, whatever the number of jobs that annotate; not where an adaptation is given."""
    (workspace.folder / "my.fa").write_text(">chr\nACGT\n")
    made = "data/annotation/main/shipped-fungi/my.adaptation.npz"
    for parts, annotating in ((1, {"annotate_genome": 1}), (2, {"annotate_part": 2, "join_annotation": 1})):
        overlay = workspace.overlay(f"annotate: {{adapt: true, adapt_bp: 500000, parts: {parts}}}")
        result = workspace.run(*SHIPPED, "clade=fungi", "--configfile", overlay)
        assert result.returncode == 0, result.stdout
        assert jobs(result.stdout) == {"index_genome": 1, "adapt": 1, "annotate": 1} | annotating
        (command,) = [line for line in commands(result.stdout) if "adapt.py" in line]
        assert "--clade fungi " in command and f"--adapt-bp 500000 --output {made} " in command
        using = [line for line in commands(result.stdout) if "annotate_genome.py" in line]
        assert len(using) == parts and all(f" --adaptation {made} " in line for line in using)
    (workspace.folder / "given.npz").write_bytes(b"")
    (workspace.folder / "hints.gff").write_text("")
    overlay = workspace.overlay("annotate: {adapt: true, rnaseq: hints.gff, hint_weight: hard}")
    result = workspace.run(*SHIPPED, "clade=fungi", "--configfile", overlay)
    (command,) = [line for line in commands(result.stdout) if "adapt.py" in line]
    assert " --rnaseq hints.gff --hint-weight hard " in command

    result = workspace.run(*SHIPPED, "clade=fungi", "annotate={adaptation: given.npz}")
    assert "adapt" not in jobs(result.stdout) and " --adaptation given.npz " in result.stdout


def test_an_adaptation_of_a_trained_model_may_begin_with_the_species_of_its_run(workspace):
    (workspace.folder / "my.fa").write_text(">chr\nACGT\n")
    overlay = workspace.overlay("annotate: {model: run, stage: crf, adapt: true}")
    result = workspace.run(
        "annotate", "-n", "-p", "--configfile", "config/examples/demo.yaml", overlay, "--config", "genome=my.fa"
    )
    assert result.returncode == 0, result.stdout
    assert jobs(result.stdout)["count_relatives"] == 1
    (counting,) = [line for line in commands(result.stdout) if "count_relatives.py" in line]
    assert "--manifests data/baked/demo/" in counting and "--output data/model/demo/relatives.npz " in counting
    (adapting,) = [line for line in commands(result.stdout) if "/adapt.py" in line]
    assert " --relatives data/model/demo/relatives.npz " in adapting


def test_a_run_that_is_trained_goes_before_the_shipped_model(workspace):
    (workspace.folder / "my.fa").write_text(">chr\nACGT\n")
    trained = workspace.folder / "data/model/main/grpo/model.safetensors"
    trained.parent.mkdir(parents=True)
    trained.write_bytes(b"")
    result = workspace.run(*SHIPPED, "clade=fungi", "genetic_code=1")
    assert "--output-prefix data/annotation/main/grpo/my " in result.stdout
    asked = workspace.run(*SHIPPED, "clade=fungi", "annotate={model: shipped}")
    assert "--output-prefix data/annotation/main/shipped-fungi/my " in asked.stdout


def test_a_named_clade_gives_the_genetic_code(workspace):
    """The species of the table have codes 1 and 11; the clade of the genome says which it is."""
    (workspace.folder / "my.fa").write_text(">chr\nACGT\n")
    trained = workspace.folder / "data/model/main/grpo/model.safetensors"
    trained.parent.mkdir(parents=True)
    trained.write_bytes(b"")
    result = workspace.run(*SHIPPED, "clade=fungi")
    assert result.returncode == 0, result.stdout
    (command,) = [line for line in commands(result.stdout) if "annotate_genome.py" in line]
    assert "--genetic-code 1 --clade fungi " in command and "annotation/main/grpo/my " in command


def test_the_clade_that_all_training_species_share_finds_its_shipped_model(workspace):
    (workspace.folder / "my.fa").write_text(">chr\nACGT\n")
    result = workspace.run(
        "annotate", "-n", "-p", "--configfile", "config/examples/fungi.yaml", "--config", "genome=my.fa"
    )
    assert result.returncode == 0, result.stdout
    assert "--output-prefix data/annotation/fungi/shipped-fungi/my " in result.stdout


@pytest.mark.parametrize(
    ("clade", "problem"),
    [
        ("clade=oomycete", "no model comes with GeneT5 for 'oomycete'"),
        ("genetic_code=1", "missing, a shipped model needs one"),
    ],
)
def test_a_shipped_model_that_is_not_there_is_named(workspace, own, clade, problem):
    result = workspace.run(*SHIPPED, "clade_folder=own", clade, "annotate={model: shipped}")
    assert result.returncode == 1
    there_are = f"clades with a model: {', '.join(read_clades())}"
    assert result.stdout.splitlines()[-1] == f"error: config key clade: {problem}; {there_are}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- " * 3000 + "a", "nested too deep"),
        ("rules: !!int x", "is not valid YAML"),
        ("description: \0", "is not valid YAML"),
        ("genes_per_mb: [.inf, .nan]", "oomycete.yaml"),
    ],
)
def test_a_damaged_clade_is_one_line_of_the_workflow(workspace, text, said):
    (workspace.folder / "damaged").mkdir(exist_ok=True)
    (workspace.folder / "damaged/oomycete.yaml").write_text(text)
    result = workspace.run("all", "-n", "--config", "clade_folder=damaged")
    assert result.returncode == 1 and "Traceback" not in result.stdout
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("error: ")]
    assert "oomycete.yaml" in line and said in line


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"species\tclade\n" + b"x" * 200_000 + b"\tfungi\n"])
def test_a_damaged_species_table_is_one_line_of_the_workflow(workspace, content):
    (workspace.folder / "damaged.tsv").write_bytes(content)
    result = workspace.run("all", "-n", "--config", "species_sheet=damaged.tsv")
    assert result.returncode == 1 and "Traceback" not in result.stdout
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: damaged.tsv")
