"""The study cpiVAE: data/studies/cpivae/{run}, with tables/ (platforms), outputs/ (models) and baselines/.

In: the tables of cpivae.sources, or simulated ones. Out: what the target cpivae lists. Nothing of the main workflow
reads it.
"""

CPIVAE = "data/studies/cpivae/{run}"


rule cpivae:
    """Target: the study's table, pictures and page."""
    input:
        f"data/studies/cpivae/{RUN}/report/index.html",
    localrule: True


rule cpivae_table:
    """Fetch the table of a platform or of labels, or a file that cpivae_assays makes tables of.

    A table is taken out of an R data file where it is published in one.
    """
    input:
        published=cpivae_published,
    output:
        f"{CPIVAE}/tables/{{pair}}/{{table}}.csv.gz",
    log:
        "data/logs/cpivae_table/{run}/{pair}.{table}.log",
    wildcard_constraints:
        pair="|".join(re.escape(name) for name in CPIVAE_TABLES) or "none",
        table="platform_a|platform_b|labels|olink|somascan|proteins",
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        source=cpivae_source,
        object=cpivae_object,
        retries=config["download"]["retries"],
    shell:
        """
        python "$GENET5_SCRIPTS/studies/cpivae/cpivae_table.py" \
            --source {params.source:q} \
            {params.object:q} \
            --retries {params.retries} \
            --output {output:q} \
            >{log:q} 2>&1
        """


# Of a pair that comes as files of Olink and SomaScan, no table of a platform can be fetched.
ruleorder: cpivae_assays > cpivae_table


rule cpivae_assays:
    """Make the tables of a pair from an Olink file and a SomaScan file of the same samples."""
    input:
        cpivae_assay_files,
    output:
        platform_a=f"{CPIVAE}/tables/{{pair}}/platform_a.csv.gz",
        platform_b=f"{CPIVAE}/tables/{{pair}}/platform_b.csv.gz",
        matches=f"{CPIVAE}/tables/{{pair}}/matches.tsv",
    log:
        "data/logs/cpivae_assays/{run}/{pair}.log",
    wildcard_constraints:
        pair="|".join(re.escape(name) for name in CPIVAE_ASSAYS) or "none",
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=16000,
        runtime=60,
    params:
        options=cpivae_assay_flags,
    shell:
        """
        python "$GENET5_SCRIPTS/studies/cpivae/cpivae_assays.py" \
            {params.options:q} \
            --platform-a {output.platform_a:q} \
            --platform-b {output.platform_b:q} \
            --matches {output.matches:q} \
            2>&1 | tee -i {log:q}
        """


rule cpivae_simulate:
    """Simulate two platforms whose noise-free values are known."""
    output:
        platform_a=f"{CPIVAE}/tables/{{pair}}/platform_a.csv.gz",
        platform_b=f"{CPIVAE}/tables/{{pair}}/platform_b.csv.gz",
        truth_a=f"{CPIVAE}/tables/{{pair}}/truth_a.csv.gz",
        truth_b=f"{CPIVAE}/tables/{{pair}}/truth_b.csv.gz",
    log:
        "data/logs/cpivae_simulate/{run}/{pair}.log",
    wildcard_constraints:
        pair="|".join(re.escape(name) for name in CPIVAE_SIMULATIONS) or "none",
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        options=cpivae_simulation,
    shell:
        """
        python "$GENET5_SCRIPTS/studies/cpivae/cpivae_simulate.py" \
            {params.options:q} \
            --platform-a {output.platform_a:q} \
            --platform-b {output.platform_b:q} \
            --truth-a {output.truth_a:q} \
            --truth-b {output.truth_b:q} \
            >{log:q} 2>&1
        """


rule cpivae_settings:
    """Write the settings of one training."""
    output:
        f"{CPIVAE}/settings/{{pair}}/{{model}}/{{split}}.yaml",
    log:
        "data/logs/cpivae_settings/{run}/{pair}/{model}/{split}.log",
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        changes=cpivae_changes,
    shell:
        """
        python "$GENET5_SCRIPTS/studies/cpivae/cpivae_settings.py" \
            --changes {params.changes:q} \
            --output {output:q} \
            >{log:q} 2>&1
        """


rule cpivae_train:
    """Train a model on a pair of platforms and a split, and score its best weights on the test samples."""
    input:
        platform_a=f"{CPIVAE}/tables/{{pair}}/platform_a.csv.gz",
        platform_b=f"{CPIVAE}/tables/{{pair}}/platform_b.csv.gz",
        settings=f"{CPIVAE}/settings/{{pair}}/{{model}}/{{split}}.yaml",
        labels=cpivae_stratified,
    output:
        model=f"{CPIVAE}/outputs/{{pair}}/{{model}}/{{split}}/final_model.ckpt",
        result=f"{CPIVAE}/outputs/{{pair}}/{{model}}/{{split}}/result.json",
        arrays=f"{CPIVAE}/outputs/{{pair}}/{{model}}/{{split}}/evaluation.npz",
        history=f"{CPIVAE}/outputs/{{pair}}/{{model}}/{{split}}/history.csv",
        predictions=[f"{CPIVAE}/outputs/{{pair}}/{{model}}/{{split}}/predictions.npz"] if CPIVAE_FOLDS else [],
    log:
        "data/logs/cpivae_train/{run}/{pair}/{model}/{split}.log",
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        gpu=cpivae_gpus,
        place=cpivae_place,
        nodes=1,
        mem_mb=8000,
        runtime=240,
    params:
        directory=subpath(output.model, ancestor=3),
        labels=cpivae_label_flags,
        draws=config["cpivae"]["draws"],
        bootstrap=config["cpivae"]["bootstrap"],
        bootstrap_seed=config["cpivae"]["bootstrap_seed"],
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --one {resources.place} "$GENET5_SCRIPTS/studies/cpivae/cpivae_train.py" \
            --config {input.settings:q} \
            --platform-a {input.platform_a:q} \
            --platform-b {input.platform_b:q} \
            --output-dir {params.directory:q} \
            --experiment-name {wildcards.model:q} \
            --version {wildcards.split} \
            {params.labels:q} \
            --draws {params.draws} \
            --bootstrap {params.bootstrap} \
            --bootstrap-seed {params.bootstrap_seed} \
            >{log:q} 2>&1
        """


rule cpivae_baseline:
    """Fit and score a method without a network on the same split."""
    input:
        platform_a=f"{CPIVAE}/tables/{{pair}}/platform_a.csv.gz",
        platform_b=f"{CPIVAE}/tables/{{pair}}/platform_b.csv.gz",
        truth=cpivae_truth,
        settings=cpivae_split_settings,
        labels=cpivae_stratified,
    output:
        result=f"{CPIVAE}/baselines/{{pair}}/{{baseline}}/{{split}}/result.json",
        arrays=f"{CPIVAE}/baselines/{{pair}}/{{baseline}}/{{split}}/evaluation.npz",
        predictions=[f"{CPIVAE}/baselines/{{pair}}/{{baseline}}/{{split}}/predictions.npz"] if CPIVAE_FOLDS else [],
    log:
        "data/logs/cpivae_baseline/{run}/{pair}/{baseline}/{split}.log",
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        truth=lambda wildcards, input: [
            word for flag, path in zip(("--truth-a", "--truth-b"), input.truth) for word in (flag, path)
        ],
        labels=cpivae_label_flags,
        directory=subpath(output.result, parent=True),
        bootstrap=config["cpivae"]["bootstrap"],
        bootstrap_seed=config["cpivae"]["bootstrap_seed"],
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --one cpu "$GENET5_SCRIPTS/studies/cpivae/cpivae_baseline.py" \
            --baseline {wildcards.baseline} \
            --config {input.settings:q} \
            --platform-a {input.platform_a:q} \
            --platform-b {input.platform_b:q} \
            {params.truth:q} \
            {params.labels:q} \
            --output-dir {params.directory:q} \
            --bootstrap {params.bootstrap} \
            --bootstrap-seed {params.bootstrap_seed} \
            >{log:q} 2>&1
        """


rule cpivae_gather:
    """Put the folds of a cross-validation together: each sample predicted by the run that did not see it."""
    input:
        results=expand(
            f"{CPIVAE}/{{kind}}/{{pair}}/{{name}}/seed_{{seed}}_fold_{{fold}}/{{file}}",
            fold=range(CPIVAE_FOLDS),
            file=["result.json", "evaluation.npz", "predictions.npz"],
            allow_missing=True,
        ),
    output:
        result=f"{CPIVAE}/{{kind}}/{{pair}}/{{name}}/seed_{{seed}}/result.json",
        arrays=f"{CPIVAE}/{{kind}}/{{pair}}/{{name}}/seed_{{seed}}/evaluation.npz",
        a=f"{CPIVAE}/{{kind}}/{{pair}}/{{name}}/seed_{{seed}}/out_of_fold_a.csv.gz",
        b=f"{CPIVAE}/{{kind}}/{{pair}}/{{name}}/seed_{{seed}}/out_of_fold_b.csv.gz",
        folds=f"{CPIVAE}/{{kind}}/{{pair}}/{{name}}/seed_{{seed}}/folds.tsv",
    log:
        "data/logs/cpivae_gather/{run}/{kind}/{pair}/{name}/seed_{seed}.log",
    wildcard_constraints:
        kind="outputs|baselines" if CPIVAE_FOLDS else "none",
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        folders=lambda wildcards, input: sorted({str(Path(path).parent) for path in input.results}),
        directory=subpath(output.result, parent=True),
        bootstrap=config["cpivae"]["bootstrap"],
        bootstrap_seed=config["cpivae"]["bootstrap_seed"],
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --one cpu "$GENET5_SCRIPTS/studies/cpivae/cpivae_gather.py" \
            --folders {params.folders:q} \
            --output-dir {params.directory:q} \
            --bootstrap {params.bootstrap} \
            --bootstrap-seed {params.bootstrap_seed} \
            >{log:q} 2>&1
        """


rule cpivae_compare:
    """Table, pictures and page of all models and baselines."""
    input:
        results=cpivae_results,
        labels=cpivae_labels,
    output:
        page=f"{CPIVAE}/report/index.html",
        json=f"{CPIVAE}/report/comparison.json",
        table=f"{CPIVAE}/report/comparison.tsv",
        pictures=expand(
            f"{CPIVAE}/report/{{pair}}_{{picture}}.png",
            pair=config["cpivae"]["pairs"],
            picture=CPIVAE_PICTURES,
            allow_missing=True,
        ),
    log:
        "data/logs/cpivae_compare/{run}.log",
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        study=subpath(output.page, ancestor=2),
        directory=subpath(output.page, parent=True),
        pairs=config["cpivae"]["pairs"],
        models=optional("--models", *config["cpivae"]["models"]),
        baselines=optional("--baselines", *(f"{pair}={name}" for pair, name in CPIVAE_BASELINES)),
        seeds=config["cpivae"]["seeds"],
        folds=CPIVAE_FOLDS,
        labels=lambda wildcards, input: optional("--labels", *(f"{Path(p).parent.name}={p}" for p in input.labels)),
        label_patterns=optional("--label-patterns", *CPIVAE_LABEL_PATTERNS),
    shell:
        """
        python "$GENET5_SCRIPTS/studies/cpivae/cpivae_compare.py" \
            --run {wildcards.run} \
            --study {params.study:q} \
            --pairs {params.pairs:q} \
            {params.models:q} \
            {params.baselines:q} \
            --seeds {params.seeds} \
            --folds {params.folds} \
            {params.labels:q} \
            {params.label_patterns:q} \
            --output-dir {params.directory:q} \
            2>&1 | tee -i {log:q}
        """
