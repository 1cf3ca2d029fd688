# shellcheck shell=bash
# Waiting for several processes of this shell, of which one failure ends all. Sourced.

# Seconds that a process has between SIGTERM and SIGKILL once its job has failed.
grace_s=20

# Seconds in which the others may fail by themselves, before they are ended.
settle_s=3

# await PID...: the status of the process that failed, 0 if none did. The others often fail because of it, and before it is
# heard of. A process that was killed has the highest status (128 and the signal), so the highest counts. Calls each_round
# twice a second, and end_others once after a failure. It asks instead of sleeping in wait -n, to do something meanwhile.
await() {
	local pid code status=0 failed_at='' ended='' left
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
			[ "$code" -eq 0 ] || failed_at=${failed_at:-$SECONDS}
			[ -n "$ended" ] || [ "$code" -le "$status" ] || status=$code
		done
		if [ -n "$failed_at" ] && [ -z "$ended" ] && [ $((SECONDS - failed_at)) -ge "$settle_s" ]; then
			ended=yes
			end_others
		fi
		set -- "${left[@]}"
	done
	exec {clock}>&-
	return "$status"
}
