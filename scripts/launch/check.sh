# shellcheck shell=bash
# What is wrong with the pair: this machine and WORKER. Sourced after worker.sh.

wrong=0
right() { echo "ok     $*"; }
say_wrong() {
	echo "WRONG  $*"
	wrong=1
}

# compare WHAT HERE THERE ADVICE
compare() {
	if [ "$2" = "$3" ]; then right "$1: $2"; else say_wrong "$1: $2 here, ${3:-nothing} on $WORKER; $4"; fi
}

# What both hosts are asked; the answers are lines NAME=VALUE. The last line of standard input starts the look at the cable.
questions() {
	cat <<-'END'
		echo "user=$(id -u)"
		echo "python=$(python -c 'import platform; print(platform.python_version())' 2>/dev/null || true)"
		echo "torch=$(python -c 'import torch; print(torch.__version__)' 2>/dev/null || true)"
		echo "gpus=$(visible_gpus | wc -l)"
		echo "fast=$(fast_address 2>/dev/null || true)"
		missing=
		for device in $(tr ',' ' ' <<<"${NCCL_IB_HCA-}"); do
			[ -e "/sys/class/infiniband/${device%%:*}" ] || missing+=" $device"
		done
		echo "missing=$missing"
	END
}
answer() { sed -n "s/^$1=//p" <<<"$2"; }

check_pair() {
	[ -n "${WORKER-}" ] || fail "WORKER is not set: name the second machine in profiles/environment.sh"
	local here there token status=0
	token=$(mktemp -p . .genet5-check.XXXXXX)
	# shellcheck disable=SC2064
	trap "rm -f '$PWD/$token'" EXIT
	if there=$(echo "[ -e $token ] && echo seen" | ask_worker) || status=$?; [ "$status" -eq 255 ]; then
		say_wrong "ssh: WORKER=$WORKER cannot be reached: ${there##*$'\n'}"
		exit 1
	fi
	right "ssh: $WORKER answers"
	if [ "${there##*$'\n'}" != seen ]; then
		say_wrong "folder: $WORKER does not see the files of $PWD; share it under the same path (NFS)"
		exit 1
	fi
	right "folder: both see $PWD"
	[ "$(ask_worker <<<"[ -x $(printf %q "$(command -v python)") ] && echo seen")" = seen ] ||
		say_wrong "python: $WORKER has no $(command -v python); put the environment into the shared folder"

	here=$(eval "$(questions)")
	there=$({ printf 'launch_folder=%q\n. "$launch_folder/host.sh"\n' "$launch_folder" && questions; } | ask_worker) || true
	compare "user number" "$(answer user "$here")" "$(answer user "$there")" "files of one must belong to the other"
	compare "Python" "$(answer python "$here")" "$(answer python "$there")" "both must use one environment"
	compare "torch" "$(answer torch "$here")" "$(answer torch "$there")" "both must use one environment"
	compare "GPUs" "$(answer gpus "$here")" "$(answer gpus "$there")" "look at nvidia-smi -L on both"
	[ "$(answer gpus "$here")" != 0 ] || [ "${GENET5_DEVICE-}" = cpu ] ||
		say_wrong "GPUs: none; look at nvidia-smi -L, or set GENET5_DEVICE=cpu"
	[ -z "$(answer missing "$here")" ] || say_wrong "NCCL_IB_HCA: no device$(answer missing "$here") here (ibv_devices)"
	[ -z "$(answer missing "$there")" ] || say_wrong "NCCL_IB_HCA: no device$(answer missing "$there") on $WORKER (ibv_devices)"
	check_cable "$(answer fast "$here")" "$(answer fast "$there")"
	exit "$wrong"
}

# check_cable ADDRESS_HERE ADDRESS_THERE: connects from the worker to this machine, as the training does.
check_cable() {
	if [ -z "${FAST_IF-}" ]; then
		say_wrong "FAST_IF is not set: name the network interface of the cable in profiles/environment.sh (ip -br addr)"
	elif [ -z "$1" ] || [ -z "$2" ]; then
		say_wrong "FAST_IF=$FAST_IF: address ${1:-none} here, ${2:-none} on $WORKER; both need one (ip -br addr)"
	else
		local port said
		port=$(free_port)
		said=$(
			python -c '
import socket, sys
with socket.create_server((sys.argv[1], int(sys.argv[2]))) as server:
    server.settimeout(20)
    print(server.accept()[1][0])' "$1" "$port" 2>/dev/null &
			echo "python -c 'import socket; socket.create_connection((\"$1\", $port), 10)' || true" | ask_worker >/dev/null
			wait
		) || true
		if [ "$said" = "$2" ]; then
			right "FAST_IF=$FAST_IF: $WORKER ($2) connects to this machine ($1)"
		else
			say_wrong "FAST_IF=$FAST_IF: $WORKER ($2) cannot connect to this machine ($1:$port); look at cable and firewall"
		fi
	fi
}
