"""What customers and agents write to each other in the shop's chat window.

The caller decides what a dialogue is about (intent, emotion, the reply chosen and whether it suited
the customer); this module finds words for it, from ``words/dialogues.LANGUAGE.txt``. A dialogue
opens with the customer's matter in the tone of the emotion, goes on with questions of the agent,
turns on the agent's reply, and ends with what the customer makes of it, at times only politely.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from shoploom.core import columns as c
from shoploom.simulate.catalogue import CATEGORIES, EMOTIONS, INTENTS, LANGUAGES, REPLIES, Category
from shoploom.simulate.content._grammar import Dice, Grammar, dice_for_each, grammar
from shoploom.simulate.content._personal import PERSONAL_KINDS, personal_data

CUSTOMER, AGENT = c.CUSTOMER, c.AGENT

#: The fewest and the most turns of a dialogue.
MIN_TURNS, MAX_TURNS = 3, 8

TURNS_SCHEMA = pa.schema(
    {"dialogue": pa.int64(), "turn": pa.int16(), c.ROLE: pa.string(), c.TEXT: pa.string()}
)
PERSONAL_SCHEMA = pa.schema(
    {
        "dialogue": pa.int64(),
        "turn": pa.int16(),
        "kind": pa.string(),
        "start": pa.int32(),
        "end": pa.int32(),
        "value": pa.string(),
    }
)

# Matters that come up before anything is bought.
_BEFORE = ("size or fit", "product question")
_PRAISE = "praise"
_CROSS = ("annoyed", "angry")

_P_VAGUE = 0.08  # the opening does not say what it is about
_P_GREETING, _P_CONTEXT, _P_TONE = 0.75, 0.5, 0.55
_P_FOLLOW_UP = 0.2  # the customer writes again before the agent does
_P_IMPATIENT = 0.15  # a cross customer lets the agent feel it
_P_HOLD = 0.3  # the agent asks for patience
_P_EMPATHY = 0.55
_P_POLITE = 0.2  # the last turn is polite, whether the reply suited or not
_P_PERSONAL = 0.04
_P_EMOJI, _P_SLIPS = 0.15, 0.12  # of customers; about half of their turns show it

# Stands in a text for its personal value until everything else about the text is settled, so
# that the value's place is exact and no slip of the keyboard spoils it.
_PLACE = "\ue000"

_ANSWERED_BY = " => "

# What English needs to speak of a category's items; Chinese needs none of it.
_FORMS = ("is", "was", "has", "does", "s", "it", "they", "it_s", "they_are")
_SINGULAR = ("is", "was", "has", "does", "s", "it", "it", "it's", "it's")
_PLURAL = ("are", "were", "have", "do", "", "them", "they", "they're", "they're")
_PLURAL_NOUNS = ("trousers", "shoes", "socks", "headphones")
_MASS_NOUNS = ("tea", "coffee")

_DAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "the 3rd"),
    "zh": ("周一", "周二", "周三", "周四", "周五", "周六", "周日", "3号", "12号", "月底"),
}

_STAYS_CAPITAL = re.compile(r"I\b|[A-Z]{2}")
_SENTENCE_START = re.compile(r"(^|[.?!] )([a-z])")
_SLIPPABLE = {"en": re.compile(r"\B[a-z]\B"), "zh": re.compile("[的得在再做作那哪已以吗账]")}
_SAME_SOUND = dict(zip("的得在再做作那哪已以吗账", "得的再在作做哪那以已嘛帐", strict=True))


@dataclass(frozen=True)
class DialogueTexts:
    """The words of some dialogues.

    Attributes:
        turns: one row a turn, in order: dialogue (row of the request), turn (from 0), role
            ("customer" or "agent"), text.
        personal: one row for each planted personal value: dialogue, turn, kind (one of
            PERSONAL_KINDS), start and end (code points of the turn's text), value.
    """

    turns: pa.Table
    personal: pa.Table


def write_dialogues(
    intent: np.ndarray,
    emotion: np.ndarray,
    reply: np.ndarray,
    suited: np.ndarray,
    language: np.ndarray,
    category: np.ndarray,
    seed: int,
) -> DialogueTexts:
    """Dialogues of 3 to 8 turns, one for each row of the arguments.

    Args:
        intent: (n,) codes into INTENTS, what the customer wants.
        emotion: (n,) codes into EMOTIONS, how the customer feels at the start.
        reply: (n,) codes into REPLIES, what the agent's decisive turn does.
        suited: (n,) bool, whether that was what this customer needed.
        language: (n,) codes into LANGUAGES.
        category: (n,) codes into CATEGORIES, what kind of item it is about.
        seed: the same seed gives the same words.

    >>> one = np.zeros(1, dtype=int)
    >>> texts = write_dialogues(one, one, one, one == 0, one, one, seed=0)
    >>> texts.turns["role"][0].as_py()
    'customer'
    """
    turns: list[tuple[int, int, str, str]] = []
    personal: list[tuple[int, int, str, int, int, str]] = []
    wanted = (intent, emotion, reply, suited, language, category)
    rows = zip(*(np.asarray(codes).tolist() for codes in wanted), strict=True)
    all_dice = dice_for_each(len(intent), seed, "dialogues")
    for number, (dice, row) in enumerate(zip(all_dice, rows, strict=True)):
        tongue, about = LANGUAGES[row[4]], INTENTS[row[0]]
        voice = _voice(dice, tongue, about, CATEGORIES[row[5]])
        spoken = _conversation(voice, about, EMOTIONS[row[1]], REPLIES[row[2]], row[3])
        planted = _plant(voice, spoken) if dice.chance(_P_PERSONAL) else None
        typed = _Typist(voice, EMOTIONS[row[1]], row[3])
        for turn, (role, text) in enumerate(spoken):
            if role == CUSTOMER:
                text = typed(text, is_last=turn == len(spoken) - 1)
            if planted and _PLACE in text:
                kind, value = planted
                start = text.index(_PLACE)
                text = text.replace(_PLACE, value)
                personal.append((number, turn, kind, start, start + len(value), value))
            turns.append((number, turn, role, text))
    return DialogueTexts(_table(turns, TURNS_SCHEMA), _table(personal, PERSONAL_SCHEMA))


@dataclass(frozen=True)
class _Voice:
    """The words of one dialogue.

    Attributes:
        dice: its random choices.
        language: one of LANGUAGES.
        rules: the grammar of the language.
        product: department and noun of the item; rules may have more lines for either.
        facts: what stays the same all through the dialogue, by the name that lines use.
    """

    dice: Dice
    language: str
    rules: Grammar
    product: tuple[str, str]
    facts: dict[str, str]

    def chance(self, probability: float) -> bool:
        return self.dice.chance(probability)

    def say(self, *rules: str, **more: str) -> str:
        """A text of the first of these rules that the grammar has."""
        rule = next((rule for rule in rules if rule in self.rules), rules[0])
        return self.rules.say(rule, self.dice, self.facts | more)

    def lines(self, rule: str) -> list[str]:
        """All lines of a rule that suit the product."""
        narrower = (f"{rule} / {product}" for product in self.product)
        return [
            line
            for name in (rule, *narrower)
            if name in self.rules
            for line in self.rules.rules[name]
        ]

    def speak(self, rule: str) -> str:
        """A text of a rule that suits the product."""
        return self.rules.fill(self.dice.pick(self.lines(rule)), self.dice, self.facts)

    def pair(self, line: str) -> tuple[str, str]:
        """Question and answer of a line."""
        asked, told = line.split(_ANSWERED_BY)
        fill = self.rules.fill
        return fill(asked, self.dice, self.facts), fill(told, self.dice, self.facts)

    def join(self, parts: Sequence[str]) -> str:
        """Sentences one after the other, as the language writes them."""
        comma, gap = ("，", "") if self.language == "zh" else (",", " ")
        text = parts[0]
        for part in parts[1:]:
            text += comma if text[-1].isalnum() else ""
            if text[-1] == "," and not _STAYS_CAPITAL.match(part):
                part = part[0].lower() + part[1:]
            text += gap + part
        return text


def _voice(dice: Dice, language: str, intent: str, category: Category) -> _Voice:
    """The voice of a dialogue about an item of this category."""
    chinese = language == "zh"
    amount = category.price * (0.7 + 0.6 * dice.below(100) / 100)
    facts = {
        "noun": category.noun_zh if chinese else category.noun,
        "material": dice.pick(category.materials_zh if chinese else category.materials),
        "order": f"{dice.below(10**14):014}" if chinese else f"{dice.below(10**7):07}",
        "day": dice.pick(_DAYS[language]),
        "days": str(3 + dice.below(12)),
        "hours": str(2 + dice.below(9)),
        "amount": f"{amount:.0f}元"
        if chinese
        else f"{int(amount)}.{dice.pick(('90', '50', '00'))}",
    }
    if not chinese:
        facts |= _english_forms(category.noun)
    product = (category.path.split(c.CATEGORY_SEPARATOR)[0], category.noun)
    voice = _Voice(dice, language, grammar("dialogues", language), product, facts)
    if intent in _BEFORE:
        enquiry = dice.pick(voice.lines(f"asked / {intent}"))
        facts["asked"], facts["told"] = voice.pair(enquiry)
    return voice


def _english_forms(noun: str) -> dict[str, str]:
    """Articles, pronouns and verbs that go with a noun; also with a capital."""
    plural, mass = noun in _PLURAL_NOUNS, noun in _MASS_NOUNS
    one = f"pair of {noun}" if plural else f"pack of {noun}" if mass else noun
    forms = dict(zip(_FORMS, _PLURAL if plural else _SINGULAR, strict=True))
    forms |= {"a_noun": f"a {one}", "a_new_noun": f"a new {one}"}
    return forms | {name.capitalize(): form.capitalize() for name, form in forms.items()}


def _conversation(
    voice: _Voice, intent: str, emotion: str, reply: str, suited: bool
) -> list[tuple[str, str]]:
    """Role and text of each turn; the customer's as if typed by a careful hand."""
    before, praise = intent in _BEFORE, intent == _PRAISE
    need = voice.speak(f"need / {intent}")
    vague = voice.chance(_P_VAGUE)
    spoken = [(CUSTOMER, _opening(voice, intent, emotion, None if vague else need))]
    if vague:
        spoken += [(AGENT, voice.say("ask / vague")), (CUSTOMER, voice.say("say it", need=need))]
    elif not praise and voice.chance(_P_FOLLOW_UP):
        follow_up = "before" if before else emotion
        spoken.append((CUSTOMER, voice.say(f"follow-up / {follow_up}")))
    questions = voice.lines(f"ask / {intent}")
    questions += [] if before else [voice.dice.pick(voice.lines("ask / any"))]
    room = (MAX_TURNS - len(spoken) - 2) // 2
    for line in voice.dice.shuffled(questions)[: min(voice.dice.below(3), room)]:
        question, answer = voice.pair(line)
        if emotion in _CROSS and not praise and voice.chance(_P_IMPATIENT):
            answer = voice.join([voice.say("impatient"), answer])
        spoken += [(AGENT, question), (CUSTOMER, answer)]
    if len(spoken) < MAX_TURNS - 2 and voice.chance(_P_HOLD):
        spoken.append((AGENT, voice.say("hold")))
    spoken.append((AGENT, _decision(voice, intent, emotion, reply)))
    spoken.append((CUSTOMER, _verdict(voice, intent, emotion, reply, suited)))
    return spoken


def _opening(voice: _Voice, intent: str, emotion: str, need: str | None) -> str:
    """What the customer writes first; without a need, only that there is something."""
    stage = " / before" if intent in _BEFORE else ""
    praise = intent == _PRAISE
    greeting = "calm" if praise and emotion != "happy" else emotion
    parts = [voice.say(f"greeting / {greeting}")] if voice.chance(_P_GREETING) else []
    if need is None:
        return voice.join([*parts, voice.say("vague / praise" if praise else f"vague{stage}")])
    parts.append(need)
    if voice.chance(_P_CONTEXT):
        context = voice.say("context / before") if stage else voice.speak("context")
        parts.insert(len(parts) - voice.dice.below(2), context)
    if voice.chance(_P_TONE):
        tone = "praise tone" if praise else f"tone{stage}"
        parts.append(voice.say(f"{tone} / {emotion}", f"tone / {emotion}"))
    return voice.join(parts)


def _decision(voice: _Voice, intent: str, emotion: str, reply: str) -> str:
    """The agent's decisive turn."""
    decision = voice.say(f"decide / {reply} / {intent}", f"decide / {reply}")
    if not voice.chance(_P_EMPATHY):
        return decision
    return voice.join([voice.say(f"empathy / {intent}", f"empathy / {emotion}"), decision])


def _verdict(voice: _Voice, intent: str, emotion: str, reply: str, suited: bool) -> str:
    """The customer's last turn."""
    how = "suited" if suited else "unsuited"
    if intent == _PRAISE:
        return voice.say(f"{how} / {intent}")
    if voice.chance(_P_POLITE):
        return voice.say(f"polite / {how}")
    if emotion in _CROSS and voice.chance(0.3):
        return voice.say(f"{how} / angry")
    return voice.say(f"{how} / {reply if voice.chance(0.55) else 'any'}")


def _plant(voice: _Voice, spoken: list[tuple[str, str]]) -> tuple[str, str]:
    """Kind and value of a personal datum; some turn of ``spoken`` now ends with its place."""
    kind = voice.dice.pick(PERSONAL_KINDS)
    by_customer = [turn for turn, (role, _) in enumerate(spoken[:-1]) if role == CUSTOMER]
    turn = voice.dice.pick(by_customer)
    sentence = voice.say(f"personal / {kind}", personal=_PLACE)
    spoken[turn] = (CUSTOMER, voice.join([spoken[turn][1], sentence]))
    return kind, personal_data(kind, voice.language, voice.dice)


class _Typist:
    """How one customer types: the habits hold for all turns of the dialogue."""

    def __init__(self, voice: _Voice, emotion: str, suited: bool):
        mood_after = "annoyed" if not suited else "happy" if emotion == "happy" else "calm"
        self._voice, self._moods = voice, (emotion, mood_after)
        chance = voice.chance
        self._chinese = voice.language == "zh"
        self._small = chance(0.3)
        self._shouts = emotion == "angry" and chance(0.15)
        self._stops = chance(0.3 if self._chinese else 0.6)
        self._spaces = chance(0.15)
        self._slips, self._emoji = chance(_P_SLIPS), chance(_P_EMOJI)

    def __call__(self, text: str, *, is_last: bool) -> str:
        """The text as it leaves this customer's keyboard."""
        if self._chinese:
            text = text.replace("，", " ") if self._spaces else text
        elif self._shouts:
            text = text.upper()
        elif self._small:
            text = text.lower()
        else:
            text = _SENTENCE_START.sub(lambda start: start[1] + start[2].upper(), text)
        if not self._stops:
            text = text.rstrip(".。")
        if self._slips and self._voice.chance(0.6):
            text = _slip(text, self._voice)
        if self._emoji and self._voice.chance(0.5):
            gap = "" if self._chinese else " "
            text += gap + self._voice.say(f"emoji / {self._moods[is_last]}")
        return text


def _slip(text: str, voice: _Voice) -> str:
    """The text with one slip: a letter dropped or two swapped, or a character of the same sound."""
    places = [found.start() for found in _SLIPPABLE[voice.language].finditer(text)]
    if not places:
        return text
    at = voice.dice.pick(places)
    if voice.language == "zh":
        return text[:at] + _SAME_SOUND[text[at]] + text[at + 1 :]
    if voice.chance(0.5):
        return text[:at] + text[at + 1 :]
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def _table(rows: Sequence[tuple], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
