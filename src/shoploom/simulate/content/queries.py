"""What people type into the search box when they look for a category.

Queries name things as titles do (a material, a brand, a measure, an occasion) and as titles do
not (other names, a price, a present, misspellings). None tells how a thing should look.
"""

from __future__ import annotations

from shoploom.simulate.catalogue import BRANDS, LANGUAGES, Category
from shoploom.simulate.content._grammar import Dice, dice_for_each, grammar
from shoploom.simulate.content._typing import misspell


def category_queries(category: Category, language: int, n: int, seed: int) -> list[str]:
    """``n`` queries for a category in a language (a code of LANGUAGES); common ones recur."""
    tongue = LANGUAGES[language]
    every_dice = dice_for_each(n, seed, "queries", category.noun, tongue)
    return [_query(dice, category, tongue) for dice in every_dice]


def _query(dice: Dice, category: Category, language: str) -> str:
    words, facts = grammar("queries", language), grammar("titles", language)
    english = language == "en"
    slots = {
        "name": words.say(f"name.{category.noun}", dice),
        "other": words.say(f"name.{category.goes_with}", dice),
        "material": dice.pick(category.materials if english else category.materials_zh),
        "brand": dice.pick(BRANDS),
        "detail": facts.say(f"detail.{category.noun}", dice),
        "price": _round_price(category.price * (0.6 + dice.below(8) / 10)),
        "more_price": _round_price(category.price * (1.6 + dice.below(8) / 10)),
    }
    if not english:
        slots["pinyin"] = words.say(f"pinyin.{category.noun}", dice)
    text = " ".join(words.say("query", dice, slots).split())
    if english and dice.chance(0.85):
        text = text.lower()
    return misspell(text, language, dice) if dice.chance(0.08) else text


def _round_price(price: float) -> str:
    """The price as people say it: to 5 below 50, to 10 below 200, else to 50."""
    step = 5 if price < 50 else 10 if price < 200 else 50
    return str(max(step, round(price / step) * step))
