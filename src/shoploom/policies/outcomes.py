"""What comes of each action in each context: the model behind ``dm``, ``dr`` and ``switch_dr``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shoploom.evaluation.off_policy import Decisions, unsupported, weights
from shoploom.policies.regression import Boosting, Floats, Matrix, cross_fit, folds_of, regress

_CELLS = 20_000_000  # numbers of a context-and-action matrix that are held at once


def fit_outcomes(
    context: Matrix,
    action: NDArray[np.integer],
    reward: Floats,
    actions: Matrix,
    *,
    seed: int = 0,
    settings: Boosting | None = None,
) -> Callable[[Matrix], Floats]:
    """From contexts to ``(n, n_actions)`` the expected reward of every action in each.

    Args:
        context: ``(n, n_features)`` what was known when deciding.
        action: ``(n,)`` codes of what was done.
        reward: ``(n,)`` what came of it.
        actions: ``(n_actions, n_numbers)`` what is known of the actions; the identity where
            nothing is.
        seed: of the trees.
        settings: of the trees; None takes the defaults.
    """
    both = np.hstack([context, actions[action]])
    learned = regress(both, reward, seed=seed, settings=settings)
    step = max(1, _CELLS // max(len(actions) * both.shape[1], 1))

    def predict(asked: Matrix) -> Floats:
        parts = [np.empty((0, len(actions)))]
        for start in range(0, len(asked), step):
            some = asked[start : start + step]
            pairs = [np.repeat(some, len(actions), axis=0), np.tile(actions, (len(some), 1))]
            told = learned.predict(np.hstack(pairs))
            parts.append(told.reshape(len(some), len(actions)))
        return np.concatenate(parts)

    return predict


def outcome_model(
    context: Matrix,
    action: NDArray[np.integer],
    reward: Floats,
    users: NDArray[np.object_],
    actions: Matrix,
    *,
    seed: int = 0,
    settings: Boosting | None = None,
) -> Floats:
    """``(n, n_actions)`` expected reward of every action, learned from other users' decisions.

    Args:
        context: as in ``fit_outcomes``.
        action: likewise.
        reward: likewise.
        users: ``(n,)`` whose decision it was.
        actions: as in ``fit_outcomes``.
        seed: of folds and trees.
        settings: of the trees; None takes the defaults.
    """

    def fit(rows: NDArray[np.intp]) -> Callable[[NDArray[np.intp]], Floats]:
        told = fit_outcomes(
            context[rows], action[rows], reward[rows], actions, seed=seed, settings=settings
        )
        return lambda asked: told(context[asked])

    return cross_fit(folds_of(users, seed), fit, len(actions))


def decisions_of(
    users: NDArray[np.object_],
    action: NDArray[np.integer],
    reward: Floats,
    propensity: Floats,
    probabilities: Floats,
    *,
    modelled: Floats | None = None,
    propensities: Floats | None = None,
) -> Decisions:
    """Logged decisions beside a policy with such probabilities of all actions.

    Args:
        users: ``(n,)`` whose decision it was.
        action: ``(n,)`` codes of what was done.
        reward: ``(n,)`` what came of it.
        propensity: ``(n,)`` the chance that it had.
        probabilities: ``(n, n_actions)`` of the judged policy.
        modelled: ``(n, n_actions)`` of ``outcome_model``; None leaves the model out.
        propensities: ``(n, n_actions)`` of all actions, where the log has them: then what has no
            chance there is known.
    """
    rows = np.arange(len(action))
    found = Decisions(users, reward, weights(propensity, probabilities[rows, action]))
    if propensities is not None:
        found = replace(found, unsupported=unsupported(propensities, probabilities))
    if modelled is None:
        return found
    expected = (probabilities * modelled).sum(axis=1)
    return replace(found, predicted=modelled[rows, action], expected=expected)
