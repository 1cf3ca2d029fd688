"""Training: data/model/{run}/reader and sft.

Only the final weights are outputs. Checkpoints and logs stand beside them undeclared, because Snakemake deletes the
outputs of a job that fails, and a killed run continues from its checkpoints.
"""


rule reader:
    """Train what reads DNA; the same command continues an interrupted run exactly. Progress also goes to the terminal."""
    input:
        weights="data/model/{run}/resized/model.safetensors",
        config="data/model/{run}/resized/config.json",
        manifests=training_manifests,
        validation="data/baked/{run}/validation.tar",
        grammar=config["grammar"],
    output:
        weights="data/model/{run}/reader/model.safetensors",
        config="data/model/{run}/reader/config.json",
    log:
        "data/logs/reader/{run}.log",
    conda:
        "../../envs/train.yaml"
    threads: 16
    resources:
        gpu=1,
        nodes=1,
        mem_mb=64000,
        runtime=2880,
    params:
        options=flags(config["reader"]),
        model=subpath(input.weights, parent=True),
        directory=subpath(output.weights, parent=True),
    shell:
        """
        bash scripts/launch.sh {resources.nodes} scripts/reader.py \
            --model {params.model:q} \
            --manifests {input.manifests:q} \
            --validation {input.validation:q} \
            --grammar {input.grammar:q} \
            {params.options:q} \
            --output-dir {params.directory:q} \
            2>&1 | tee -i {log:q}
        """


rule sft:
    """Supervised fine-tuning; the same command continues an interrupted run exactly. Progress also goes to the terminal."""
    input:
        weights="data/model/{run}/reader/model.safetensors",
        config="data/model/{run}/reader/config.json",
        manifests=training_manifests,
        validation="data/baked/{run}/validation.tar",
        eval_samples="data/baked/{run}/eval.json",
        grammar=config["grammar"],
    output:
        weights="data/model/{run}/sft/model.safetensors",
        config="data/model/{run}/sft/config.json",
    log:
        "data/logs/sft/{run}.log",
    conda:
        "../../envs/train.yaml"
    threads: 16
    resources:
        gpu=1,
        nodes=1,
        mem_mb=64000,
        runtime=2880,
    params:
        options=flags(config["sft"]),
        model=subpath(input.weights, parent=True),
        directory=subpath(output.weights, parent=True),
    shell:
        """
        bash scripts/launch.sh {resources.nodes} scripts/sft.py \
            --model {params.model:q} \
            --manifests {input.manifests:q} \
            --validation {input.validation:q} \
            --eval-samples {input.eval_samples:q} \
            --grammar {input.grammar:q} \
            {params.options:q} \
            --output-dir {params.directory:q} \
            2>&1 | tee -i {log:q}
        """
