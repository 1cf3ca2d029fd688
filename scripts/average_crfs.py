"""Average the weights of CRFs of which one was trained further from another: one network that knows what both know.

A CRF that learns new species forgets some of the old ones. Between its weights and those it started from lie networks
that are good at both (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). Annotating takes no longer.

A CRF that was trained on expected F1 is too sure of what it finds. ``--temperature`` above 1 makes it less sure: its
genes stay, and tables of relatives and hints weigh more. ``--gene-cost`` is what a gene has to earn more than before,
for genomes whose genes lie farther apart than in the training.
"""

from __future__ import annotations

from pathlib import Path

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="folders of trained CRFs")
    parser.add_argument(
        "--shares", type=float, nargs="+", help="part of each in the average, in the same order (default: equal)"
    )
    parser.add_argument("--temperature", type=float, default=1.0, help="divide all potentials by this (%(default)s)")
    parser.add_argument("--gene-cost", type=float, default=0.0, help="nats that a gene has to earn more (%(default)s)")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args(argv)
    shares = arguments.shares or [1 / len(arguments.models)] * len(arguments.models)
    if len(shares) != len(arguments.models):
        raise InputError(f"--shares: {len(shares)} numbers for {len(arguments.models)} models")
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise InputError(f"--shares: {' '.join(f'{share:g}' for share in shares)}, expected parts that add up to 1")
    if not 0 < arguments.temperature < float("inf"):
        raise InputError(f"--temperature: {arguments.temperature:g}, must be above 0")

    if not abs(arguments.gene_cost) < float("inf"):
        raise InputError(f"--gene-cost: {arguments.gene_cost:g}, must be a number of nats")

    # Here, so that --help and a wrong flag do not wait for torch.
    from genet5.crf.folder import load_crf, save_crf
    from genet5.crf.model import average_crfs, divide_potentials

    averaged = average_crfs([load_crf(folder) for folder in arguments.models], shares, arguments.models)
    divide_potentials(averaged, arguments.temperature)
    for network in averaged.networks:
        network.gene_penalty.data += arguments.gene_cost
    save_crf(averaged, arguments.output_dir)
    print(f"{arguments.output_dir}: the average of {len(shares)} CRFs", flush=True)


if __name__ == "__main__":
    run_command(main)
