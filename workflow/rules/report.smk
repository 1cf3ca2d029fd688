"""The report: data/report/{run}/index.html, one page that needs no network."""

TRAINING_LOGS = {
    "crf": "training_log.csv",
    "grpo_crf": "grpo_log.csv",
    "sft": "training_log.csv",
    "grpo": "grpo_log.csv",
}


rule report:
    """Write the page: data, training curves, scores beside the baselines, checks, and drawn loci."""
    input:
        stats=[f"data/baked/{RUN}/{name}/stats.json" for name in SPECIES],
        manifests=manifests(SPECIES),
        scores=scores,
        busco=busco_results,
        predictions=report_annotations,
        summaries=annotation_summaries,
        tracks=annotation_tracks,
        references=reference_files,
        weights=[f"data/model/{RUN}/{stage}/model.safetensors" for stage in STAGES],
        calibrations=[f"data/model/{RUN}/{stage}/calibration.json" for stage in STAGES],
    output:
        report(
            "data/report/{run}/index.html",
            caption="../report/page.rst",
            category="Report",
            labels={"run": "{run}"},
        ),
    log:
        "data/logs/report/{run}.log",
    conda:
        "../../envs/evaluate.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        # The page shows the configuration but for the studies', so a change of any key writes it again.
        config=json.dumps({key: value for key, value in config.items() if key not in STUDIES}, sort_keys=True),
        references=references,
        training_logs=[f"data/model/{RUN}/{stage}/{TRAINING_LOGS[stage]}" for stage in STAGES],
        eval_logs=[f"data/model/{RUN}/{stage}/eval_log.csv" for stage in STAGES],
    shell:
        """
        python "$GENET5_SCRIPTS/report.py" \
            --run {wildcards.run:q} \
            --stats {input.stats:q} \
            --manifests {input.manifests:q} \
            --scores {input.scores:q} \
            --busco {input.busco:q} \
            --predictions {input.predictions:q} \
            --tracks {input.tracks:q} \
            --references {params.references:q} \
            --training-log {params.training_logs:q} \
            --eval-log {params.eval_logs:q} \
            --model {input.weights:q} \
            --calibrations {input.calibrations:q} \
            --times {input.summaries:q} \
            --clade-folder "$GENET5_CLADE_FOLDER" \
            --config <(printf %s {params.config:q}) \
            --output {output:q} \
            >{log:q} 2>&1
        """
