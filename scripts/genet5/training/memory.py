"""Memory of the machine, the process and the GPU: one reading, and a thread that keeps writing them."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import psutil
import torch

from genet5.training.csv_log import CsvLog, now

GIB = 2**30
BUSY_S, CRITICAL_S = 5.0, 2.0  # intervals above 80 % and 90 % of RAM


def memory_gb(device: torch.device) -> dict[str, float]:
    """Memory in GiB: RAM of the machine in use, this process, GPU memory allocated now and at its peak."""
    gpu = device.type == "cuda"
    return {
        "ram_used_gb": psutil.virtual_memory().used / GIB,
        "process_gb": psutil.Process().memory_info().rss / GIB,
        "gpu_alloc_gb": torch.cuda.memory_allocated(device) / GIB if gpu else 0.0,
        "gpu_max_gb": torch.cuda.max_memory_allocated(device) / GIB if gpu else 0.0,
    }


class MemoryWatch:
    """Within ``with``, a thread appends a row to the next free ``memory_N.csv`` of ``folder``.

    Args:
        interval_s: seconds between rows, 5 above 80 % of RAM or 10 % of swap, 2 above 90 %; 0: no thread, no file.
        label: added to the file's name (the process's rank).
    """

    def __init__(self, folder: Path, interval_s: float, device: torch.device, label: str = ""):
        self.interval_s, self.device = interval_s, device
        self._stop = threading.Event()
        number = 1
        while (folder / f"memory_{number}{label}.csv").exists():
            number += 1
        self.path = folder / f"memory_{number}{label}.csv"

    def __enter__(self) -> MemoryWatch:
        if self.interval_s > 0:
            self._thread = threading.Thread(target=self._watch, name="memory watch", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self.interval_s > 0:
            self._thread.join()

    def _watch(self) -> None:
        start = time.monotonic()
        log = CsvLog(self.path)
        wait = 0.0
        while not self._stop.wait(wait):
            ram, swap = psutil.virtual_memory(), psutil.swap_memory()
            log.append(
                {
                    "timestamp": now(),
                    "elapsed_s": round(time.monotonic() - start, 1),
                    "ram_pct": ram.percent,
                    "ram_total_gb": round(ram.total / GIB, 3),
                    "ram_avail_gb": round(ram.available / GIB, 3),
                    "swap_used_gb": round(swap.used / GIB, 3),
                    "swap_pct": swap.percent,
                    **{name: round(value, 3) for name, value in memory_gb(self.device).items()},
                }
            )
            wait = self._wait_s(ram.percent, swap.percent)

    def _wait_s(self, ram_pct: float, swap_pct: float) -> float:
        if ram_pct > 90:
            return min(self.interval_s, CRITICAL_S)
        return min(self.interval_s, BUSY_S) if ram_pct > 80 or swap_pct > 10 else self.interval_s
