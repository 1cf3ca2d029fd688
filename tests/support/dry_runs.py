"""What a dry run of Snakemake prints, as data."""

from __future__ import annotations

import re


def jobs(output: str) -> dict[str, int]:
    """Number of jobs per rule, from the table that a dry run prints."""
    table = output.split("Job stats:")[1].split("total")[0]
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)}


def commands(output: str) -> list[str]:
    """Shell commands of a dry run with -p, one line each, their scripts named from the repository."""
    lines = (re.sub(r'"\$GENET5_SCRIPTS/(.+?)"', r"scripts/\1", " ".join(line.split())) for line in output.splitlines())
    return [line for line in lines if re.match(r"(python|bash) scripts/", line)]


def arrows(output: str) -> set[tuple[str, str]]:
    """(earlier rule, later rule) of the graph that ``--rulegraph`` prints."""
    names = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)"', output, flags=re.MULTILINE))
    return {(names[tail], names[head]) for tail, head in re.findall(r"(\d+) -> (\d+)", output)}
