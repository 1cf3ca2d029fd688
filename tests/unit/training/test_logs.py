"""CSV logs and the memory watch."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time

import pytest
import torch

from genet5.training.csv_log import CsvLog
from genet5.training.logs import duration, flops_share, peak_flops, progress_line
from genet5.training.memory import MemoryWatch, memory_gb


def read(path) -> list[dict[str, str]]:
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def test_rows_are_on_disk_at_once_and_missing_cells_are_empty(tmp_path):
    log = CsvLog(tmp_path / "log.csv")
    log.append({"step": 1, "loss": 0.1 + 0.2, "val_loss": None})
    log.append({"step": 2, "loss": 1.5})
    assert read(log.path) == [
        {"step": "1", "loss": "0.30000000000000004", "val_loss": ""},
        {"step": "2", "loss": "1.5", "val_loss": ""},
    ]
    with pytest.raises(ValueError, match="no column gain"):
        log.append({"step": 3, "gain": 1})


def test_a_resumed_log_has_each_step_once_even_after_a_torn_row(tmp_path):
    log = CsvLog(tmp_path / "log.csv")
    for step in range(1, 6):
        log.append({"step": step, "loss": step / 3})
    with open(log.path, "a") as stream:
        stream.write("6,0.")  # killed while writing
    resumed = CsvLog(log.path)
    resumed.truncate(3)
    resumed.append({"step": 4, "loss": 4 / 3})
    assert [row["step"] for row in read(log.path)] == ["1", "2", "3", "4"]
    assert read(log.path)[3]["loss"] == repr(4 / 3)


def test_truncating_to_the_start_leaves_a_log_that_can_be_written(tmp_path):
    log = CsvLog(tmp_path / "log.csv")
    log.truncate(0)
    log.append({"step": 1})
    log.truncate(0)
    CsvLog(log.path).append({"step": 1})
    assert read(log.path) == [{"step": "1"}]
    log.path.write_text("st")  # killed while writing the header
    again = CsvLog(log.path)
    again.truncate(0)
    again.append({"step": 1})
    assert read(log.path) == [{"step": "1"}]


def seconds_in(path) -> float:
    """Time of the last row of a log that another thread writes."""
    rows = [row for row in read(path) if row["elapsed_s"]] if path.exists() else []
    return float(rows[-1]["elapsed_s"]) if rows else 0.0


def test_the_memory_watch_writes_rows_and_numbers_its_files(tmp_path):
    for _ in range(2):
        with MemoryWatch(tmp_path, 0.05, torch.device("cpu")) as watch:
            while watch._thread.is_alive() and not seconds_in(watch.path) > 0.1:
                time.sleep(0.01)
    rows = read(tmp_path / "memory_1.csv")
    assert len(rows) >= 2
    assert 0 < float(rows[0]["process_gb"]) < float(rows[0]["ram_total_gb"])
    assert float(rows[-1]["elapsed_s"]) > float(rows[0]["elapsed_s"])
    assert (tmp_path / "memory_2.csv").exists()
    with MemoryWatch(tmp_path, 0, torch.device("cpu")):
        pass
    assert not (tmp_path / "memory_3.csv").exists()


def test_the_memory_watch_looks_more_often_when_memory_is_short(tmp_path):
    watch = MemoryWatch(tmp_path, 30, torch.device("cpu"))
    assert [watch._wait_s(50, 0), watch._wait_s(85, 0), watch._wait_s(50, 20), watch._wait_s(95, 0)] == [30, 5, 5, 2]


def test_memory_of_a_process_without_gpu():
    memory = memory_gb(torch.device("cpu"))
    assert memory["process_gb"] > 0.05
    assert memory["gpu_alloc_gb"] == memory["gpu_max_gb"] == 0


def test_flops_share_needs_cost_and_a_known_device():
    assert flops_share(1000.0, 98.9e9, "NVIDIA H200", 1) == pytest.approx(0.1)
    assert flops_share(1000.0, 98.9e9, "NVIDIA H200", 2) == pytest.approx(0.05)
    assert flops_share(1000.0, None, "NVIDIA H200", 1) is None
    assert flops_share(1000.0, 98.9e9, "", 1) is None


def test_a_device_is_known_by_its_whole_number():
    assert peak_flops("NVIDIA L4") == 121e12
    assert peak_flops("NVIDIA L40S") == 362e12
    assert peak_flops("NVIDIA L40") is None
    assert peak_flops("NVIDIA A100-SXM4-80GB") == 312e12
    assert peak_flops("NVIDIA GH200 480GB") == peak_flops("NVIDIA H100 80GB HBM3") == 989e12
    assert peak_flops("NVIDIA GB10") == 125e12


def test_the_console_line_names_what_matters():
    row = {"step": 7, "epoch": 1, "train_loss": 2.5, "val_loss": 2.25, "lr": 1e-4, "grad_norm": 0.5}
    line = progress_line(row | {"tokens_per_s": 12300.0, "mfu": 0.31, "eta_s": 4000}, 250)
    assert line.startswith("step   7/250 | epoch 1 | loss 2.5000 | val 2.2500 | lr 1.00e-04")
    assert "12.3k tok/s | mfu 31% | eta 1 h 6 min" in line
    assert [duration(s) for s in (9, 80, 7300)] == ["9 s", "1 min 20 s", "2 h 1 min"]


def test_a_reader_of_the_output_that_is_gone_ends_no_training(repository):
    """As ``tee`` after a signal to all: what comes after the line that nobody reads is still done."""
    code = (
        "import sys; from types import SimpleNamespace; from genet5.training.processes import say\n"
        "sys.stdin.readline()\n"
        "for _ in range(2): say(SimpleNamespace(is_global_zero=True), 'x' * 100_000)\n"
        "print('saved', file=sys.stderr)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(repository / "scripts")},
    )
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate("go\n")
    assert (process.returncode, errors) == (0, "saved\n")
