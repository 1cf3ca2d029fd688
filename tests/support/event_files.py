"""What TensorBoard would show: the scalars and histograms of event files."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from tensorboardX.proto.event_pb2 import Event


def read_events(folder: Path) -> tuple[dict[str, dict[int, float]], dict[str, dict[int, Any]]]:
    """Scalars and histograms of the files in a folder: values by step, by name.

    A record of such a file is its length (8 bytes), a checksum (4), the event, and a checksum (4).
    """
    scalars: dict[str, dict[int, float]] = {}
    histograms: dict[str, dict[int, Any]] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack("<Q", content[place : place + 8])
            event = Event.FromString(content[place + 12 : place + 12 + length])
            place += 16 + length
            for value in event.summary.value:
                if value.HasField("histo"):
                    histograms.setdefault(value.tag, {})[event.step] = value.histo
                elif value.HasField("simple_value"):
                    scalars.setdefault(value.tag, {})[event.step] = value.simple_value
    return scalars, histograms
