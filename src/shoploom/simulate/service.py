"""Service: what customers ask, which reply suits whom, and how the shop chose its replies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from shoploom.simulate.catalogue import EMOTIONS, INTENTS, REPLIES, USER_GROUPS
from shoploom.simulate.world import Floats

# Log odds that a reply suits an intent: rows INTENTS, columns REPLIES (refund, replace, policy,
# facts, coupon, thank).
_SUITS_INTENT = np.array(
    [
        [-1.5, -1.0, -0.3, 1.8, 0.0, -2.0],  # where is my order
        [1.8, 0.3, 0.6, -0.5, -0.6, -2.0],  # return or refund
        [1.2, 1.6, -1.2, -1.0, 0.2, -2.5],  # damaged or wrong item
        [-0.5, 1.0, 0.2, 1.5, -0.4, -1.5],  # size or fit
        [-2.0, -1.5, 0.2, 2.0, -0.3, -1.0],  # product question
        [-0.5, -1.5, 0.5, 0.6, 1.8, -1.5],  # price or coupon
        [1.6, -0.8, 0.4, 0.2, 0.5, -1.5],  # cancel order
        [-2.0, -2.0, -1.5, -0.8, 1.0, 2.2],  # praise
    ]
)
# The same by emotion: who is angry wants no policy, who is happy needs no apology.
_SUITS_EMOTION = np.array(
    [
        [0.0, 0.0, 0.4, 0.4, 0.0, 0.0],  # calm
        [0.1, 0.2, 0.0, 0.5, -0.2, -0.2],  # worried
        [0.3, 0.3, -0.6, -0.1, 0.3, -0.5],  # annoyed
        [0.8, 0.4, -1.4, -0.6, 0.2, -1.2],  # angry
        [-0.6, -0.4, 0.1, 0.2, 0.3, 0.8],  # happy
    ]
)
# And by group: bargain hunters like coupons, the devoted like to be told.
_SUITS_GROUP = np.array(
    [
        [0.2, -0.2, -0.3, 0.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [-0.2, 0.5, 0.1, 0.3, -0.8, 0.2],
    ]
)
#: What the shop's handbook says, by intent; the logged policy follows it more often than not.
HANDBOOK = np.array([3, 2, 1, 3, 3, 2, 2, 5])
FOLLOWS_HANDBOOK = 0.5


def suit_probability(
    intent: npt.NDArray[np.integer],
    emotion: npt.NDArray[np.integer],
    group: npt.NDArray[np.integer],
) -> Floats:
    """Probability that each reply suits each customer, (n, n_replies)."""
    odds = _SUITS_INTENT[intent] + _SUITS_EMOTION[emotion] + _SUITS_GROUP[group]
    return (1 / (1 + np.exp(-odds))).astype(np.float32)


def logged_propensities(intent: npt.NDArray[np.integer]) -> Floats:
    """Probability of each reply under the policy that wrote the log, (n, n_replies)."""
    uniform = np.full((len(intent), len(REPLIES)), (1 - FOLLOWS_HANDBOOK) / len(REPLIES))
    uniform[np.arange(len(intent)), HANDBOOK[intent]] += FOLLOWS_HANDBOOK
    return uniform.astype(np.float32)


def draw_intents(
    bad: npt.NDArray[np.bool_], draw: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Intent and emotion of each customer who writes, after a bad experience or another one."""
    after_bad = np.array([0.05, 0.33, 0.37, 0.1, 0.02, 0.05, 0.08, 0.0])
    otherwise = np.array([0.26, 0.04, 0.02, 0.13, 0.22, 0.18, 0.05, 0.1])
    intent = np.where(
        bad,
        draw.choice(len(INTENTS), len(bad), p=after_bad),
        draw.choice(len(INTENTS), len(bad), p=otherwise),
    )
    upset = draw.choice(len(EMOTIONS), len(bad), p=(0.12, 0.2, 0.38, 0.3, 0.0))
    at_ease = draw.choice(len(EMOTIONS), len(bad), p=(0.55, 0.25, 0.1, 0.02, 0.08))
    emotion = np.where(bad, upset, at_ease)
    praise = intent == INTENTS.index("praise")
    return intent, np.where(praise, EMOTIONS.index("happy"), emotion)


assert _SUITS_INTENT.shape == (len(INTENTS), len(REPLIES))
assert _SUITS_EMOTION.shape == (len(EMOTIONS), len(REPLIES))
assert _SUITS_GROUP.shape == (len(USER_GROUPS), len(REPLIES))
