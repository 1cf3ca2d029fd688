"""The plan of a run: what it will take, printed before anything is downloaded."""

PLANNED = {key: value for key, value in config.items() if key not in STUDIES}


rule plan:
    """Target: print windows, tokens, parameters, steps, disk and hours. Nothing but the log is written."""
    log:
        f"data/logs/plan/{RUN}.log",
    localrule: True
    conda:
        "../../envs/train.yaml"
    # This machine is measured with as many as a training has.
    threads: 16
    params:
        config=yaml.safe_dump(PLANNED),
    shell:
        """
        python "$GENET5_SCRIPTS/plan.py" \
            --configfile <(printf %s {params.config:q}) \
            2>&1 | tee -i {log:q}
        """
