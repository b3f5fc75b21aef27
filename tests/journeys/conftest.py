"""A small shop as files, and the command line as a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
import yaml

from shoploom.cli import run as cli_run
from tests.conftest import shop_events, shop_items

#: Few engines and short windows keep a whole run to seconds.
SETTINGS = {
    "name": "Tiny shop",
    "currency": "EUR",
    "tables": {"events": {"path": "events.csv"}, "items": {"path": "items.csv"}},
    "tasks": {
        "next_item": {"window_days": 14},
        "churn": {"window_days": 14},
        "purchase": {"window_days": 14, "active_days": None},
        "spend": {"window_days": 14},
    },
    "engines": {"popularity": {}, "cooccurrence": {}, "rfm": {}},
    "split": {"train_moments": 2},
}


@dataclass(frozen=True)
class ShopFolder:
    """A folder with CSV files and a shop.yaml."""

    path: Path

    @property
    def yaml(self) -> Path:
        return self.path / "shop.yaml"

    @property
    def run(self) -> Path:
        return self.path / "runs" / "latest"

    def set(self, **settings: object) -> None:
        """Replace settings of shop.yaml."""
        values = yaml.safe_load(self.yaml.read_text())
        self.yaml.write_text(yaml.safe_dump({**values, **settings}))

    def add(self, **frames: pd.DataFrame) -> None:
        """Write tables as CSV beside the others, and name them in shop.yaml."""
        tables = yaml.safe_load(self.yaml.read_text())["tables"]
        for name, frame in frames.items():
            rows = pa.Table.from_pandas(frame, preserve_index=False)
            pacsv.write_csv(rows, self.path / f"{name}.csv")
            tables[name] = {"path": f"{name}.csv"}
        self.set(tables=tables)


@pytest.fixture
def folder(tmp_path: Path) -> ShopFolder:
    """A fresh small shop in files."""
    return write_shop(tmp_path)


def write_shop(path: Path) -> ShopFolder:
    """The small shop's files in a folder."""
    events = shop_events().select(
        ["user_id", "time", "action", "item_id", "price", "quantity", "session_id"]
    )
    pacsv.write_csv(events, path / "events.csv")
    pacsv.write_csv(shop_items(), path / "items.csv")
    (path / "shop.yaml").write_text(yaml.safe_dump(SETTINGS))
    return ShopFolder(path)


@dataclass(frozen=True)
class Said:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def shoploom(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Call the command line in this process."""

    def call(*tokens: object) -> Said:
        code = cli_run([str(token) for token in tokens])
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return call
