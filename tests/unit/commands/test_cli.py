"""The command ``genet5``: it lists every script, runs it as it is, and starts without the large libraries."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from genet5 import __version__, cli


def scripts() -> dict[str, Path]:
    return cli.commands() | cli.study_commands()


def test_every_script_is_a_command_of_that_name(repository):
    found = {path for path in (repository / "scripts").rglob("*.py") if "genet5" not in path.parts}
    assert set(scripts().values()) == found
    assert cli.commands()["bake-shards"] == repository / "scripts/bake_shards.py"
    assert cli.study_commands()["dna-llm-pretrain"].parent == repository / "scripts/studies/dna_llm"
    assert not set(cli.commands()) & set(cli.study_commands())


@pytest.mark.parametrize("name", scripts())
def test_every_script_can_be_run_by_hand_and_by_the_command(name):
    text = scripts()[name].read_text()
    assert not text.startswith("#!"), "no script has the x bit, so none has a shebang line"
    tree = ast.parse(text)
    (main,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    assert ast.unparse(main.args) == "argv: list[str] | None=None"
    assert ast.unparse(tree.body[-1]) == "if __name__ == '__main__':\n    run_command(main)"
    assert len(cli.first_line(scripts()[name])) > 20


def test_the_list_of_commands_needs_no_library():
    code = "import json, sys; from genet5 import cli; cli.main(['--help']); print(json.dumps(sorted(sys.modules)))"
    clean = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {str(Path(cli.__file__).parents[1])!r}); {code}",
    ]
    *listed, modules = subprocess.run(clean, capture_output=True, text=True, check=True).stdout.splitlines()
    tops = {name.partition(".")[0] for name in json.loads(modules)}
    assert tops - set(sys.stdlib_module_names) <= {"__main__", "genet5"}
    for name, path in scripts().items():
        assert any(line.startswith(f"  {name} ") and line.endswith(cli.first_line(path)) for line in listed)
    assert listed.index("commands:") < listed.index("studies:")


@pytest.mark.parametrize("name", ["annotate", "train-crf", "train-sft", "train-grpo", "init-model", "resize-model"])
def test_help_of_a_command_imports_no_library_that_computes(name):
    code = (
        "import sys; from genet5 import cli\n"
        f"try: cli.main([{name!r}, '--help'])\n"
        "except SystemExit: print(*sys.modules)"
    )
    folder = Path(cli.__file__).parents[1]
    shown = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert shown.startswith(f"usage: genet5 {name} ")
    loaded = set(shown.splitlines()[-1].split())
    assert "argparse" in loaded
    assert not loaded & {"torch", "transformers", "lightning", "numba", "pandas", "scipy", "gffutils", "pyfaidx"}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    folder = Path(cli.__file__).parents[1]
    return subprocess.run([sys.executable, "-m", "genet5", *words], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("scor", "did you mean 'score'?"),
        ("bake-shard", "did you mean 'bake-shards'?"),
        ("xyzzy", "genet5 --help lists all"),
    ],
)
def test_an_unknown_command_is_one_line(word, advice):
    result = run(word)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"error: genet5: unknown command '{word}'; {advice}\n"


def test_a_command_does_what_its_script_does(tmp_path):
    (tmp_path / "my.fa").write_text(">chr some words\nACGT\nACGTN\n")
    for name in ("index-genome", "index_genome"):
        result = run(name, "--archive", str(tmp_path / "my.fa"), "--output", str(tmp_path / name))
        assert result.returncode == 0, result.stderr
        assert "1 sequences, 9 bp" in result.stderr
        assert (tmp_path / f"{name}.fai").read_text() == "chr\t9\t16\t9\t10\n"


def test_errors_and_help_of_a_command_are_its_scripts(capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        cli.main(["index-genome", "--archive", str(tmp_path / "none.fa"), "--output", str(tmp_path / "out")])
    assert str(ended.value).startswith("error: ") and "none.fa" in str(ended.value)
    with pytest.raises(SystemExit) as ended:
        cli.main(["index-genome", "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0 and shown.startswith("usage: genet5 index-genome [-h] --archive ARCHIVE")


def test_the_version_and_help_without_a_command(capsys):
    cli.main(["--version"])
    assert capsys.readouterr().out == f"genet5 {__version__}\n"
    cli.main([])
    assert capsys.readouterr().out == cli.help_text()


def test_help_has_two_blanks_behind_the_longest_name():
    text = cli.help_text()
    longest = max((*cli.commands(), *cli.study_commands()), key=len)
    (line,) = [line for line in text.splitlines() if line.split()[:1] == [longest]]
    described = line.index(cli.first_line((cli.commands() | cli.study_commands())[longest]))
    assert described == len(f"  {longest}  ")
    for name, path in cli.commands().items():
        assert f"\n  {name:<{described - 2}}{cli.first_line(path)}\n" in text
