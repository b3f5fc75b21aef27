"""Personal data to plant in texts: well formed, and clearly nobody's.

Telephone numbers come from ranges kept for fiction (US 555-01xx, UK 07700 900xxx) or never
allotted (China 1540); e-mails end in example.com and its kin (RFC 2606); identity numbers have a
province or an area that was never issued; towns do not exist.
"""

from __future__ import annotations

from shoploom.simulate.content._grammar import Dice, grammar

#: What ``personal_data`` can make up.
PERSONAL_KINDS = ("phone", "email", "address", "name", "id_number")

# Province codes that GB/T 2260 has never given.
_NO_PROVINCES = ("38", "47", "55", "66", "78")
_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def personal_data(kind: str, language: str, dice: Dice) -> str:
    """A made-up phone, email, address, name or id_number, as people write it in "en" or "zh"."""
    if kind == "id_number":
        return _chinese_id(dice) if language == "zh" else _american_id(dice)
    digits = {f"n{length}": _digits(length, dice) for length in range(1, 8)}
    return grammar("personal", language).say(kind, dice, digits)


def check_digit(first_17: str) -> str:
    """The last character of a Chinese identity number (GB 11643, ISO 7064 MOD 11-2).

    >>> check_digit("11010519491231002")
    'X'
    """
    total = sum(int(digit) * 2 ** (17 - place) for place, digit in enumerate(first_17))
    return "10X98765432"[total % 11]


def _chinese_id(dice: Dice) -> str:
    month = dice.below(12)
    born = f"{1950 + dice.below(55)}{month + 1:02}{1 + dice.below(_MONTH_DAYS[month]):02}"
    first_17 = dice.pick(_NO_PROVINCES) + _digits(4, dice) + born + _digits(3, dice)
    return first_17 + check_digit(first_17)


def _american_id(dice: Dice) -> str:
    # Areas from 900 are not for social security, and groups below 50 not for tax payers either.
    return f"{900 + dice.below(100)}-{1 + dice.below(49):02}-{1 + dice.below(9999):04}"


def _digits(n: int, dice: Dice) -> str:
    return f"{dice.below(10**n):0{n}}"
