"""Which language a text is in, for hundreds of thousands of texts a second.

Scripts tell most languages apart; among those in Latin letters, the few words that every
sentence needs do. It knows which of a dozen languages a text is most like, not whether it is a
text at all, and a title of two words tells it little.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.encoders._windows import writable

#: Characters of a text that are looked at.
_LOOKED_AT = 120

#: Code points of scripts (first, last), and the language that they stand for.
_SCRIPTS = {
    "latin": ((0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x1E00, 0x1EFF), (0xFF21, 0xFF5A)),
    "zh": ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3134F)),
    "ja": ((0x3041, 0x30FA), (0x31F0, 0x31FF), (0xFF66, 0xFF9D)),
    "ko": ((0x1100, 0x11FF), (0x3130, 0x318F), (0xAC00, 0xD7AF)),
    "ru": ((0x400, 0x52F),),
    "ar": ((0x600, 0x6FF), (0x750, 0x77F), (0xFB50, 0xFDFF), (0xFE70, 0xFEFC)),
    "th": ((0xE00, 0xE7F),),
    "other": ((0x370, 0x3FF), (0x530, 0x5FF), (0x900, 0xDFF), (0x10A0, 0x10FF)),
}
_NAMES = tuple(_SCRIPTS)

#: One sign of these says about as much as so many Latin letters.
_SIGN_WEIGHT = 3

#: Words that sentences of a language hardly do without and the other languages here lack.
_WORDS = {
    "en": "the and is it this was but for with not very so my i'm it's i you they of are have great"
    " good love would size fit from in",
    "de": "der die das und ist nicht ich ein eine sehr mit auf für auch es zu aber wie von gut",
    "fr": "le les des est et une je pas très pour que qui dans ce cette mais avec il du c'est",
    "es": "el los las es y muy que para con una pero por lo mi bien como del está",
    "it": "il che di è e una per non molto sono ma con gli della questo mi ho anche bene del",
    "pt": "o os é e uma não muito que para com mas da um meu em bom eu foi",
    "nl": "de het een en is niet van ik dat zijn met maar voor heel erg goed op te ook",
}


def detect(texts: Sequence[Any]) -> NDArray[np.str_]:
    """Language codes ``(n,)``: ``"en"``, ``"zh"``, ..., ``"other"``; ``""`` for missing texts.

    Texts without a letter, or in Latin letters but with no word that is known, are ``"other"``;
    plain ASCII without such a word counts as English.

    >>> detect(["质量很好，喜欢", "I love this dress", None, "!!"]).tolist()
    ['zh', 'en', '', 'other']
    """
    heads = writable([text[:_LOOKED_AT] if isinstance(text, str) else "" for text in texts])
    counts, ascii_only = _scripts(heads)
    weights = np.array([1 if name == "latin" else _SIGN_WEIGHT for name in _NAMES])
    weighted = counts * weights
    japanese, chinese = _NAMES.index("ja"), _NAMES.index("zh")
    # Japanese is written in Chinese signs too; some kana among them decide.
    kana = counts[:, japanese] * 10 >= counts[:, chinese]
    weighted[:, japanese] += np.where(kana & (counts[:, japanese] > 0), weighted[:, chinese], 0)
    best = weighted.argmax(axis=1)
    codes = np.array(_NAMES, dtype="<U5")[best]
    codes[weighted.max(axis=1, initial=0) == 0] = "other"
    latin = np.flatnonzero(codes == "latin")
    codes[latin] = _latin([heads[row] for row in latin], ascii_only[latin])
    codes[[not head or head.isspace() for head in heads]] = ""
    return codes


def _scripts(texts: list[str]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """``(n, n_scripts)`` signs of each script in each text, and whether all are ASCII."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    # The end mark keeps every stretch non-empty, which reduceat needs.
    points = np.frombuffer("\n".join([*texts, ""]).encode("utf-32-le"), np.uint32)
    start = np.cumsum(lengths + 1) - (lengths + 1)
    script = _table()[points]
    row = np.repeat(np.arange(len(texts)), lengths + 1)
    n = len(_NAMES) + 1
    counts = np.bincount(row * n + script, minlength=len(texts) * n).reshape(-1, n)[:, 1:]
    plain = np.maximum.reduceat(points, start) < 128 if len(texts) else np.zeros(0, dtype=bool)
    return counts, plain


@lru_cache(maxsize=1)
def _table() -> NDArray[np.uint8]:
    """Of each code point: 1 + the place of its script in ``_NAMES``, or 0."""
    table = np.zeros(0x110000, dtype=np.uint8)
    for number, ranges in enumerate(_SCRIPTS.values()):
        for first, last in ranges:
            table[first : last + 1] = number + 1
    return table


@lru_cache(maxsize=1)
def _word_sets() -> list[frozenset[str]]:
    return [frozenset(known.split()) for known in _WORDS.values()]


def _latin(texts: list[str], ascii_only: NDArray[np.bool_]) -> NDArray[np.str_]:
    """Language codes of texts in Latin letters, by the words that they hold."""
    import pyarrow as pa
    import pyarrow.compute as pc

    codes = list(_WORDS)
    lower = pc.call_function("utf8_lower", [pa.array(texts, pa.string())])
    split = pc.call_function("utf8_split_whitespace", [lower])
    words = split.flatten().dictionary_encode()
    distinct = words.dictionary.to_pylist()
    # Each distinct word is looked up once, whatever the number of texts.
    says = np.array([[word in known for known in _word_sets()] for word in distinct], dtype=bool)
    word = words.indices.to_numpy()
    row = np.repeat(np.arange(len(texts)), np.diff(split.offsets.to_numpy()))
    hits = np.zeros((len(texts), len(codes)), dtype=np.int64)
    for number in range(len(codes) if len(distinct) else 0):
        hits[:, number] = np.bincount(row[says[word, number]], minlength=len(texts))
    named = np.array(codes, dtype="<U5")[hits.argmax(axis=1)]
    return np.where(hits.any(axis=1), named, np.where(ascii_only, "en", "other"))
