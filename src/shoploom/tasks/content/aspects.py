"""What a review speaks of, clause by clause: quality, looks, comfort, value, delivery, service.

A clause mentions an aspect when it holds one of its words (``aspects.yaml``, English and Chinese).
Whether it praises or blames is for a reader of sentiment to say, who is given the clause. What is
implied without any such word ("it lasted a week") is not found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

ASPECTS = ("quality", "looks", "comfort", "value", "delivery", "service")

#: What ends a clause: punctuation outside of numbers, a space between Chinese signs, and words that
#: turn to something else.
_END = re.compile(
    r"[.,](?!\d)|(?<!\d)[.,]|[!?;:。，！？；：~～…\n]+|\s[-–—]+\s|(?<=[㐀-鿿])\s+(?=[㐀-鿿])|"
    r"\b(?:but|however|although|though|except|whereas|while|yet|besides|on top of that)\b|"
    r"\band(?=\s(?:the|it|i|they|also|for|my)\b)|"
    r"(?:但是|但|不过|可是|可惜|虽然|然而|就是|而且|另外|加上|再就是|只是)",
    re.IGNORECASE,
)
_CHINESE = re.compile(r"[㐀-鿿]")


@dataclass(frozen=True)
class Mentions:
    """``n`` clauses that mention an aspect, by text and then by place.

    Attributes:
        texts: ``(n,)`` int64, the row of the text.
        aspects: ``(n,)`` int64, a place in ASPECTS.
        clauses: ``(n,)`` object array of str.
    """

    texts: NDArray[np.int64]
    aspects: NDArray[np.int64]
    clauses: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.texts)


def find_mentions(texts: Sequence[str]) -> Mentions:
    """Every clause of every text that mentions an aspect; twice where it mentions two.

    >>> found = find_mentions(["Lovely colour, but it arrived late."])
    >>> [(ASPECTS[a], clause) for a, clause in zip(found.aspects, found.clauses)]
    [('looks', 'Lovely colour'), ('delivery', 'it arrived late')]
    """
    found = [
        (row, aspect, clause)
        for row, text in enumerate(texts)
        for clause in clauses(text)
        for aspect in sorted(_spoken_of(clause))
    ]
    rows, aspects, parts = zip(*found, strict=True) if found else ((), (), ())
    return Mentions(
        np.array(rows, dtype=np.int64),
        np.array(aspects, dtype=np.int64),
        np.array(parts, dtype=object),
    )


def clauses(text: str) -> list[str]:
    """The stretches of a text between punctuation and words such as "but"."""
    parts = (part.strip(" \t\"'“”()（）") for part in _END.split(text))
    return [part for part in parts if part]


@dataclass(frozen=True)
class _Words:
    """Words of aspects.

    Attributes:
        pattern: finds every one, the longest first.
        aspect: of each word, a place in ASPECTS.
        hints: those that count only where no other word does.
    """

    pattern: re.Pattern[str]
    aspect: dict[str, int]
    hints: frozenset[str]

    def listed(self, found: str) -> str:
        """The listed word of a match, which may have an ending."""
        forms = (found, *(found.removesuffix(ending) for ending in ("ing", "ed", "es", "s")))
        return next(form for form in forms if form in self.aspect)


def _spoken_of(clause: str) -> set[int]:
    """The aspects that a clause mentions."""
    words = _words()
    found = {words.listed(match[0]) for match in words.pattern.finditer(clause.lower())}
    plain = found - words.hints
    return {words.aspect[word] for word in plain or found}


@cache
def _words() -> _Words:
    import yaml

    lists = yaml.safe_load(
        files("shoploom.tasks.content").joinpath("aspects.yaml").read_text("utf-8")
    )
    aspect: dict[str, int] = {}
    hints: set[str] = set()
    for number, name in enumerate(ASPECTS):
        for kind, line in lists[name].items():
            listed = {word.strip() for word in line.split(",")}
            aspect |= dict.fromkeys(listed, number)
            hints |= listed if kind == "hint" else set()
    longest = sorted(aspect, key=lambda word: (-len(word), word))
    chinese = "|".join(re.escape(word) for word in longest if _CHINESE.search(word))
    latin = "|".join(re.escape(word) for word in longest if not _CHINESE.search(word))
    return _Words(
        re.compile(rf"\b(?:{latin})(?:s|es|ed|ing)?\b|{chinese}"), aspect, frozenset(hints)
    )
