"""Training: data/model/{run}/sft.

Only the final weights are outputs. Checkpoints and logs stand beside them undeclared, because Snakemake deletes the
outputs of a job that fails, and a killed run continues from its checkpoints.
"""


rule sft:
    """Supervised fine-tuning; the same command continues an interrupted run exactly. Progress also goes to the terminal."""
    input:
        weights="data/model/{run}/resized/model.safetensors",
        config="data/model/{run}/resized/config.json",
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
        sft=config["sft"],
        log_memory=switch("log-memory", config["sft"]["log_memory"]),
        memwatch=switch("memwatch", config["sft"]["memwatch"]),
        compile=switch("compile", config["sft"]["compile"]),
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
            --epochs {params.sft[epochs]} \
            --lr {params.sft[lr]} \
            --token-budget {params.sft[token_budget]} \
            --max-batch-size {params.sft[max_batch_size]} \
            --grad-accum {params.sft[grad_accum]} \
            --weight-decay {params.sft[weight_decay]} \
            --warmup-ratio {params.sft[warmup_ratio]} \
            --max-grad-norm {params.sft[max_grad_norm]} \
            --label-smoothing {params.sft[label_smoothing]} \
            --early-stopping {params.sft[early_stopping]} \
            --save-steps {params.sft[save_steps]} \
            --precision {params.sft[precision]} \
            {params.log_memory} \
            --empty-cache-steps {params.sft[empty_cache_steps]} \
            {params.memwatch} \
            {params.compile} \
            --seed {params.sft[seed]} \
            --output-dir {params.directory:q} \
            2>&1 | tee {log:q}
        """
