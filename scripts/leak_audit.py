"""Search the training DNA for held-out genes and windows, on both strands, and report what the splits share.

Give --species, --genomes and --annotations the same number of values, in the same order.
"""

from __future__ import annotations

import sys

from genet5.clades import read_clades
from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.files import write_json
from genet5.genome.leak_audit import audited_species, check_report, leak_audit, report_table
from genet5.species_table import read_species_table, select_species


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--sheet", required=True, help="species table (TSV): genetic codes, splits and regions")
    parser.add_argument("--data-root", default=".", help="what {data_root} in the table stands for (default: .)")
    parser.add_argument("--clade-folder", default="", help="folder of your own clade files (default: none)")
    parser.add_argument("--species", required=True, nargs="+", help="species of the table to audit together")
    parser.add_argument("--genomes", required=True, nargs="+", help="their unpacked FASTA files")
    parser.add_argument("--annotations", required=True, nargs="+", help="their annotations")
    parser.add_argument("--output", required=True, help="report to write (JSON)")
    parser.add_argument("--k", type=int, default=24, help="length of the words compared")
    parser.add_argument("--sampling", type=int, default=4, help="compare one word in this many, 1 = all")
    parser.add_argument("--window-bp", type=int, default=5000, help="length of the windows compared")
    parser.add_argument(
        "--max-share",
        type=float,
        default=None,
        help="fail when more than this share of held-out genes (0 to 1) has half its DNA in another split "
        "(default: only report)",
    )
    arguments = parser.parse_args(argv)
    lists = (arguments.species, arguments.genomes, arguments.annotations)
    if len({len(values) for values in lists}) != 1:
        counts = ", ".join(str(len(values)) for values in lists)
        raise InputError(f"--species, --genomes and --annotations have {counts} values, expected equally many")
    table = read_species_table(arguments.sheet, arguments.data_root, read_clades(arguments.clade_folder))
    select_species(arguments.species, table, arguments.sheet)
    species = [
        audited_species(
            name,
            genome,
            annotation,
            genetic_code=table[name].genetic_code,
            split=table[name].split,
            validation_regions=table[name].validation_regions,
            test_regions=table[name].test_regions,
            excluded_regions=table[name].excluded_regions,
        )
        for name, genome, annotation in zip(*lists, strict=True)
    ]
    report = leak_audit(species, k=arguments.k, sampling=arguments.sampling, window_bp=arguments.window_bp)
    print(report_table(report), end="", file=sys.stderr)
    write_json(arguments.output, report)
    if arguments.max_share is not None:
        check_report(report, arguments.max_share)


if __name__ == "__main__":
    run_command(main)
