#!/usr/bin/env bash
# Starts the processes of one node with torchrun's variables:
#   ranks.sh NODE|slurm NODES PROCESSES|gpu ADDRESS PORT SCRIPT ARGUMENTS...
# The processes meet at ADDRESS and PORT of node 0. There is no agent beside them: a failed process is heard with its own
# status and its own words, and a signal gives it the time that it needs for its checkpoint.
set -euo pipefail
launch_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/launch/host.sh
. "$launch_folder/host.sh"
# shellcheck source=scripts/launch/await.sh
. "$launch_folder/await.sh"
node=$1 nodes=$2 processes=$3 address=$4 port=$5
shift 5

cores=$(nproc)
if [ "$node" = slurm ]; then # inside the step every variable is there
	node=$SLURM_NODEID address=${address:-$SLURM_LAUNCH_NODE_IPADDR} cores=${SLURM_CPUS_PER_TASK:-$cores}
	export OMP_NUM_THREADS=${OMP_NUM_THREADS-$cores}
fi
seen=$(visible_gpus | wc -l)
if [ "$processes" = gpu ]; then
	processes=$((seen > 0 ? seen : 1))
elif [ "$seen" -gt 0 ] && [ "$seen" -lt "$processes" ]; then
	fail "$(hostname) has $seen GPUs for $processes processes"
fi
if [ "$processes" -gt 1 ]; then
	export OMP_NUM_THREADS=${OMP_NUM_THREADS-$((cores / processes > 0 ? cores / processes : 1))}
fi
export MASTER_ADDR=$address MASTER_PORT=$port TORCHELASTIC_RUN_ID=genet5
export WORLD_SIZE=$((nodes * processes)) LOCAL_WORLD_SIZE=$processes GROUP_RANK=$node

# start_rank NUMBER SCRIPT...: becomes a process. Bash lets what it starts in the background ignore SIGINT.
start_rank() {
	export RANK=$((node * processes + $1)) LOCAL_RANK=$1
	shift
	exec env --default-signal=INT,QUIT python "$@"
}

[ "$processes" -gt 1 ] || start_rank 0 "$@"
pids=()
for ((number = 0; number < processes; number++)); do
	start_rank "$number" "$@" &
	pids+=($!)
done
pass_on() { kill -s "$1" "${pids[@]}" 2>/dev/null || true; }
for name in INT TERM; do
	# shellcheck disable=SC2064
	trap "pass_on $name" "$name"
done
deadline=
end_others() {
	pass_on TERM
	deadline=$((SECONDS + grace_s))
}
each_round() {
	[ -z "$deadline" ] || [ "$SECONDS" -lt "$deadline" ] || pass_on KILL
}
status=0
await "${pids[@]}" || status=$?
exit "$status"
