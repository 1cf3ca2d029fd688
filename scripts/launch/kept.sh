# shellcheck shell=bash
# Commands of this launcher, here and on the worker, that do not outlive it. Sourced after worker.sh and await.sh.

job=$(hostname)-$$-$RANDOM$RANDOM
keepers=() lines=() stopped=''

# Starts a program whose standard input is a pipe that this launcher alone holds open, also against kill -9.
start_keeper() {
	local pipe both reading line other
	trap 'stop INT 130' INT
	trap 'stop TERM 143' TERM HUP
	trap : PIPE
	pipe=$(mktemp -u -t genet5.XXXXXXXX)
	mkfifo -m 600 "$pipe"
	# shellcheck disable=SC2094
	exec {both}<>"$pipe" {reading}<"$pipe" {line}>"$pipe" {both}>&-
	rm "$pipe"
	(
		for other in "$line" "${lines[@]}"; do exec {other}>&-; done
		exec setsid "$@" <&"$reading" {reading}<&-
	) &
	keepers+=($!) lines+=("$line")
	exec {reading}<&-
}

# keep_here COMMAND...
keep_here() { start_keeper bash "$launch_folder/keep.sh" "$job" 0 "$@"; }

# keep_on_worker GPU COMMAND...: GPU is its number there, or empty. bash stays around ssh: with it, the locks of this job
# stay until the worker has ended it.
keep_on_worker() {
	# shellcheck disable=SC2016
	start_keeper bash -c '"$@"; exit "$?"' - ssh "${ssh_options[@]}" "$WORKER" "bash -s"
	worker_script "$job" "$@" >&"${lines[-1]}" || true # a connection that failed is noticed by await
}

tell() {
	local line
	for line in "${lines[@]}"; do
		# A keeper that is gone is noticed by await.
		{ echo "$1" >&"$line"; } 2>/dev/null || true
	done
}

end_others() {
	local line
	for line in "${lines[@]}"; do exec {line}>&-; done
	lines=()
}

told=$SECONDS
each_round() {
	if [ $((SECONDS - told)) -ge 5 ]; then
		told=$SECONDS
		tell here
	fi
}

stop() {
	stopped=$2
	tell "$1"
}

# Waits for all commands and exits with the status of the first that failed, or with that of the signal.
finish_kept() {
	local status=0
	await "${keepers[@]}" || status=$?
	[ "$status" -eq 0 ] || exit "${stopped:-$status}"
	exit 0
}
