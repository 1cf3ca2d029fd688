"""Reinforcement learning: data/baked/{run}/grpo_prompts.{tar,json}, data/model/{run}/grpo_crf and grpo.

As in train.smk only the final weights are outputs of the training; a killed run continues from its checkpoints.
"""


rule grpo_prompts:
    """Choose the training windows that genes are sampled for, balanced over species."""
    input:
        training_manifests,
    output:
        prompts="data/baked/{run}/grpo_prompts.tar",
        description="data/baked/{run}/grpo_prompts.json",
    log:
        "data/logs/grpo_prompts/{run}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        options=flags(config["grpo_prompts"]),
        directory=subpath(output.prompts, parent=True),
    shell:
        """
        python "$GENET5_SCRIPTS/grpo_prompts.py" \
            --manifests {input:q} \
            {params.options:q} \
            --output-dir {params.directory:q} \
            >{log:q} 2>&1
        """


rule train_grpo_crf:
    """Sharpen the CRF on exon and gene F1, if the stage grpo_crf is asked for; the same command continues a stopped run."""
    input:
        weights="data/model/{run}/crf/model.safetensors",
        config="data/model/{run}/crf/config.json",
        prompts="data/baked/{run}/grpo_prompts.tar",
        validation="data/baked/{run}/validation.tar",
        eval_windows="data/baked/{run}/eval.json",
    output:
        weights="data/model/{run}/grpo_crf/model.safetensors",
        config="data/model/{run}/grpo_crf/config.json",
    log:
        "data/logs/train_grpo_crf/{run}.log",
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
        options=training_flags("grpo_crf"),
        clade_rules=training_rules,
        model=subpath(input.weights, parent=True),
        directory=subpath(output.weights, parent=True),
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --nodes {resources.nodes} \
            --processes-per-node {resources.processes_per_node} \
            "$GENET5_SCRIPTS/train_grpo_crf.py" \
            --device "$GENET5_DEVICE" \
            --model {params.model:q} \
            --prompts {input.prompts:q} \
            --validation {input.validation:q} \
            --eval-windows {input.eval_windows:q} \
            --clade-folder "$GENET5_CLADE_FOLDER" \
            {params.options:q} \
            --output-dir {params.directory:q} \
            2>&1 | tee -i {log:q}
        """


rule train_grpo:
    """Sharpen the fine-tuned model on exon and gene F1; the same command continues an interrupted run exactly."""
    input:
        weights="data/model/{run}/sft/model.safetensors",
        config="data/model/{run}/sft/config.json",
        prompts="data/baked/{run}/grpo_prompts.tar",
        validation="data/baked/{run}/validation.tar",
        eval_windows="data/baked/{run}/eval.json",
    output:
        weights="data/model/{run}/grpo/model.safetensors",
        config="data/model/{run}/grpo/config.json",
    log:
        "data/logs/train_grpo/{run}.log",
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
        options=training_flags("grpo"),
        clade_rules=training_rules,
        model=subpath(input.weights, parent=True),
        directory=subpath(output.weights, parent=True),
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --nodes {resources.nodes} \
            --processes-per-node {resources.processes_per_node} \
            "$GENET5_SCRIPTS/train_grpo.py" \
            --device "$GENET5_DEVICE" \
            --model {params.model:q} \
            --prompts {input.prompts:q} \
            --validation {input.validation:q} \
            --eval-windows {input.eval_windows:q} \
            --clade-folder "$GENET5_CLADE_FOLDER" \
            {params.options:q} \
            --output-dir {params.directory:q} \
            2>&1 | tee -i {log:q}
        """
