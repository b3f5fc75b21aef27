"""What the host of a live stream says, and when."""

from __future__ import annotations

from collections.abc import Sequence

from shoploom.simulate.catalogue import LANGUAGES
from shoploom.simulate.content._grammar import Dice, dice_for_each, grammar

#: Characters spoken in a second.
_PACE = {"en": 15.0, "zh": 5.0}
_PAUSE_S = 0.4


def stream_script(
    titles: Sequence[str], language: int, seconds_each: float, seed: int
) -> list[tuple[float, float, str]]:
    """What is said while each item is shown, one after the other for ``seconds_each``.

    Every item is named by its title as it appears; what follows is a host's talk, as much as
    time allows. Where the time is too short even for the title, it is spoken faster.

    Args:
        titles: of the items, in the order shown.
        language: a code of LANGUAGES.
        seconds_each: how long each item is shown, in seconds.
        seed: of all randomness.

    Returns:
        (start, end, text) of each sentence, in seconds from the start of the stream; sentences do
        not overlap, and those about item i lie in [i, i + 1) times ``seconds_each``.
    """
    tongue = LANGUAGES[language]
    script = []
    every_dice = dice_for_each(len(titles), seed, "script", tongue)
    for number, (title, dice) in enumerate(zip(titles, every_dice, strict=True)):
        start = float(number * seconds_each)
        for text, spoken_s in _lines(dice, title, number + 1, tongue, seconds_each):
            script.append((round(start, 2), round(start + spoken_s, 2), text))
            start += spoken_s + _PAUSE_S
    return script


def _lines(
    dice: Dice, title: str, number: int, language: str, seconds: float
) -> list[tuple[str, float]]:
    """Sentences about one item and how long each is spoken, together at most ``seconds``."""
    words = grammar("scripts", language)
    slots = {"title": title, "number": str(number)}
    first = words.say("show", dice, slots)
    if len(first) / _PACE[language] > seconds:
        first = title
    lines = [(first, min(len(first) / _PACE[language], seconds))]
    left = seconds - lines[0][1] - _PAUSE_S
    for talk in [*dice.shuffled(words.rules["talk"]), "{bye}"]:
        text = words.fill(talk, dice, slots)
        spoken_s = len(text) / _PACE[language]
        if spoken_s <= left:
            lines.append((text, spoken_s))
            left -= spoken_s + _PAUSE_S
    return lines
