"""Attributes that a title names in so many words: colour, material, pattern, size, gender.

The words stand in ``attributes.yaml``, English and Chinese. Nothing is guessed: a title that does
not say what a thing is made of has no material here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

#: The attributes, in the order of ``attributes.yaml``.
ATTRIBUTES = ("colour", "material", "pattern", "size", "gender")

_WORD = re.compile(r"[a-z]+(?:['’][a-z]*)?")

#: Sizes in letters, which only capitals mean: XS, S, M, L, XL, XXL, 2XL ...
_LETTERS = re.compile(r"(?<![\w'’&-])([2-6]?X{0,3}[SL]|M)(?![\w'’&-])")


@dataclass(frozen=True)
class Mention:
    """One value that one text names.

    Attributes:
        row: place of the text.
        attribute: one of ATTRIBUTES.
        value, value_zh: what it is called in English and Chinese.
    """

    row: int
    attribute: str
    value: str
    value_zh: str


def mentions(
    texts: Sequence[str | None], *, ignore: Sequence[str | None] | None = None
) -> list[Mention]:
    """Every value that the texts name, in the order of rows and of ATTRIBUTES.

    Args:
        texts: such as titles; None names nothing.
        ignore: by row, words that mean something else there, such as the brand.

    >>> [(m.attribute, m.value) for m in mentions(["Women's silk shirt, navy, XL"])]
    [('colour', 'blue'), ('material', 'silk'), ('size', 'XL'), ('gender', 'women')]
    >>> [(m.attribute, m.value_zh) for m in mentions(["真丝连衣裙 女"])]
    [('material', '丝绸'), ('gender', '女')]
    """
    words, terms, pattern = _lexicon()
    found = []
    for row, text in enumerate(texts):
        if not text:
            continue
        brand = ignore[row] if ignore is not None else None
        if brand:
            text = text.replace(brand, " ")
        said = _said(_WORD.findall(text.lower()), words)
        if not text.isascii():
            said += [value for term in pattern.findall(text) for value in terms[term]]
        said += [("size", letters, letters) for letters in _LETTERS.findall(text)]
        said = sorted(dict.fromkeys(said), key=lambda value: ATTRIBUTES.index(value[0]))
        found += [Mention(row, *value) for value in said]
    return found


#: An attribute, a value, and the value in Chinese.
_Value = tuple[str, str, str]
_Names = dict[str, list[_Value]]


def _said(tokens: list[str], words: _Names) -> list[_Value]:
    """The values that tokens name; a word that was part of a pair does not count again."""
    said, place = [], 0
    while place < len(tokens):
        pair = " ".join(tokens[place : place + 2])
        if pair in words:
            said += words[pair]
            place += 2
            continue
        said += words.get(tokens[place], ())
        place += 1
    return said


@cache
def _lexicon() -> tuple[_Names, _Names, re.Pattern[str]]:
    """Values by English word, values by Chinese term, and a pattern of all Chinese terms."""
    import yaml

    file = resources.files("shoploom.encoders").joinpath("attributes.yaml")
    words: _Names = {}
    terms: _Names = {}
    for attribute, values in yaml.safe_load(file.read_text(encoding="utf-8")).items():
        for value, entry in values.items():
            named = (attribute, str(value), entry["zh"])
            for word in entry["words"]:
                words.setdefault(word, []).append(named)
            for term in entry["terms"]:
                terms.setdefault(term, []).append(named)
    # Longest first: 女童 is no 女.
    pattern = "|".join(map(re.escape, sorted(terms, key=len, reverse=True)))
    return words, terms, re.compile(pattern)
