"""A training that is killed at random moments ends at the weights of one that was not."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from .conftest import ShopFolder, write_shop

KILLS = 4


def _weights(folder: ShopFolder) -> dict[str, np.ndarray]:
    return load_file(folder.run / "engines" / "neural" / "arrays.safetensors")


@pytest.mark.slow
def test_a_killed_training_ends_at_the_weights_of_one_that_was_not(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    shops = [write_shop(tmp_path / name) for name in ("whole", "killed")]
    for shop in shops:
        shop.set(engines={"neural": {"dim": 16, "layers": 1, "batch": 128, "max_epochs": 12}})
        subprocess.run(_command(shop, "prepare"), check=True, capture_output=True)
    whole, killed = shops
    start = time.monotonic()
    subprocess.run(_command(whole, "train"), check=True, capture_output=True)
    took = time.monotonic() - start
    resumed = 0
    for _ in range(KILLS):
        process = subprocess.Popen(_command(killed, "train"), stderr=subprocess.DEVNULL)
        time.sleep(draw.uniform(0.3, 0.8) * took)
        process.send_signal(signal.SIGKILL)
        process.wait()
        resumed += any(killed.run.glob("kept/*/training-*/training.json"))
    subprocess.run(_command(killed, "train"), check=True, capture_output=True)
    assert resumed  # some kill met a training under way
    expected, got = _weights(whole), _weights(killed)
    assert expected.keys() == got.keys()
    assert all(np.array_equal(expected[name], got[name]) for name in expected)
    assert not list(killed.run.glob("kept/*/training-*"))


def _command(shop: ShopFolder, stage: str) -> list[str]:
    return [sys.executable, "-m", "shoploom", stage, str(shop.yaml), "--quiet"]
