# Container for the DGX Sparks (arm64, GB10): NVIDIA's PyTorch, which knows this GPU, with everything else from the lock.
#   docker build -f envs/spark.Dockerfile -t genet5 .
#   docker run --gpus all --ipc host -v "$PWD:/genet5" -w /genet5 genet5 snakemake all
# Under Slurm, build it on both nodes, or start Snakemake inside it on both (same path, same tag).
FROM nvcr.io/nvidia/pytorch:25.12-py3

RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends genometools busco hmmer \
    && rm -rf /var/lib/apt/lists/*

COPY requirements.lock /tmp/requirements.lock
# torch and what it brings stay the container's own.
RUN grep -v -E '^(torch|nvidia-.*|triton)==' /tmp/requirements.lock > /tmp/requirements.txt \
    && python -m pip install --no-cache-dir -r /tmp/requirements.txt
