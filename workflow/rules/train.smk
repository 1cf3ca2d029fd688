"""Training: data/model/{run}/crf and sft.

Only the final weights are outputs. Checkpoints and logs stand beside them undeclared, because Snakemake deletes the
outputs of a job that fails, and a killed run continues from its checkpoints.
"""


rule train_crf:
    """Train the CRF; the same command continues an interrupted run exactly. Progress also goes to the terminal."""
    input:
        manifests=training_manifests,
        validation="data/baked/{run}/validation.tar",
        start=first_crf,
    output:
        weights="data/model/{run}/crf/model.safetensors",
        config="data/model/{run}/crf/config.json",
    log:
        "data/logs/train_crf/{run}.log",
    conda:
        "../../envs/train.yaml"
    threads: 16
    resources:
        gpu=1,
        nodes=1,
        processes_per_node=1,
        mem_mb=64000,
        runtime=2880,
    params:
        options=training_flags("crf"),
        clade_rules=training_rules,
        directory=subpath(output.weights, parent=True),
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --nodes {resources.nodes} \
            --processes-per-node {resources.processes_per_node} \
            "$GENET5_SCRIPTS/train_crf.py" \
            --device "$GENET5_DEVICE" \
            --manifests {input.manifests:q} \
            --validation {input.validation:q} \
            --clade-folder "$GENET5_CLADE_FOLDER" \
            {params.options:q} \
            --output-dir {params.directory:q} \
            2>&1 | tee -i {log:q}
        """


rule train_sft:
    """Supervised fine-tuning of the writer; the same command continues an interrupted run exactly. Progress also goes to the terminal."""
    input:
        weights="data/model/{run}/resized/model.safetensors",
        config="data/model/{run}/resized/config.json",
        manifests=training_manifests,
        validation="data/baked/{run}/validation.tar",
        eval_windows="data/baked/{run}/eval.json",
    output:
        weights="data/model/{run}/sft/model.safetensors",
        config="data/model/{run}/sft/config.json",
    log:
        "data/logs/train_sft/{run}.log",
    conda:
        "../../envs/train.yaml"
    threads: 16
    resources:
        gpu=1,
        nodes=1,
        processes_per_node="gpu",
        mem_mb=64000,
        runtime=2880,
    params:
        options=training_flags("sft"),
        clade_rules=training_rules,
        model=subpath(input.weights, parent=True),
        directory=subpath(output.weights, parent=True),
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --nodes {resources.nodes} \
            --processes-per-node {resources.processes_per_node} \
            "$GENET5_SCRIPTS/train_sft.py" \
            --device "$GENET5_DEVICE" \
            --model {params.model:q} \
            --manifests {input.manifests:q} \
            --validation {input.validation:q} \
            --eval-windows {input.eval_windows:q} \
            --clade-folder "$GENET5_CLADE_FOLDER" \
            {params.options:q} \
            --output-dir {params.directory:q} \
            2>&1 | tee -i {log:q}
        """
