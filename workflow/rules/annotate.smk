"""Annotation: data/annotation/{run}/{stage}/{species}.{gff3,faa,cds.fna,json,tracks.npz} of held-out or new genomes."""

PARTS = int(config["annotate"]["parts"])
# How windows are decoded, for scores that are calibrated and for genomes alike.
DECODING_KEYS = ("batch_size", "beam_width", "expected_temperature", "expected_threshold", "masked_cost")
CALIBRATION_KEYS = ("overlap_bp", *DECODING_KEYS, "calibration_bp")
GENOME_KEYS = (*DECODING_KEYS, "isoforms", "isoform_posterior", "min_confidence")


rule calibrate:
    """Learn from validation DNA how probable a gene of a score is exactly right."""
    input:
        weights="data/model/{run}/{stage}/model.safetensors",
        config="data/model/{run}/{stage}/config.json",
        manifests=lambda wildcards: validation_files("data/baked/{run}/{species}/manifest.json"),
        genomes=lambda wildcards: validation_files("data/raw/{species}/fna"),
        indices=lambda wildcards: validation_files("data/raw/{species}/fna.fai"),
        annotations=lambda wildcards: validation_files("data/raw/{species}/gff.gz"),
    output:
        report(
            "data/model/{run}/{stage}/calibration.json",
            caption="../report/calibration.rst",
            category="Calibration",
            labels={"stage": "{stage}"},
        ),
    log:
        "data/logs/calibrate/{run}/{stage}.log",
    wildcard_constraints:
        stage="crf|grpo_crf|sft|grpo",
    conda:
        "../../envs/train.yaml"
    threads: 8
    resources:
        gpu=1,
        nodes=1,
        mem_mb=32000,
        runtime=1440,
    params:
        decoder=decoder_of,
        clade_rules=training_rules,
        windows=validation_windows,
        options=flags({key: config["annotate"][key] for key in CALIBRATION_KEYS}),
        model=subpath(input.weights, parent=True),
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --one gpu "$GENET5_SCRIPTS/calibrate.py" \
            --device "$GENET5_DEVICE" \
            --model {params.model:q} \
            --clade-folder "$GENET5_CLADE_FOLDER" \
            {params.decoder:q} \
            --manifests {input.manifests:q} \
            --genomes {input.genomes:q} \
            --annotations {input.annotations:q} \
            --window-bp {params.windows} \
            {params.options:q} \
            --output {output:q} \
            2>&1 | tee -i {log:q}
        """


rule annotate_genome:
    """Tile a genome (or its held-out regions), decode genes under the rules of its clade, and join them."""
    input:
        unpack(annotation_files),
        genome="data/raw/{species}/fna",
        index="data/raw/{species}/fna.fai",
    output:
        gff="data/annotation/{run}/{stage}/{species}.gff3",
        proteins="data/annotation/{run}/{stage}/{species}.faa",
        cds="data/annotation/{run}/{stage}/{species}.cds.fna",
        summary=report(
            "data/annotation/{run}/{stage}/{species}.json",
            caption="../report/annotation.rst",
            category="Annotations",
            labels={"species": "{species}", "stage": "{stage}"},
        ),
        tracks="data/annotation/{run}/{stage}/{species}.tracks.npz",
    log:
        "data/logs/annotate_genome/{run}/{stage}/{species}.log",
    conda:
        "../../envs/train.yaml"
    threads: 8
    resources:
        gpu=1,
        nodes=1,
        mem_mb=32000,
        runtime=1440,
    params:
        genetic_code=lambda wildcards: GENETIC_CODES[wildcards.species],
        clade=lambda wildcards: CLADES[wildcards.species],
        regions=test_regions,
        clade_rules=lambda wildcards: clade_rules([CLADES[wildcards.species]]),
        decoder=decoder_flag,
        options=flags({key: config["annotate"][key] for key in GENOME_KEYS}),
        tiling=tiling_flags,
        model=model_flag,
        version=model_version,
        adaptation=adaptation_flag,
        evidence=evidence_flags,
        part=[],
        prefix=subpath(output.gff, strip_suffix=".gff3"),
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --one gpu "$GENET5_SCRIPTS/annotate_genome.py" \
            --device "$GENET5_DEVICE" \
            {params.model:q} \
            --genome {input.genome:q} \
            --genetic-code {params.genetic_code} \
            --clade {params.clade} \
            --clade-folder "$GENET5_CLADE_FOLDER" \
            {params.regions:q} \
            {params.decoder:q} \
            {params.tiling} \
            {params.options:q} \
            {params.adaptation:q} \
            {params.evidence:q} \
            {params.part:q} \
            --output-prefix {params.prefix:q} \
            2>&1 | tee -i {log:q}
        """


if PARTS > 1:

    include: "annotate_parts.smk"


if config["annotate"]["adapt"]:

    include: "adapt.smk"


rule annotate:
    """Target: annotate the genome named by the config key genome, or all held-out genomes."""
    input:
        annotations([NEW_GENOME], NEW_GENOME_STAGE)
        if NEW_GENOME
        else lambda wildcards: annotations(evaluated_species()),
    localrule: True
