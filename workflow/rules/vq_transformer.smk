"""The study VQ-Transformer: data/studies/vq_transformer/{run}, a codec of DNA at each point of a rate-distortion curve.

In: genomes of the species table (with annotations, for the colours of a picture), or the file that vq_transformer.dna
names. Out: report/index.html, the round trip of held-out DNA, a table of codes for the DNA tokenizer vq. Nothing of the
main workflow reads it.
"""

VQ = "data/studies/vq_transformer/{run}"


rule vq_transformer:
    """Target: the study's report, the round trip and the table of codes."""
    input:
        f"data/studies/vq_transformer/{RUN}/report/index.html",
        vq_tables,
    localrule: True


rule vq_corpus:
    """Read the DNA, hold out the test regions, split the rest by block."""
    input:
        dna=vq_dna,
        index=vq_indexes,
        annotations=vq_annotations,
    output:
        corpus=f"{VQ}/corpus.npz",
        held_out=f"{VQ}/held_out.fna",
    log:
        "data/logs/vq_corpus/{run}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        dna=vq_named_dna,
        held_out=vq_held_out,
        annotations=vq_named_annotations,
        options=flags(config["vq_transformer"]["corpus"]),
    shell:
        """
        python "$GENET5_SCRIPTS/studies/vq_transformer/vq_corpus.py" \
            --dna {params.dna:q} \
            {params.held_out:q} \
            {params.annotations:q} \
            {params.options:q} \
            --output {output.corpus:q} \
            --held-out-fasta {output.held_out:q} \
            >{log:q} 2>&1
        """


rule vq_limits:
    """Measure what the held-out DNA takes without error: packing, zstd, models of each order, a mixture of them."""
    input:
        f"{VQ}/corpus.npz",
    output:
        f"{VQ}/limits.json",
    log:
        "data/logs/vq_limits/{run}.log",
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        options=flags(config["vq_transformer"]["limits"]),
    shell:
        """
        python "$GENET5_SCRIPTS/studies/vq_transformer/vq_limits.py" \
            --corpus {input:q} \
            {params.options:q} \
            --output {output:q} \
            >{log:q} 2>&1
        """


rule vq_train:
    """Train the codec of one point; the same command continues an interrupted run. Progress also goes to the terminal."""
    input:
        f"{VQ}/corpus.npz",
    output:
        weights=f"{VQ}/points/{{point}}/model.safetensors",
        config=f"{VQ}/points/{{point}}/config.json",
        history=f"{VQ}/points/{{point}}/history.json",
    log:
        "data/logs/vq_train/{run}/{point}.log",
    conda:
        "../../envs/train.yaml"
    threads: 16
    resources:
        gpu=1,
        nodes=1,
        mem_mb=8000,
        runtime=720,
    params:
        network=flags(config["vq_transformer"]["network"]),
        options=flags(VQ_TRAIN),
        directory=subpath(output.weights, parent=True),
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --nodes {resources.nodes} "$GENET5_SCRIPTS/studies/vq_transformer/vq_train.py" \
            --corpus {input:q} \
            --point {wildcards.point} \
            {params.network:q} \
            {params.options:q} \
            --history {output.history:q} \
            --output-dir {params.directory:q} \
            2>&1 | tee -i {log:q}
        """


rule vq_evaluate:
    """Score the codec of one point on held-out DNA."""
    input:
        corpus=f"{VQ}/corpus.npz",
        weights=f"{VQ}/points/{{point}}/model.safetensors",
        config=f"{VQ}/points/{{point}}/config.json",
    output:
        result=f"{VQ}/points/{{point}}/result.json",
        picture=f"{VQ}/points/{{point}}/picture.npz",
    log:
        "data/logs/vq_evaluate/{run}/{point}.log",
    conda:
        "../../envs/train.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        model=subpath(input.weights, parent=True),
        seed=config["vq_transformer"]["seed"],
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --one cpu "$GENET5_SCRIPTS/studies/vq_transformer/vq_evaluate.py" \
            --corpus {input.corpus:q} \
            --model {params.model:q} \
            --seed {params.seed} \
            --output {output.result:q} \
            --picture {output.picture:q} \
            >{log:q} 2>&1
        """


rule vq_encode:
    """Write held-out DNA as codes."""
    input:
        dna=f"{VQ}/held_out.fna",
        weights=f"{VQ}/points/{{point}}/model.safetensors",
        config=f"{VQ}/points/{{point}}/config.json",
    output:
        f"{VQ}/round_trip/{{point}}/held_out.codes.npz",
    log:
        "data/logs/vq_encode/{run}/{point}.log",
    conda:
        "../../envs/train.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        model=subpath(input.weights, parent=True),
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --one cpu "$GENET5_SCRIPTS/studies/vq_transformer/vq_encode.py" \
            --model {params.model:q} \
            --dna {input.dna:q} \
            --output {output:q} \
            >{log:q} 2>&1
        """


rule vq_decode:
    """Read the held-out DNA back from its codes, and compare."""
    input:
        dna=f"{VQ}/held_out.fna",
        codes=f"{VQ}/round_trip/{{point}}/held_out.codes.npz",
        weights=f"{VQ}/points/{{point}}/model.safetensors",
        config=f"{VQ}/points/{{point}}/config.json",
    output:
        decoded=f"{VQ}/round_trip/{{point}}/held_out.fna",
        report=f"{VQ}/round_trip/{{point}}/round_trip.json",
    log:
        "data/logs/vq_decode/{run}/{point}.log",
    conda:
        "../../envs/train.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        model=subpath(input.weights, parent=True),
    shell:
        """
        bash "$GENET5_SCRIPTS/launch.sh" --one cpu "$GENET5_SCRIPTS/studies/vq_transformer/vq_decode.py" \
            --model {params.model:q} \
            --codes {input.codes:q} \
            --output {output.decoded:q} \
            --compare {input.dna:q} \
            --report {output.report:q} \
            >{log:q} 2>&1
        """


rule vq_table:
    """Write the code of each k-mer as a table, the base of the DNA tokenizer of kind vq."""
    input:
        corpus=f"{VQ}/corpus.npz",
        weights=f"{VQ}/points/{{point}}/model.safetensors",
        config=f"{VQ}/points/{{point}}/config.json",
    output:
        f"{VQ}/tokens/{{point}}.json",
    log:
        "data/logs/vq_table/{run}/{point}.log",
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        model=subpath(input.weights, parent=True),
    shell:
        """
        python "$GENET5_SCRIPTS/studies/vq_transformer/vq_table.py" \
            --corpus {input.corpus:q} \
            --model {params.model:q} \
            --output {output:q} \
            >{log:q} 2>&1
        """


rule vq_report:
    """Draw the curve and write the page."""
    input:
        limits=f"{VQ}/limits.json",
        results=expand(f"{VQ}/points/{{point}}/result.json", point=VQ_POINTS, allow_missing=True),
        histories=expand(f"{VQ}/points/{{point}}/history.json", point=VQ_POINTS, allow_missing=True),
        picture=f"{VQ}/points/{VQ_MAIN}/picture.npz",
        round_trip=f"{VQ}/round_trip/{VQ_MAIN}/round_trip.json",
    output:
        page=f"{VQ}/report/index.html",
        table=f"{VQ}/report/results.tsv",
        pictures=expand(
            f"{VQ}/report/{{picture}}.png",
            picture=["rate_distortion", "lossless", "codes", "training"],
            allow_missing=True,
        ),
    log:
        "data/logs/vq_report/{run}.log",
    conda:
        "../../envs/evaluate.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        study=subpath(input.limits, parent=True),
        directory=subpath(output.page, parent=True),
        points=VQ_POINTS,
        main=VQ_MAIN,
    shell:
        """
        python "$GENET5_SCRIPTS/studies/vq_transformer/vq_report.py" \
            --run {wildcards.run} \
            --study {params.study:q} \
            --points {params.points:q} \
            --main {params.main} \
            --output-dir {params.directory:q} \
            2>&1 | tee -i {log:q}
        """
