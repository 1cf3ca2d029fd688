# shellcheck shell=bash
# What this host has: variables of its own, GPUs, an address, a free port. Sourced on every host; launch_folder is the
# folder of this file.

fail() {
	echo "error: launch.sh: $*" >&2
	exit 1
}

# The file of variables is read on every host, since two hosts may differ. What the user has exported wins. What came
# from the file of another host is forgotten first.
# shellcheck disable=SC2086
unset ${GENET5_FROM_FILE-}
environment_file=${GENET5_ENVIRONMENT-$launch_folder/../../profiles/environment.sh}
if [ ! -e "$environment_file" ] && [ -z "${GENET5_ENVIRONMENT+set}" ]; then
	environment_file= # an installed package has no profiles
fi
exported_before=" $(compgen -e | tr '\n' ' ')"
exported_values=$(export -p | grep -v '^declare -[a-z]*r')
if [ -n "$environment_file" ]; then
	[ -f "$environment_file" ] || fail "GENET5_ENVIRONMENT=$environment_file: no such file"
	bash -n "$environment_file" || fail "$environment_file: it takes lines NAME=VALUE and comments"
	set -a
	# shellcheck source=profiles/environment.sh
	. "$environment_file"
	set +a
	eval "$exported_values"
fi
if [ -n "${FAST_IF-}" ]; then
	export GLOO_SOCKET_IFNAME=${GLOO_SOCKET_IFNAME-$FAST_IF} NCCL_SOCKET_IFNAME=${NCCL_SOCKET_IFNAME-$FAST_IF}
fi
GENET5_FROM_FILE=
for name in $(compgen -e); do
	[[ $exported_before == *" $name "* ]] || GENET5_FROM_FILE+=" $name"
done
export GENET5_FROM_FILE

# Prints the GPUs that a program sees here, one a line.
visible_gpus() {
	if [ "${GENET5_DEVICE-}" = cpu ]; then
		return 0
	elif [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then
		tr -d ' ' <<<"$CUDA_VISIBLE_DEVICES" | tr ',' '\n' | sed '/^$/d; /^-/,$d'
	elif command -v nvidia-smi >/dev/null; then
		# Where the driver does not answer, the script says so, or computes on the CPU (--device).
		nvidia-smi -L 2>/dev/null | sed -n 's/^GPU \([0-9]*\):.*/\1/p' || true
	fi
}

# Prints the number of processes of --processes-per-node gpu: the GPUs of this host, and at least one.
processes_here() {
	local count
	count=$(visible_gpus | wc -l)
	echo $((count > 0 ? count : 1))
}

# Prints the IPv4 address of this host on FAST_IF.
fast_address() {
	local address
	address=$(ip -4 -o addr show dev "$FAST_IF" 2>/dev/null | sed -nE '1s/.* inet ([0-9.]+).*/\1/p') || true
	[ -n "$address" ] || fail "FAST_IF=$FAST_IF: $(hostname) has no such network interface with an IPv4 address"
	echo "$address"
}

# Prints a port that is free here and that no outgoing connection is given.
free_port() {
	python - <<-'END'
		import random, socket

		while True:
		    port = random.randrange(20000, 32768)
		    with socket.socket() as probe:
		        try:
		            probe.bind(("", port))
		        except OSError:
		            continue
		    print(port)
		    break
	END
}
