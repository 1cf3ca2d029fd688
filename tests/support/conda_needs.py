"""What the rules need of their conda environments: packages that their scripts import, and programs that these start.

Everything is read from the source, nothing is run. A script is followed through the library and through scripts beside
it, with the imports inside functions; what is only named for type checkers does not count.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import yaml
from imported import package_names
from packaging.requirements import Requirement

#: Program that a script starts -> packages of conda that bring it (BUSCO's searches are HMMER's). The AWS CLI is the
#: user's, like its credentials: it is asked for by addresses s3://... alone, and where it lacks a message says so.
#: spaln is taken only where miniprot is not there.
PROGRAMS = {"busco": {"busco", "hmmer"}, "aws": set(), "miniprot": {"miniprot"}, "spaln": set()}
#: What processes that launch.sh starts together need. One process alone needs what its script needs.
LAUNCHED = "torch"


class Need(NamedTuple):
    """A script of a rule, and the environment that the rule names ('' for none).

    ``together``: whether the rule lets launch.sh start several processes.
    """

    rule: str
    script: str
    environment: str
    together: bool


def rule_scripts(repository: Path) -> list[Need]:
    """All scripts that the rules of the workflow name."""
    found = []
    for path in sorted((repository / "workflow/rules").glob("*.smk")):
        for text in re.split(r"^(?:rule|checkpoint) ", path.read_text(), flags=re.MULTILINE)[1:]:
            named = re.search(r'^ +conda:\s+"(.+?)"', text, flags=re.MULTILINE)
            environment = str((path.parent / named[1]).resolve().relative_to(repository.resolve())) if named else ""
            scripts = re.findall(r"GENET5_SCRIPTS/([\w/]+\.(?:py|sh))", text)
            found += [Need(text.partition(":")[0], script, environment, "--nodes" in text) for script in scripts]
    return found


def missing(repository: Path) -> list[str]:
    """A line for each package or program that an environment lacks, and for each rule without an environment."""
    modules = library_modules(repository / "scripts")
    listed = {path.name: _listed(path) for path in (repository / "envs").glob("*.yaml")}
    lines = []
    for need in rule_scripts(repository):
        if not need.environment:
            lines.append(f"rule {need.rule}: runs {need.script}, but names no conda environment")
            continue
        pip, conda = listed[Path(need.environment).name]
        if need.script.endswith(".sh"):
            wanted, programs = ({LAUNCHED} if need.together else set()), set()
        else:
            wanted, programs = needs(repository / "scripts" / need.script, modules)
        brought = {package for program in programs for package in PROGRAMS.get(program, {program})}
        lines += [f"{need.environment}: {package} (pip), for {need.script}" for package in sorted(wanted - pip)]
        lines += [f"{need.environment}: {package} (conda), for {need.script}" for package in sorted(brought - conda)]
    return list(dict.fromkeys(lines))


def needs(script: Path, modules: Mapping[str, Path]) -> tuple[set[str], set[str]]:
    """Packages that a script and all that it imports name, and programs that they look for with ``shutil.which``."""
    todo, seen, packages, programs = [script], {script}, set(), set()
    while todo:
        path = todo.pop()
        names, started = _read(path.read_text())
        places = {name: set(_places(name, path, modules)) for name in names}
        packages |= package_names(name for name in names if not places[name])
        programs |= started
        new = set().union(*places.values())
        todo += sorted(new - seen)
        seen |= new
    return packages, programs


@functools.cache
def _read(source: str) -> tuple[frozenset[str], frozenset[str]]:
    """Names that a file imports, and programs that it looks for; the files are read for many scripts."""
    tree = ast.parse(source)
    return frozenset(_imported(tree.body)), frozenset(_programs(tree))


def library_modules(scripts: Path) -> dict[str, Path]:
    """Dotted name -> file, of the library. Not genet5 itself: it hands out models to users, and no script asks it."""
    found = {}
    for path in (scripts / "genet5").rglob("*.py"):
        parts = path.relative_to(scripts).with_suffix("").parts
        if parts == ("genet5", "__init__"):
            continue
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _listed(path: Path) -> tuple[set[str], set[str]]:
    """Names of an environment's packages: of pip, and of conda."""
    entries = yaml.safe_load(path.read_text())["dependencies"]
    pip = {Requirement(text).name for entry in entries if isinstance(entry, dict) for text in entry["pip"]}
    return pip, {re.split(r"[ =<>]", entry)[0] for entry in entries if isinstance(entry, str)}


def _imported(nodes: list[ast.stmt]) -> Iterator[str]:
    """Full names that statements import, those in functions too."""
    for node in nodes:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imported(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            if node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)
        yield from _imported(list(ast.iter_child_nodes(node)))


def _places(name: str, path: Path, modules: Mapping[str, Path]) -> Iterator[Path]:
    """Files of ours that run when ``genet5.room.module.thing``, or a script beside ``path``, is imported."""
    parts = name.split(".")
    for number in range(1, len(parts) + 1):
        found = modules.get(".".join(parts[:number]))
        if found:
            yield found
    beside = path.parent / f"{parts[0]}.py"
    if parts[0] != "genet5" and beside.is_file():
        yield beside


def _called(call: ast.Call) -> str:
    """``which`` of ``shutil.which(...)``."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def _programs(tree: ast.Module) -> Iterator[str]:
    """Programs looked for with ``shutil.which``, by their name or by a constant of the module."""
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) == "which" and node.args:
            first = node.args[0]
            name = first.value if isinstance(first, ast.Constant) else constants.get(ast.unparse(first))
            if name is None:
                raise ValueError(f"line {node.lineno}: which({ast.unparse(first)}) names no program that can be read")
            yield name
