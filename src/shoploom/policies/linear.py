"""Logistic heads: what a few hundred rows allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.policies.regression import Floats

_ITERATIONS = 300


def linear(x: Any, y: NDArray, *, strength: float = 3.0, weight: NDArray | None = None) -> Any:
    """Multinomial logistic regression; ``strength`` is the inverse of the penalty.

    Raises:
        DataError: there is only one class, or scikit-learn is missing.
    """
    need_sklearn()
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(y)) < 2:
        raise DataError(f"expected several classes to tell apart, got {np.unique(y)!r}.")
    return LogisticRegression(C=strength, max_iter=_ITERATIONS).fit(x, y, sample_weight=weight)


def chances(head: Any, x: Any, classes: Sequence[Any]) -> Floats:
    """``(n, n_classes)`` in the order of ``classes``; 0 for those the head has not met."""
    out = np.zeros((x.shape[0], len(classes)))
    place = {value: code for code, value in enumerate(classes)}
    if x.shape[0]:
        told = head.predict_proba(x)
        for column, value in enumerate(head.classes_.tolist()):
            out[:, place[value]] = told[:, column]
    return out


def head_state(head: Any) -> tuple[dict[str, Any], dict[str, NDArray]]:
    """A fitted head's classes and weights, as JSON and arrays."""
    kind = type(head).__name__
    config = {"kind": kind, "classes": head.classes_.tolist()}
    return config, {"coef": np.asarray(head.coef_), "intercept": np.asarray(head.intercept_)}


def head_from_state(config: dict[str, Any], arrays: Mapping[str, NDArray]) -> Any:
    """The head that gave this state.

    Raises:
        DataError: scikit-learn is missing, or the head is of a kind that we never save.
    """
    need_sklearn()
    from sklearn.linear_model import LogisticRegression, SGDClassifier

    settings: dict[str, Any] = {"loss": "log_loss"}
    kinds = {"LogisticRegression": LogisticRegression, "SGDClassifier": SGDClassifier}
    if config["kind"] not in kinds:
        raise DataError(f"expected a saved head of {', '.join(kinds)}, got {config['kind']!r}.")
    head = kinds[config["kind"]](**(settings if config["kind"] == "SGDClassifier" else {}))
    head.classes_ = np.array(config["classes"])
    head.coef_, head.intercept_ = arrays["coef"], arrays["intercept"]
    head.n_features_in_ = head.coef_.shape[1]
    return head


def need_sklearn() -> None:
    """Raise where scikit-learn is not installed.

    Raises:
        DataError: it is not.
    """
    if find_spec("sklearn") is None:
        raise DataError(
            "expected the package scikit-learn, found it nowhere; run: pip install "
            "'shoploom[policies]'."
        )
