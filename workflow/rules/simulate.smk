"""Simulated genomes: data/raw/{species}/{fna.gz,gff.gz} of species whose genome is simulated:NAME in the table."""


# Species whose columns genome and annotation say simulated:NAME.
ruleorder: simulate_genome > label_genome > download


rule simulate_genome:
    """Draw a genome and its genes from the parameters that AUGUSTUS publishes for a species."""
    output:
        genome="data/raw/{species}/fna.gz",
        annotation="data/raw/{species}/gff.gz",
    log:
        "data/logs/simulate_genome/{species}.log",
    wildcard_constraints:
        # (?!) matches nothing: no species is to be simulated.
        species="|".join(map(re.escape, simulated_species())) or "(?!)",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        augustus_name=lambda wildcards: SPECIES[wildcards.species].simulated_from,
        bases=lambda wildcards: SPECIES[wildcards.species].genome_bp,
        genetic_code=lambda wildcards: GENETIC_CODES[wildcards.species],
        # The folder of AUGUSTUS is in the environment: that it moves makes no genome out of date.
        options=flags(config["simulate"] | {"augustus_config": ""}),
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --one cpu "$GENET5_SCRIPTS/simulate.py" \
            {params.augustus_name:q} \
            --name {wildcards.species:q} \
            --bases {params.bases} \
            --genetic-code {params.genetic_code} \
            {params.options:q} \
            --output data/raw \
            >{log:q} 2>&1
        """


rule simulate:
    """Target: make all simulated genomes of the species table."""
    input:
        expand("data/raw/{species}/{kind}.gz", species=simulated_species(), kind=["fna", "gff"]),
    localrule: True
