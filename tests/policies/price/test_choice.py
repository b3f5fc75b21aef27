"""Brand choices: planted tastes are found, of groups and of households."""

from __future__ import annotations

import numpy as np

from shoploom.policies.price.choice import Shelf, fit_choices


def _shelf(n_households: int = 200, each: int = 20, seed: int = 0) -> tuple[Shelf, np.ndarray]:
    draw = np.random.default_rng(seed)
    group = np.arange(n_households) % 2
    true = np.column_stack([draw.normal(0.5, 0.8, n_households), np.where(group == 0, -3.0, -1.0)])
    household = np.repeat(np.arange(n_households), each)
    n = len(household)
    price = draw.normal(0, 0.4, (n, 2))
    x = np.stack([np.tile([0.0, 1.0], (n, 1)), price], axis=2)
    utility = np.einsum("nkd,nd->nk", x, true[household]) + draw.gumbel(size=(n, 2))
    return Shelf(household, group, x, utility.argmax(axis=1)), true


def test_groups_and_households_are_told_apart() -> None:
    shelf, true = _shelf()
    found = fit_choices(shelf)
    np.testing.assert_allclose(found.mean[:, 1], [-3.0, -1.0], atol=0.4)
    assert 0.5 < found.spread[0] < 1.1
    assert np.corrcoef(found.weights[:, 0], true[:, 0])[0, 1] > 0.7
    plain = fit_choices(shelf, differ=False)
    np.testing.assert_array_equal(plain.weights, plain.mean[shelf.group])


def test_own_weights_foretell_better_than_one_for_all() -> None:
    shelf, _ = _shelf()
    place = np.arange(len(shelf.chosen)) % 20
    past = shelf.take(np.flatnonzero(place < 14))
    later = shelf.take(np.flatnonzero(place >= 14))

    def loss(found) -> float:
        chance = found.probabilities(later)[np.arange(len(later.chosen)), later.chosen]
        return -float(np.log(chance).mean())

    assert loss(fit_choices(past)) < loss(fit_choices(past, differ=False))


def test_elasticities_have_the_right_signs() -> None:
    shelf, _ = _shelf()
    found = fit_choices(shelf).elasticities(shelf, 1, np.ones((len(shelf.chosen), 2)))
    assert (np.diag(found) < 0).all()
    assert found[0, 1] > 0
    assert found[1, 0] > 0
