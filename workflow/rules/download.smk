"""Raw data: data/raw/{species}/{fna.gz,gff.gz} as published, or labelled here, and the indexed genome beside them.

data/lineages/{lineage}.tar.gz are the lineages that the species table names.
"""


rule download:
    """Fetch a genome or an annotation; a partial file is continued by the next attempt."""
    output:
        "data/raw/{species}/{kind}.gz",
    log:
        "data/logs/download/{species}.{kind}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=1000,
        runtime=240,
    params:
        source=source_of,
        sha256=checksum_of,
        retries=config["download"]["retries"],
    shell:
        """
        python "$GENET5_SCRIPTS/download.py" \
            --source {params.source:q} \
            {params.sha256:q} \
            --retries {params.retries} \
            --output {output:q} \
            >{log:q} 2>&1
        """


rule label_genome:
    """Annotate a prokaryotic genome with Prodigal, as the teacher of the model."""
    input:
        genome="data/raw/{species}/fna",
        index="data/raw/{species}/fna.fai",
    output:
        "data/raw/{species}/gff.gz",
    log:
        "data/logs/label_genome/{species}.log",
    wildcard_constraints:
        # (?!) matches nothing: no species is to be labelled.
        species="|".join(re.escape(name) for name, row in SPECIES.items() if row.labelled) or "(?!)",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        genetic_code=lambda wildcards: GENETIC_CODES[wildcards.species],
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --one cpu "$GENET5_SCRIPTS/label_genome.py" \
            --genome {input.genome:q} \
            --genetic-code {params.genetic_code} \
            --output {output:q} \
            >{log:q} 2>&1
        """


rule index_genome:
    """Decompress and check a genome, and index it for random access."""
    input:
        genome_archive,
    output:
        genome="data/raw/{species}/fna",
        index="data/raw/{species}/fna.fai",
    log:
        "data/logs/index_genome/{species}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --one cpu "$GENET5_SCRIPTS/index_genome.py" \
            --archive {input:q} \
            --output {output.genome:q} \
            >{log:q} 2>&1
        """


rule fetch_lineage:
    """Fetch a BUSCO lineage that the species table names, once for all species."""
    output:
        "data/lineages/{lineage}.tar.gz",
    log:
        "data/logs/fetch_lineage/{lineage}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=1000,
        runtime=240,
    params:
        data=hidden(config["busco"]["data"]),
        retries=config["download"]["retries"],
    shell:
        """
        python "$GENET5_SCRIPTS/fetch_lineage.py" \
            --name {wildcards.lineage:q} \
            --data {params.data:q} \
            --retries {params.retries} \
            --output {output:q} \
            >{log:q} 2>&1
        """
