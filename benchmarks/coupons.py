"""Do coupons move households? The Complete Journey's campaigns (observational only).

``--shop PATH`` is the imported shop.yaml. Who was sent a campaign was chosen by the shop, with no
chances logged: for each of the largest campaigns, households that got it are compared with those
that got none that month, chances of getting it guessed from what was known of them before, those
near 0 or 1 left out. ``naive`` is the plain difference of spend in the four weeks after, ``effect``
the doubly robust one, ``qini`` how well an uplift learner orders households. Whatever comes out may
have other causes.

    python benchmarks/coupons.py --shop demo/shop.yaml --json
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness import Benchmark, parser
from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.core.progress import Quiet
from shoploom.core.time import DAY_US
from shoploom.engines import Inputs
from shoploom.evaluation import mean_interval
from shoploom.evaluation.uplift import uplift_score
from shoploom.policies.regression import Boosting
from shoploom.policies.target import Shown, with_guessed_chances
from shoploom.policies.uplift import LEARNERS, effects_of_others
from shoploom.policies.uplift.learner import outcomes_of_others, pseudo_outcomes
from shoploom.sequences import views
from shoploom.tables import Tables, open_tables
from shoploom.workflows import load_config
from shoploom.workflows.prepare import prepare
from shoploom.workflows.run import Run

LARGEST = 3  # campaigns
WINDOW_DAYS = 28


def main() -> None:
    options = parser(__doc__ or "", data=False)
    options.add_argument("--shop", required=True, metavar="PATH", help="a shop.yaml")
    given = options.parse_args()
    bench = Benchmark("coupons", "campaigns without a draw", {"seed": given.seed})
    config = load_config(Path(given.shop))
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        prepare(replace(config, run=run.folder), run, Quiet())
        tables = open_tables(run.prepared)
        inputs = Inputs(
            until=int(tables.events[c.TIME].max().to_pyarrow().as_py()) + 1,
            tables=tables,
            **views(tables),
        )
        for name, at, got in campaigns(tables):
            with bench.time(name):
                bench.add(name, one_campaign(inputs, at, got, given.seed))
    bench.finish(as_json=given.json)


def campaigns(tables: Tables) -> list[tuple[str, int, set[str]]]:
    """The largest campaigns: name, beginning, and who was sent it.

    Raises:
        DataError: the shop has no exposures.
    """
    if tables.exposures is None:
        raise DataError("coupons: expected a table of exposures, the shop has none.")
    sent: dict[tuple[str, int], set[str]] = {}
    frame = tables.exposures.select(c.ARM, c.TIME, c.USER_ID).to_pyarrow().to_pydict()
    for arm, at, user in zip(frame[c.ARM], frame[c.TIME], frame[c.USER_ID], strict=True):
        sent.setdefault((str(arm), int(at)), set()).add(str(user))
    largest = sorted(sent.items(), key=lambda pair: -len(pair[1]))[:LARGEST]
    return [(arm, at, users) for (arm, at), users in largest]


def one_campaign(inputs: Inputs, at: int, got: set[str], seed: int) -> dict[str, object]:
    """What a campaign did to spend, told from who was like its receivers."""
    statistics = inputs.statistics(at)
    users = np.array([str(user) for user in statistics.users.ids], dtype=object)
    features = statistics.take(users).astype(np.float32)
    spend = spent_after(inputs, users, at)
    arm = np.array([user in got for user in users], dtype=np.int64)
    log = Shown(
        users,
        np.full(len(users), at),
        ("none", "campaign"),
        arm,
        np.full((len(users), 2), np.nan),
        spend,
        np.zeros(2),
        np.zeros(len(users)),
        np.full(len(users), None, dtype=object),
        observational=True,
    )
    kept, rows = with_guessed_chances(log, features, seed)
    _, trial = kept.trial(1)
    x = features[rows]
    with_it, without = outcomes_of_others(x, trial, Boosting(), seed)
    moved = pseudo_outcomes(trial, with_it, without)
    score = effects_of_others(LEARNERS.get("dr")(), x, trial, seed=seed)
    found = uplift_score(trial, score, seed=seed)
    naive = float(spend[arm == 1].mean() - spend[arm == 0].mean())
    return {
        "sent": int(arm.sum()),
        "compared": len(kept),
        "naive": naive,
        "effect": mean_interval(moved, trial.users, seed=seed),
        "qini": found["qini"],
    }


def spent_after(inputs: Inputs, users: NDArray[np.object_], at: int) -> NDArray[np.float64]:
    """``(n,)`` spend of the four weeks after a moment."""
    later = inputs.statistics(at + WINDOW_DAYS * DAY_US)
    column = later.names.index("spend_28d")
    return np.nan_to_num(later.take(users)[:, column]).astype(np.float64)


if __name__ == "__main__":
    main()
