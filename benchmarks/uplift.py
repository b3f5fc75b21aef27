"""Whom does an e-mail move? Hillstrom's trial (targets, section 6).

64,000 customers, a third each got an e-mail about men's clothes, one about women's, or none. Each
arm is compared with none. Every learner's score of a customer comes from other customers (five
folds), so all of them are judged; no setting is tuned. ``response`` orders by who buys anyway,
``random`` by chance, ``recency`` and ``history`` by what shops usually go by. A line such as
``dr - response`` is the paired difference.

    python benchmarks/uplift.py --data hillstrom.parquet --json
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness import Benchmark, parser
from shoploom.core.errors import DataError
from shoploom.core.seeds import rng
from shoploom.evaluation.uplift import METRICS, Trial, uplift_compare, uplift_score
from shoploom.policies.uplift import LEARNERS, effects_of_others

NUMBERS = ("recency", "history", "mens", "womens", "newbie")
WORDS = ("zip_code", "channel")
CONTROL = "No E-Mail"
OUTCOMES = ("visit", "conversion", "spend")


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument(
        "--outcomes", default="visit", help="comma-separated: " + ", ".join(OUTCOMES)
    )
    chosen = options.parse_args()
    table = read(chosen.data)
    names = chosen.engines.split(",") if chosen.engines else LEARNERS.names()
    bench = Benchmark("uplift", Path(chosen.data).name, {"seed": chosen.seed, "rows": len(table)})
    for outcome in chosen.outcomes.split(","):
        for arm in sorted(set(table["segment"].to_pylist()) - {CONTROL}):
            features, trial = trial_of(table, arm, outcome)
            scores = baselines(features, chosen.seed)
            for name in names:
                with bench.time(f"{outcome}, {arm}: {name}"):
                    learner = LEARNERS.get(name)()
                    scores[name] = effects_of_others(learner, features, trial, seed=chosen.seed)
            for name, score in scores.items():
                found = uplift_score(trial, score, seed=chosen.seed)
                bench.add(f"{outcome}, {arm}: {name}", {m: found[m] for m in METRICS})
            if "dr" in scores:
                versus = uplift_compare(trial, scores, "dr", seed=chosen.seed)
                for name in {"response", "random", "t"} & versus.keys():
                    by = {m: versus[name][m] for m in METRICS[:4]}
                    bench.add(f"{outcome}, {arm}: dr - {name}", by)
    bench.finish(as_json=chosen.json)


def read(path: str) -> pa.Table:
    """The trial's rows.

    Raises:
        DataError: a column is missing.
    """
    table = pq.read_table(path)
    missing = {*NUMBERS, *WORDS, *OUTCOMES, "segment"} - set(table.column_names)
    if missing:
        raise DataError(
            f"{path}: expected the columns of Hillstrom's trial, found no {', '.join(missing)}."
        )
    return table


def trial_of(table: pa.Table, arm: str, outcome: str) -> tuple[NDArray[np.float32], Trial]:
    """Features and trial of one arm against none."""
    rows = np.flatnonzero(pc.is_in(table["segment"], pa.array([arm, CONTROL])).to_numpy())
    some = table.take(pa.array(rows))
    columns = [some[name].to_numpy().astype(np.float32) for name in NUMBERS]
    for name in WORDS:
        words = some[name].to_numpy(zero_copy_only=False)
        columns += [(words == word).astype(np.float32) for word in sorted(set(words))]
    treated = some["segment"].to_numpy(zero_copy_only=False) == arm
    share = np.full(len(some), treated.mean())  # a third each by design: a half of two arms
    trial = Trial(
        np.array([str(row) for row in rows], dtype=object),
        treated,
        some[outcome].to_numpy().astype(np.float64),
        share,
    )
    return np.stack(columns, axis=1), trial


def baselines(features: NDArray[np.float32], seed: int) -> dict[str, NDArray[np.floating]]:
    """Orders that need no trial."""
    return {
        "random": rng(seed, "random order").random(len(features)),
        "recency": -features[:, NUMBERS.index("recency")],
        "history": features[:, NUMBERS.index("history")],
    }


if __name__ == "__main__":
    main()
