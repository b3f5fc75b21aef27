"""Personal data in texts, covered by the name of what was there.

It finds what has a form: addresses of mail and of pages, telephone, card and identity numbers, in
English and Chinese texts. Names of people and places have none; they are not found here.
"""

from __future__ import annotations

import re

_ALONE = r"(?<![A-Za-z0-9.])"  # Chinese texts put no space around a number
_ENDED = r"(?![ -]?\d)"

# The order matters: an identity number would otherwise be taken for a telephone number.
_FORMS = (
    ("e-mail", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    ("address of a page", r"(?i:https?://|www\.)[^\s<>\"'，。；）)]+"),
    ("identity number", r"(?<![A-Za-z\d])\d{17}[\dXx](?![A-Za-z\d])"),
    ("identity number", r"(?<![A-Za-z\d])\d{3}-\d{2}-\d{4}(?![A-Za-z\d])"),
    ("card number", r"(?<!\d)(?:\d[ -]?){12,18}\d(?!\d)"),
    ("telephone number", rf"{_ALONE}(?:\+\d{{1,3}}[ -]?)?1[3-9]\d(?:[ -]?\d{{4}}){{2}}{_ENDED}"),
    (
        "telephone number",
        rf"{_ALONE}(?:\+\d{{1,3}}[ .-]?)?(?:\(\d{{2,4}}\)|\d{{2,4}})"
        rf"[ .-]\d{{3,4}}[ .-]?\d{{4}}{_ENDED}",
    ),
    ("telephone number", rf"{_ALONE}\+\d{{8,14}}(?!\d)"),
    ("account", r"(?i:(?<![a-z])qq|wechat|weixin|微信号?|whatsapp)\s*[:：号]\s*[\w-]{5,20}"),
)
_COMPILED = tuple((name, re.compile(form)) for name, form in _FORMS)


def scrub(text: str) -> str:
    """The text with personal data covered, each by what it was in brackets.

    >>> scrub("Call me at 138 0013 8000 or jo@example.com")
    'Call me at [telephone number] or [e-mail]'
    """
    for name, form in _COMPILED:
        if name == "card number":
            text = form.sub(lambda found: _card(found[0]), text)
        else:
            text = form.sub(f"[{name}]", text)
    return text


def _card(digits: str) -> str:
    """Covered where the check digit is right (ISO/IEC 7812-1), as it is otherwise."""
    numbers = [int(digit) for digit in digits if digit.isdigit()][::-1]
    doubled = (sum(divmod(2 * digit, 10)) for digit in numbers[1::2])
    return "[card number]" if (sum(numbers[::2]) + sum(doubled)) % 10 == 0 else digits
