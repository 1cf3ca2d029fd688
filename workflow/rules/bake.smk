"""Training data: data/baked/{run}/{species}/ (tar shards, statistics, manifest) and the merged validation set."""


rule bake_shards:
    """Cut a genome into windows with their genes. The manifest is written last; the tars stand beside it."""
    input:
        genome="data/raw/{species}/fna",
        index="data/raw/{species}/fna.fai",
        annotation="data/raw/{species}/gff.gz",
    output:
        manifest="data/baked/{run}/{species}/manifest.json",
        stats=report(
            "data/baked/{run}/{species}/stats.json",
            caption="../report/stats.rst",
            category="Training data",
            labels={"species": "{species}"},
        ),
        genes="data/baked/{run}/{species}/gene_index.json",
    log:
        "data/logs/bake_shards/{run}/{species}.log",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=480,
    params:
        clade=lambda wildcards: SPECIES[wildcards.species].clade,
        genetic_code=lambda wildcards: SPECIES[wildcards.species].genetic_code,
        split=lambda wildcards: SPECIES[wildcards.species].split,
        validation=lambda wildcards: optional("--validation-regions", SPECIES[wildcards.species].validation_regions),
        test=lambda wildcards: optional("--test-regions", SPECIES[wildcards.species].test_regions),
        excluded=lambda wildcards: optional("--excluded-regions", SPECIES[wildcards.species].excluded_regions),
        annotated=lambda wildcards: SPECIES[wildcards.species].annotated,
        condensed=lambda wildcards: optional("--exon-flank-bp", SPECIES[wildcards.species].exon_flank_bp),
        windows=lambda wildcards: plain(windows_of(config, KNOWN_CLADES, CLADES[wildcards.species])),
        flank_bp=config["bake"]["flank_bp"],
        empty_share=config["bake"]["empty_share"],
        max_windows=config["bake"]["max_windows"],
        max_validation_windows=config["bake"]["max_validation_windows"],
        samples_per_shard=config["bake"]["samples_per_shard"],
        seed=config["bake"]["seed"],
        directory=subpath(output.manifest, parent=True),
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --one cpu "$GENET5_SCRIPTS/bake_shards.py" \
            --species {wildcards.species:q} \
            --genome {input.genome:q} \
            --annotation {input.annotation:q} \
            --genetic-code {params.genetic_code} \
            --clade {params.clade} \
            --split {params.split} \
            {params.validation:q} \
            {params.test:q} \
            {params.excluded:q} \
            --annotated {params.annotated} \
            {params.condensed:q} \
            --window-bp {params.windows[window_bp]} \
            --stride-bp {params.windows[stride_bp]} \
            --flank-bp {params.flank_bp} \
            --empty-share {params.empty_share} \
            --max-windows {params.max_windows} \
            --max-validation-windows {params.max_validation_windows} \
            --samples-per-shard {params.samples_per_shard} \
            --seed {params.seed} \
            --threads {threads} \
            --output-dir {params.directory:q} \
            >{log:q} 2>&1
        """


rule bake_species:
    """Target: bake the species chosen by the config key species (one, a comma list, or all)."""
    input:
        manifests(or_exit(select_species, config["species"], SPECIES, SHEET)),
    localrule: True


rule merge_validation:
    """Gather the validation windows of all species, and choose the samples that are scored while training."""
    input:
        training_manifests,
    output:
        validation="data/baked/{run}/validation.tar",
        samples="data/baked/{run}/eval.json",
        config="data/baked/{run}/bake_config.json",
    log:
        "data/logs/merge_validation/{run}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        eval_samples=config["bake"]["eval_samples"],
        seed=config["bake"]["seed"],
        directory=subpath(output.validation, parent=True),
    shell:
        """
        python "$GENET5_SCRIPTS/merge_validation.py" \
            --manifests {input:q} \
            --eval-samples {params.eval_samples} \
            --seed {params.seed} \
            --output-dir {params.directory:q} \
            >{log:q} 2>&1
        """
