"""Reads and checks the configuration and the species table, and sets wildcard constraints.

A mistake of the user ends the run with one line, as in the scripts.
"""

import json
import os
import re
import sys
from pathlib import Path

import yaml

# Snakemake may run in any folder, and another workflow may use this one as a module. Scripts and library are found beside
# this workflow; if it comes from the network, in the installed package.
SCRIPTS = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1] / "scripts"
if SCRIPTS.is_dir():
    sys.path.insert(0, str(SCRIPTS))
else:
    try:
        from genet5.cli import scripts_folder
    except ImportError:
        sys.exit("error: the rules need the package genet5: pip install it, or name the Snakefile of a clone")
    SCRIPTS = scripts_folder()

from genet5.annotate.options import AnnotateOptions
from genet5.clades import read_clades
from genet5.configuration import AUTO, new_genome_name
from genet5.crf.options import SCRATCH
from genet5.errors import InputError, system_error
from genet5.files import file_sha256
from genet5.options import flags, plain, read_options
from genet5.settings.checks import (
    annotation_of,
    check_config,
    check_processes,
    check_windows,
    clade_folder,
    stage_decoder,
    windows_of,
)
from genet5.settings.sections import STUDIES, with_defaults
from genet5.sources.hidden import hidden
from genet5.sources.published import published_files, published_instead
from genet5.species_table import (
    LINEAGE_NAME,
    read_species_table,
    require_evaluation,
    require_training,
    select_species,
    shared_by_training,
)
from genet5.tokens.options import local_base

# `python` in the rules is the one that runs Snakemake, whether or not its environment was activated. A variable tells
# the rules where their scripts are: with a path in their text, all results would be out of date when the checkout moves.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]),
    GENET5_SCRIPTS=str(SCRIPTS),
)


def or_exit(function, *arguments):
    """Result of ``function``; a mistake of the user becomes one line and exit status 1."""
    try:
        return function(*arguments)
    except InputError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {system_error(error)}")


# Of a module, the configuration is what the workflow that uses it hands over: its own dictionary is left as it is.
config = or_exit(with_defaults, config)
KNOWN_CLADES = or_exit(read_clades, or_exit(clade_folder, config))
WITH_MODEL = [name for name, known in KNOWN_CLADES.items() if known.model]
or_exit(check_config, config, KNOWN_CLADES)
# Variables, too: the rules of the clades make results out of date, but not the name of their folder, nor the device.
os.environ.update(GENET5_CLADE_FOLDER=config["clade_folder"], GENET5_DEVICE=config["device"])
if config["simulate"]["augustus_config"]:
    os.environ.update(AUGUSTUS_CONFIG_PATH=config["simulate"]["augustus_config"])
RUN = config["run"]
SHEET = config["species_sheet"]
SPECIES = or_exit(read_species_table, SHEET, config["data_root"], KNOWN_CLADES)
PUBLISHED = or_exit(published_files)
STAGES = config["stages"]
STAGE_PATTERN = "crf|grpo_crf|sft|grpo|shipped-[a-z0-9_]+"
# The CRF that the writer is built around.
DECIDING_CRF = "grpo_crf" if "grpo_crf" in STAGES else "crf"
BEST_STAGE = config["annotate"]["stage"] or STAGES[-1]
NEW_GENOME = or_exit(new_genome_name, config["genome"]) if config["genome"] else None
if NEW_GENOME in SPECIES:
    sys.exit(f"error: config key genome: '{NEW_GENOME}' is the name of a species in {SHEET}; rename the file")


def training_clade():
    """The clade that all training species share, or none."""
    found = {row.clade for row in SPECIES.values() if row.split == "train"}
    return found.pop() if len(found) == 1 else ""


def new_genome_stage(clade):
    """The stage whose model annotates the new genome; shipped-{clade} is the model that comes with GeneT5."""
    trained = Path(f"data/model/{RUN}/{BEST_STAGE}/model.safetensors").is_file()
    wanted = config["annotate"]["model"]
    if clade == AUTO:
        if wanted == "run":
            sys.exit(
                "error: config key clade: auto chooses among shipped models; name the clade for annotate.model run"
            )
        if not WITH_MODEL:
            sys.exit("error: config key clade: auto has no model to choose from; no clade comes with one")
        return f"shipped-{AUTO}"
    if wanted == "run" or (wanted == "auto" and trained):
        return BEST_STAGE
    if clade in WITH_MODEL:
        return f"shipped-{clade}"
    asked = f"no model comes with GeneT5 for '{clade}'" if clade else "missing, a shipped model needs one"
    choices = f"clades with a model: {', '.join(WITH_MODEL) or 'none'}"
    if wanted == "shipped":
        sys.exit(f"error: config key clade: {asked}; {choices}")
    # Training takes days, so it starts only where it is asked for.
    training = sum(row.split == "train" for row in SPECIES.values())
    sys.exit(
        f"error: config key clade: {asked}, and data/model/{RUN}/{BEST_STAGE} is not trained; {choices}; to train on "
        f"the {training} training species of {SHEET} first, add 'annotate={{model: run}}'"
    )


def new_genome_code(clade):
    """The genetic code of the new genome: the config key, the named clade's, or that of the training species.

    auto where the DNA is to say it: also of a clade that is not known yet.
    """
    if clade == AUTO:
        return config["genetic_code"] or AUTO
    if config["genetic_code"] or not (config["clade"] or NEW_GENOME_STAGE.startswith("shipped-")):
        return config["genetic_code"] or or_exit(shared_by_training, SPECIES, "genetic_code", "genetic_code")
    return KNOWN_CLADES[clade].genetic_code


CLADES = {name: row.clade for name, row in SPECIES.items()}
GENETIC_CODES = {name: row.genetic_code for name, row in SPECIES.items()}
NEW_GENOME_STAGE = None
if NEW_GENOME:
    NEW_GENOME_STAGE = new_genome_stage(config["clade"] or training_clade())
    CLADES[NEW_GENOME] = config["clade"] or or_exit(shared_by_training, SPECIES, "clade", "clade")
    GENETIC_CODES[NEW_GENOME] = new_genome_code(CLADES[NEW_GENOME])
for clade in sorted({row.clade for row in SPECIES.values()}):
    or_exit(check_windows, config, KNOWN_CLADES, clade)


wildcard_constraints:
    run=re.escape(RUN),
    species="|".join(re.escape(name) for name in CLADES),
    stage=STAGE_PATTERN,
    kind="fna|gff",
    lineage=LINEAGE_NAME.pattern,
