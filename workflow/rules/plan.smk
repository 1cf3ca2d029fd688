"""The plan of a run: what it will take, printed to the terminal before anything is downloaded."""

import yaml


rule plan:
    localrule: True
    conda:
        "../../envs/train.yaml"
    """Target: print windows, tokens, parameters, steps, disk and hours. Nothing is written."""
    params:
        config=yaml.safe_dump({key: value for key, value in config.items() if key not in STUDIES}),
    shell:
        """
        python "$GENET5_SCRIPTS/plan.py" \
            --configfile <(printf %s {params.config:q})
        """
