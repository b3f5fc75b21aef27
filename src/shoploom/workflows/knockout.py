"""Knock-out: which sources are worth collecting.

The same engine learns with everything, without each source, with each source alone and with none.
"""

from __future__ import annotations

from shoploom.core.errors import DataError
from shoploom.core.progress import Progress
from shoploom.workflows.config import ShopConfig
from shoploom.workflows.item_content import ItemContents, item_contents
from shoploom.workflows.run import Run
from shoploom.workflows.variants import Judged, Variant, engine_of, judge_variants

KNOCKOUT = "knockout"
EVERYTHING, NOTHING = "everything", "ids alone"


def knockout(config: ShopConfig, run: Run, progress: Progress, *, engine: str = "neural") -> Judged:
    """Train and judge the engine with and without each source of content.

    Returns:
        As ``judge_variants``, everything first; also in ``RUN/knockout/ENGINE.json``.

    Raises:
        NotFitted: the shop has not been encoded and trained.
        UnknownName: shop.yaml has no such engine.
        DataError: items have no encoded content.
    """
    settings = engine_of(config, engine)
    content = item_contents(run, config.encoders)
    if content is None:
        raise DataError(
            "expected items with encoded texts or photos to leave out, found none; name "
            "`encoders:` in shop.yaml and run `shoploom encode`."
        )
    made = {name: Variant(settings, kept) for name, kept in variants(content).items()}
    return judge_variants(config, run, progress, study=KNOCKOUT, engine=engine, made=made)


def variants(content: ItemContents) -> dict[str, ItemContents | None]:
    """What is left of the content in each variant, everything first."""
    names = content.names
    made: dict[str, ItemContents | None] = {EVERYTHING: content}
    if len(names) > 1:
        made |= {f"without {n}": content.only(set(names) - {n}) for n in names}
        made |= {f"{n} alone": content.only({n}) for n in names}
    return made | {NOTHING: None}
