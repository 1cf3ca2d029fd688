"""What is typical of each species that a run learns from: data/model/{run}/relatives.npz.

An adaptation to a new genome may begin with it (adapt.smk). Copied to resources/models/{clade}, it comes with the model.
"""


rule count_relatives:
    """Count codons, introns and sites of each training species."""
    input:
        manifests=training_manifests,
    output:
        "data/model/{run}/relatives.npz",
    log:
        "data/logs/count_relatives/{run}.log",
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        clade_rules=training_rules,
    shell:
        """
        python "$GENET5_SCRIPTS/count_relatives.py" \
            --manifests {input.manifests:q} \
            --clade-folder "$GENET5_CLADE_FOLDER" \
            --output {output:q} \
            2>&1 | tee -i {log:q}
        """
