"""What would a bandit have brought, told from the log of a uniform policy (targets, section 6)?

``--data DIR`` holds the Open Bandit logs ``random_CAMPAIGN_CAMPAIGN.parquet`` and ``bts_...``: two
policies that ran side by side in a shop, one drawing items uniformly, one by Thompson sampling.
From each log the other policy is estimated, and the truth is at hand: what it brought itself. The
chances of the bandit at each item and place are the means of those it logged there; it knows no
context. The reward model is boosted trees on item, place and user, told by other rows.

``error`` is the estimate minus what the policy brought itself, with the interval of both;
``covers`` whether the estimate's interval holds that value. With ``--draws N`` the intervals are
checked where the truth is known: N logs of a made-up bandit, and the share of intervals that hold
it.

    python benchmarks/off_policy.py --data open_bandit/ --json
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness import Benchmark, parser
from shoploom.core.errors import DataError
from shoploom.core.seeds import rng
from shoploom.evaluation import Estimate, mean_interval
from shoploom.evaluation.off_policy import ESTIMATORS, OffPolicy, judge
from shoploom.policies.outcomes import decisions_of, outcome_model

CAMPAIGNS = ("all", "men")
POLICIES = ("random", "bts")


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--campaigns", default=",".join(CAMPAIGNS))
    options.add_argument("--draws", type=int, default=200, help="made-up logs; 0 for none")
    chosen = options.parse_args()
    bench = Benchmark("off_policy", Path(chosen.data).name, {"seed": chosen.seed})
    for campaign in chosen.campaigns.split(","):
        logs = {name: read(Path(chosen.data), name, campaign) for name in POLICIES}
        for source, judged in (POLICIES, POLICIES[::-1]):
            title = f"{campaign}: {judged} from {source}"
            with bench.time(title):
                found, truth = estimate(logs[source], logs[judged], chosen.seed)
            add(bench, title, found, truth)
    if chosen.draws:
        for name, share in coverage(chosen.draws, chosen.seed).items():
            low, high = wilson(share, chosen.draws)
            bench.add(
                f"made up: intervals of {name} that hold the truth",
                {"covers": Estimate(share, low, high, chosen.draws)},
            )
    bench.finish(as_json=chosen.json)


def read(folder: Path, policy: str, campaign: str) -> pa.Table:
    """One log.

    Raises:
        DataError: it is not there.
    """
    path = folder / f"{policy}_{campaign}_{campaign}.parquet"
    if not path.exists():
        raise DataError(f"{path}: expected a log of the Open Bandit data, found none.")
    return pq.read_table(path)


def estimate(log: pa.Table, other: pa.Table, seed: int) -> tuple[OffPolicy, Estimate]:
    """What the other log's policy would have brought, from this log; and what it brought."""
    n_items = 1 + max(int(np.max(t["item_id"].to_numpy())) for t in (log, other))
    place = log["position"].to_numpy() - 1
    item, click = log["item_id"].to_numpy(), log["click"].to_numpy().astype(np.float64)
    # Rows of one moment belong together; the log has no users.
    moments = log["timestamp"].to_numpy(zero_copy_only=False).astype(str).astype(object)
    modelled = outcome_model(
        context(log), item, click, moments, np.eye(n_items, dtype=np.float32), seed=seed
    )
    decisions = decisions_of(
        moments,
        item,
        click,
        log["propensity_score"].to_numpy(),
        chances(other, n_items)[place],
        modelled=modelled,
    )
    theirs = other["click"].to_numpy().astype(np.float64)
    when = other["timestamp"].to_numpy(zero_copy_only=False).astype(str).astype(object)
    return judge(decisions, seed=seed), mean_interval(theirs, when, seed=seed)


def chances(log: pa.Table, n_items: int) -> NDArray[np.float64]:
    """``(n_places, n_items)`` mean logged chance of each item at each place, summing to one."""
    place, item = log["position"].to_numpy() - 1, log["item_id"].to_numpy()
    chance = log["propensity_score"].to_numpy()
    shape = (int(place.max()) + 1, n_items)
    total, n = np.zeros(shape), np.zeros(shape)
    np.add.at(total, (place, item), chance)
    np.add.at(n, (place, item), 1)
    mean = np.divide(total, n, out=np.zeros(shape), where=n > 0)
    return mean / mean.sum(axis=1, keepdims=True)


def context(log: pa.Table) -> NDArray[np.float32]:
    """Place and user features as numbers."""
    columns = [log["position"].to_numpy().astype(np.float32)]
    for name in sorted(c for c in log.column_names if c.startswith("user_feature")):
        columns.append(np.unique(log[name].to_pylist(), return_inverse=True)[1].astype(np.float32))
    return np.stack(columns, axis=1)


def add(bench: Benchmark, title: str, found: OffPolicy, truth: Estimate) -> None:
    bench.add(f"{title}: what it brought", {"value": truth})
    bench.add(f"{title}: the logging policy", {"value": found.logged})
    for name in ESTIMATORS:
        each = found.estimates[name]
        spread = np.hypot(each.high - each.low, truth.high - truth.low) / 2
        error = each.value - truth.value
        inside = float(each.low <= truth.value <= each.high)
        bench.add(
            f"{title}: {name}",
            {
                "value": each,
                "error": Estimate(error, error - spread, error + spread, found.n),
                "covers": Estimate(inside, inside, inside, 1),
            },
        )
    bench.settings[title] = (
        f"worth {found.effective:.0f} of {found.n} decisions, mean weight "
        f"{found.mean_weight.value:.2f}, refused: {found.refused}"
    )


def coverage(draws: int, seed: int) -> dict[str, float]:
    """By estimator, the share of made-up logs whose interval holds the truth.

    3,000 decisions among five actions; chances and rewards depend on two numbers of context. The
    reward model is a poor one on purpose: it knows the action and nothing else.
    """
    draw = rng(seed, "made-up bandit")
    held = dict.fromkeys(ESTIMATORS, 0)
    n, k = 3000, 5
    taste, habit = draw.normal(size=(2, k)), draw.normal(size=(2, k))
    for _ in range(draws):
        x = draw.normal(size=(n, 2))
        mean = 1 / (1 + np.exp(2 - x @ taste))
        log, target = softmax(x @ habit), softmax(2 * x @ taste)
        action = (draw.random((n, 1)) > log.cumsum(axis=1)[:, :-1]).sum(axis=1)
        rows = np.arange(n)
        reward = (draw.random(n) < mean[rows, action]).astype(np.float64)
        by_action = np.array([reward[action == a].mean() for a in range(k)])
        decisions = decisions_of(
            rows.astype(str).astype(object),
            action,
            reward,
            log[rows, action],
            target,
            modelled=np.tile(by_action, (n, 1)),
            propensities=log,
        )
        truth = float((target * mean).sum(axis=1).mean())
        for name, each in judge(decisions, resamples=300, seed=seed).estimates.items():
            held[name] += each.low <= truth <= each.high
    return {name: count / draws for name, count in held.items()}


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def wilson(share: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return float(middle - half), float(middle + half)


if __name__ == "__main__":
    main()
