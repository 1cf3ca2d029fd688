"""The sections of the configuration: each has a dataclass of options, from which its defaults and its schema come."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from genet5.annotate.options import AnnotateOptions
from genet5.bake.options import BakeOptions
from genet5.configuration import AUTO, LONGEST_YAML_BYTES, load_schema, merged, read_yaml
from genet5.crf.options import CrfOptions
from genet5.device import DEVICE_HELP, DEVICES
from genet5.evaluate.options import BuscoOptions, ScoreOptions
from genet5.files import check_depth, here_or_shipped, shipped
from genet5.genome.simulation_options import SimulateOptions
from genet5.grpo.options import CrfGrpoOptions, GrpoOptions, GrpoPromptOptions
from genet5.options import option, plain
from genet5.settings.schema import section_schema
from genet5.sources.options import DownloadOptions
from genet5.species_table import GENETIC_CODES
from genet5.tokens.options import TokenizerOptions
from genet5.writer.options import SftOptions, WriterOptions

CRF_STAGES = ("crf", "grpo_crf")
STAGES = (*CRF_STAGES, "sft", "grpo")
# Sections with defaults in config/studies/defaults.yaml and schemas in workflow/schemas/studies.
STUDIES = ("dna_llm", "vq_transformer", "cpivae")
STUDY_DEFAULTS = shipped("config") / "studies/defaults.yaml"
# Keys that name a file which the repository may have.
_NAMED_FILES = (("species_sheet",), ("tokenizer", "structure_tokens"))


@dataclass(frozen=True)
class GeneralOptions:
    """The run, its genomes and its stages: keys that are in no section."""

    run: str = option(
        "main",
        "name of the run; its files are in data/*/{run}/",
        pattern="^[a-z0-9][a-z0-9._-]*$",
        described="lower-case letters, digits and . _ -",
    )
    species_sheet: str = option(
        "config/species.tsv", "the species table; config/README.md describes its columns", nonempty=True
    )
    data_root: str = option(
        "data/sources",
        "folder of genomes on this machine; it replaces {data_root} in the species table",
        nonempty=True,
    )
    species: str | tuple[str, ...] = option(
        "all", "the species that the target bake_species bakes: a name, a comma list, a list, or all"
    )
    stages: tuple[str, ...] = option(
        ("crf", "sft", "grpo"),
        "the stages whose models annotate the test genomes and are scored; a stage that another one needs is trained, "
        "too",
        choices=STAGES,
        nonempty=True,
        unique=True,
    )
    device: str = option(
        "gpu",
        f"the device of training, of the writer and of the studies; {DEVICE_HELP}. A CRF that annotates needs no GPU",
        choices=DEVICES,
    )
    genome: str = option("", "a FASTA file (plain or gzip) that the target annotate annotates; empty: the test genomes")
    genetic_code: int | str = option(
        0,
        "NCBI translation table of this genome; 0: that of the clade's model, or of the training species if they "
        "agree; auto: what stop codons of the DNA say, where that is clear, else 0",
        choices=(0, AUTO, *GENETIC_CODES),
    )
    clade: str = option(
        "",
        "clade of this genome; empty: that of the training species if they agree; auto: the one whose shipped model "
        "finds genes that make the DNA most predictable",
        of_clades=True,
    )
    clade_folder: str = option("", "folder of your own clade files, beside the clades that GeneT5 ships; empty: none")


class Section(NamedTuple):
    """Options, the scripts that have them as flags, and those that only the workflow has."""

    options: type
    scripts: tuple[str, ...]
    without_flag: tuple[str, ...] = ()


SECTIONS = {
    "download": Section(DownloadOptions, ("download.py",), ("github",)),
    "simulate": Section(SimulateOptions, ("simulate.py",)),
    "bake": Section(BakeOptions, ("bake_shards.py", "merge_validation.py"), ("windows",)),
    "crf": Section(CrfOptions, ("train_crf.py",)),
    "tokenizer": Section(TokenizerOptions, ("expand_tokenizer.py",)),
    "writer": Section(WriterOptions, ("init_model.py",)),
    "sft": Section(SftOptions, ("train_sft.py",)),
    "grpo_prompts": Section(GrpoPromptOptions, ("grpo_prompts.py",)),
    "grpo": Section(GrpoOptions, ("train_grpo.py",)),
    "grpo_crf": Section(CrfGrpoOptions, ("train_grpo_crf.py",)),
    "annotate": Section(
        AnnotateOptions, ("annotate_genome.py", "adapt.py", "calibrate.py"), ("model", "stage", "parts")
    ),
    "score": Section(ScoreOptions, ("score.py",)),
    "busco": Section(BuscoOptions, ("fetch_lineage.py",), ("genome",)),
}


def defaults() -> dict[str, Any]:
    """The default of every key but the studies'."""
    return plain(GeneralOptions()) | {name: plain(section.options()) for name, section in SECTIONS.items()}


def with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration that names what differs, laid over the defaults of all keys, the studies' too; not checked.

    Files that it names are looked for in the working folder, then in the repository.
    """
    check_depth(config, "the configuration", most_values=LONGEST_YAML_BYTES)
    complete = merged(defaults(), read_yaml(STUDY_DEFAULTS, "the defaults of the studies"), config)
    for *sections, key in _NAMED_FILES:
        section: Any = complete
        for name in sections:
            section = section[name] if isinstance(section, Mapping) else None
        if isinstance(section, Mapping) and isinstance(section.get(key), str) and section[key]:
            section[key] = here_or_shipped(section[key])
    return complete


def schema(clades: Collection[str]) -> dict[str, Any]:
    """The JSON schema of the whole configuration, for clades of these names."""
    found = section_schema(GeneralOptions, clades)
    sections = {name: section_schema(section.options, clades) for name, section in SECTIONS.items()}
    sections |= {study: load_schema(f"studies/{study}") for study in STUDIES}
    found["properties"] |= sections
    found["required"] += list(sections)
    return found
