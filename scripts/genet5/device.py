"""Which device computes: a GPU, the CPU, or a clear word about what is missing."""

from __future__ import annotations

import argparse
import platform
import resource
from pathlib import Path

from genet5.command_line import check_threads
from genet5.errors import InputError

DEVICES = ("auto", "gpu", "cpu")
#: What each of them means.
DEVICE_HELP = (
    "gpu: stop where no GPU can be used; auto: the GPU where the machine has one, else the CPU; cpu: always the CPU"
)

#: Below this limit of addresses torch and the compiler of the loops end the process themselves, without an error that
#: Python sees. Measured with the CPU build of torch: 60 kb are annotated from 1.21 GB on.
LEAST_ADDRESSES = 1_075_000_000

# A wheel index serves drivers of this version and later; the newest first.
_WHEEL_INDEXES = ((580, "cu130"), (570, "cu128"), (560, "cu126"))
_DRIVER = Path("/sys/module/nvidia/version")


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    """The flag ``--device``."""
    parser.add_argument("--device", choices=DEVICES, default="auto", help=f"{DEVICE_HELP} (default: auto)")


def add_threads_argument(parser: argparse.ArgumentParser) -> None:
    """The flag ``--threads``."""
    parser.add_argument(
        "--threads",
        type=int,
        help="processor cores to compute with (default: OMP_NUM_THREADS, else all there are)",
    )


def use_threads(threads: int | None) -> None:
    """Let torch compute with a number of threads; None: as many as it takes itself. ``InputError`` for none."""
    if threads is None:
        return
    check_threads(threads)
    import torch

    torch.set_num_threads(threads)


def check_memory_limit() -> None:
    """Raise ``InputError`` where the process may not have the memory that any model needs (``ulimit -v``)."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESSES:
        raise InputError(
            f"not enough memory: ulimit -v is {limit // 1024} KiB, needed are at least {LEAST_ADDRESSES // 1024} KiB"
        )


def chosen_device(wanted: str = "auto") -> str:
    """``cuda`` or ``cpu``, as torch names them; ``wanted`` is one of ``DEVICES``.

    Raises ``InputError`` where a GPU is asked for and there is none, and where the machine has an NVIDIA GPU that this
    torch cannot use: training on the CPU instead would cost days before anyone notices.
    """
    if wanted == "cpu":
        return "cpu"
    import torch  # only here: the workflow reads the names above, and needs no torch

    if torch.cuda.is_available():
        return "cuda"
    if driver := _driver():
        raise InputError(
            f"device: this machine has an NVIDIA GPU (driver {driver}), but torch {torch.__version__} cannot use it; "
            f"{_advice(driver)}"
        )
    if wanted == "gpu":
        raise InputError(
            f"device: gpu is asked for, but torch {torch.__version__} finds no GPU, and this machine has no NVIDIA "
            f"driver; {_advice(driver)}"
        )
    return "cpu"


def _driver() -> str:
    """Version of the NVIDIA driver, empty where there is none."""
    try:
        return _DRIVER.read_text("utf-8").strip()
    except OSError:
        return ""


def _advice(driver: str) -> str:
    return (
        f"install a build for it (pip install torch --index-url https://download.pytorch.org/whl/{_wheels(driver)}), "
        "or go on without a GPU: --config device=cpu (of a command: --device cpu)"
    )


def _wheels(driver: str) -> str:
    """The wheel index whose CUDA the driver can run. Machines with ARM processors have wheels of CUDA 13."""
    newest, oldest = _WHEEL_INDEXES[0][1], _WHEEL_INDEXES[-1][1]
    major = driver.partition(".")[0]
    if not major.isdecimal() or platform.machine() == "aarch64":
        return newest
    return next((name for least, name in _WHEEL_INDEXES if int(major) >= least), oldest)
