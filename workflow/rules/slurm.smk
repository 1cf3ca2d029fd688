"""Slurm: the commands sbatch and sacct of scripts/slurm come first, so that a run outlives an outage of slurmctld.

Snakemake's plugin for Slurm calls both by name. Elsewhere they are not called.
"""

import os

os.environ.update(PATH=os.pathsep.join([str(SCRIPTS / "slurm"), *os.get_exec_path()]))
