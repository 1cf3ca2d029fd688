"""The report: data/report/{run}/index.html, one page that needs no network."""


rule report:
    """Write the page: data, training curves, scores beside the baselines, and drawn loci."""
    input:
        stats=[f"data/baked/{RUN}/{name}/stats.json" for name in SPECIES],
        scores=scores,
        busco=busco_results,
        annotations=report_annotations,
        weights=f"data/model/{RUN}/{config['annotate']['stage']}/model.safetensors",
    output:
        "data/report/{run}/index.html",
    log:
        "data/logs/report/{run}.log",
    conda:
        "../../envs/evaluate.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        training=subpath(input.weights, parent=True),
    shell:
        """
        python scripts/report.py \
            --run {wildcards.run:q} \
            --stats {input.stats:q} \
            --scores {input.scores:q} \
            --annotation {input.annotations:q} \
            --training-log {params.training:q}/training_log.csv \
            --eval-log {params.training:q}/eval_log.csv \
            --output {output:q} \
            >{log:q} 2>&1
        """
