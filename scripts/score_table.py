"""Print the score tables of a run: one per species, its stages beside each other."""

from __future__ import annotations

from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.evaluate.tables import beside_each_other, score_text
from genet5.files import read_json


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--scores", required=True, nargs="+", help="score files (JSON) of score.py")
    for document in beside_each_other(map(read_json, parser.parse_args(argv).scores)):
        print(score_text(document), end="")
        if document.get("teacher"):
            print(f"{document['teacher']} made the labels of this genome: it is the teacher, not a competitor")
        print()


if __name__ == "__main__":
    run_command(main)
