#!/usr/bin/env bash
# Runs a Python script where the machines have room for it:
#   launch.sh [--nodes N] [--processes-per-node N|gpu] SCRIPT ARGUMENTS...   processes that train together
#   launch.sh --one gpu|cpu SCRIPT ARGUMENTS...                              one process
#   launch.sh --check                                                        what is wrong with the pair
#
# The nodes are those of the Slurm job; outside Slurm, this machine and, reached by ssh, the one that WORKER names.
# FAST_IF names the network interface between the nodes (DGX Spark pair: enp1s0f1np1); all traffic then uses it, and
# nothing depends on how host names resolve. profiles/environment.sh explains these variables and may set them.
set -euo pipefail

launch_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/launch
usage() {
	echo "error: usage: launch.sh [--nodes N] [--processes-per-node N|gpu] SCRIPT ARGUMENTS... or" \
		"launch.sh --one gpu|cpu SCRIPT ARGUMENTS... or launch.sh --check ($*)" >&2
	exit 2
}

nodes=1 processes=1 one='' check='' several=''
while [ $# -gt 0 ]; do
	case $1 in
	--nodes)
		[[ ${2-} =~ ^[1-9][0-9]*$ ]] || usage "--nodes: '${2-}' is no number of at least 1"
		nodes=$2 several=$1
		;;
	--processes-per-node)
		[[ ${2-} =~ ^([1-9][0-9]*|gpu)$ ]] || usage "--processes-per-node: '${2-}' is neither gpu nor a number of at least 1"
		processes=$2 several=$1
		;;
	--one)
		[[ ${2-} =~ ^(gpu|cpu)$ ]] || usage "--one: '${2-}' is neither gpu nor cpu"
		one=$2
		;;
	--check)
		check=$1
		shift
		continue
		;;
	-*) usage "no flag $1" ;;
	*) break ;;
	esac
	shift 2
done
[ -z "$one" ] || [ -z "$several" ] || usage "$several and --one exclude each other"
if [ -n "$check" ]; then
	[ "$#$one$several" = 0 ] || usage "--check stands alone"
elif [ $# -eq 0 ]; then
	usage "no SCRIPT"
fi

# shellcheck source=scripts/launch/host.sh
. "$launch_folder/host.sh"
# shellcheck source=scripts/launch/worker.sh
. "$launch_folder/worker.sh"
# shellcheck source=scripts/launch/places.sh
. "$launch_folder/places.sh"
# shellcheck source=scripts/launch/await.sh
. "$launch_folder/await.sh"
# shellcheck source=scripts/launch/kept.sh
. "$launch_folder/kept.sh"

# Slurm gives out its nodes itself.
slurm=${SLURM_JOB_ID-}
[ -z "$slurm" ] || WORKER=
if [ -n "$check" ]; then
	# shellcheck source=scripts/launch/check.sh
	. "$launch_folder/check.sh"
	check_pair # ends this script
fi

if [ "$one" != cpu ]; then
	# Threads that wait sleep instead of spinning, and freed memory is kept: beside another program on two CPU cores a
	# training step took .75 s instead of 7 s (docs/decisions.md). Jobs of the CPU run side by side: none keeps memory.
	export OMP_WAIT_POLICY=${OMP_WAIT_POLICY-PASSIVE} MALLOC_TRIM_THRESHOLD_=${MALLOC_TRIM_THRESHOLD_-8589934592}
	export MALLOC_MMAP_THRESHOLD_=${MALLOC_MMAP_THRESHOLD_-4294967296}
fi

if [ "$nodes" -gt 1 ] && [ -n "$slurm" ]; then
	# Snakemake removes the SLURM_* variables that describe the job, so ask. A step gets one core per task unless told.
	cpus=$(squeue --noheader --jobs "$slurm" --format %C)
	cpus_per_task=$((cpus / nodes > 0 ? cpus / nodes : 1))
	address=
	[ -z "${FAST_IF-}" ] || address=$(fast_address)
	# --kill-on-bad-exit: one failed process ends the others.
	exec srun --nodes="$nodes" --ntasks="$nodes" --ntasks-per-node=1 --cpus-per-task="$cpus_per_task" \
		--kill-on-bad-exit=1 bash "$launch_folder/ranks.sh" slurm "$nodes" "$processes" "$address" "$(free_port)" "$@"
fi

if [ "$nodes" -gt 1 ]; then
	[ -n "${WORKER-}" ] || fail "$nodes nodes asked for, but this is no Slurm job, and WORKER names no second machine;" \
		"set WORKER in profiles/environment.sh, use profiles/dgx under Slurm, or set nodes to 1"
	[ "$nodes" -eq 2 ] || fail "$nodes nodes asked for, but without Slurm there are two: this machine and WORKER=$WORKER"
	[ -n "${FAST_IF-}" ] || fail "FAST_IF is not set: it names the network interface of the cable to WORKER=$WORKER"
	address=$(fast_address)
	reach_worker
	seen=$(visible_gpus | wc -l)
	[ "$seen" -eq "${#worker_gpus[@]}" ] || fail "$seen GPUs on this machine, ${#worker_gpus[@]} on WORKER=$WORKER"
fi
[ "$processes" != gpu ] || processes=$(processes_here)

if [ "$nodes" -eq 1 ] && [ "$processes" -eq 1 ]; then
	place=here gpu=
	if [ "$one" = cpu ]; then
		take_cpu
	elif [ -z "$slurm" ]; then
		take_gpu
	fi
	if [ "$place" = here ]; then
		[ -z "$gpu" ] || export CUDA_VISIBLE_DEVICES=$gpu
		exec python "$@"
	fi
	keep_on_worker "$gpu" python "$@"
else
	[ -n "$slurm" ] || take_gpus "$nodes" "$processes"
	group=("$nodes" "$processes" "${address:-127.0.0.1}" "$(free_port)" "$@")
	keep_here bash "$launch_folder/ranks.sh" 0 "${group[@]}"
	[ "$nodes" -eq 1 ] || keep_on_worker '' bash "$launch_folder/ranks.sh" 1 "${group[@]}"
fi
finish_kept
