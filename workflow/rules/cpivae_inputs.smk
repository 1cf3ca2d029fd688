"""What the rules of the study cpiVAE read, from the configuration and the species table."""

from genet5.studies.cpivae.study import (
    baselines_of,
    check_study,
    is_assays,
    is_simulated,
    is_stratified,
    splits,
    training_changes,
    training_settings,
)

or_exit(check_study, config["cpivae"])
CPIVAE_SIMULATIONS = [name for name in config["cpivae"]["pairs"] if is_simulated(config["cpivae"], name)]
CPIVAE_TABLES = [name for name in config["cpivae"]["pairs"] if name not in CPIVAE_SIMULATIONS]
CPIVAE_ASSAYS = [name for name in CPIVAE_TABLES if is_assays(config["cpivae"]["sources"][name])]
CPIVAE_BASELINES = [(pair, name) for pair in config["cpivae"]["pairs"] for name in baselines_of(config["cpivae"], pair)]
CPIVAE_FOLDS = config["cpivae"]["cross_validation"]["folds"]
# A training has a seed, and in a cross-validation a fold.
CPIVAE_SPLIT = "seed_[0-9]+_fold_[0-9]+" if CPIVAE_FOLDS else "seed_[0-9]+"
CPIVAE_LABEL_PATTERNS = [
    f"{pair}={config['cpivae']['sources'][pair]['label_pattern']}"
    for pair in config["cpivae"]["pairs"]
    if config["cpivae"]["sources"][pair].get("label_pattern")
]
CPIVAE_PICTURES = [
    "performance",
    *(["curves", "latent"] if config["cpivae"]["models"] else []),
    *(["features"] if config["cpivae"]["models"] and config["cpivae"]["baselines"] else []),
]


def cpivae_published(wildcards):
    """The public file that a table of a pair is made from; none where the table is here."""
    return study_file(config["cpivae"]["sources"][wildcards.pair][wildcards.table])


def cpivae_source(wildcards, input):
    """Where a table of a pair comes from."""
    return study_source(config["cpivae"]["sources"][wildcards.pair][wildcards.table], input.published)


def cpivae_object(wildcards):
    """Flags that say what of an R data file the table is."""
    found = published_in_place_of(config["cpivae"]["sources"][wildcards.pair][wildcards.table])
    if not found or not found.object:
        return []
    return ["--object", found.object, "--samples", found.samples, *optional("--ids", found.ids)]


def cpivae_simulation(wildcards):
    """Options of a simulated pair as flags."""
    return flags(config["cpivae"]["sources"][wildcards.pair]["simulation"])


def cpivae_assay_files(wildcards):
    """Files that the tables of a pair are made of: of Olink, of SomaScan and, if there is one, the list of proteins."""
    source = config["cpivae"]["sources"][wildcards.pair]
    names = [name for name in ("olink", "somascan", "proteins") if name in source]
    return [f"data/studies/cpivae/{wildcards.run}/tables/{wildcards.pair}/{name}.csv.gz" for name in names]


def cpivae_assay_flags(wildcards, input):
    """The same as flags, and the options of the pair."""
    files = [word for path in input for word in (f"--{Path(path).name.removesuffix('.csv.gz')}", path)]
    return files + flags(config["cpivae"]["sources"][wildcards.pair].get("assays", {}))


def cpivae_changes(wildcards):
    """What the settings of a training change, as JSON."""
    changes = training_changes(config["cpivae"], wildcards.pair, wildcards.model, wildcards.split)
    return json.dumps(changes, sort_keys=True)


def cpivae_gpus(wildcards, input):
    """1 where the settings leave room for a GPU."""
    settings = training_settings(config["cpivae"], wildcards.pair, wildcards.model, wildcards.split)
    return 0 if settings["hardware"]["accelerator"] == "cpu" else 1


def cpivae_place(wildcards, input):
    """What scripts/launch.sh is to look for: a host with a free GPU, or one with few jobs."""
    return "gpu" if cpivae_gpus(wildcards, input) else "cpu"


def cpivae_split_settings(wildcards):
    """Settings that split and scale as the models' do."""
    model = (config["cpivae"]["models"] or list(config["cpivae"]["variants"]))[0]
    return f"data/studies/cpivae/{wildcards.run}/settings/{wildcards.pair}/{model}/{wildcards.split}.yaml"


def cpivae_truth(wildcards):
    """Noise-free tables of a simulated pair, for the baseline that predicts them."""
    folder = f"data/studies/cpivae/{wildcards.run}/tables/{wildcards.pair}"
    return [f"{folder}/truth_{p}.csv.gz" for p in "ab"] if wildcards.baseline == "truth" else []


def cpivae_stratified(wildcards):
    """Table of labels that folds are stratified by, if they are and labels are in a table."""
    source = config["cpivae"]["sources"][wildcards.pair]
    if not CPIVAE_FOLDS or not is_stratified(config["cpivae"], wildcards.pair) or not source.get("labels"):
        return []
    return f"data/studies/cpivae/{wildcards.run}/tables/{wildcards.pair}/labels.csv.gz"


def cpivae_label_flags(wildcards, input):
    """Labels that folds are stratified by, as flags."""
    if input.labels:
        return ["--labels", input.labels]
    if CPIVAE_FOLDS and is_stratified(config["cpivae"], wildcards.pair):
        return ["--label-pattern", config["cpivae"]["sources"][wildcards.pair]["label_pattern"]]
    return []


def cpivae_results(wildcards):
    """Results and histories of everything that is compared."""
    study, folder = config["cpivae"], f"data/studies/cpivae/{wildcards.run}"
    trained = [f"outputs/{pair}/{model}" for pair in study["pairs"] for model in study["models"]]
    fitted = [f"baselines/{pair}/{name}" for pair, name in CPIVAE_BASELINES]
    wanted = [(part, file) for part in [*trained, *fitted] for file in ("result.json", "evaluation.npz")]
    found = [f"{folder}/{part}/seed_{seed}/{file}" for part, file in wanted for seed in study["seeds"]]
    # Of a cross-validation, curves and latent space are those of the first fold.
    first = [splits(study, seed)[0] for seed in study["seeds"]]
    return found + [f"{folder}/{part}/{split}/history.csv" for part in trained for split in first]


def cpivae_labels(wildcards):
    """Tables of labels of the pairs that have one."""
    sources = config["cpivae"]["sources"]
    return [
        f"data/studies/cpivae/{wildcards.run}/tables/{pair}/labels.csv.gz"
        for pair in config["cpivae"]["pairs"]
        if sources[pair].get("labels")
    ]


wildcard_constraints:
    pair="[a-z0-9_]+",
    seed="[0-9]+",
    split=CPIVAE_SPLIT,
