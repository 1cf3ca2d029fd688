"""The writer before training: data/model/{run}/tokenizer, init (weights as found or fresh) and resized (vocabulary grown)."""


rule expand_tokenizer:
    """Build the DNA tokenizer and append the structure tokens, without moving an id."""
    input:
        structure_tokens=config["tokenizer"]["structure_tokens"] or [],
        base=tokenizer_base,
    output:
        tokenizer="data/model/{run}/tokenizer/tokenizer.json",
        settings="data/model/{run}/tokenizer/genet5_tokenizer.json",
    log:
        "data/logs/expand_tokenizer/{run}.log",
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        options=flags(config["tokenizer"]),
        # Each clade has a token.
        clades=list(KNOWN_CLADES),
        directory=subpath(output.tokenizer, parent=True),
    shell:
        """
        python "$GENET5_SCRIPTS/expand_tokenizer.py" \
            {params.options:q} \
            --clade-folder "$GENET5_CLADE_FOLDER" \
            --output-dir {params.directory:q} \
            >{log:q} 2>&1
        """


rule init_model:
    """Make the first weights of the writer around the trained CRF: from scratch, from DNABERT-2 or from a GeneT5 model."""
    input:
        crf_weights=f"data/model/{{run}}/{DECIDING_CRF}/model.safetensors",
        crf_config=f"data/model/{{run}}/{DECIDING_CRF}/config.json",
        tokenizer="data/model/{run}/tokenizer/tokenizer.json",
        settings="data/model/{run}/tokenizer/genet5_tokenizer.json",
    output:
        weights="data/model/{run}/init/model.safetensors",
        config="data/model/{run}/init/config.json",
    log:
        "data/logs/init_model/{run}.log",
    conda:
        "../../envs/train.yaml"
    resources:
        # 32 experts are 11 GB of weights, which are in memory twice while they are read.
        mem_mb=32000 if config["writer"]["size"] == "recipe" else 16000,
        runtime=60,
    params:
        options=flags(config["writer"]),
        crf=subpath(input.crf_weights, parent=True),
        tokenizer=subpath(input.tokenizer, parent=True),
        directory=subpath(output.weights, parent=True),
    shell:
        """
        python "$GENET5_SCRIPTS/init_model.py" \
            --tokenizer {params.tokenizer:q} \
            --crf {params.crf:q} \
            {params.options:q} \
            --output-dir {params.directory:q} \
            >{log:q} 2>&1
        """


rule resize_model:
    """Grow embeddings and output rows to the tokenizer; new rows start from the mean of the old."""
    input:
        weights="data/model/{run}/init/model.safetensors",
        config="data/model/{run}/init/config.json",
        tokenizer="data/model/{run}/tokenizer/tokenizer.json",
        settings="data/model/{run}/tokenizer/genet5_tokenizer.json",
    output:
        weights="data/model/{run}/resized/model.safetensors",
        config="data/model/{run}/resized/config.json",
    log:
        "data/logs/resize_model/{run}.log",
    conda:
        "../../envs/train.yaml"
    resources:
        # 32 experts are 11 GB of weights, which are in memory twice while they are read.
        mem_mb=32000 if config["writer"]["size"] == "recipe" else 16000,
        runtime=60,
    params:
        model=subpath(input.weights, parent=True),
        tokenizer=subpath(input.tokenizer, parent=True),
        directory=subpath(output.weights, parent=True),
    shell:
        """
        python "$GENET5_SCRIPTS/resize_model.py" \
            --model {params.model:q} \
            --tokenizer {params.tokenizer:q} \
            --output-dir {params.directory:q} \
            >{log:q} 2>&1
        """
