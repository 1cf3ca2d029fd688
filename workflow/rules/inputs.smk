"""Input and parameter functions, in the order of the stages that use them."""


def optional(flag, *values):
    """``flag`` and its values; nothing where they are empty, since a shell line loses an empty word."""
    return [flag, *values] if any(values) else []


def source_of(wildcards):
    """Where the genome (fna) or the annotation (gff) comes from."""
    row = SPECIES[wildcards.species]
    return row.genome if wildcards.kind == "fna" else row.annotation


def checksum_of(wildcards):
    """The flag for the sha256 that the table gives, if it gives one."""
    row = SPECIES[wildcards.species]
    return optional("--sha256", row.genome_sha256 if wildcards.kind == "fna" else row.annotation_sha256)


def genome_archive(wildcards):
    """The genome as published, or the file named by the config key genome."""
    return config["genome"] if wildcards.species == NEW_GENOME else f"data/raw/{wildcards.species}/fna.gz"


def manifests(names):
    """Manifests of baked species."""
    return [f"data/baked/{RUN}/{name}/manifest.json" for name in names]


def training_manifests(wildcards):
    """Manifests of the species that training reads: all that hold training or validation windows."""
    or_exit(require_training, SPECIES, SHEET)
    return manifests(name for name, row in SPECIES.items() if row.trains)


def evaluated_species():
    """Names of the species with held-out test data."""
    return or_exit(require_evaluation, SPECIES, SHEET)


def annotations(names, stage=None):
    """GFF3 files that the stage's model writes for these genomes."""
    return [f"data/annotation/{RUN}/{stage or BEST_STAGE}/{name}.gff3" for name in names]


def flags(section):
    """A section of the configuration as flags: ``--key value``, lists as several values, ``--key`` or ``--no-key``."""
    words = []
    for key, value in section.items():
        name = key.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        else:
            words += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    return words


def assignments(section):
    """A section of the configuration as ``key=value`` words, in the order of the keys; lists with commas."""
    lists = {key: value if isinstance(value, list) else [value] for key, value in section.items()}
    return [f"{key}={','.join(map(str, lists[key])).lower()}" for key in sorted(lists)]


def shipped_files(clade):
    """Files of the model that comes with the workflow for a clade; weights and configuration stand among them."""
    return sorted(str(path) for path in (MODELS / clade).iterdir() if path.name != "README.md")


def how_to_annotate(wildcards):
    """How a genome is decoded: the configuration's, of shipped models what their ``use.json`` says."""
    how = {key: config["annotate"][key] for key in ("overlap_bp", "batch_size", "beam_width", "min_confidence")}
    how["decoder"] = decoder_of(wildcards)
    how["window_bp"] = annotation_window(config, CLADES[wildcards.species])
    if wildcards.stage.startswith("shipped-"):
        how |= {key: SHIPPED_MODELS[config["clade"]][key] for key in ("decoder", "window_bp", "overlap_bp")}
    return how


def test_regions(wildcards):
    """The flag for the held-out regions of a species; none for a whole genome."""
    return optional("--regions", SPECIES[wildcards.species].test_regions) if wildcards.species in SPECIES else []


def decoder_of(wildcards):
    """The decoder of a stage; the reader has no language to write in."""
    return "viterbi" if wildcards.stage == "crf" else config["annotate"]["decoder"]


def validation_files(pattern):
    """A file of every species with validation DNA."""
    names = [name for name, row in SPECIES.items() if row.validates] if config["annotate"]["calibration_bp"] else []
    return expand(pattern, run=RUN, species=names)


def validation_windows(wildcards):
    """Lengths of the tiles of these species."""
    return [annotation_window(config, CLADES[name]) for name in validation_files("{species}")]


def lineage_of(wildcards):
    """The BUSCO lineage (folder or tar) of a species."""
    return SPECIES[wildcards.species].busco_lineage


def scores(wildcards):
    """Scores of all held-out species."""
    return [f"data/score/{RUN}/{stage}/{name}.json" for stage in STAGES for name in evaluated_species()]


def busco_results(wildcards):
    """BUSCO results of the held-out species that name a lineage."""
    names = [name for name in evaluated_species() if SPECIES[name].busco_lineage]
    return [f"data/busco/{RUN}/{stage}/{name}.json" for stage in STAGES for name in names]


def report_annotations(wildcards):
    """Annotations of all held-out species."""
    return [path for stage in STAGES for path in annotations(evaluated_species(), stage)]


def annotation_summaries(wildcards):
    """Times and options of these annotations."""
    return [path.removesuffix(".gff3") + ".json" for path in report_annotations(wildcards)]


def annotation_tracks(wildcards):
    """What the reader sees at a few loci of these annotations."""
    return [path.removesuffix(".gff3") + ".tracks.npz" for path in report_annotations(wildcards)]


def reference_files(wildcards):
    """Published annotations and indexed genomes of all held-out species."""
    return [f"data/raw/{name}/{file}" for name in evaluated_species() for file in ("gff.gz", "fna", "fna.fai")]


def references(wildcards):
    """The same as the report takes them: species=annotation=genome=genetic code."""
    return [f"{name}=data/raw/{name}/gff.gz=data/raw/{name}/fna={GENETIC_CODES[name]}" for name in evaluated_species()]
