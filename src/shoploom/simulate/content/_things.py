"""How the items of a category are spoken of: the slots that grammars fill with them."""

from __future__ import annotations

from functools import cache

from shoploom.simulate.catalogue import CATEGORIES
from shoploom.simulate.content._grammar import grammar

_SINGULAR = {
    **{"it": "it", "them": "it", "its": "its", "this": "this", "be": "is", "was_it": "was"},
    **{"a": "a", "one": "one", "s": "s", "es": "es"},
}
_PLURAL = {
    **{"it": "they", "them": "them", "its": "their", "this": "these", "be": "are"},
    **{"was_it": "were", "a": "a pair of", "one": "pair", "s": "", "es": ""},
}


@cache
def things(language: str) -> tuple[dict[str, str], ...]:
    """The slots of each category, by its code.

    English: ``{noun}``, the pronouns and verb endings of its number, ``{a}`` and ``{this}``.
    Chinese: ``{noun}``, ``{short}`` (what one calls it in speech), ``{measure}`` and ``{this}``.
    """
    forms = grammar("things", language).rules
    if language == "en":
        plural = forms["plural"]
        return tuple(
            {"noun": category.noun, **(_PLURAL if category.noun in plural else _SINGULAR)}
            for category in CATEGORIES
        )
    slots = []
    for category in CATEGORIES:
        measure, short = forms[category.noun][0].split()
        this = f"这{measure}{short}"
        slots.append({"noun": category.noun_zh, "short": short, "measure": measure, "this": this})
    return tuple(slots)
