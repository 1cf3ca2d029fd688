"""Input and parameter functions, in the order of the stages that use them."""


def optional(flag, *values):
    """``flag`` and its values; nothing where they are empty, since a shell line loses an empty word."""
    return [flag, *values] if any(values) else []


def source_and_published(wildcards):
    """The source that the table gives, and the public file on GitHub that stands in for it where it is missing."""
    row = SPECIES[wildcards.species]
    source = row.genome if wildcards.kind == "fna" else row.annotation
    return source, published_instead(source, config["data_root"], PUBLISHED)


def source_of(wildcards):
    """Where the genome (fna) or the annotation (gff) comes from."""
    source, published = source_and_published(wildcards)
    return hidden(published.url(config["download"]["github"]) if published else source)


def checksum_of(wildcards):
    """The flag for the sha256 that the table gives, if it gives one; of a public file on GitHub, also what to do without it."""
    row, (source, published) = SPECIES[wildcards.species], source_and_published(wildcards)
    expected = row.genome_sha256 if wildcards.kind == "fna" else row.annotation_sha256
    if published:
        return ["--sha256", published.sha256, "--instead", str(Path(source).parent)]
    return optional("--sha256", expected)


def simulated_species():
    """Names of the species whose genome is drawn from AUGUSTUS's parameters."""
    return [name for name, row in SPECIES.items() if row.simulated_from]


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


def training_flags(section):
    """The flags of a training. A function, since Snakemake would take {species} in an address for a wildcard.

    A profile that gives the training more nodes than can share its steps ends here, and not after hours.
    """

    def of(wildcards, resources):
        or_exit(check_processes, config, section, resources.nodes)
        return flags(config[section])

    return of


def tokenizer_base(wildcards):
    """The file that the tokenizer is made from, if it is on this machine; one of the hub is fetched by the script."""
    kind, base = config["tokenizer"]["kind"], config["tokenizer"]["base"]
    path = local_base(kind, base) if base else None
    if path and kind == "bpe" and not path.is_file():
        sys.exit(
            f"error: config key tokenizer.base: no file {path}; allowed are a tokenizer.json, its folder, and a hub id"
        )
    return [str(path)] if path else []


def first_crf(wildcards):
    """Weights of the trained CRF that training starts from, if it does."""
    folder = config["crf"]["init_from"]
    return [] if folder == SCRATCH else [f"{folder}/model.safetensors"]


def evaluated_species():
    """Names of the species with held-out test data."""
    return or_exit(require_evaluation, SPECIES, SHEET)


def annotations(names, stage=None):
    """GFF3 files that the stage's model writes for these genomes."""
    return [f"data/annotation/{RUN}/{stage or BEST_STAGE}/{name}.gff3" for name in names]


def clade_rules(names):
    """Rules of genes of clades. As a parameter they make results out of date when they change, but not when the files move."""
    asked = {one for name in names for one in (WITH_MODEL if name == AUTO else [name])}
    return {name: KNOWN_CLADES[name].identity() for name in sorted(asked)}


def training_rules(wildcards):
    """Rules of genes of the clades that training reads."""
    return clade_rules(row.clade for row in SPECIES.values() if row.trains)


def shipped_clades(wildcards):
    """Clades whose models come with GeneT5 and may annotate in a stage: none, one, or for shipped-auto all."""
    name = wildcards.stage.removeprefix("shipped-")
    return [] if name == wildcards.stage else WITH_MODEL if name == AUTO else [name]


def model_files(wildcards):
    """The trained model of a stage; none for a model that comes with GeneT5, which the script finds itself."""
    if shipped_clades(wildcards):
        return {}
    folder = f"data/model/{wildcards.run}/{wildcards.stage}"
    return {
        "weights": f"{folder}/model.safetensors",
        "config": f"{folder}/config.json",
        "calibration": f"{folder}/calibration.json",
    }


def model_flag(wildcards):
    """The flag for the folder of a trained model."""
    trained = model_files(wildcards)
    return optional("--model", trained and str(Path(trained["weights"]).parent))


def model_version(wildcards):
    """Checksums of a model that comes with GeneT5 and of its tables: with others, its annotations are out of date."""
    models = [KNOWN_CLADES[name].model for name in shipped_clades(wildcards)]
    tables = [one.folder / "relatives.npz" for one in models]
    files = [path for one in models for path in (one.folder / "model.safetensors", one.calibration)]
    return [or_exit(file_sha256, path) for path in files + [path for path in tables if path.is_file()]]


def annotation_files(wildcards):
    """What annotates a genome: its model, an adaptation of it to a new genome, and evidence."""
    return model_files(wildcards) | adaptation_files(wildcards) | evidence_files(wildcards)


def evidence_files(wildcards):
    """Files of RNA-seq and proteins: of the new genome those of the configuration, else those of the species table."""
    new = wildcards.species == NEW_GENOME
    given = {
        source: config["annotate"][source] if new else getattr(SPECIES[wildcards.species], source)
        for source in ("rnaseq", "proteins")
    }
    found = {source: [path.strip() for path in text.split(",") if path.strip()] for source, text in given.items()}
    return {source: paths for source, paths in found.items() if paths}


def evidence_flags(wildcards):
    """The flags for evidence; none without it."""
    files = evidence_files(wildcards)
    said = [word for source, paths in files.items() for word in (f"--{source}", ",".join(paths))]
    return said and [*said, "--hint-weight", config["annotate"]["hint_weight"]]


def adaptation_files(wildcards):
    """The adaptation of the model to the new genome, if the user wants one: made here, or one that is there."""
    options = config["annotate"]
    if wildcards.species != NEW_GENOME or not (options["adapt"] or options["adaptation"]):
        return {}
    made = f"data/annotation/{wildcards.run}/{wildcards.stage}/{wildcards.species}.adaptation.npz"
    return {"adaptation": options["adaptation"] or made}


def adaptation_flag(wildcards):
    """The flag for an adaptation; none without one."""
    return optional("--adaptation", *adaptation_files(wildcards).values())


def how_to_annotate(wildcards):
    """How a genome is decoded: what the user sets, else what a shipped model recommends, else what the clade says.

    What the clade says stays null where the DNA is to choose it.
    """
    clade, stage = CLADES[wildcards.species], wildcards.stage
    if clade == AUTO:
        return plain(or_exit(read_options, AnnotateOptions, config["annotate"], "config key annotate"))
    shipped = {name: KNOWN_CLADES[name].model for name in shipped_clades(wildcards)}
    recommended = shipped.get(clade) if len(shipped) > 1 else next(iter(shipped.values()), None)
    return plain(or_exit(annotation_of, config, KNOWN_CLADES, clade, stage, recommended))


def tiling_flags(wildcards):
    """Flags for the tiles of a genome; none for what the clade decides that the DNA is to choose."""
    how = how_to_annotate(wildcards)
    return flags({key: how[key] for key in ("window_bp", "overlap_bp") if how[key] is not None})


def annotation_parts(wildcards):
    """The parts of an annotation that several jobs make."""
    return [f"{part_prefix(wildcards)}.part_{part}of{PARTS}.npz" for part in range(1, PARTS + 1)]


def part_flag(wildcards):
    """The flag for one part of an annotation."""
    return ["--part", f"{wildcards.part}/{wildcards.parts}"]


def part_prefix(wildcards):
    """What the files of an annotation begin with; of the file of a part, too."""
    return f"data/annotation/{wildcards.run}/{wildcards.stage}/{wildcards.species}"


def test_regions(wildcards):
    """The flag for the held-out regions of a species; none for a whole genome."""
    return optional("--regions", SPECIES[wildcards.species].test_regions) if wildcards.species in SPECIES else []


def decoder_of(wildcards):
    """The flag for the decoder of a stage; none where validation decides."""
    return optional("--decoder", stage_decoder(config, wildcards.stage))


def decoder_flag(wildcards):
    """The flag for the decoder that annotates a genome; none where validation decides."""
    return optional("--decoder", how_to_annotate(wildcards)["decoder"])


def validation_files(pattern):
    """A file of every species with validation DNA."""
    names = [name for name, row in SPECIES.items() if row.validates] if config["annotate"]["calibration_bp"] else []
    return expand(pattern, run=RUN, species=names)


def validation_windows(wildcards):
    """Lengths of the tiles of these species."""
    clades = [CLADES[name] for name in validation_files("{species}")]
    return [or_exit(annotation_of, config, KNOWN_CLADES, clade, wildcards.stage).window_bp for clade in clades]


def lineage_of(wildcards):
    """The BUSCO lineage of a species: the fetched one, where the table has a name, else its folder or tar."""
    row = SPECIES[wildcards.species]
    return f"data/lineages/{row.lineage_to_fetch}.tar.gz" if row.lineage_to_fetch else row.busco_lineage


def proteins_of(wildcards):
    """Predicted proteins of a stage, or those of the published annotation."""
    folder = "busco" if wildcards.stage == "reference" else "annotation"
    return f"data/{folder}/{wildcards.run}/{wildcards.stage}/{wildcards.species}.faa"


def scores(wildcards):
    """Scores of all held-out species."""
    return [f"data/score/{RUN}/{stage}/{name}.json" for stage in STAGES for name in evaluated_species()]


def busco_results(wildcards):
    """BUSCO results of the held-out species that name a lineage: of each stage, of the reference, of DNA if asked for."""
    names = [name for name in evaluated_species() if SPECIES[name].busco_lineage]
    searched = [*STAGES, "reference", *(["genome"] if config["busco"]["genome"] else [])]
    return [f"data/busco/{RUN}/{stage}/{name}.json" for stage in searched for name in names]


def report_annotations(wildcards):
    """Annotations of all held-out species."""
    return [path for stage in STAGES for path in annotations(evaluated_species(), stage)]


def annotation_summaries(wildcards):
    """Times and options of these annotations."""
    return [path.removesuffix(".gff3") + ".json" for path in report_annotations(wildcards)]


def annotation_tracks(wildcards):
    """What the CRF sees at a few loci of these annotations."""
    return [path.removesuffix(".gff3") + ".tracks.npz" for path in report_annotations(wildcards)]


def reference_files(wildcards):
    """Published annotations and indexed genomes of all held-out species."""
    return [f"data/raw/{name}/{file}" for name in evaluated_species() for file in ("gff.gz", "fna", "fna.fai")]


def references(wildcards):
    """The same as the report takes them: species=annotation=genome=genetic code."""
    return [f"{name}=data/raw/{name}/gff.gz=data/raw/{name}/fna={GENETIC_CODES[name]}" for name in evaluated_species()]
