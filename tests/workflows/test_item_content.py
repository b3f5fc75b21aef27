"""Content of items as of a moment: what is written or bought later moves no earlier vector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from shoploom.core import columns as c
from shoploom.core.ids import Vocabulary
from shoploom.core.progress import Quiet
from shoploom.core.time import DAY_US
from shoploom.engines import Inputs, ItemContent
from shoploom.sequences import views
from shoploom.tables import open_tables
from shoploom.workflows import load_config
from shoploom.workflows.encode import encode, read_encoded
from shoploom.workflows.item_content import REVIEWS, SERIES, ItemContents, item_contents, joined
from shoploom.workflows.prepare import prepare
from shoploom.workflows.run import Run
from tests.conftest import N_ITEMS, SHOP_DAYS, SHOP_START
from tests.journeys.conftest import ShopFolder, write_shop

#: After the test moment, up to which encoders learn: what is rewritten later moves none of them.
AT = SHOP_START + (SHOP_DAYS - 10) * DAY_US


def _shop(path: Path, *, later: str = "") -> ShopFolder:
    """The small shop with reviews; with ``later``, reviews and events after ``AT`` are others."""
    path.mkdir()
    made = write_shop(path)
    n = 80
    times = [SHOP_START + i * SHOP_DAYS * DAY_US // n for i in range(n)]
    written = [
        later if later and time >= AT else f"word{i % 7} word{i % 3}"
        for i, time in enumerate(times)
    ]
    reviews = {
        c.USER_ID: [f"u{i % 20:02d}" for i in range(n)],
        c.ITEM_ID: [f"i{i % N_ITEMS:02d}" for i in range(n)],
        c.TIME: times,
        c.TEXT: written,
    }
    pq.write_table(pa.table(reviews), path / "reviews.parquet")
    if later:
        events = pacsv.read_csv(path / "events.csv")
        time = np.array([int(t) for t in events["time"].cast(pa.int64()).to_pylist()])
        item = np.array(events["item_id"].to_pylist(), dtype=object)
        item[time >= AT] = "i00"
        column = events.column_names.index("item_id")
        pacsv.write_csv(
            events.set_column(column, "item_id", pa.array(item.tolist())), path / "events.csv"
        )
    made.set(
        tables={
            "events": {"path": "events.csv"},
            "items": {"path": "items.csv"},
            "reviews": {"path": "reviews.parquet"},
        },
        encoders={"text": {"tfidf": {"dim": 16, "min_texts": 1}}, "series": "series"},
    )
    return made


def _encoded(made: ShopFolder) -> tuple[Run, Inputs, ItemContents]:
    config = load_config(made.yaml)
    run = Run(config.run)
    prepare(config, run, Quiet())
    encode(config, run, Quiet())
    contents = item_contents(run, config.encoders)
    assert contents is not None
    tables = open_tables(run.prepared)
    end = SHOP_START + SHOP_DAYS * DAY_US
    return run, Inputs(until=end, tables=tables, content=contents, **views(tables)), contents


def test_an_item_is_the_mean_of_the_reviews_written_before(tmp_path: Path) -> None:
    run, inputs, contents = _encoded(_shop(tmp_path / "shop"))
    assert contents.names == ("text", REVIEWS, SERIES)
    content = inputs.content(AT)
    assert content is not None
    vectors = read_encoded(run, "reviews.text").encoded.vectors.astype(np.float32)
    written = pq.read_table(run.prepared / "reviews.parquet")
    item = np.array(written[c.ITEM_ID].to_pylist())
    before = written[c.TIME].to_numpy() < AT
    for id_ in ("i00", "i03"):
        row = content.items.encode([id_])[0]
        want = vectors[(item == id_) & before].mean(0)
        np.testing.assert_allclose(content.vectors[REVIEWS][row], want, atol=1e-3)
    early = inputs.content(SHOP_START + DAY_US)
    assert early is not None
    assert 0 < early.present[REVIEWS].sum() < content.present[REVIEWS].sum()
    assert content.present[SERIES].any()


def test_rewriting_the_future_moves_no_past_content(tmp_path: Path) -> None:
    _, inputs, _ = _encoded(_shop(tmp_path / "shop"))
    _, other, _ = _encoded(_shop(tmp_path / "other", later="nonsense"))
    one, two = inputs.content(AT), other.content(AT)
    assert one is not None
    assert two is not None
    two = two.take(one.items)
    for name in (REVIEWS, SERIES):
        np.testing.assert_array_equal(one.present[name], two.present[name])
        np.testing.assert_array_equal(one.vectors[name], two.vectors[name])
    late, changed = inputs.content(inputs.until), other.content(other.until)
    assert late is not None
    assert changed is not None
    changed = changed.take(late.items)
    for name in (REVIEWS, SERIES):
        assert (late.vectors[name] != changed.vectors[name]).any()


def test_brands_categories_and_prices_are_read_where_they_have_encoders(tmp_path: Path) -> None:
    made = _shop(tmp_path / "shop")
    made.set(encoders={"category": "category", "number": "number"})
    run, inputs, contents = _encoded(made)
    assert contents.names == (c.BRAND, c.CATEGORY, c.PRICE)
    content = inputs.content(AT)
    assert content is not None
    items = pq.read_table(run.prepared / "items.parquet").to_pydict()
    row = content.items.encode(items[c.ITEM_ID])
    for name in contents.names:
        vectors = content.vectors[name][row]
        same = {(a, vectors[i].tobytes()) for i, a in enumerate(items[name])}
        assert len(same) == len(set(items[name]))
    assert content.present[c.BRAND].all()
    assert "brand" not in {p.name for p in (run.folder / "encoded").iterdir()}


def test_only_some_sources_are_kept(tmp_path: Path) -> None:
    _, inputs, contents = _encoded(_shop(tmp_path / "shop"))
    kept = contents.only({REVIEWS})
    assert kept.names == (REVIEWS,)
    content = kept(inputs, AT)
    assert content is not None
    assert list(content.vectors) == [REVIEWS]
    assert contents.only(())(inputs, AT) is None


def test_parts_of_other_items_are_joined() -> None:
    def part(ids: str, name: str) -> ItemContent:
        n = len(ids)
        return ItemContent(
            Vocabulary.of(list(ids)), {name: np.ones((n, 2), np.float16)}, {name: np.ones(n, bool)}
        )

    whole = joined([part("ab", "text"), part("bc", "image")])
    assert whole.items.ids.tolist() == ["a", "b", "c"]
    assert whole.present["text"].tolist() == [True, True, False]
    assert whole.present["image"].tolist() == [False, True, True]


def test_a_shop_without_encoders_has_no_content(tmp_path: Path) -> None:
    made = _shop(tmp_path / "shop")
    run, _, _ = _encoded(made)
    assert item_contents(run, ()) is None
