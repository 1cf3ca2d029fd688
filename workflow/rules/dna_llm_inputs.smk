"""What the rules of the study DNA-LLM read, from the configuration and the species table."""

from genet5.studies.dna_llm.variants import CONTROLS, VARIANTS

DNA_LLM_VARIANTS = {variant.folder: variant for variant in VARIANTS.values()}


def dna_llm_chosen():
    """Predictors and controls of the study DNA-LLM, alphabets of its cores; with plot_only those that are there."""
    study, predictors, controls = Path(f"data/studies/dna_llm/{RUN}"), config["dna_llm"]["predictors"], list(CONTROLS)
    alphabets = {VARIANTS[name].alphabet for name in predictors if VARIANTS[name].pretrained}
    if config["dna_llm"]["plot_only"]:
        made = {path.parent.name for path in study.glob("models/*/result.json")}
        predictors = [name for name in predictors if VARIANTS[name].folder in made]
        controls = [name for name in controls if name in made]
        alphabets = {name for name in alphabets if (study / f"outputs/losses_{name}.json").is_file()}
        if not predictors:
            sys.exit(f"error: config key dna_llm.plot_only: {study}/models holds no trained predictor")
    return predictors, controls, sorted(alphabets)


DNA_LLM_PREDICTORS, DNA_LLM_CONTROLS, DNA_LLM_ALPHABETS = dna_llm_chosen()


def dna_llm_published(wildcards):
    """The public file that a table of the windows with binding scores is made from; none where it is here."""
    return study_file(config["dna_llm"]["windows"][wildcards.table])


def dna_llm_source(wildcards, input):
    """Where a table of the windows with binding scores comes from."""
    return study_source(config["dna_llm"]["windows"][wildcards.table], input.published)


def dna_llm_genomes(wildcards):
    """Genomes that the study DNA-LLM pretrains on."""
    return [f"data/raw/{name}/fna.gz" for name in dna_llm_species()]


def dna_llm_species():
    """Their names."""
    return or_exit(select_species, config["dna_llm"]["species"], SPECIES, SHEET, "dna_llm.species")


def dna_llm_core(wildcards):
    """Weights of the pretrained core of a predictor; none for the others."""
    variant = DNA_LLM_VARIANTS[wildcards.predictor]
    folder = f"data/studies/dna_llm/{RUN}/outputs/ckpt_{variant.alphabet}"
    return [f"{folder}/{file}" for file in ("model.safetensors", "config.json")] if variant.pretrained else []


def to_train(paths):
    """Results the comparison has to wait for: none when it draws what is there."""
    return [] if config["dna_llm"]["plot_only"] else paths


wildcard_constraints:
    alphabet="full|vocab4|bpe32",
