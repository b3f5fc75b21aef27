"""Controls: what learning all tasks together brings, and how their losses should share a network.

The same engine learns with other weightings of its losses, and with a network for each task.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shoploom.core.errors import ConfigError
from shoploom.core.progress import Progress
from shoploom.workflows.config import ShopConfig
from shoploom.workflows.item_content import item_contents
from shoploom.workflows.run import Run
from shoploom.workflows.variants import Judged, Variant, engine_of, judge_variants

CONTROLS = "controls"
WEIGHTINGS = ("fixed", "apart", "equal", "uncertainty", "balanced", "single")


def controls(config: ShopConfig, run: Run, progress: Progress, *, engine: str = "neural") -> Judged:
    """Train and judge the engine as it is in shop.yaml and with each other weighting.

    Returns:
        As ``judge_variants``, shop.yaml's weighting first; also in ``RUN/controls/ENGINE.json``.

    Raises:
        NotFitted: the shop has not been trained.
        UnknownName: shop.yaml has no such engine.
        ConfigError: the engine does not weigh losses.
    """
    settings: Any = engine_of(config, engine)
    if not hasattr(settings, "weighting"):
        raise ConfigError(
            f"expected an engine that weighs several losses, such as 'neural', got {engine!r}."
        )
    own = settings.weighting
    content = item_contents(run, config.encoders)
    names = [own, *(name for name in WEIGHTINGS if name != own)]
    made = {
        name: Variant(settings if name == own else replace(settings, weighting=name), content)
        for name in names
    }
    return judge_variants(config, run, progress, study=CONTROLS, engine=engine, made=made)
