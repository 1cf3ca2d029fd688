# shellcheck shell=bash
# Waiting for several processes of this shell, of which one failure ends all. Sourced.

# Seconds that a process has between SIGTERM and SIGKILL once its job has failed.
grace_s=20

# await PID...: the status of the first that failed, 0 if none did. Calls each_round twice a second, and end_others once
# when one has failed. It asks instead of sleeping in wait -n, so that it can do something meanwhile.
await() {
	local pid code status=0 left
	exec {clock}<> <(:)
	while [ $# -gt 0 ]; do
		read -rt 0.5 -u "$clock" _ || true
		each_round
		left=()
		for pid; do
			if kill -0 "$pid" 2>/dev/null; then
				left+=("$pid")
				continue
			fi
			code=0
			wait "$pid" || code=$?
			if [ "$code" -ne 0 ] && [ "$status" -eq 0 ]; then
				status=$code
				end_others
			fi
		done
		set -- "${left[@]}"
	done
	exec {clock}>&-
	return "$status"
}
