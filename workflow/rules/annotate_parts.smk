"""Annotation of one genome by several jobs. annotate.smk includes it where the key annotate.parts is over 1.

Parts: data/annotation/{run}/{stage}/{species}.part_{part}of{parts}.npz. From them come the files of annotate_genome.
"""


# Both rules make the files of a genome.
ruleorder: join_annotation > annotate_genome


use rule annotate_genome as annotate_part with:
    output:
        temp("data/annotation/{run}/{stage}/{species}.part_{part}of{parts}.npz"),
    log:
        "data/logs/annotate_part/{run}/{stage}/{species}.part_{part}of{parts}.log",
    wildcard_constraints:
        part=r"\d+",
        parts=r"\d+",
    params:
        part=part_flag,
        prefix=part_prefix,


rule join_annotation:
    """Join the parts of an annotation: the same bytes as one job writes."""
    input:
        # The model, too: parts are deleted once they are joined, and Snakemake asks only files that are there.
        unpack(model_files),
        parts=annotation_parts,
        genome="data/raw/{species}/fna",
        index="data/raw/{species}/fna.fai",
    output:
        gff="data/annotation/{run}/{stage}/{species}.gff3",
        proteins="data/annotation/{run}/{stage}/{species}.faa",
        cds="data/annotation/{run}/{stage}/{species}.cds.fna",
        summary=report(
            "data/annotation/{run}/{stage}/{species}.json",
            caption="../report/annotation.rst",
            category="Annotations",
            labels={"species": "{species}", "stage": "{stage}"},
        ),
        tracks="data/annotation/{run}/{stage}/{species}.tracks.npz",
    log:
        "data/logs/join_annotation/{run}/{stage}/{species}.log",
    localrule: True
    conda:
        "../../envs/train.yaml"
    params:
        # What the parts are made with: a change makes them again.
        genetic_code=lambda wildcards: GENETIC_CODES[wildcards.species],
        clade=lambda wildcards: CLADES[wildcards.species],
        regions=test_regions,
        clade_rules=lambda wildcards: clade_rules([CLADES[wildcards.species]]),
        decoder=decoder_flag,
        how=how_to_annotate,
        version=model_version,
        prefix=subpath(output.gff, strip_suffix=".gff3"),
    shell:
        """
        python "$GENET5_SCRIPTS/join_annotation.py" \
            --parts {input.parts:q} \
            --genome {input.genome:q} \
            --clade-folder "$GENET5_CLADE_FOLDER" \
            --output-prefix {params.prefix:q} \
            >{log:q} 2>&1
        """
