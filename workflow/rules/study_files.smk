"""Public files of the studies: data/raw/published/{folder}/{file}, as their authors published them.

Only for tables that are not in the folder data_root. resources/study_files.tsv says where they come from.
"""


rule study_file:
    """Fetch a public file of a study and check its sha256; a partial file is continued by the next attempt."""
    output:
        "data/raw/published/{file}",
    log:
        "data/logs/study_file/{file}.log",
    wildcard_constraints:
        file="|".join(map(re.escape, STUDY_FILES)),
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        source=lambda wildcards: hidden(STUDY_FILES[wildcards.file].url(config["download"]["github"])),
        sha256=lambda wildcards: STUDY_FILES[wildcards.file].sha256,
        instead=lambda wildcards: str(Path(config["data_root"]) / Path(wildcards.file).parent),
        retries=config["download"]["retries"],
    shell:
        """
        python "$GENET5_SCRIPTS/download.py" \
            --source {params.source:q} \
            --sha256 {params.sha256} \
            --instead {params.instead:q} \
            --retries {params.retries} \
            --output {output:q} \
            >{log:q} 2>&1
        """
