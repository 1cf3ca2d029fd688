# shellcheck shell=bash disable=SC2034
# Variables of this machine, or of a pair of machines. scripts/launch.sh reads this file on every machine before it starts
# a training or an annotation. What you export yourself wins over it. To keep your own copy elsewhere, export
# GENET5_ENVIRONMENT=/path/of/it.sh. Lines are NAME=VALUE, as in a shell.
#
# Two DGX Sparks: remove the "# " in front of the first two values, then run  scripts/launch.sh --check

# The second machine, as `ssh` knows it: a name, an address, or user@address. Only without Slurm.
# WORKER=192.168.100.11

# The network interface of the cable between the two machines (ip -br addr). It carries all training traffic:
# GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME take this name unless you set them.
# FAST_IF=enp1s0f1np1

# NCCL moves gradients between the GPUs. For two Sparks, remove the "# " in front of all values below, too. The names of the
# devices are those of `ibv_devices`. One cable of a Spark shows as two devices, and full speed needs both.
# NCCL_IB_HCA=rocep1s0f1,roceP2p1s0f1

# Two devices that are one cable each stay by themselves.
# NCCL_IB_MERGE_NICS=0

# Patience with the link: a longer timeout (4.096 microseconds times 2 to the power of this) and more attempts.
# NCCL_IB_TIMEOUT=23
# NCCL_IB_RETRY_CNT=13

# The chip of a Spark (GB10) has no GPUDirect: the network card cannot read the memory of the GPU.
# NCCL_NET_GDR_LEVEL=0
# NCCL_NET_GDR_READ=0
