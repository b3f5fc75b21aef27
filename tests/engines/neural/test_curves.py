from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from shoploom.core.errors import DataError
from shoploom.engines.neural import curves
from shoploom.engines.neural.curves import curves_in

from ..shops import inputs
from .test_neural import SHOP, SMALL

pytest.importorskip("tensorboardX")


def _points(folder: Path) -> list[tuple[str, int, float]]:
    """What TensorBoard would read."""
    from tensorboardX.proto.event_pb2 import Event

    (path,) = folder.iterdir()
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + length])
        found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
        data = data[16 + length :]
    return found


def test_points_have_name_step_and_value(tmp_path: Path) -> None:
    with curves_in(tmp_path / "curves") as record:
        assert record is not None
        record("quality", 300, 1.5)
        record("quality", 301, 2.5)
    assert _points(tmp_path / "curves") == [("quality", 300, 1.5), ("quality", 301, 2.5)]


def test_a_training_leaves_its_losses(tmp_path: Path) -> None:
    replace(SMALL, epochs=2, curves=str(tmp_path / "curves")).fit(inputs(SHOP), {}, {})
    points = _points(tmp_path / "curves")
    assert {name for name, _, _ in points} == {"loss/next_event"}
    steps = [step for _, step, _ in points]
    assert steps == sorted(steps)


def test_without_a_folder_nothing_is_written() -> None:
    with curves_in(None) as record:
        assert record is None


def test_a_missing_package_is_told(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(curves, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="shoploom\\[curves\\]"), curves_in(tmp_path):
        pass
