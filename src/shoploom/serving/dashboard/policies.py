"""What policies would have brought, as one kind of chart for prices, campaigns and replies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shoploom.serving.dashboard.board import Board
from shoploom.serving.dashboard.charts import Chart

_EVERYBODY = "everybody: "


def judged(
    board: Board,
    title: str,
    policies: Mapping[str, Mapping[str, Any]],
    logged: list[float],
    named: Mapping[str, str],
    everybody: Callable[[str], str],
    *,
    strong: str,
    kind: str = "money",
    note: str = "",
    name: str = "policies",
) -> Chart:
    """Estimates with intervals of policies beside what was done.

    Args:
        board: of the page.
        title: said above the chart.
        note: under the title.
        policies: by name, as ``OffPolicy.as_dict`` gives them.
        logged: value, low and high of what was done.
        named: what policies are called.
        everybody: what the same for everybody is called.
        strong: the policy that is drawn strongly.
        kind: of the values.
        name: of the chart.
    """
    words = board.words
    rows: list[list[Any]] = [[words("prices.logged"), *logged]]
    places = []
    for policy, found in policies.items():
        label = named.get(policy)
        if label is None:
            label = everybody(policy.removeprefix(_EVERYBODY))
        if policy == strong:
            places.append(len(rows))
        rows.append([label, *found["estimates"][found["read"]]])
    return board.chart(
        name,
        title,
        "whiskers",
        [
            ("policy", words("prices.policy"), "text"),
            ("value", words("model.value"), kind),
            ("low", words("prices.low"), kind),
            ("high", words("prices.high"), kind),
        ],
        rows,
        note=note,
        strong=places,
    )
