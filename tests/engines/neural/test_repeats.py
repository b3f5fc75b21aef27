"""Items that come again: told by the history, with a share of its own in every answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from shoploom.engines import load_state, save_state
from shoploom.engines._ranking import all_histories
from shoploom.engines.neural import Neural
from shoploom.engines.neural.losses import ItemSoftmax
from shoploom.engines.neural.objectives import share_repeated
from shoploom.engines.neural.repeats import Repeats
from shoploom.engines.neural.tokens import Batch
from shoploom.tasks import make_task

from ..shops import ask, inputs, listed, sequences

TASK = make_task("next_item")
SMALL = Neural(dim=16, heads=2, layers=1, dropout=0.1, epochs=15, batch=64, learning_rate=0.01)


def _own_items(n_users: int, seed: int) -> dict[str, list[tuple[float, str]]]:
    """Everybody rebuys two items of their own, drawn from many, turn by turn."""
    rng = np.random.default_rng(seed)
    shop = {}
    for n in range(n_users):
        own = rng.choice(60, 2, replace=False)
        shop[f"u{n:03d}"] = [(float(day), f"i{own[day % 2]:02d}") for day in range(8)]
    return shop


def _batch() -> Batch:
    return Batch(
        item=torch.tensor([[3, 1, 3, 2], [4, 4, 9, 9]]),
        action=torch.zeros(2, 4, dtype=torch.int64),
        gap=torch.zeros(2, 4, dtype=torch.int64),
        time=torch.tensor([[-3.0, -2.0, -1.0, 0.0], [-1.0, 0.0, 0.0, 0.0]]),
        lengths=torch.tensor([4, 2]),
    )


def _repeated(states: torch.Tensor, row: list[int], place: list[int]):
    torch.manual_seed(0)
    repeats = Repeats(8, 4, share=0.3)
    asked = torch.full((len(row),), 2)
    return repeats(states, _batch(), torch.tensor(row), torch.tensor(place), asked)


def test_only_what_came_before_can_come_again() -> None:
    torch.manual_seed(1)
    states = torch.randn(2, 4, 8)
    found = _repeated(states, [0, 0, 1], [1, 3, 1])
    torch.testing.assert_close(found.events.sum(1), torch.ones(3))
    assert (found.events > 0).tolist() == [
        [True, True, False, False],
        [True] * 4,
        [True, True, False, False],
    ]
    later = states.clone()
    later[0, 2:] = 5.0  # what comes after the first state asked about
    assert torch.equal(found.events[0], _repeated(later, [0], [1]).events[0])


def test_probabilities_of_all_items_sum_to_one() -> None:
    states = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(1))
    found = _repeated(states, [0, 1], [3, 1])
    probability = found.log_probabilities(torch.zeros(2, 9)).exp()
    torch.testing.assert_close(probability.sum(1), torch.ones(2))
    # 0.3 of it is the history's, to start from: all of it is item 4's in the second row.
    assert probability[1, 4].item() == pytest.approx(0.3 + 0.7 / 9, abs=1e-5)
    own = found.mixed(torch.tensor([3, 4]))[1].exp()
    assert own[1].item() == pytest.approx(0.3, abs=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_gradients_of_a_mixture_are_right(smoothing: float) -> None:
    draw = torch.Generator().manual_seed(0)
    query = torch.randn(600, 8, generator=draw, requires_grad=True)
    weight = torch.randn(40, 8, generator=draw, requires_grad=True)
    target = torch.randint(40, (600,), generator=draw)
    logit = torch.randn(600, generator=draw, requires_grad=True)
    other = torch.rand(600, generator=draw) * 0.5
    other[::3] = 0.0  # the history lacks the target
    other.requires_grad_(True)
    leaves = (query, weight, logit, other)

    share = functional.logsigmoid(-logit)
    again = functional.logsigmoid(logit) + torch.log(other.clamp_min(1e-20))
    softmax = ItemSoftmax(40, np.ones(40, int), smoothing=smoothing)
    loss = softmax(query, weight, target, (share, again))
    (2 * loss).backward()
    got = [leaf.grad for leaf in leaves]

    for leaf in leaves:
        leaf.grad = None
    logs = functional.log_softmax(query @ weight.T, 1)
    came = logs.gather(1, target[:, None])[:, 0]
    whole = torch.logaddexp(
        functional.logsigmoid(-logit) + came,
        functional.logsigmoid(logit) + torch.log(other.clamp_min(1e-20)),
    )
    torch.testing.assert_close(loss, -whole.mean())
    # Smoothing is of the softmax alone, by its part in the answer.
    part = torch.exp(functional.logsigmoid(-logit) + came - whole).detach()
    spread = smoothing * (part * (came - logs.mean(1))).mean()
    (2 * (spread - whole.mean())).backward()
    want = [leaf.grad for leaf in leaves]
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-6)


def test_own_items_are_found_again_by_users_never_met(tmp_path) -> None:
    fitted = SMALL.fit(inputs(_own_items(200, 0)), {}, {})
    assert fitted.network.repeats is not None
    others = _own_items(20, 1)
    answers = fitted.answer(TASK, ask(*others), inputs(others), k=2)
    # The one that is due comes first, the other one second.
    due = [[items[-2][1], items[-1][1]] for items in others.values()]
    assert np.mean([a == b for a, b in zip(listed(answers), due, strict=True)]) > 0.8
    np.testing.assert_array_less(answers.scores.sum(1), 1.0001)
    save_state(tmp_path / "neural", "neural", fitted.state())
    again = load_state(tmp_path / "neural").answer(TASK, ask(*others), inputs(others), k=2)
    np.testing.assert_array_equal(again.scores, answers.scores)


def test_where_nothing_comes_again_nothing_is_learned_apart() -> None:
    shop = {f"u{n}": [(float(day), f"i{(n + day) % 9}") for day in range(5)] for n in range(9)}
    assert share_repeated(all_histories(sequences(shop))) == 0
    assert replace(SMALL, epochs=1).fit(inputs(shop), {}, {}).network.repeats is None
    twice = {
        user: [*events, *[(day + 9, item) for day, item in events]] for user, events in shop.items()
    }
    assert share_repeated(all_histories(sequences(twice))) == pytest.approx(5 / 9)
    assert (
        replace(SMALL, epochs=1, repeats=False).fit(inputs(twice), {}, {}).network.repeats is None
    )
