"""What fingers do to a text: misspellings, forgotten punctuation."""

from __future__ import annotations

import re

from shoploom.simulate.content._grammar import Dice

#: The keys beside each letter on an English keyboard.
_BESIDE = {
    letter: "".join(row[max(0, i - 1) : i] + row[i + 1 : i + 2])
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm")
    for i, letter in enumerate(row)
}
#: Chinese characters that an input method offers for the same sounds.
_HOMOPHONES = {
    **{"的": "得", "得": "的", "地": "的", "在": "再", "再": "在", "做": "作", "作": "做"},
    **{"那": "哪", "哪": "那", "已": "以", "以": "已", "很": "狠", "吧": "把", "像": "象"},
    **{"坐": "座", "带": "戴", "戴": "带", "买": "卖", "卖": "买", "她": "他", "它": "他"},
    **{"道": "到", "账": "帐", "既": "即", "竟": "尽", "码": "马", "裙": "群", "其": "期"},
    **{"必": "毕", "份": "分", "需": "须", "点": "店", "店": "点", "没": "每", "象": "像"},
}
_HOMOPHONE = re.compile(f"[{''.join(_HOMOPHONES)}]")
_WORD = re.compile(r"[A-Za-z]{4,}")
_ENGLISH_STOP = re.compile(r"[.,;:!](?=\s|$)")
_CHINESE_STOP = re.compile(r"[，。；：！,;:!]")


def misspell(text: str, language: str, dice: Dice, mistakes: int = 1) -> str:
    """The text with mistakes in it, where it has a word or character that lends itself to them.

    English letters are dropped, doubled, swapped or hit beside; Chinese characters become others
    of the same sound.
    """
    for _ in range(mistakes):
        pattern = _WORD if language == "en" else _HOMOPHONE
        places = [match.span() for match in pattern.finditer(text)]
        if not places:
            break
        start, end = dice.pick(places)
        if language == "en":
            # First letters are seldom missed.
            at = start + 1 + dice.below(end - start - 2)
            text = text[:at] + _slip(text[at : at + 2], dice) + text[at + 2 :]
        else:
            text = text[:start] + _HOMOPHONES[text[start]] + text[end:]
    return text


def _slip(pair: str, dice: Dice) -> str:
    first, second = pair
    beside = dice.pick(_BESIDE[first.lower()])
    return dice.pick((second, second + first, first + first + second, beside + second))


def drop_punctuation(text: str, language: str) -> str:
    """The text as those write who never reach for a comma."""
    if language == "en":
        return _ENGLISH_STOP.sub("", text)
    return _CHINESE_STOP.sub(" ", text).strip()
