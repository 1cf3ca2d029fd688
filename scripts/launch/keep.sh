#!/usr/bin/env bash
# Runs a command on this host for as long as a launcher listens:  keep.sh JOB SILENCE_S COMMAND...
# Standard input is a line to the launcher. A line with the name of a signal passes the signal on. When standard input
# ends, or is silent for SILENCE_S seconds (0: for ever), the launcher is gone: the command then gets SIGTERM, and SIGKILL
# if that does not help. Nothing that the command has started outlives it.
set -euo pipefail
launch_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/launch/host.sh
. "$launch_folder/host.sh"
# shellcheck source=scripts/launch/await.sh
. "$launch_folder/await.sh" # for grace_s
job=$1 silence_s=$2
shift 2
exec {line}<&0 </dev/null
trap '' INT TERM HUP QUIT # whoever wants the end says it on the line

# GENET5_JOB marks all processes of the job, wherever their parents went.
unset GENET5_JOB
members() { grep -lsxz "GENET5_JOB=$job" /proc/[0-9]*/environ | cut -d / -f 3; }

# A session of its own: Ctrl-C on a terminal reaches the launcher alone.
setsid env --default-signal=INT,TERM,HUP,QUIT GENET5_JOB="$job" "$@" {line}<&- &
command=$!
deadline=
end_command() {
	[ -n "$deadline" ] || deadline=$((SECONDS + grace_s))
	kill -s TERM "$command" 2>/dev/null || true
}
heard=$SECONDS
while kill -0 "$command" 2>/dev/null; do
	if [ -n "$deadline" ]; then
		[ "$SECONDS" -lt "$deadline" ] || break
		sleep 0.2
		continue
	fi
	code=0
	read -rt 0.5 -u "$line" said || code=$?
	if [ "$code" -eq 0 ]; then
		heard=$SECONDS
		[ "$said" = here ] || kill -s "$said" "$command" 2>/dev/null || true
	elif [ "$code" -le 128 ]; then # the end of standard input; more is no line in this half second
		end_command
	elif [ "$silence_s" -gt 0 ] && [ $((SECONDS - heard)) -gt "$silence_s" ]; then
		end_command
	fi
done

for _ in {1..20}; do
	survivors=$(members) || true
	[ -n "$survivors" ] || break
	# shellcheck disable=SC2086
	kill -s KILL $survivors 2>/dev/null || true
	sleep 0.1
done
status=0
wait "$command" || status=$?
exit "$status"
