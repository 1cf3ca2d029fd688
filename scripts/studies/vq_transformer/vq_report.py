"""Write the report of VQ-Transformer: table, pictures and page from results on disk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.arrays import read_arrays
from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.files import atomic_write, read_json
from genet5.studies.vq_transformer import figures
from genet5.studies.vq_transformer.page import COLUMNS, build_page


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--run", required=True, help="name of the run")
    parser.add_argument("--study", type=Path, required=True, help="folder with limits.json, points/ and round_trip/")
    parser.add_argument("--points", nargs="+", required=True, help="names of folders in points/, in table order")
    parser.add_argument("--main", required=True, help="the point that is shown in detail")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of index.html, pictures and results.tsv")
    arguments = parser.parse_args(argv)
    if arguments.main not in arguments.points:
        raise InputError(f"--main: found {arguments.main}, allowed: {', '.join(arguments.points)}")
    study, output = arguments.study, arguments.output_dir
    results = [read_json(study / "points" / point / "result.json") for point in arguments.points]
    histories = {point: read_json(study / "points" / point / "history.json") for point in arguments.points}
    limits = read_json(study / "limits.json")
    round_trip = read_json(study / "round_trip" / arguments.main / "round_trip.json")
    pictures = {name: output / f"{name}.png" for name in ("rate_distortion", "lossless", "codes", "training")}
    figures.rate_distortion_figure(results, limits, pictures["rate_distortion"])
    figures.lossless_figure(results, limits, pictures["lossless"])
    figures.training_figure(histories, pictures["training"])
    picture = read_arrays(study / "points" / arguments.main / "picture.npz", "no picture of codes", "evaluate again")
    figures.codes_figure(picture, arguments.main, pictures["codes"])
    with atomic_write(output / "results.tsv") as stream:
        stream.write(results_tsv(results))
    page = build_page(arguments.run, arguments.main, results, histories, limits, round_trip, pictures)
    with atomic_write(output / "index.html") as stream:
        stream.write(page)
    print(f"{output / 'index.html'}: {len(results)} points, {len(page.encode()) / 1e6:.2f} MB")


def results_tsv(results: list[dict[str, Any]]) -> str:
    """One row for each point."""
    columns = [key for key, _ in COLUMNS if key != "bound"] + ["table_accuracy"]
    rows = [columns, *([row[key] for key in columns] for row in results)]
    cells = (["" if c is None else f"{c:.6g}" if isinstance(c, float) else str(c) for c in row] for row in rows)
    return "".join("\t".join(row) + "\n" for row in cells)


if __name__ == "__main__":
    run_command(main)
