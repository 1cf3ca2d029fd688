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
    """Fetch the table of a platform, or of labels; take it out of an R data file where it is published in one."""
    input:
        published=cpivae_published,
    output:
        f"{CPIVAE}/tables/{{pair}}/{{table}}.csv.gz",
    log:
        "data/logs/cpivae_table/{run}/{pair}.{table}.log",
    wildcard_constraints:
        pair="|".join(re.escape(name) for name in CPIVAE_TABLES) or "none",
        table="platform_a|platform_b|labels",
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
        f"{CPIVAE}/settings/{{pair}}/{{model}}/seed_{{seed}}.yaml",
    log:
        "data/logs/cpivae_settings/{run}/{pair}/{model}/seed_{seed}.log",
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
        settings=f"{CPIVAE}/settings/{{pair}}/{{model}}/seed_{{seed}}.yaml",
    output:
        model=f"{CPIVAE}/outputs/{{pair}}/{{model}}/seed_{{seed}}/final_model.ckpt",
        result=f"{CPIVAE}/outputs/{{pair}}/{{model}}/seed_{{seed}}/result.json",
        arrays=f"{CPIVAE}/outputs/{{pair}}/{{model}}/seed_{{seed}}/evaluation.npz",
        history=f"{CPIVAE}/outputs/{{pair}}/{{model}}/seed_{{seed}}/history.csv",
    log:
        "data/logs/cpivae_train/{run}/{pair}/{model}/seed_{seed}.log",
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        gpu=cpivae_gpus,
        nodes=1,
        mem_mb=8000,
        runtime=240,
    params:
        directory=subpath(output.model, ancestor=3),
        draws=config["cpivae"]["draws"],
        bootstrap=config["cpivae"]["bootstrap"],
        bootstrap_seed=config["cpivae"]["bootstrap_seed"],
    shell:
        """
        python "$GENET5_SCRIPTS/studies/cpivae/cpivae_train.py" \
            --config {input.settings:q} \
            --platform-a {input.platform_a:q} \
            --platform-b {input.platform_b:q} \
            --output-dir {params.directory:q} \
            --experiment-name {wildcards.model:q} \
            --version seed_{wildcards.seed} \
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
    output:
        result=f"{CPIVAE}/baselines/{{pair}}/{{baseline}}/seed_{{seed}}/result.json",
        arrays=f"{CPIVAE}/baselines/{{pair}}/{{baseline}}/seed_{{seed}}/evaluation.npz",
    log:
        "data/logs/cpivae_baseline/{run}/{pair}/{baseline}/seed_{seed}.log",
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        truth=lambda wildcards, input: [
            word for flag, path in zip(("--truth-a", "--truth-b"), input.truth) for word in (flag, path)
        ],
        directory=subpath(output.result, parent=True),
        bootstrap=config["cpivae"]["bootstrap"],
        bootstrap_seed=config["cpivae"]["bootstrap_seed"],
    shell:
        """
        python "$GENET5_SCRIPTS/studies/cpivae/cpivae_baseline.py" \
            --baseline {wildcards.baseline} \
            --config {input.settings:q} \
            --platform-a {input.platform_a:q} \
            --platform-b {input.platform_b:q} \
            {params.truth:q} \
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
            {params.labels:q} \
            {params.label_patterns:q} \
            --output-dir {params.directory:q} \
            2>&1 | tee -i {log:q}
        """
