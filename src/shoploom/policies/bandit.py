"""A contextual bandit that learns which option pays, and keeps trying others while it is unsure.

By Vowpal Wabbit, with features of every option (``cb_explore_adf``). Two ways of exploring:
``thompson`` draws from bootstrapped models (Eckles and Kaptein 2014), ``optimism`` gives every
option the benefit of the doubt (RegCB: Foster and others 2018, LinUCB's successor for any
regression). Both say the chance that each option had, which is what has to be logged.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError, DataError

Exploring = Literal["thompson", "optimism"]
_WAYS = {
    "thompson": "--bag 8",
    "optimism": "--regcbopt --mellowness 0.01",
}
_LEAST = 0.02  # share of decisions that any option may be taken in: no chance is none

Floats = NDArray[np.float64]


class Bandit:
    """Learns from one batch of decisions after the other.

    Args:
        exploring: ``thompson`` or ``optimism``.
        most: the largest reward there is; the least is 0.
        seed: of bootstraps.

    Raises:
        ConfigError: another way of exploring.
        DataError: vowpalwabbit is not installed.
    """

    def __init__(self, exploring: Exploring = "thompson", *, most: float = 1.0, seed: int = 0):
        if exploring not in _WAYS:
            raise ConfigError(
                f"bandit: expected exploring by {' or '.join(_WAYS)}, got {exploring!r}."
            )
        if find_spec("vowpalwabbit") is None:
            raise DataError(
                "bandit: expected the package vowpalwabbit, found it nowhere; run: pip install "
                "'shoploom[policies]'."
            )
        import vowpalwabbit

        self._vw: Any = vowpalwabbit.Workspace(
            f"--cb_explore_adf {_WAYS[exploring]} --cb_type mtr --interactions co --quiet "
            f"--cb_min_cost {-most} --cb_max_cost 0 --random_seed {seed}"
        )

    def propensities(self, context: NDArray, options: NDArray) -> Floats:
        """``(n, n_options)`` chances to take each option with.

        Args:
            context: ``(n, f)`` of each decision.
            options: ``(n, n_options, g)`` of each option in it.
        """
        out = np.zeros(options.shape[:2])
        for row in range(len(out)):
            out[row] = self._vw.predict(_lines(context[row], options[row]))
        out /= out.sum(axis=1, keepdims=True)
        return (1 - _LEAST) * out + _LEAST / max(out.shape[1], 1)

    def learn(
        self,
        context: NDArray,
        options: NDArray,
        taken: NDArray[np.integer],
        reward: Floats,
        propensity: Floats,
    ) -> None:
        """Learn from decisions, what each brought, and the chance that it had.

        Raises:
            DataError: a chance is none.
        """
        if len(propensity) and not ((propensity > 0) & (propensity <= 1)).all():
            raise DataError(
                "bandit: expected propensities above 0 and at most 1, got some from "
                f"{propensity.min():g} to {propensity.max():g}."
            )
        for row in range(len(taken)):
            label = (int(taken[row]), -float(reward[row]), float(propensity[row]))
            self._vw.learn(_lines(context[row], options[row], label))

    def close(self) -> None:
        """Free what Vowpal Wabbit holds."""
        self._vw.finish()


def _lines(
    context: NDArray, options: NDArray, label: tuple[int, float, float] | None = None
) -> str:
    """Vowpal Wabbit's text for one decision: the context, then a line per option."""
    lines = ["shared |c " + _features(context)]
    for place, option in enumerate(options):
        told = f"0:{label[1]:.6g}:{label[2]:.6g} " if label and label[0] == place else ""
        lines.append(f"{told}|o {_features(option)}")
    return "\n".join(lines)


def _features(values: NDArray) -> str:
    return " ".join(f"{i}:{x:.5g}" for i, x in enumerate(values.tolist()) if x)
