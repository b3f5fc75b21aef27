"""Reviews in English and Chinese whose meaning is known.

The rating sets the tone; every aspect with a polarity is spoken of in a clause of its own. Praise
and blame use the same ways of speaking and the same words: a thing may be called comfortable, or
"not exactly comfortable", so that counting words does not quite tell what a review means. The
words are in ``words/aspects.*.txt``, the ways of speaking in ``words/reviews.*.txt``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pyarrow as pa

from shoploom.core.errors import DataError
from shoploom.simulate.catalogue import ASPECTS, CATEGORIES, LANGUAGES
from shoploom.simulate.content._grammar import Dice, dice_for_each, grammar, sections
from shoploom.simulate.content._personal import PERSONAL_KINDS, personal_data
from shoploom.simulate.content._things import things
from shoploom.simulate.content._typing import drop_punctuation, misspell

#: What the traits table tells of a review, all true or false. ``negated`` to ``sarcastic``: an
#: aspect is spoken of in that way; ``mixed``: both praise and blame; ``chatter``: a sentence is
#: about something else; the rest: how it was typed.
TRAITS = (
    *("negated", "compared", "expected", "understated", "sarcastic", "mixed", "chatter"),
    *("emoji", "typos", "lower_case", "capitals", "unpunctuated"),
)

# How often an aspect is spoken of in each way, for praise and for blame.
_WAYS = ("plain", "idiom", "negated", "compared", "expected", "understated", "sarcastic")
_CHANCES = {
    1: (0.48, 0.19, 0.14, 0.06, 0.07, 0.06, 0.0),
    -1: (0.44, 0.18, 0.13, 0.05, 0.07, 0.08, 0.05),
}
# Stands for personal data until the text around it is final; belongs to no script.
_PLACE = "\ue000"
# The end of the names of rules that suit one sign only.
_SIGN = {1: "+", 0: "0", -1: "-"}
_SINGULAR_VERBS = {"is": "is", "is_not": "isn't", "was": "was", "were": "was", "it_is": "it is"}
_PLURAL_VERBS = {
    **{"is": "are", "is_not": "aren't", "was": "were", "were": "were"},
    "it_is": "they are",
}
_STARTS = re.compile(r"(^|[.!?]\s+)([a-z])")


@dataclass(frozen=True)
class ReviewTexts:
    """Reviews, and what is true of them.

    Attributes:
        titles: a headline each; empty where the writer gave none.
        texts: the reviews.
        traits: one row a review, a boolean column for each of TRAITS.
        personal: review (int64), kind (one of PERSONAL_KINDS), start and end (int32, code points
            of the text, end excluded) and value of the personal data planted in texts.
    """

    titles: list[str]
    texts: list[str]
    traits: pa.Table
    personal: pa.Table


@dataclass(frozen=True)
class _Part:
    """A part of a thing, and what it is called when good and when bad."""

    subject: str
    plural: bool
    good: tuple[str, ...]
    bad: tuple[str, ...]


@dataclass(frozen=True)
class _Vocabulary:
    """What may be said of one aspect of one category; praise and blame are whole clauses."""

    parts: tuple[_Part, ...]
    praise: tuple[str, ...]
    blame: tuple[str, ...]


def write_reviews(
    category: np.ndarray,
    language: np.ndarray,
    rating: np.ndarray,
    polarity: np.ndarray,
    seed: int,
) -> ReviewTexts:
    """Reviews of the given meaning, each written from random numbers of its own.

    Args:
        category: codes of CATEGORIES, (n,).
        language: codes of LANGUAGES, (n,).
        rating: 1 to 5, (n,).
        polarity: (n, aspects): 1 praise, -1 blame, 0 where the aspect is not mentioned.
        seed: of all randomness.

    Raises:
        DataError: the shapes disagree, or a rating is not 1 to 5.
    """
    n = len(rating)
    if polarity.shape != (n, len(ASPECTS)) or len(category) != n or len(language) != n:
        raise DataError(
            f"write_reviews expects one category, language and row of {len(ASPECTS)} polarities "
            f"for each of {n} ratings; got {len(category)}, {len(language)}, {polarity.shape}"
        )
    if n and not (rating.min() >= 1 and rating.max() <= 5):
        raise DataError(
            f"ratings must be 1 to 5; got {rating.min()} to {rating.max()} in write_reviews"
        )
    titles, texts, traits, personal = [], [], [], []
    rows = zip(
        dice_for_each(n, seed, "reviews"),
        *(array.tolist() for array in (category, language, rating, polarity)),
        strict=True,
    )
    for review, (dice, category_code, language_code, stars, polarities) in enumerate(rows):
        writer = _Writer(dice, LANGUAGES[language_code], category_code, dice.chance(0.22))
        text, planted = _write(writer, stars, polarities)
        titles.append(_title(writer, stars))
        texts.append(text)
        traits.append(writer.traits)
        if planted:
            personal.append((review, *planted))
    return ReviewTexts(titles, texts, _traits_table(traits), _personal_table(personal))


@dataclass(frozen=True)
class _Writer:
    """Who writes one review: of what category, in what language, and whether in few words."""

    dice: Dice
    language: str
    category: int
    brief: bool
    traits: set[str] = field(default_factory=set)  # of what has been written so far

    def say(self, rule: str, **slots: str) -> str:
        """A text of the rule about the thing reviewed."""
        words = grammar("reviews", self.language)
        return words.say(rule, self.dice, things(self.language)[self.category] | slots)

    def mood(self, rating: int) -> int:
        """The tone of a sentence: that of the rating, or at times of the one beside it."""
        drift = self.dice.below(20)
        return min(5, max(1, rating + (drift == 0) - (drift == 1)))


def _write(
    writer: _Writer, rating: int, polarities: Sequence[int]
) -> tuple[str, tuple[str, int, int, str] | None]:
    """The text, and the personal data in it (kind, start, end, value) if there is any."""
    dice = writer.dice
    mentioned = dice.shuffled([(a, sign) for a, sign in enumerate(polarities) if sign])
    if len({sign for _, sign in mentioned}) == 2:
        writer.traits.add("mixed")
    sentences = _aspects(writer, mentioned)
    _add_tone(writer, rating, sentences)
    if not writer.brief and dice.chance(0.3):
        writer.traits.add("chatter")
        number = f"{dice.pick('ABDFKMSX')}{dice.below(10**6):06}"
        _insert(dice, sentences, writer.say("chatter", order=number))
    kind = dice.pick(PERSONAL_KINDS) if dice.chance(0.03) else None
    if kind:
        _insert(dice, sentences, writer.say(f"personal.{kind}", personal=_PLACE))

    text = _type(writer, _punctuate(writer, sentences))
    if dice.chance(0.15):
        writer.traits.add("emoji")
        sign = 0 if rating == 3 or dice.chance(0.2) else 1 if rating > 3 else -1
        text += dice.pick((" ", "")) + writer.say(f"emoji_{_SIGN[sign]}")
    if not kind:
        return text, None
    value = personal_data(kind, writer.language, dice)
    start = text.index(_PLACE)
    return text.replace(_PLACE, value), (kind, start, start + len(value), value)


def _insert(dice: Dice, sentences: list[str], sentence: str) -> None:
    sentences.insert(dice.below(len(sentences) + 1), sentence)


def _add_tone(writer: _Writer, rating: int, sentences: list[str]) -> None:
    """Adds what is said of the thing as a whole, before and after its parts."""
    dice = writer.dice
    alone = not sentences
    if alone and writer.brief:
        sentences.append(writer.say(f"short.{writer.mood(rating)}"))
        return
    if alone or dice.chance(0.5 if writer.brief else 0.9):
        tone = writer.say(f"tone.{writer.mood(rating)}")
        sentences.insert(0 if dice.chance(0.7) else len(sentences), tone)
    if alone and dice.chance(0.5):
        again = writer.say(f"tone.{writer.mood(rating)}")
        sentences += [again] if again not in sentences else []
    elif alone or (not writer.brief and dice.chance(0.25)):
        sign = (rating > 3) - (rating < 3)
        sentences.append(writer.say(f"close_{_SIGN[sign]}"))


def _aspects(writer: _Writer, mentioned: Sequence[tuple[int, int]]) -> list[str]:
    """Sentences that speak of every (aspect, sign), one or two in a sentence."""
    sentences: list[str] = []
    first: tuple[str, int] | None = None  # a clause that another may join, and its sign
    for aspect, sign in mentioned:
        clause = _clause(writer, aspect, sign)
        # A clause that is a sentence or more by itself cannot be joined to another.
        alone = any(stop in clause for stop in ".?!。？！")
        if first and not alone:
            rule = "agree" if first[1] == sign else f"differ_{_SIGN[sign]}"
            sentences[-1] = writer.say(rule, first=first[0], second=clause)
            first = None
        else:
            sentences.append(clause)
            first = None if alone or writer.dice.chance(0.35) else (clause, sign)
    return sentences


def _clause(writer: _Writer, aspect: int, sign: int) -> str:
    """What is said of one aspect."""
    dice = writer.dice
    vocabulary = _vocabulary(writer.language)[aspect, writer.category]
    way = "terse" if writer.brief else _way(dice, sign)
    if way == "idiom":
        clause = dice.pick(vocabulary.praise if sign > 0 else vocabulary.blame)
        thing = things(writer.language)[writer.category]
        return grammar("reviews", writer.language).fill(clause, dice, thing)
    if way in TRAITS:
        writer.traits.add(way)
    part = dice.pick(vocabulary.parts)
    holds, contrary = (part.good, part.bad) if sign > 0 else (part.bad, part.good)
    return writer.say(
        f"understated_{_SIGN[sign]}" if way == "understated" else way,
        subject=part.subject,
        bare=part.subject.removeprefix("the "),
        yes=dice.pick(holds),
        no=dice.pick(contrary),
        **(_PLURAL_VERBS if part.plural else _SINGULAR_VERBS),
    )


def _way(dice: Dice, sign: int) -> str:
    drawn = dice.below(100) / 100
    for way, chance in zip(_WAYS, _CHANCES[sign], strict=True):
        drawn -= chance
        if drawn < 0:
            return way
    return "plain"


def _punctuate(writer: _Writer, sentences: Sequence[str]) -> str:
    """The sentences as one text, ended as people end them."""
    dice = writer.dice
    if writer.language == "zh":
        # Commas go on for long in Chinese reviews, and many writers end with nothing or a tilde.
        stop = dice.pick(("。", "。", "，", "，", "！", "~", " "))
        end = dice.pick(("。", "。", "！", "", "", "~", "！！"))
        text = stop.join(sentence.strip("， ") for sentence in sentences)
        # An adjective that starts with "to have" is denied by another word.
        return text.replace("？" + stop, "？").replace("不有", "没有") + end
    stop = dice.pick((".", ".", ".", ".", "!", " -", "..."))
    end = dice.pick((".", ".", ".", "!", "", "", "!!", "..."))
    text = f"{stop} ".join(" ".join(sentence.split()) for sentence in sentences)
    text = text.replace("?" + stop, "?") + ("" if text.endswith(("?", "!")) else end)
    return _STARTS.sub(lambda match: match[1] + match[2].upper(), text)


def _type(writer: _Writer, text: str) -> str:
    """The text as it was typed: in haste, in capitals, without stops."""
    dice, language = writer.dice, writer.language
    if dice.chance(0.08):
        writer.traits.add("unpunctuated")
        text = drop_punctuation(text, language)
    if language == "en":
        manner = dice.below(100)
        if manner < 14:
            writer.traits.add("lower_case")
            text = text.lower()
        elif manner < 17:
            writer.traits.add("capitals")
            text = text.upper()
    if dice.chance(0.12):
        typed = misspell(text, language, dice, 1 + dice.below(3))
        if typed != text:
            writer.traits.add("typos")
            text = typed
    return text


def _title(writer: _Writer, rating: int) -> str:
    if writer.dice.chance(0.15):
        return ""
    neutral = writer.dice.chance(0.35)
    title = writer.say("title.any" if neutral else f"title.{writer.mood(rating)}")
    return title[:1].upper() + title[1:]


@cache
def _vocabulary(language: str) -> dict[tuple[int, int], _Vocabulary]:
    """The vocabulary of each aspect and category, by their codes."""
    found: dict[tuple[int, int], list[str]] = {}
    for heading, lines in sections(f"aspects.{language}.txt"):
        aspect, nouns = heading.split(" / ")
        wanted = nouns.split(", ")
        for code, category in enumerate(CATEGORIES):
            if nouns == "all" or category.noun in wanted:
                found.setdefault((ASPECTS.index(aspect), code), []).extend(lines)
    return {key: _read_vocabulary(lines) for key, lines in found.items()}


def _read_vocabulary(lines: Sequence[str]) -> _Vocabulary:
    parts = []
    for line in lines:
        if line[0] in "+-":
            continue
        subject, words = line.split(" = ")
        good, bad = (tuple(side.split(", ")) for side in words.split(" : "))
        parts.append(_Part(subject.rstrip("*"), subject.endswith("*"), good, bad))
    praise, blame = (
        tuple(line[2:] for line in lines if line.startswith(mark)) for mark in ("+ ", "- ")
    )
    return _Vocabulary(tuple(parts), praise, blame)


def _traits_table(traits: Sequence[set[str]]) -> pa.Table:
    return pa.table(
        {trait: pa.array([trait in marks for marks in traits], pa.bool_()) for trait in TRAITS}
    )


def _personal_table(rows: Sequence[tuple[int, str, int, int, str]]) -> pa.Table:
    schema = pa.schema(
        [
            ("review", pa.int64()),
            ("kind", pa.string()),
            ("start", pa.int32()),
            ("end", pa.int32()),
            ("value", pa.string()),
        ]
    )
    columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * len(schema)
    return pa.table(columns, schema=schema)
