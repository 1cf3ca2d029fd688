"""A model fitted to the new genome before that is annotated. annotate.smk includes it where annotate.adapt is true.

The file: data/annotation/{run}/{stage}/{species}.adaptation.npz. Jobs that share the annotation share it. It may begin with
the codons of a species that the run has learned from: data/model/{run}/relatives.npz.
"""


def relatives_file(wildcards):
    """Tables of a run that trains; those of a model that comes with GeneT5 lie beside it."""
    return {"relatives": f"data/model/{wildcards.run}/relatives.npz"} if model_files(wildcards) else {}


rule adapt:
    """Fit the model to a new genome without labels, by what is certain; evidence makes more certain."""
    input:
        unpack(model_files),
        unpack(evidence_files),
        unpack(relatives_file),
        genome="data/raw/{species}/fna",
        index="data/raw/{species}/fna.fai",
    output:
        "data/annotation/{run}/{stage}/{species}.adaptation.npz",
    log:
        "data/logs/adapt/{run}/{stage}/{species}.log",
    conda:
        "../../envs/train.yaml"
    threads: 8
    resources:
        gpu=1,
        nodes=1,
        mem_mb=32000,
        runtime=1440,
    params:
        genetic_code=lambda wildcards: GENETIC_CODES[wildcards.species],
        clade=lambda wildcards: CLADES[wildcards.species],
        clade_rules=lambda wildcards: clade_rules([CLADES[wildcards.species]]),
        decoder=decoder_flag,
        model=model_flag,
        version=model_version,
        evidence=evidence_flags,
        relatives=lambda wildcards: optional("--relatives", relatives_file(wildcards).get("relatives")),
        options=flags({key: config["annotate"][key] for key in ("adapt_bp", "masked_cost")}),
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --one gpu "$GENET5_SCRIPTS/adapt.py" \
            --device "$GENET5_DEVICE" \
            {params.model:q} \
            --genome {input.genome:q} \
            --genetic-code {params.genetic_code} \
            --clade {params.clade} \
            --clade-folder "$GENET5_CLADE_FOLDER" \
            {params.decoder:q} \
            {params.evidence:q} \
            {params.relatives:q} \
            {params.options:q} \
            --output {output:q} \
            2>&1 | tee -i {log:q}
        """
