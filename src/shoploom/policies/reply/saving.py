"""What was learned of replies, as arrays and JSON, and back.

Each part gives its own names; ``Shelf`` keeps parts of parts apart by a prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.policies.linear import head_from_state, head_state
from shoploom.policies.reply.answers import Answers, Past, Template
from shoploom.policies.reply.choose import Suits
from shoploom.policies.reply.satisfaction import Satisfaction
from shoploom.policies.reply.understand import Understanding
from shoploom.policies.reply.words import Words

Saved = tuple[dict[str, Any], dict[str, NDArray]]


class Shelf:
    """Parts under names, to be written together."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}
        self.arrays: dict[str, NDArray] = {}

    def put(self, name: str, saved: Saved | None) -> None:
        """A part; None where there is none."""
        self.config[name] = None if saved is None else saved[0]
        for key, array in ({} if saved is None else saved[1]).items():
            self.arrays[f"{name}.{key}"] = array

    @property
    def whole(self) -> Saved:
        """All parts as one."""
        return self.config, self.arrays


def taken(
    name: str,
    config: Mapping[str, Any],
    arrays: Mapping[str, NDArray],
    make: Callable[[dict[str, Any], dict[str, NDArray]], Any],
) -> Any:
    """The part of that name, made again; None where there was none."""
    if config[name] is None:
        return None
    begins = f"{name}."
    own = {key.removeprefix(begins): a for key, a in arrays.items() if key.startswith(begins)}
    return make(config[name], own)


def suits_state(suits: Suits) -> Saved:
    """Of the chances that replies suit."""
    shelf = Shelf()
    shelf.put("head", head_state(suits._head))
    config, arrays = shelf.whole
    config |= {"replies": list(suits.replies), "strength": suits.strength}
    return config, arrays | {"mean": suits._mean, "scale": suits._scale}


def suits_from_state(config: dict[str, Any], arrays: dict[str, NDArray]) -> Suits:
    """What gave this state."""
    head = taken("head", config, arrays, head_from_state)
    replies = tuple(config["replies"])
    return Suits(replies, config["strength"], arrays["mean"], arrays["scale"], head)


def understanding_state(found: Understanding) -> Saved:
    """Of what customers want or feel."""
    shelf = Shelf()
    shelf.put("words", None if found._words is None else found._words.state())
    shelf.put("head", None if found._head is None else head_state(found._head))
    config, arrays = shelf.whole
    return config | {"classes": list(found.classes)}, arrays


def understanding_from_state(config: dict[str, Any], arrays: dict[str, NDArray]) -> Understanding:
    """What gave this state."""
    words = taken("words", config, arrays, Words.from_state)
    head = taken("head", config, arrays, head_from_state)
    return Understanding(tuple(config["classes"]), words, head)


def satisfaction_state(found: Satisfaction) -> Saved:
    """Of how dialogues end; heads of moods are only learned where turns are labelled."""
    shelf = Shelf()
    for number, words in enumerate(found._views.words):
        shelf.put(f"view{number}", words.state())
    shelf.put("head", head_state(found._head))
    config, arrays = shelf.whole
    for number, tree in enumerate(found._trees):
        arrays[f"tree.{number}"] = np.frombuffer(tree.model_to_string().encode(), dtype=np.uint8)
    config |= {
        "classes": list(found.classes),
        "views": len(found._views.words),
        "trees": len(found._trees),
    }
    return config, arrays


def satisfaction_from_state(config: dict[str, Any], arrays: dict[str, NDArray]) -> Satisfaction:
    """What gave this state."""
    import lightgbm as lgb

    from shoploom.policies.reply.satisfaction import Views

    views = Views(
        [taken(f"view{n}", config, arrays, Words.from_state) for n in range(config["views"])]
    )
    trees = tuple(
        lgb.Booster(model_str=arrays[f"tree.{number}"].tobytes().decode())
        for number in range(config["trees"])
    )
    head = taken("head", config, arrays, head_from_state)
    return Satisfaction(tuple(config["classes"]), views, head, None, trees)


def answers_state(answers: Answers) -> Saved:
    """Of the words of replies."""
    templates = {name: asdict(each) for name, each in answers.templates.items()}
    past = [[each.asked, each.reply, each.answer] for each in answers.past]
    return {"templates": templates, "past": past}, {}


def answers_from_state(config: dict[str, Any], _: dict[str, NDArray]) -> Answers:
    """What gave this state."""
    templates = {name: Template(**each) for name, each in config["templates"].items()}
    return Answers.of(templates, [Past(*each) for each in config["past"]])
