"""Small random grammars: texts with choices in them, kept in plain files under ``words/``.

A file ``words/NAME.LANGUAGE.txt`` holds rules: a name at the margin, then an alternative a line:

    # a remark
    greeting:
        Hello[!|,] what a {adjective} day
        3* Hi                     (three times as likely as a line without a number)
    adjective:
        [really |]sunny

``{name}`` stands for what the caller gives by that name, or else for an alternative of that rule;
``[this|that|]`` for one of the parts, and may be nested.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TypeVar

from shoploom.core.errors import UnknownName
from shoploom.core.seeds import rng

T = TypeVar("T")

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_NAME = re.compile(r"\{([^{}]+)\}")
_WEIGHT = re.compile(r"(\d+)\* ")


class Dice:
    """The random choices of one text.

    Each text has dice of its own, so it stays what it is whatever is written before it. Only
    ``random.Random.random`` is used, whose numbers are the same in every version of Python.
    """

    def __init__(self, seed: int):
        self._draw = random.Random(seed).random

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._draw() < probability

    def below(self, n: int) -> int:
        """An integer in [0, n)."""
        return int(self._draw() * n)

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all equally likely."""
        return options[int(self._draw() * len(options))]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """The options in random order."""
        return [options[i] for _, i in sorted((self._draw(), i) for i in range(len(options)))]


def dice_for_each(n: int, seed: int, *purpose: str | int) -> Iterator[Dice]:
    """Dice for each of ``n`` texts, all derived from one seed and a purpose."""
    return map(Dice, rng(seed, *purpose).integers(2**62, size=n).tolist())


class Grammar:
    """Rules by name.

    Args:
        rules: the alternatives of each rule, in the notation above.
        name: what messages call this grammar.
    """

    def __init__(self, rules: Mapping[str, Sequence[str]], name: str):
        self.rules, self.name = rules, name

    def __contains__(self, rule: str) -> bool:
        return rule in self.rules

    def say(self, rule: str, dice: Dice, given: Mapping[str, str] | None = None) -> str:
        """One text of a rule.

        Raises:
            UnknownName: the rule, or one that it needs, is neither given nor in the grammar.
        """
        if rule not in self.rules:
            raise UnknownName("rule", rule, self.rules, self.name)
        return self.fill(dice.pick(self.rules[rule]), dice, given or {})

    def fill(self, text: str, dice: Dice, given: Mapping[str, str]) -> str:
        """A text with its choices made and its names replaced."""
        while "[" in text:
            text = _CHOICE.sub(lambda choice: dice.pick(choice[1].split("|")), text)
        if "{" not in text:
            return text
        return _NAME.sub(
            lambda name: given[name[1]] if name[1] in given else self.say(name[1], dice, given),
            text,
        )


@cache
def grammar(name: str, language: str) -> Grammar:
    """The grammar ``words/NAME.LANGUAGE.txt``."""
    rules: dict[str, list[str]] = {}
    for rule, lines in sections(f"{name}.{language}.txt"):
        for line in lines:
            weight = _WEIGHT.match(line)
            alternatives = rules.setdefault(rule, [])
            if weight:
                alternatives.extend([line[weight.end() :]] * int(weight[1]))
            else:
                alternatives.append(line)
    return Grammar(rules, f"{name}.{language}.txt")


def sections(file: str) -> Iterator[tuple[str, list[str]]]:
    """The headings of a file of ``words/`` (without their colon), each with its indented lines."""
    heading, lines = "", []
    text = resources.files("shoploom.simulate.content").joinpath("words", file).read_text("utf-8")
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace():
            lines.append(line.strip())
        else:
            if heading:
                yield heading, lines
            heading, lines = line.strip().removesuffix(":"), []
    if heading:
        yield heading, lines
