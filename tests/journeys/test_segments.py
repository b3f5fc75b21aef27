"""Segments of a small shop, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from tests.journeys.conftest import Said, ShopFolder

Shoploom = Callable[..., Said]


def test_groups_have_names_sizes_and_products(
    folder: ShopFolder, shoploom: Shoploom, tmp_path: Path
) -> None:
    assert shoploom("prepare", folder.yaml, "--quiet").code == 0
    out = tmp_path / "segments.csv"
    said = shoploom("segments", folder.yaml, "--quiet", "--k", 2, "--out", out)
    assert said.code == 0, said.err
    assert "compared by habits, tastes" in said.out
    about = json.loads((folder.run / "segments.json").read_text())
    users = pd.read_csv(out)
    assert len(users) == about["users"] == sum(each["users"] for each in about["segments"])
    names = [each["name"]["en"] for each in about["segments"]]
    assert len(set(names)) == len(names)
    assert all(each["name"]["zh"] != each["name"]["en"] for each in about["segments"])
    assert set(users["name"]) == set(names)
    assert all(each["users"] >= 20 for each in about["segments"])
    assert all(item["times"] > 1 for each in about["segments"] for item in each["favourites"])
    assert [week["weeks_ago"] for week in about["weeks"]] == [3, 2, 1, 0]
    assert {"events", "spend", "orders", "categories"} == set(about["versus_rfm"]["explained"])
    chinese = shoploom("segments", folder.yaml, "--quiet", "--k", 2, "--language", "zh")
    assert about["segments"][0]["name"]["zh"] in chinese.out


def test_what_cannot_be_is_told(folder: ShopFolder, shoploom: Shoploom) -> None:
    assert shoploom("prepare", folder.yaml, "--quiet").code == 0
    said = shoploom("segments", folder.yaml, "--quiet", "--language", "fr")
    assert said.code == 2
    assert "expected en or zh" in said.err
