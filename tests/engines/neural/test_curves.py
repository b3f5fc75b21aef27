from __future__ import annotations

import struct
from pathlib import Path

from shoploom.engines.neural.curves import Curves, _masked


def test_checksums_are_those_of_the_format() -> None:
    # CRC-32C of "123456789" is e3069283 (RFC 3720), masked as in TFRecord.
    crc = 0xE3069283
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert _masked(b"123456789") == struct.pack("<I", masked)


def test_points_are_whole_records_with_name_step_and_value(tmp_path: Path) -> None:
    curves = Curves(tmp_path / "curves")
    curves.add("loss/next event", 300, 1.5)
    (path,) = (tmp_path / "curves").iterdir()
    data, records = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert data[8:12] == _masked(data[:8])
        message = data[12 : 12 + length]
        assert data[12 + length : 16 + length] == _masked(message)
        records.append(message)
        data = data[16 + length :]
    assert b"brain.Event:2" in records[0]
    assert b"loss/next event" in records[1]
    assert b"\x10\xac\x02" in records[1]  # field 2, the number 300
    assert struct.pack("<f", 1.5) in records[1]
