"""Training: data/model/{run}/crf and sft.

Only the final weights are outputs. Checkpoints and logs stand beside them undeclared, because Snakemake deletes the
outputs of a job that fails, and a killed run continues from its checkpoints.
"""


rule train_crf:
    """Train what reads DNA; the same command continues an interrupted run exactly. Progress also goes to the terminal."""
    input:
        weights="data/model/{run}/resized/model.safetensors",
        config="data/model/{run}/resized/config.json",
        manifests=training_manifests,
        validation="data/baked/{run}/validation.tar",
        grammar="resources/grammar.yaml",
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
        mem_mb=64000,
        runtime=2880,
    params:
        options=flags(config["crf"]),
        model=subpath(input.weights, parent=True),
        directory=subpath(output.weights, parent=True),
    shell:
        """
        bash scripts/launch.sh {resources.nodes} scripts/train_crf.py \
            --model {params.model:q} \
            --manifests {input.manifests:q} \
            --validation {input.validation:q} \
            --grammar {input.grammar:q} \
            {params.options:q} \
            --output-dir {params.directory:q} \
            2>&1 | tee -i {log:q}
        """


rule train_sft:
    """Supervised fine-tuning; the same command continues an interrupted run exactly. Progress also goes to the terminal."""
    input:
        weights="data/model/{run}/crf/model.safetensors",
        config="data/model/{run}/crf/config.json",
        manifests=training_manifests,
        validation="data/baked/{run}/validation.tar",
        eval_windows="data/baked/{run}/eval.json",
        grammar="resources/grammar.yaml",
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
        mem_mb=64000,
        runtime=2880,
    params:
        options=flags(config["sft"]),
        model=subpath(input.weights, parent=True),
        directory=subpath(output.weights, parent=True),
    shell:
        """
        bash scripts/launch.sh {resources.nodes} scripts/train_sft.py \
            --model {params.model:q} \
            --manifests {input.manifests:q} \
            --validation {input.validation:q} \
            --eval-windows {input.eval_windows:q} \
            --grammar {input.grammar:q} \
            {params.options:q} \
            --output-dir {params.directory:q} \
            2>&1 | tee -i {log:q}
        """
