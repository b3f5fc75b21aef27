"""Titles and descriptions of items, in English and Chinese.

They tell what a thing is made of, what it is for and what it measures. They never tell how it
looks, which only its photo shows, nor how good it is, which only its reviews reveal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shoploom.simulate.catalogue import BRANDS, CATEGORIES, LANGUAGES
from shoploom.simulate.content._grammar import Dice, Grammar, dice_for_each, grammar
from shoploom.simulate.content._things import things

# Titles drawn anew, while they are taken already, before a line number tells them apart.
_TRIES = 5


@dataclass(frozen=True)
class ItemTexts:
    """A title, unique in the shop, and a description for each item."""

    titles: list[str]
    descriptions: list[str]


def item_texts(
    category: np.ndarray, brand: np.ndarray, language: np.ndarray, seed: int
) -> ItemTexts:
    """Titles and descriptions of items.

    Args:
        category: codes of CATEGORIES, (n,).
        brand: codes of BRANDS, (n,).
        language: codes of LANGUAGES, (n,).
        seed: of all randomness.
    """
    rows = zip(
        dice_for_each(len(category), seed, "titles"),
        *(codes.tolist() for codes in (category, brand, language)),
        strict=True,
    )
    titles: dict[str, None] = {}
    descriptions = []
    for dice, category_code, brand_code, language_code in rows:
        words = grammar("titles", LANGUAGES[language_code])
        slots = _slots(dice, words, category_code, brand_code, LANGUAGES[language_code])
        title = _unused_title(dice, words, slots, titles)
        titles[title] = None
        descriptions.append(_description(dice, words, slots))
    return ItemTexts(list(titles), descriptions)


def _slots(
    dice: Dice, words: Grammar, category_code: int, brand_code: int, language: str
) -> dict[str, str]:
    category = CATEGORIES[category_code]
    materials = category.materials if language == "en" else category.materials_zh
    slots = things(language)[category_code] | {
        "brand": BRANDS[brand_code],
        "material": dice.pick(materials),
        "kind": category.noun,  # names the rules of this category
    }
    # Some materials need another word where they do not stand before the noun.
    rule = f"stuff.{slots['kind']}.{slots['material']}"
    slots["stuff"] = words.say(rule, dice) if rule in words else slots["material"]
    if language == "en":
        if slots["a"] == "a" and slots["material"][0] in "aeiou":
            slots["a"] = "an"
        slots |= {"A": slots["a"].capitalize(), "Noun": slots["noun"].capitalize()}
    return slots | _details(dice, words, slots)


def _details(dice: Dice, words: Grammar, slots: dict[str, str]) -> dict[str, str]:
    """Two different details of a thing, such as its size and its occasion."""
    alternatives = words.rules[f"detail.{slots['kind']}"]
    first = dice.below(len(alternatives))
    second = (first + 1 + dice.below(len(alternatives) - 1)) % len(alternatives)
    return {
        "detail": words.fill(alternatives[first], dice, slots),
        "more": words.fill(alternatives[second], dice, slots),
    }


def _unused_title(dice: Dice, words: Grammar, slots: dict[str, str], used: dict[str, None]) -> str:
    """A title that no item has; where it takes other details than drawn, ``slots`` learn them."""
    title = _title(dice, words, slots)
    for _ in range(_TRIES):
        if title not in used:
            return title
        slots |= _details(dice, words, slots)
        title = _title(dice, words, slots)
    number = 2
    while (numbered := title + words.say("line", dice, {"number": str(number)})) in used:
        number += 1
    return numbered


def _title(dice: Dice, words: Grammar, slots: dict[str, str]) -> str:
    title = _of_kind(dice, words, "title", slots)
    return title[0].upper() + title[1:]


def _description(dice: Dice, words: Grammar, slots: dict[str, str]) -> str:
    parts = {part: _of_kind(dice, words, part, slots) for part in ("what", "use", "care")} | {
        "number": f"{dice.below(10**5):05}"
    }
    return words.say("description", dice, slots | parts)


def _of_kind(dice: Dice, words: Grammar, rule: str, slots: dict[str, str]) -> str:
    """A text of the rule for this category, or else of the one for all."""
    special = f"{rule}.{slots['kind']}"
    return words.say(special if special in words else rule, dice, slots)
