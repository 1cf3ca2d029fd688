"""One process or several under torchrun: device, precision, and what all processes have to agree on."""

from __future__ import annotations

import atexit
import os
import sys

import torch
import torch.distributed
from torch import nn

from genet5.device import chosen_device
from genet5.training.fabric import Fabric, LightningEnvironment, TorchElasticEnvironment
from genet5.training.options import RunOptions
from genet5.training.precision import chosen_precision


def start_fabric(options: RunOptions, device: str = "auto") -> Fabric:
    """Fabric for this process: the device asked for, torchrun's processes, the precision of the options.

    device: one of ``device.DEVICES``. Raises ``InputError`` where it is not there. Only torchrun's variables count;
    those of a scheduler (SLURM_NTASKS, ...) describe the job and not this program.
    """
    elastic = torch.distributed.is_torchelastic_launched()
    local, world = (int(os.environ[name]) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE")) if elastic else (1, 1)
    device_type = chosen_device(device)
    if device_type == "cpu":
        # Else threads add gradients of the same row in the order in which they come (benchmarks/deterministic.py).
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # takes time, and finds nothing
    fabric = Fabric(
        accelerator=device_type,
        devices=local,
        num_nodes=world // local,
        strategy="ddp" if world > 1 else "auto",
        precision={"fp32": "32-true", "bf16": "bf16-mixed"}[chosen_precision(options.precision, device_type)],
        plugins=[TorchElasticEnvironment() if elastic else LightningEnvironment()],
    )
    fabric.launch()
    if world > 1 and torch.distributed.get_backend() == "gloo":
        # Threads of an open connection may abort a process that ends well. Fabric closes those of NCCL alone.
        atexit.register(torch.distributed.destroy_process_group)
    return fabric


def say(fabric: Fabric, text: str) -> None:
    """One line on the console, from the first process of all (Fabric's own print speaks once a node)."""
    if fabric.is_global_zero:
        try:
            print(text, flush=True)
        except BrokenPipeError:
            # Whoever read along is gone, as tee after a signal to all. What is to be saved is saved all the same.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def any_process(fabric: Fabric, flag: bool) -> bool:
    """Whether the flag is set in any process; the same answer in all of them."""
    if fabric.world_size == 1:
        return flag
    return bool(fabric.all_reduce(torch.tensor(float(flag), device=fabric.device), reduce_op="sum").item())


def share_tensors(fabric: Fabric, model: nn.Module) -> None:
    """Give every process the parameters and buffers of the first."""
    if fabric.world_size > 1:
        for tensor in model.state_dict().values():
            torch.distributed.broadcast(tensor, src=0)
