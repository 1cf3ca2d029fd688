"""The study DNA-LLM: data/studies/dna_llm/{run}, with data/ (corpora), outputs/ (pretraining) and models/ (predictors).

In: genomes of the species table, and the windows with binding scores that dna_llm.windows names. Out: what the target
dna_llm lists. Nothing of the main workflow reads it.
"""

DNA_LLM = "data/studies/dna_llm/{run}"


rule dna_llm:
    """Target: the study's table and pictures."""
    input:
        f"data/studies/dna_llm/{RUN}/models/comparison.json",
    localrule: True


rule dna_llm_table:
    """Fetch the sequences or the scores of the windows, from where dna_llm.windows says."""
    input:
        published=dna_llm_published,
    output:
        f"{DNA_LLM}/tables/{{table}}.gz",
    log:
        "data/logs/dna_llm_table/{run}/{table}.log",
    wildcard_constraints:
        table="sequences|scores",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        source=dna_llm_source,
        retries=config["download"]["retries"],
    shell:
        """
        python "$GENET5_SCRIPTS/download.py" \
            --source {params.source:q} \
            --retries {params.retries} \
            --output {output:q} \
            >{log:q} 2>&1
        """


rule dna_llm_windows:
    """Read the windows with binding scores, split them by position, leave out what the splits share."""
    input:
        sequences=f"{DNA_LLM}/tables/sequences.gz",
        scores=f"{DNA_LLM}/tables/scores.gz",
    output:
        windows=f"{DNA_LLM}/windows.npz",
        report=f"{DNA_LLM}/split.json",
    log:
        "data/logs/dna_llm_windows/{run}.log",
    conda:
        "../../envs/evaluate.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        options=flags(
            {key: value for key, value in config["dna_llm"]["windows"].items() if key not in ("sequences", "scores")}
        ),
    shell:
        """
        python "$GENET5_SCRIPTS/studies/dna_llm/dna_llm_windows.py" \
            --sequences {input.sequences:q} \
            --scores {input.scores:q} \
            {params.options:q} \
            --output {output.windows:q} \
            --report {output.report:q} \
            >{log:q} 2>&1
        """


rule dna_llm_corpus:
    """Turn genomes into stretches of token ids, without DNA like that of held-out windows."""
    input:
        genomes=dna_llm_genomes,
        windows=f"{DNA_LLM}/windows.npz",
    output:
        f"{DNA_LLM}/data/{{alphabet}}/train.bin",
        f"{DNA_LLM}/data/{{alphabet}}/val.bin",
        f"{DNA_LLM}/data/{{alphabet}}/train_stretches.npy",
        f"{DNA_LLM}/data/{{alphabet}}/val_stretches.npy",
        meta=f"{DNA_LLM}/data/{{alphabet}}/meta.json",
    log:
        "data/logs/dna_llm_corpus/{run}/{alphabet}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=16000,
        runtime=120,
    params:
        genomes=lambda wildcards, input: [f"{name}={path}" for name, path in zip(dna_llm_species(), input.genomes)],
        context=config["dna_llm"]["network"]["context"],
        options=flags(config["dna_llm"]["corpus"]),
        directory=subpath(output.meta, parent=True),
    shell:
        """
        python "$GENET5_SCRIPTS/studies/dna_llm/dna_llm_corpus.py" \
            --genomes {params.genomes:q} \
            --alphabet {wildcards.alphabet} \
            --held-out {input.windows:q} \
            --context {params.context} \
            {params.options:q} \
            --output-dir {params.directory:q} \
            >{log:q} 2>&1
        """


rule dna_llm_pretrain:
    """Pretrain the GPT on one alphabet; the same command continues an interrupted run. Progress also goes to the terminal."""
    input:
        meta=f"{DNA_LLM}/data/{{alphabet}}/meta.json",
        train=f"{DNA_LLM}/data/{{alphabet}}/train.bin",
        validation=f"{DNA_LLM}/data/{{alphabet}}/val.bin",
    output:
        weights=f"{DNA_LLM}/outputs/ckpt_{{alphabet}}/model.safetensors",
        config=f"{DNA_LLM}/outputs/ckpt_{{alphabet}}/config.json",
        losses=f"{DNA_LLM}/outputs/losses_{{alphabet}}.json",
    log:
        "data/logs/dna_llm_pretrain/{run}/{alphabet}.log",
    conda:
        "../../envs/train.yaml"
    threads: 16
    resources:
        gpu=1,
        nodes=1,
        mem_mb=16000,
        runtime=720,
    params:
        network=flags(config["dna_llm"]["network"]),
        options=flags(config["dna_llm"]["pretrain"]),
        corpus=subpath(input.meta, parent=True),
        directory=subpath(output.weights, parent=True),
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --nodes {resources.nodes} "$GENET5_SCRIPTS/studies/dna_llm/dna_llm_pretrain.py" \
            --device "$GENET5_DEVICE" \
            --corpus {params.corpus:q} \
            {params.network:q} \
            {params.options:q} \
            --losses {output.losses:q} \
            --output-dir {params.directory:q} \
            2>&1 | tee -i {log:q}
        """


rule dna_llm_finetune:
    """Train one predictor of binding scores, and predict the held-out windows with its best epoch."""
    input:
        windows=f"{DNA_LLM}/windows.npz",
        core=dna_llm_core,
    output:
        weights=f"{DNA_LLM}/models/{{predictor}}/model.safetensors",
        config=f"{DNA_LLM}/models/{{predictor}}/config.json",
        predictions=f"{DNA_LLM}/models/{{predictor}}/predictions.npz",
        result=f"{DNA_LLM}/models/{{predictor}}/result.json",
    log:
        "data/logs/dna_llm_finetune/{run}/{predictor}.log",
    wildcard_constraints:
        predictor="|".join(DNA_LLM_VARIANTS),
    conda:
        "../../envs/train.yaml"
    threads: 16
    resources:
        gpu=1,
        nodes=1,
        mem_mb=16000,
        runtime=720,
    params:
        variant=lambda wildcards: DNA_LLM_VARIANTS[wildcards.predictor].name,
        core=lambda wildcards, input: optional("--core", *sorted({str(Path(path).parent) for path in input.core})),
        network=flags(config["dna_llm"]["network"]),
        options=flags(config["dna_llm"]["finetune"]),
        directory=subpath(output.weights, parent=True),
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --nodes {resources.nodes} "$GENET5_SCRIPTS/studies/dna_llm/dna_llm_finetune.py" \
            --device "$GENET5_DEVICE" \
            --variant {params.variant} \
            --windows {input.windows:q} \
            {params.core:q} \
            {params.network:q} \
            {params.options:q} \
            --output-dir {params.directory:q} \
            2>&1 | tee -i {log:q}
        """


rule dna_llm_control:
    """A control without a network: what is counted in the training windows predicts the held-out ones."""
    input:
        f"{DNA_LLM}/windows.npz",
    output:
        predictions=f"{DNA_LLM}/models/{{control}}/predictions.npz",
        result=f"{DNA_LLM}/models/{{control}}/result.json",
    log:
        "data/logs/dna_llm_control/{run}/{control}.log",
    wildcard_constraints:
        control="|".join(CONTROLS),
    conda:
        "../../envs/evaluate.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        directory=subpath(output.result, parent=True),
    shell:
        """
        python "$GENET5_SCRIPTS/studies/dna_llm/dna_llm_control.py" \
            --control {wildcards.control} \
            --windows {input:q} \
            --output-dir {params.directory:q} \
            >{log:q} 2>&1
        """


rule dna_llm_compare:
    """Table and pictures of all predictors; with dna_llm.plot_only of those that are trained already."""
    input:
        windows=to_train(f"{DNA_LLM}/windows.npz"),
        controls=to_train(
            expand(f"{DNA_LLM}/models/{{control}}/result.json", control=DNA_LLM_CONTROLS, allow_missing=True)
        ),
        losses=to_train(
            expand(f"{DNA_LLM}/outputs/losses_{{alphabet}}.json", alphabet=DNA_LLM_ALPHABETS, allow_missing=True)
        ),
        results=to_train([f"{DNA_LLM}/models/{VARIANTS[name].folder}/result.json" for name in DNA_LLM_PREDICTORS]),
    output:
        json=f"{DNA_LLM}/models/comparison.json",
        table=f"{DNA_LLM}/models/comparison.tsv",
        performance=f"{DNA_LLM}/models/performance_comparison.png",
        finetuning_time=f"{DNA_LLM}/models/finetuning_time_comparison.png",
        curves=[f"{DNA_LLM}/models/training_curves_{name}.png" for name in DNA_LLM_PREDICTORS],
        losses=[f"{DNA_LLM}/outputs/loss_{alphabet}.png" for alphabet in DNA_LLM_ALPHABETS],
        pretraining=(
            [
                f"{DNA_LLM}/outputs/{name}"
                for name in ("pretraining.tsv", "bits_per_base.png", "training_time_comparison.png")
            ]
            if DNA_LLM_ALPHABETS
            else []
        ),
    log:
        "data/logs/dna_llm_compare/{run}.log",
    conda:
        "../../envs/evaluate.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        folder=subpath(output.json, ancestor=2),
        losses=lambda wildcards: optional("--losses", *(f"losses_{alphabet}.json" for alphabet in DNA_LLM_ALPHABETS)),
        predictors=[*DNA_LLM_CONTROLS, *(VARIANTS[name].folder for name in DNA_LLM_PREDICTORS)],
        bootstrap=config["dna_llm"]["bootstrap"],
        seed=config["dna_llm"]["seed"],
    shell:
        """
        python "$GENET5_SCRIPTS/studies/dna_llm/dna_llm_compare.py" \
            --study {params.folder:q} \
            {params.losses:q} \
            --predictors {params.predictors:q} \
            --bootstrap {params.bootstrap} \
            --seed {params.seed} \
            2>&1 | tee -i {log:q}
        """
