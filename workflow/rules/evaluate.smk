"""Scores: data/score/{run}/{stage}/{species}.{json,tsv}, data/busco/{run}/{stage}/{species}.json, and their summary.

Beside the stages, data/busco/{run}/ has the folders reference (published genes) and genome (DNA).
"""


rule score:
    """Compare an annotation with the reference on the held-out DNA, beside simple gene finders on the same bases."""
    input:
        reference="data/raw/{species}/gff.gz",
        genome="data/raw/{species}/fna",
        index="data/raw/{species}/fna.fai",
        prediction="data/annotation/{run}/{stage}/{species}.gff3",
        timing="data/annotation/{run}/{stage}/{species}.json",
    output:
        json="data/score/{run}/{stage}/{species}.json",
        table=report(
            "data/score/{run}/{stage}/{species}.tsv",
            caption="../report/score.rst",
            category="Scores",
            labels={"species": "{species}", "stage": "{stage}"},
        ),
    log:
        "data/logs/score/{run}/{stage}/{species}.log",
    conda:
        "../../envs/evaluate.yaml"
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        genetic_code=lambda wildcards: GENETIC_CODES[wildcards.species],
        regions=test_regions,
        options=flags(config["score"]),
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --one cpu "$GENET5_SCRIPTS/score.py" \
            --species {wildcards.species:q} \
            --reference {input.reference:q} \
            --genome {input.genome:q} \
            --genetic-code {params.genetic_code} \
            {params.regions:q} \
            --prediction {input.prediction:q} \
            --prediction-name genet5/{wildcards.stage} \
            --timing {input.timing:q} \
            {params.options:q} \
            --output {output.json:q} \
            --table {output.table:q} \
            >{log:q} 2>&1
        """


rule reference_proteins:
    """Translate the published genes of the held-out DNA, for BUSCO to count beside the predicted ones."""
    input:
        reference="data/raw/{species}/gff.gz",
        genome="data/raw/{species}/fna",
        index="data/raw/{species}/fna.fai",
    output:
        "data/busco/{run}/reference/{species}.faa",
    log:
        "data/logs/reference_proteins/{run}/{species}.log",
    conda:
        "../../envs/evaluate.yaml"
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        genetic_code=lambda wildcards: GENETIC_CODES[wildcards.species],
        regions=test_regions,
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --one cpu "$GENET5_SCRIPTS/reference_proteins.py" \
            --reference {input.reference:q} \
            --genome {input.genome:q} \
            --genetic-code {params.genetic_code} \
            {params.regions:q} \
            --output {output:q} \
            >{log:q} 2>&1
        """


rule busco:
    """Count conserved single-copy genes among the predicted proteins or the published ones, offline."""
    input:
        proteins=proteins_of,
        lineage=lineage_of,
    output:
        report(
            "data/busco/{run}/{stage}/{species}.json",
            caption="../report/busco.rst",
            category="BUSCO",
            labels={"species": "{species}", "stage": "{stage}"},
        ),
    log:
        "data/logs/busco/{run}/{stage}/{species}.log",
    wildcard_constraints:
        stage=f"{STAGE_PATTERN}|reference",
    conda:
        "../../envs/evaluate.yaml"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=240,
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --one cpu "$GENET5_SCRIPTS/busco.py" \
            --proteins {input.proteins:q} \
            --lineage {input.lineage:q} \
            --threads {threads} \
            --output {output:q} \
            >{log:q} 2>&1
        """


rule busco_genome:
    """Count the same genes in the held-out DNA, with BUSCO's own gene finder, offline."""
    input:
        genome="data/raw/{species}/fna",
        index="data/raw/{species}/fna.fai",
        lineage=lineage_of,
    output:
        report(
            "data/busco/{run}/genome/{species}.json",
            caption="../report/busco_genome.rst",
            category="BUSCO",
            labels={"species": "{species}", "stage": "genome"},
        ),
    log:
        "data/logs/busco_genome/{run}/{species}.log",
    conda:
        "../../envs/evaluate.yaml"
    threads: 4
    resources:
        mem_mb=16000,
        runtime=720,
    params:
        regions=test_regions,
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --one cpu "$GENET5_SCRIPTS/busco_genome.py" \
            --genome {input.genome:q} \
            {params.regions:q} \
            --lineage {input.lineage:q} \
            --threads {threads} \
            --output {output:q} \
            >{log:q} 2>&1
        """


rule summary:
    """Gather all scores in one table, and what is known of each species in another."""
    input:
        scores=scores,
        busco=busco_results,
        stats=[f"data/baked/{RUN}/{name}/stats.json" for name in SPECIES],
    output:
        report(
            "data/score/{run}/summary.tsv",
            caption="../report/summary.rst",
            category="Scores",
            labels={"run": "{run}"},
        ),
        "data/score/{run}/summary.parquet",
        "data/score/{run}/species.tsv",
        "data/score/{run}/species.parquet",
    log:
        "data/logs/summary/{run}.log",
    conda:
        "../../envs/evaluate.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        # The rows, so that an edit of the table makes the summary anew.
        species=[plain(row) for row in SPECIES.values()],
        sheet=SHEET,
        data_root=optional("--data-root", config["data_root"]),
        folder=subpath(output[0], parent=True),
    shell:
        """
        python "$GENET5_SCRIPTS/summary.py" \
            --scores {input.scores:q} \
            --busco {input.busco:q} \
            --stats {input.stats:q} \
            --species-table {params.sheet:q} \
            {params.data_root:q} \
            --clade-folder "$GENET5_CLADE_FOLDER" \
            --output-dir {params.folder:q} \
            >{log:q} 2>&1
        """
