"""The words of a reply: approved templates, or what helped somebody who asked alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from shoploom.core.errors import ConfigError
from shoploom.core.settings import read_yaml
from shoploom.encoders.language import detect
from shoploom.policies.reply.words import Words
from shoploom.privacy import scrub

LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class Template:
    """An approved reply.

    Attributes:
        text: by language.
        cost: what it costs the shop when given, in currency.
    """

    text: Mapping[str, str]
    cost: float = 0.0


def read_templates(path: Path) -> dict[str, Template]:
    """Approved replies of a YAML file: a name, then ``en``, ``zh`` and perhaps ``cost``.

    Raises:
        ConfigError: it is not laid out like that.
    """
    values = read_yaml(path)
    found = {}
    for name, about in values.items():
        if not isinstance(about, Mapping) or not set(about) <= {*LANGUAGES, "cost"}:
            raise ConfigError(
                f"{path.name}: {name}: expected `en:`, `zh:` and perhaps `cost:`, got {about!r}."
            )
        text = {language: str(about[language]) for language in LANGUAGES if about.get(language)}
        cost = about.get("cost", 0.0)
        if not text or isinstance(cost, bool) or not isinstance(cost, int | float) or cost < 0:
            raise ConfigError(
                f"{path.name}: {name}: expected a text in en or zh and a cost of at least 0, got "
                f"{about!r}."
            )
        found[str(name)] = Template(text, float(cost))
    if not found:
        raise ConfigError(f"{path.name}: expected at least one reply, got none.")
    return found


@dataclass(frozen=True)
class Past:
    """An answer that suited: what was asked, the reply it was, and its words."""

    asked: str
    reply: str
    answer: str


@dataclass(frozen=True)
class Answers:
    """Where the words of a reply come from.

    Attributes:
        templates: approved ones by reply.
        past: answers that suited.
    """

    templates: Mapping[str, Template]
    past: Sequence[Past]
    _words: Words | None = field(default=None, repr=False)

    @classmethod
    def of(cls, templates: Mapping[str, Template], past: Sequence[Past]) -> Answers:
        """With words counted, so that alike questions are found."""
        told = [each.asked for each in past if each.asked.strip()]
        return cls(templates, past, Words(told, least=1) if told else None)

    def __call__(self, reply: str, asked: str) -> tuple[str | None, str]:
        """The words of a reply to what was asked, and where they are from: ``template``, ``past``
        or ``none``. Personal data of whoever was answered then is covered.
        """
        language = _language(asked)
        template = self.templates.get(reply)
        if template is not None and language in template.text:
            return template.text[language], "template"
        mine = [each for each in self.past if each.reply == reply]
        mine = [each for each in mine if _language(each.asked) == language]
        if mine and self._words is not None:
            near = (self._words([each.asked for each in mine]) @ self._words([asked]).T).toarray()
            return scrub(mine[int(np.argmax(near[:, 0]))].answer), "past"
        if template is not None:
            return next(iter(template.text.values())), "template"
        return None, "none"


def _language(text: str) -> str:
    """Chinese or not."""
    return "zh" if str(detect([text])[0]) == "zh" else "en"
