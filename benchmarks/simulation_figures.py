"""The pictures of docs/simulation.md: a simulated shop beside a real one, and its products.

    python benchmarks/simulation_figures.py --data demo/events.parquet --shop toy/ --out docs/images

``--data`` is the real log (The Complete Journey as ``shoploom demo`` imports it), ``--shop`` a
folder that ``shoploom simulate --no-dirt`` wrote.
"""

from __future__ import annotations

import argparse
import base64
import html
import shutil
from pathlib import Path

import duckdb
import matplotlib as mpl
import numpy as np
from playwright.sync_api import sync_playwright

mpl.use("Agg")
import matplotlib.pyplot as plt

REAL, MADE = "#6b7280", "#0f766e"

#: What both logs are asked: a name, the SQL, and how its column is drawn.
BASKETS = """
    SELECT user_id, coalesce(session_id, user_id || time // 86400000000) AS basket, item_id, time
    FROM read_parquet(?) WHERE action = 'purchase'
"""


def shares(connection: duckdb.DuckDBPyConnection, path: str) -> dict[str, np.ndarray]:
    """What the figure compares, of one log of purchases."""
    purchases = f"({BASKETS})"

    def ask(sql: str) -> np.ndarray:
        return np.array(connection.execute(sql, [path]).fetchnumpy()["x"], float)

    return {
        "popularity": ask(
            f"SELECT count(*) AS x FROM {purchases} GROUP BY item_id ORDER BY x DESC"
        ),
        "gaps": ask(
            f"""SELECT days - lag(days) OVER (PARTITION BY user_id ORDER BY days) AS x
            FROM (SELECT DISTINCT user_id, time // 86400000000 AS days FROM {purchases})
            QUALIFY x IS NOT NULL"""
        ),
        "hours": ask(f"SELECT time // 3600000000 % 24 AS x FROM {purchases}"),
        "baskets": ask(f"SELECT count(*) AS x FROM {purchases} GROUP BY basket"),
        "repeats": ask(
            f"""SELECT 1 - count(DISTINCT item_id) / count(*) AS x
            FROM {purchases} GROUP BY user_id HAVING count(*) >= 5"""
        ),
    }


def compare(real: str, made: str, out: Path) -> None:
    """Five panels: each a property of purchases, real in grey and simulated in green."""
    connection = duckdb.connect()
    logs = {"Complete Journey": shares(connection, real), "simulated": shares(connection, made)}
    colours = dict(zip(logs, (REAL, MADE), strict=True))
    figure, axes = plt.subplots(2, 3, figsize=(12, 6.4), layout="constrained")
    panels = axes.ravel()
    for name, log in logs.items():
        style = {"color": colours[name], "label": name, "lw": 2}
        rank = np.arange(1, len(log["popularity"]) + 1) / len(log["popularity"])
        panels[0].loglog(rank, log["popularity"] / log["popularity"].sum(), **style)
        for panel, key, edges in (
            (panels[1], "gaps", np.arange(1, 62)),
            (panels[2], "hours", np.arange(25)),
            (panels[3], "baskets", np.arange(1, 22)),
            (panels[4], "repeats", np.linspace(0, 1, 21)),
        ):
            height, _ = np.histogram(log[key], edges)
            panel.stairs(height / height.sum(), edges, color=colours[name], lw=2, label=name)
    titles = (
        ("How popular items are", "rank of the item, as a share", "share of purchases"),
        ("Days between purchase days", "days", "share"),
        ("Hour of purchases", "hour, as the log writes it", "share"),
        ("Items in a basket", "lines", "share"),
        ("Repeat rate of users with 5 purchases or more", "share bought before", "share of users"),
    )
    for panel, (title, x, y) in zip(panels, titles, strict=False):
        panel.set(title=title, xlabel=x, ylabel=y)
        panel.spines[["top", "right"]].set_visible(False)
    panels[1].set_yscale("log")
    panels[5].axis("off")
    panels[5].legend(
        *panels[0].get_legend_handles_labels(), loc="center", frameon=False, fontsize=13
    )
    figure.savefig(out / "simulation-beside-real.png", dpi=110)


def sheet(shop: Path, out: Path) -> None:
    """Forty products: photo, title and two reviews each, as a page seen by Chromium."""
    rows = (
        duckdb.connect()
        .execute(
            """
        SELECT any_value(i.title), any_value(i.image), any_value(i.price),
            list(r.text ORDER BY hash(r.text))[:2], list(r.rating ORDER BY hash(r.text))[:2]
        FROM read_parquet(?) AS i JOIN read_parquet(?) AS r USING (item_id)
        WHERE length(r.text) BETWEEN 12 AND 170
        GROUP BY item_id, i.category HAVING count(*) >= 2
        QUALIFY row_number() OVER (PARTITION BY i.category ORDER BY hash(item_id)) <= 2
        ORDER BY i.category, item_id LIMIT 40
        """,
            [str(shop / "items.parquet"), str(shop / "reviews.parquet")],
        )
        .fetchall()
    )
    page = SHEET.replace("CARDS", "".join(_card(shop, *row) for row in rows))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page(viewport={"width": 1600, "height": 900})
        tab.set_content(page)
        tab.screenshot(
            path=str(out / "simulation-products.jpg"), full_page=True, type="jpeg", quality=80
        )
        browser.close()


#: The page around the cards.
SHEET = """<!doctype html><meta charset="utf-8"><style>
body { margin: 24px; font: 13px/1.45 "Noto Sans CJK SC", "DejaVu Sans", sans-serif; color: #1f2937;
       background: #f3f4f6; display: grid; grid-template-columns: repeat(8, 1fr); gap: 16px; }
article { background: #fff; border-radius: 10px; overflow: hidden; }
img { width: 100%; display: block; } div { padding: 10px 12px; }
h2 { font-size: 14px; margin: 0 0 2px; } .price { color: #0f766e; margin: 0 0 6px; }
p { margin: 0 0 6px; } .stars { color: #d97706; letter-spacing: 1px; }
</style>CARDS"""


def _card(
    shop: Path, title: str, image: str, price: float, texts: list[str], ratings: list[float]
) -> str:
    photo = base64.b64encode((shop / image).read_bytes()).decode()
    said = "".join(
        f"<p><span class=stars>{'★' * int(rating)}{'☆' * (5 - int(rating))}</span> "
        f"{html.escape(text)}</p>"
        for text, rating in zip(texts, ratings, strict=True)
    )
    return (
        f"<article><img src='data:image/jpeg;base64,{photo}'><div>"
        f"<h2>{html.escape(title)}</h2><p class=price>${price:.2f}</p>{said}</div></article>"
    )


def main() -> None:
    """Draw both figures."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--data", help="the real log of events, Parquet")
    options.add_argument("--shop", type=Path, required=True, help="a simulated shop's folder")
    options.add_argument("--out", type=Path, required=True, help="where the pictures go")
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.data:
        compare(given.data, str(given.shop / "events.parquet"), given.out)
    sheet(given.shop, given.out)


if __name__ == "__main__":
    main()
