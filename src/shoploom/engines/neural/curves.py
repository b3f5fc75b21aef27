"""Learning curves in the format of TensorBoard, written without it.

A file of events is a row of records: length, checksum of the length, message, checksum of the
message (TFRecord); a message is a protocol buffer with a time, a step, and a named number.
"""

from __future__ import annotations

import os
import struct
import time
from functools import cache
from pathlib import Path

_POLYNOMIAL = 0x82F63B78  # of CRC-32C (Castagnoli), reflected


class Curves:
    """Appends points to a file of events in a folder.

    Args:
        folder: made if missing; each run of a program adds a file of its own.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
        self._write(_field(1, struct.pack("<d", time.time())) + _bytes(3, b"brain.Event:2"))

    def add(self, name: str, step: int, value: float) -> None:
        """One point of the curve of that name."""
        point = _bytes(1, name.encode()) + _field(2, struct.pack("<f", value), fixed32=True)
        event = _field(1, struct.pack("<d", time.time()))
        event += _varint(2 << 3) + _varint(step) + _bytes(5, _bytes(1, point))
        self._write(event)

    def _write(self, message: bytes) -> None:
        length = struct.pack("<Q", len(message))
        record = length + _masked(length) + message + _masked(message)
        with self._path.open("ab") as file:
            file.write(record)


def _field(number: int, value: bytes, *, fixed32: bool = False) -> bytes:
    return _varint(number << 3 | (5 if fixed32 else 1)) + value


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _masked(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    table = _table()
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@cache
def _table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)
