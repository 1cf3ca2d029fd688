"""Reads and checks the configuration and the species table, and sets wildcard constraints.

A mistake of the user ends the run with one line, as in the scripts.
"""

import json
import os
import re
import sys
from pathlib import Path

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

from genet5.configuration import STUDIES, annotation_window, check_config, check_window, completed, new_genome_name
from genet5.errors import InputError
from genet5.files import resource
from genet5.species_table import (
    read_species_table,
    require_evaluation,
    require_training,
    select_species,
    shared_by_training,
)

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


# Of a module, the configuration is what the workflow that uses it hands over, so the defaults are not read yet.
config = or_exit(completed, config)
or_exit(check_config, config)
RUN = config["run"]
SHEET = config["species_sheet"]
SPECIES = or_exit(read_species_table, SHEET, config["data_root"])
STAGES = config["stages"]
BEST_STAGE = config["annotate"]["stage"] or STAGES[-1]
# Per clade the folder of a model that comes with the workflow, and how it annotates best.
MODELS = resource("models")
if MODELS.is_relative_to(Path.cwd()):
    MODELS = MODELS.relative_to(Path.cwd())
SHIPPED_MODELS = {path.parent.name: json.loads(path.read_text()) for path in MODELS.glob("*/use.json")}
NEW_GENOME = or_exit(new_genome_name, config["genome"]) if config["genome"] else None
if NEW_GENOME in SPECIES:
    sys.exit(f"error: config key genome: '{NEW_GENOME}' is the name of a species in {SHEET}; rename the file")


def new_genome_trait(key):
    """genetic_code or clade of the new genome: the config key, or what all training species share."""
    return config[key] or or_exit(shared_by_training, SPECIES, key, key)


def new_genome_stage():
    """The stage whose model annotates the new genome; shipped-{clade} is a model that comes with the workflow."""
    trained = Path(f"data/model/{RUN}/{BEST_STAGE}/model.safetensors").is_file()
    wanted = config["annotate"]["model"]
    if wanted == "run" or (wanted == "auto" and (trained or not config["clade"])):
        return BEST_STAGE
    has_one = config["clade"] in SHIPPED_MODELS
    if wanted == "shipped" and not has_one:
        asked = (
            f"'{config['clade']}' has no shipped model" if config["clade"] else "missing, a shipped model is asked for"
        )
        sys.exit(f"error: config key clade: {asked} (there are: {', '.join(sorted(SHIPPED_MODELS)) or 'none'})")
    return f"shipped-{config['clade']}" if has_one else BEST_STAGE


CLADES = {name: row.clade for name, row in SPECIES.items()}
GENETIC_CODES = {name: row.genetic_code for name, row in SPECIES.items()}
NEW_GENOME_STAGE = new_genome_stage() if NEW_GENOME else None
if NEW_GENOME and NEW_GENOME_STAGE.startswith("shipped-"):
    CLADES[NEW_GENOME] = config["clade"]
    GENETIC_CODES[NEW_GENOME] = config["genetic_code"] or SHIPPED_MODELS[config["clade"]]["genetic_code"]
elif NEW_GENOME:
    CLADES[NEW_GENOME] = new_genome_trait("clade")
    GENETIC_CODES[NEW_GENOME] = new_genome_trait("genetic_code")
for clade in sorted(set(CLADES.values())):
    or_exit(check_window, config, clade)


wildcard_constraints:
    run=re.escape(RUN),
    species="|".join(re.escape(name) for name in CLADES),
    stage="crf|sft|grpo|shipped-[a-z]+",
    kind="fna|gff",
