# shellcheck shell=bash
# The second machine, which WORKER names: reached by ssh, with this folder under the same path. Sourced after host.sh.

# A dead connection is noticed after nine seconds.
ssh_options=(-T -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=3 -o ServerAliveCountMax=3
	-o LogLevel=ERROR -o ControlMaster=no -o ControlPath=none -o ClearAllForwardings=yes)
# Seconds without a word from the launcher (it speaks every five) after which the worker ends its command.
silence_s=60
worker_gpus=()
# Where both outputs are one file, their order is kept by being one on the worker, too.
one_output=
if [ /proc/self/fd/1 -ef /proc/self/fd/2 ]; then one_output='2>&1'; fi

# Prints lines that take the worker's shell to this folder, with the variables that a command may need.
worker_setting() {
	local name
	printf 'cd %q 2>/dev/null || { echo "it has no folder "%q": share it under the same path"; exit 1; }\n' "$PWD" "$PWD"
	umask -p
	for name in $(compgen -e); do
		case $name in
		PATH | LANG | LC_* | LD_LIBRARY_PATH | FAST_IF | WORKER | GENET5_* | OMP_* | MKL_* | MALLOC_* | PYTHON* | TORCH* | \
			CUBLAS_* | NCCL_* | GLOO_*)
			printf 'export %s=%q\n' "$name" "${!name}"
			;;
		esac
	done
}

# Prints what the worker's shell is to do for a command: worker_script JOB GPU COMMAND...
worker_script() {
	local job=$1 gpu=$2
	shift 2
	worker_setting
	[ -z "$gpu" ] || printf 'export CUDA_VISIBLE_DEVICES=%q\n' "$gpu"
	printf '%q ' exec bash "$launch_folder/keep.sh" "$job" "$silence_s" "$@"
	echo "$one_output"
}

# ask_worker: runs the script on standard input there, in this folder.
ask_worker() {
	{
		worker_setting
		cat
	} | ssh "${ssh_options[@]}" "$WORKER" "bash -s" 2>&1
}

# Fails in one line if the worker is away or does not see what this machine sees; sets worker_gpus.
reach_worker() {
	local reply status=0 python
	python=$(command -v python)
	reply=$(
		ask_worker <<-END
			set -euo pipefail
			launch_folder=$(printf %q "$launch_folder")
			for file in \$launch_folder/host.sh $(printf %q "$python"); do
				[ -e "\$file" ] || { echo "it has no \$file: share its folder under the same path"; exit 1; }
			done
			. "\$launch_folder/host.sh"
			visible_gpus | sed 's/^/gpu=/'
		END
	) || status=$?
	reply=${reply//$'\r'/}
	[ "$status" -ne 255 ] || fail "WORKER=$WORKER cannot be reached: ${reply##*$'\n'}; without it, unset WORKER"
	[ "$status" -eq 0 ] || fail "WORKER=$WORKER: ${reply##*$'\n'}"
	mapfile -t worker_gpus < <(sed -n 's/^gpu=//p' <<<"$reply")
}
