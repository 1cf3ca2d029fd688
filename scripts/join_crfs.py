"""Join CRFs that were trained by themselves (other seeds, longer, ...) to one, which averages their potentials.

What is peculiar to one training cancels. Annotating takes as many times as long.
"""

from __future__ import annotations

from pathlib import Path

from genet5.command_line import argument_parser
from genet5.errors import run_command


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="folders of trained CRFs")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args(argv)

    # Here, so that --help and a wrong flag do not wait for torch.
    from genet5.crf.folder import load_crf, save_crf
    from genet5.crf.model import join_crfs

    joined = join_crfs([load_crf(folder) for folder in arguments.models], arguments.models)
    save_crf(joined, arguments.output_dir)
    print(f"{arguments.output_dir}: {joined.config.num_networks} networks", flush=True)


if __name__ == "__main__":
    run_command(main)
