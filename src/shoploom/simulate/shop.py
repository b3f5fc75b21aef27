"""A whole shop in a folder: its tables, its pictures and films, its shop.yaml, and the truth.

OUT/
  shop.yaml
  events, items, users, reviews, dialogues, offers, exposures, streams (Parquet)
  photos/ITEM.jpg  videos/ITEM.mp4  videos/STREAM.mp4
  truth/
    truth.json     settings, elasticities, weights, propensities
    users, items, market, causes, reviews, dialogues, personal, streams, departures,
    dirt (Parquet)
"""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.core.files import atomic_path, read_json, write_json, write_text
from shoploom.core.progress import Progress, Quiet
from shoploom.core.seeds import rng
from shoploom.simulate import records
from shoploom.simulate.behaviour import simulate_days
from shoploom.simulate.catalogue import (
    CATEGORIES,
    ITEM_GROUPS,
    LANGUAGES,
    USER_GROUPS,
)
from shoploom.simulate.choice import WEIGHTS
from shoploom.simulate.content.dialogues import write_dialogues
from shoploom.simulate.content.queries import category_queries
from shoploom.simulate.content.reviews import write_reviews
from shoploom.simulate.content.scripts import stream_script
from shoploom.simulate.content.titles import ItemTexts, item_texts
from shoploom.simulate.dirt import (
    bot_events,
    bot_ledger,
    break_images,
    soil_events,
    soil_items,
    soil_reviews,
)
from shoploom.simulate.market import PHASE_STARTS, PHASES, PRICE_ARMS, Market, make_market
from shoploom.simulate.spec import ShopSpec
from shoploom.simulate.state import Rows
from shoploom.simulate.streams import SECONDS_EACH, Stream, plan_streams
from shoploom.simulate.world import ELASTICITY, World, make_world
from shoploom.simulate.writing import Writers

QUERIES_PER_CATEGORY = 150

CAVEAT = (
    "This shop is simulated: people, prices and texts are made up by the equations in "
    "docs/simulation.md; what holds here need not hold elsewhere."
)


def simulate(
    out: Path | str,
    spec: ShopSpec = ShopSpec(),  # noqa: B008 (frozen)
    progress: Progress | None = None,
) -> Path:
    """The path of ``shop.yaml`` in ``out``, where a whole simulated shop lies.

    The folder is whole or absent: an interrupted run leaves nothing behind. A folder that holds
    the shop of the same settings already is left as it is.

    Raises:
        ConfigError: the settings are impossible.
        DataError: ``out`` holds something else.
    """
    out, progress = Path(out), progress or Quiet()
    if out.exists():
        return _already_there(out, spec)
    if spec.content:
        _expect_extra()
    world = make_world(spec)
    market, streams = make_market(world), list(plan_streams(world).values())
    names = records.Names.of(world, len(streams))
    with atomic_path(out) as folder:
        folder.mkdir()
        with Writers(folder) as writers:
            with progress.step("Write the catalogue"):
                texts = item_texts(
                    world.items.category, world.items.brand, world.items.language, spec.seed
                )
                _write_catalogue(world, market, streams, names, texts, writers)
            facts = _write_days(world, market, names, writers, progress)
            if spec.content:
                with progress.step("Write reviews and dialogues"):
                    _write_texts(world, facts, names, writers)
            if spec.content:
                broken = _make_pictures(world, streams, names, folder, progress)
                _note_dirt(writers, broken)
        write_json(folder / "truth" / "truth.json", _truth(spec))
        write_text(folder / "shop.yaml", _shop_yaml(spec, sorted(writers.rows)))
    for name in ("events", "reviews", "dialogues", "exposures"):
        if name in writers.rows:
            progress.note(f"{name}: {writers.rows[name]:,} rows")
    return out / "shop.yaml"


def settings(spec: ShopSpec) -> dict[str, Any]:
    """The specification as JSON-able values, as ``truth.json`` keeps it."""
    values = dataclasses.asdict(spec)
    values["photos_folder"] = None if spec.photos_folder is None else str(spec.photos_folder)
    return values


def _already_there(out: Path, spec: ShopSpec) -> Path:
    record = out / "truth" / "truth.json"
    if record.exists() and read_json(record)["settings"] == settings(spec):
        return out / "shop.yaml"
    raise DataError(
        f"expected {out} to be absent or to hold the shop of these very settings; it holds "
        "something else. Give another folder, or remove this one."
    )


def _expect_extra() -> None:
    missing = [name for name in ("PIL", "av") if find_spec(name) is None]
    if missing:
        raise DataError(
            f"expected Pillow and PyAV for photos and films, {', '.join(missing)} is not there; "
            "run: pip install 'shoploom[simulate]', or write the log alone with content=False "
            "(--no-content)."
        )


def _truth(spec: ShopSpec) -> dict[str, Any]:
    """What ``truth.json`` holds."""
    return {
        "settings": settings(spec),
        "elasticity": {
            group: {item: round(float(e), 3) for item, e in zip(ITEM_GROUPS, row, strict=True)}
            for group, row in zip(USER_GROUPS, ELASTICITY, strict=True)
        },
        "weights": dataclasses.asdict(WEIGHTS),
        "phases": dict(zip(PHASES, PHASE_STARTS, strict=True)),
        "price_arms": list(PRICE_ARMS),
        "ad_propensities": records.ad_propensities(),
    }


def _shop_yaml(spec: ShopSpec, written: list[str]) -> str:
    import yaml

    tables = {name: {"path": f"{name}.parquet"} for name in written if "/" not in name}
    shop = {
        "name": f"Simulated shop ({spec.users:,} users, seed {spec.seed})",
        "currency": "USD",
        "timezone": "UTC",
        "caveat": CAVEAT,
        "tables": {"events": tables.pop("events"), **tables},
        "encoders": "auto",
    }
    return yaml.safe_dump(shop, sort_keys=False, allow_unicode=True, width=88)


def _write_catalogue(
    world: World,
    market: Market,
    streams: list[Stream],
    names: records.Names,
    texts: ItemTexts,
    writers: Writers,
) -> None:
    """All that is known before the first event."""
    scripts = _scripts(world, streams, texts)
    spec = world.spec
    items, dirt = soil_items(
        records.items_table(world, names, texts, spec.content), spec.dirt, spec.seed
    )
    writers.add("items", items)
    _note_dirt(writers, dirt)
    writers.add("users", records.users_table(world, names))
    writers.add("offers", records.offers_table(world, market, names))
    writers.add("truth/users", records.users_truth(world, names))
    writers.add("truth/items", records.items_truth(world, names))
    writers.add("truth/market", records.market_truth(world, market, names))
    if streams:
        writers.add("streams", records.streams_table(streams, names, scripts, spec.content))
        writers.add("truth/streams", records.streams_truth(streams, names))


def _scripts(world: World, streams: list[Stream], texts: ItemTexts) -> list[str]:
    """What the host of each stream says, one timed line an item: ``[0:05] ...``."""
    scripts = []
    for stream in streams:
        titles = [texts.titles[item] for item in stream.items]
        lines = stream_script(titles, stream.language, SECONDS_EACH, world.spec.seed)
        scripts.append(
            "\n".join(f"[{int(s) // 60}:{int(s) % 60:02d}] {text}" for s, _, text in lines)
        )
    return scripts


def _write_days(
    world: World,
    market: Market,
    names: records.Names,
    writers: Writers,
    progress: Progress,
) -> dict[str, Rows]:
    """Write the log; what reviews and dialogues are to say comes back."""
    spec = world.spec
    texts, codes = _queries(spec)
    facts: dict[str, list[Rows]] = {"reviews": [], "dialogues": []}
    days = progress.track(simulate_days(world, market), "Days of the shop", total=spec.days)
    for day, log in enumerate(days):
        draw = rng(spec.seed, "searched words", day)
        events = log.events
        searched = events["action"] == c.ACTIONS.index(c.SEARCH)
        language = world.users.language[events["users"]]
        # A few queries are typed far more often than the others.
        which = (QUERIES_PER_CATEGORY * draw.random(len(language)) ** 2).astype(np.int32)
        query = np.where(searched, codes[events["category"], language, which], -1)
        chunk, dirt = soil_events(
            records.events_table(events, names, texts, query),
            spec.dirt,
            spec.seed,
            first_row=writers.rows.get("events", 0),
        )
        writers.add("events", chunk)
        _note_dirt(writers, dirt)
        writers.add("truth/causes", records.causes_table(events, names))
        for rows, to_table in (
            (log.prices, lambda rows: records.price_exposures(rows, world, names)),
            (log.recommendations, lambda rows: records.recommendation_exposures(rows, names)),
            (log.ads, lambda rows: records.ad_exposures(rows, names)),
            (log.replies, lambda rows: records.reply_exposures(rows, names)),
        ):
            if rows and len(rows["users"]):
                writers.add("exposures", to_table(rows))
        for name in facts:
            if rows := getattr(log, name):
                facts[name].append(rows)
        writers.add("truth/departures", records.departures(log.left, names))
    _add_bots(world, names, writers)
    return {
        name: {column: np.concatenate([p[column] for p in parts]) for column in parts[0]}
        for name, parts in facts.items()
        if parts
    }


def _add_bots(world: World, names: records.Names, writers: Writers) -> None:
    """Machines come last in the log, as from a server whose file was appended."""
    spec = world.spec
    n_bots = spec.dirt.n_bots(spec.users)
    if n_bots:
        bots = bot_events(
            n_bots,
            names.items,
            writers.schema("events"),
            days=spec.days,
            start_us=spec.start_us,
            seed=spec.seed,
        )
        writers.add("events", bots)
        _note_dirt(writers, bot_ledger(bots))


def _note_dirt(writers: Writers, ledger: pa.Table) -> None:
    if ledger.num_rows:
        writers.add("truth/dirt", ledger)


def _queries(spec: ShopSpec) -> tuple[pa.Array, npt.NDArray[np.int32]]:
    """All distinct texts of searches, and their codes by category, language and number."""
    texts = np.array(
        [
            text
            for category in CATEGORIES
            for language in range(len(LANGUAGES))
            for text in category_queries(category, language, QUERIES_PER_CATEGORY, spec.seed)
        ],
        dtype=object,
    )
    distinct, codes = np.unique(texts, return_inverse=True)
    shape = (len(CATEGORIES), len(LANGUAGES), QUERIES_PER_CATEGORY)
    return pa.array(distinct, pa.string()), codes.reshape(shape).astype(np.int32)


def _write_texts(
    world: World, facts: dict[str, Rows], names: records.Names, writers: Writers
) -> None:
    """Reviews and dialogues in words, and what they say."""
    seed, items, users = world.spec.seed, world.items, world.users
    personal = []
    if rows := facts.get("reviews"):
        category, language = items.category[rows["items"]], users.language[rows["users"]]
        reviews = write_reviews(category, language, rows["rating"], rows["polarity"], seed)
        # Known places of personal data would move if their text were misread.
        spared = np.zeros(len(rows["users"]), bool)
        spared[reviews.personal["review"].to_numpy()] = True
        table = records.reviews_table(rows, names, reviews)
        table, dirt = soil_reviews(table, world.spec.dirt, seed, spared=spared)
        writers.add("reviews", table)
        _note_dirt(writers, dirt)
        writers.add("truth/reviews", records.reviews_truth(rows, names, reviews))
        personal.append(records.personal_in_reviews(reviews))
    if rows := facts.get("dialogues"):
        dialogues = write_dialogues(
            rows["intent"],
            rows["emotion"],
            rows["reply"],
            rows["suited"],
            users.language[rows["users"]],
            items.category[rows["items"]],
            seed,
        )
        writers.add("dialogues", records.dialogues_table(rows, names, dialogues))
        writers.add("truth/dialogues", records.dialogues_truth(rows, names))
        personal.append(records.personal_in_dialogues(rows, dialogues))
    for table in personal:
        writers.add("truth/personal", table)


def _make_pictures(
    world: World,
    streams: list[Stream],
    names: records.Names,
    folder: Path,
    progress: Progress,
) -> pa.Table:
    """Photos of all items, films of some, and the streams; the ledger of broken photos."""
    from shoploom.simulate.content.films import write_product_film, write_stream_film
    from shoploom.simulate.content.photos import write_photos

    spec, items = world.spec, world.items
    photos, videos = folder / "photos", folder / "videos"
    shapes = [CATEGORIES[code].shape for code in items.category]
    ids = names.items.to_pylist()
    files = [f"{name}.jpg" for name in ids]
    with progress.step("Photograph the items"):
        write_photos(
            photos,
            files,
            shapes,
            items.style,
            spec.seed,
            spec.photo_size,
            photos_folder=spec.photos_folder,
            progress=progress,
        )
    videos.mkdir()
    with progress.step("Film the items and the streams"):
        for item in range(min(spec.films, len(items))):
            write_product_film(
                photos / f"{ids[item]}.jpg", videos / f"{ids[item]}.mp4", 3.0, spec.seed
            )
        for stream in streams:
            write_stream_film(
                [photos / f"{ids[item]}.jpg" for item in stream.items],
                SECONDS_EACH,
                videos / f"{names.streams[stream.number].as_py()}.mp4",
                spec.seed,
            )
    return break_images(photos, files, spec.dirt, spec.seed)
