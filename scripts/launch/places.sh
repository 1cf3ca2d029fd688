# shellcheck shell=bash
# Which host and which GPU a job gets: locks on files of this machine, which end with the processes that hold them.
# Sourced after host.sh and worker.sh. A host without a GPU counts as one with one, so that heavy jobs take turns.

locks=${GENET5_LOCKS:-/tmp/genet5-$UID}

open_locks() {
	mkdir -m 700 -p "$locks"
	[ -O "$locks" ] || fail "$locks: this folder of locks belongs to somebody else; set GENET5_LOCKS to another one"
}

# take NAME [wait]: takes a lock, for as long as this process or one that it starts lives.
take() {
	local lock
	exec {lock}>>"$locks/$1"
	if ! flock --nonblock "$lock"; then
		if [ "${2-}" != wait ]; then
			exec {lock}>&-
			return 1
		fi
		echo "launch.sh: waiting for a GPU that another job has (${1#gpu.})" >&2
		flock "$lock"
	fi
}

# Takes a GPU of whichever host has a free one, this host's first. Sets place (here or worker) and gpu (its number, if
# the host has several). One machine with one GPU needs no lock: Snakemake counts it.
take_gpu() {
	local number said='' own=() theirs=()
	mapfile -t own < <(visible_gpus)
	[ -n "${WORKER-}" ] || [ "${#own[@]}" -gt 1 ] || return 0
	open_locks
	[ "${#own[@]}" -gt 0 ] || own=(0)
	while :; do
		for number in "${own[@]}"; do
			if take "gpu.here.$number"; then
				place=here
				[ "${#own[@]}" -eq 1 ] || gpu=$number
				return
			fi
		done
		if [ -n "${WORKER-}" ] && [ "${#theirs[@]}" -eq 0 ]; then
			reach_worker
			theirs=("${worker_gpus[@]}")
			[ "${#theirs[@]}" -gt 0 ] || theirs=(0)
		fi
		for number in "${theirs[@]}"; do
			if take "gpu.$WORKER.$number"; then
				place=worker
				[ "${#theirs[@]}" -eq 1 ] || gpu=$number
				return
			fi
		done
		[ -n "$said" ] || echo "launch.sh: waiting for a free GPU" >&2
		said=yes
		sleep 1
	done
}

# take_gpus NODES PROCESSES: takes so many GPUs of each node, always in the same order, so that no two jobs wait for
# each other.
take_gpus() {
	local number own=() theirs=()
	mapfile -t own < <(visible_gpus)
	[ -n "${WORKER-}" ] || [ "${#own[@]}" -gt 1 ] || return 0
	open_locks
	[ "${#own[@]}" -gt 0 ] || own=(0)
	for number in "${own[@]:0:$2}"; do take "gpu.here.$number" wait; done
	[ "$1" -eq 2 ] || return 0
	theirs=("${worker_gpus[@]}")
	[ "${#theirs[@]}" -gt 0 ] || theirs=(0)
	for number in "${theirs[@]:0:$2}"; do take "gpu.$WORKER.$number" wait; done
}

# Prints the number of CPU jobs on a host.
running() {
	local file count=0
	for file in "$locks/cpu.$1."*; do
		[ ! -e "$file" ] || (take "${file#"$locks/"}") || count=$((count + 1))
	done
	echo "$count"
}

# Takes a place for a CPU job on the host with the fewest of them; sets place.
take_cpu() {
	local placing number=0 here
	[ -n "${WORKER-}" ] || return 0
	open_locks
	exec {placing}>>"$locks/placing"
	flock "$placing" # one job at a time counts and chooses
	here=$(running here)
	if [ "$(running "$WORKER")" -lt "$here" ]; then place=worker; fi
	local host=here
	[ "$place" = here ] || host=$WORKER
	until take "cpu.$host.$number"; do number=$((number + 1)); done
	exec {placing}>&-
	[ "$place" = here ] || reach_worker
}
