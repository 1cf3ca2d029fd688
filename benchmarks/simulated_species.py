"""Simulate a genome of every species of AUGUSTUS, read it back as training does, and time it.

python benchmarks/simulated_species.py --bases 600000 --jitter 0.0
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from genet5.errors import InputError
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome, decompress_genome
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.simulate import simulate_genome, write_simulated
from genet5.genome.simulation_options import SimulateOptions
from genet5.sources.augustus_parameters import config_folder, read_parameters, species_names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--augustus-config", default="", help="AUGUSTUS's folder config")
    parser.add_argument("--bases", type=int, default=600_000, help="bases of each genome")
    parser.add_argument("--jitter", type=float, default=0.0, help="as the option of that name")
    arguments = parser.parse_args()
    config = config_folder(arguments.augustus_config)
    options = SimulateOptions(jitter=arguments.jitter)
    totals: Counter[str] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in species_names(config):
            totals["folders"] += 1
            try:
                parameters = read_parameters(config, name)
            except InputError as error:
                print(f"{name}\tnot read: {error}")
                continue
            start = time.process_time()
            simulated = simulate_genome(parameters, arguments.bases, name, options)
            seconds = time.process_time() - start
            write_simulated(simulated, folder / "fna.gz", folder / "gff.gz")
            decompress_genome(folder / "fna.gz", folder / "fna")
            with Genome(folder / "fna") as genome:
                code = GeneticCode.from_table(parameters.genetic_code)
                found = read_annotation(folder / "gff.gz", genome, code).genes
            written = [(gene.id, gene.strand, gene.canonical.cds) for gene in simulated.genes]
            totals["same"] += written == [(gene.id, gene.strand, gene.canonical.cds) for gene in found]
            totals["flagged"] += sum(bool(gene.flags) for gene in found)
            totals.update(species=1, genes=len(found), bases=arguments.bases)
            if totals["species"] > 1:  # the first one waits for the compiler
                slowest = max(slowest, seconds)
                totals["milliseconds"] += round(1000 * seconds)
            introns = sum(len(gene.canonical.introns) for gene in found) / len(found)
            print(f"{name}\t{len(found)} genes, {introns:.1f} introns per gene, {seconds:.2f} CPU s", flush=True)
    speed = (totals["bases"] - arguments.bases) / max(totals["milliseconds"], 1)
    print(
        f"{totals['species']} of {totals['folders']} folders, {totals['genes']} genes, {totals['flagged']} flagged, "
        f"{totals['same']} annotations read back as written, {speed:.0f} kb per CPU second, the slowest genome "
        f"{slowest:.2f} CPU s"
    )


if __name__ == "__main__":
    main()
