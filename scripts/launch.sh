#!/usr/bin/env bash
# Runs a Python script with one process per node:  launch.sh NODES SCRIPT ARGUMENTS...
# One node: the script itself. More: inside a Slurm job, torchrun on every node of it.
# FAST_IF names the network interface between the nodes (DGX Spark pair: enp1s0f1np1); all traffic then uses it, and
# nothing depends on how host names resolve.
set -euo pipefail

if [ $# -lt 2 ] || ! [[ $1 =~ ^[1-9][0-9]*$ ]]; then
	echo "error: usage: launch.sh NODES SCRIPT ARGUMENTS... (NODES is a number of at least 1)" >&2
	exit 2
fi
nodes=$1
shift

# Threads that wait sleep instead of spinning, and freed memory is kept: beside another program on two CPU cores a training
# step took .75 s instead of 7 s (docs/decisions.md).
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY-PASSIVE}
export MALLOC_MMAP_THRESHOLD_=${MALLOC_MMAP_THRESHOLD_-4294967296} MALLOC_TRIM_THRESHOLD_=${MALLOC_TRIM_THRESHOLD_-8589934592}

if [ "$nodes" -eq 1 ]; then
	exec python "$@"
fi

if [ -z "${SLURM_JOB_ID-}" ]; then
	echo "error: launch.sh: $nodes nodes asked for outside a Slurm job; use profiles/dgx, or set nodes to 1" >&2
	exit 1
fi

if [ -n "${FAST_IF-}" ]; then
	export GLOO_SOCKET_IFNAME=$FAST_IF NCCL_SOCKET_IFNAME=$FAST_IF
	address=$(ip -4 -o addr show dev "$FAST_IF" | sed -E 's/.* inet ([0-9.]+).*/\1/' | head -n 1)
fi
# Snakemake removes the SLURM_* variables that describe the job, so ask. A step gets one core per task unless told.
cpus=$(squeue --noheader --jobs "$SLURM_JOB_ID" --format %C)
cpus_per_task=$((cpus / nodes > 0 ? cpus / nodes : 1))
port=$((20000 + SLURM_JOB_ID % 20000))
export OMP_NUM_THREADS=$cpus_per_task

# Inside the step every variable is back; $0 is torchrun. --kill-on-bad-exit: one failed rank ends the others.
# shellcheck disable=SC2016
exec srun --nodes="$nodes" --ntasks="$nodes" --ntasks-per-node=1 --cpus-per-task="$cpus_per_task" --kill-on-bad-exit=1 \
	bash -c 'exec "$0" --nnodes="$SLURM_NNODES" --nproc-per-node=1 --node-rank="$SLURM_NODEID" \
		--master-addr="${1:-$SLURM_LAUNCH_NODE_IPADDR}" --master-port="$2" -- "${@:3}"' \
	"$(command -v torchrun)" "${address-}" "$port" "$@"
