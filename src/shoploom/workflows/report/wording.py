"""Sentences and figures in both languages of the report, from texts.yaml.

A wording is a dict ``{"en": text, "zh": text}``; whatever is filled into a sentence is one too,
so that a number inside Chinese text is written the Chinese way.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

LANGUAGES = ("en", "zh")

Wording = dict[str, str]

_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "CNY": "¥", "JPY": "JP¥", "INR": "₹", "KRW": "₩"}
_CURRENCIES_ZH = {
    "USD": "美元",
    "EUR": "欧元",
    "GBP": "英镑",
    "CNY": "元",
    "JPY": "日元",
    "HKD": "港元",
    "INR": "卢比",
    "KRW": "韩元",
}
_NBSP = "\N{NO-BREAK SPACE}"
_MONTHS = "January February March April May June July August September October November December"


@cache
def texts() -> dict[str, Any]:
    """Every text of the report, nested as in texts.yaml."""
    import yaml

    source = files("shoploom.workflows.report").joinpath("texts.yaml")
    return yaml.safe_load(source.read_text(encoding="utf-8"))


def say(key: str, **values: Wording | str) -> Wording:
    """The text at a dotted key of texts.yaml in each language, with values filled in.

    Raises:
        KeyError: there is no such text, or a value that it needs was not given.

    >>> say("predict.window", days="28")["en"]
    'the next 28 days'
    """
    found: Any = texts()
    for part in key.split("."):
        found = found[part]
    return {
        language: found[language].format_map(
            {
                name: value if isinstance(value, str) else value[language]
                for name, value in values.items()
            }
        )
        for language in LANGUAGES
    }


def name_of(group: str, name: str) -> Wording:
    """What a task, engine or reason is called; its own name where texts.yaml has none."""
    return texts()[group].get(name) or plain(name)


def plain(text: str) -> Wording:
    """The same text in every language."""
    return dict.fromkeys(LANGUAGES, text)


def metric_name(metric: str) -> Wording:
    """What a metric is called, its cut-off included: ``ndcg@10`` is "NDCG at 10"."""
    return _of_metric("metrics", metric)


def metric_about(metric: str) -> Wording:
    """What a metric means, in a sentence; empty where texts.yaml has none."""
    return _of_metric("metric_about", metric)


def _of_metric(group: str, metric: str) -> Wording:
    base, _, k = metric.partition("@")
    key = f"{base}_at" if k and f"{base}_at" in texts()[group] else base
    if key not in texts()[group]:
        return plain(metric if group == "metrics" else "")
    return say(f"{group}.{key}", k=k)


def number(value: float, digits: int = 0) -> Wording:
    """A number: large ones as "1.46 million" and "146.0万".

    >>> number(1_459_912)["zh"]
    '146.0万'
    """
    size = abs(value)
    english = f"{value / 1e6:,.2f}{_NBSP}million" if size >= 1e6 else f"{value:,.{digits}f}"
    if size >= 1e8:
        return {"en": english, "zh": f"{value / 1e8:,.2f}亿"}
    return {"en": english, "zh": f"{value / 1e4:,.1f}万" if size >= 1e5 else f"{value:,.{digits}f}"}


def money(value: float, currency: str) -> Wording:
    """An amount in the shop's currency (ISO 4217), cents only below 1,000.

    >>> money(29.556, "USD")
    {'en': '$29.56', 'zh': '29.56美元'}
    """
    figure = number(value, 2 if abs(value) < 1000 else 0)
    symbol, unit = _SYMBOLS.get(currency), _CURRENCIES_ZH.get(currency, currency)
    english = f"{symbol}{figure['en']}" if symbol else f"{figure['en']} {currency}"
    return {"en": english, "zh": f"{figure['zh']}{unit}"}


def share(value: float, digits: int = 0) -> Wording:
    """A share of one as per cent."""
    return {"en": f"{value * 100:.{digits}f}{_NBSP}%", "zh": f"{value * 100:.{digits}f}%"}


def day(moment: str) -> Wording:
    """The day of an ISO moment.

    >>> day("2017-12-31T08:30:00Z")["zh"]
    '2017年12月31日'
    """
    when = date.fromisoformat(moment[:10])
    month = _MONTHS.split()[when.month - 1]
    english = f"{when.day}{_NBSP}{month}{_NBSP}{when.year}"
    return {"en": english, "zh": f"{when.year}年{when.month}月{when.day}日"}
